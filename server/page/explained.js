// Why a run, a message or what is voted on became what it is, as the server explains it: read when it is to be
// shown, and folded into where it stood after each of its transitions.

/** @import { ExplainedTransition, RunExplanationData } from "./wire.d.ts" */
/** @import { DataOf, ReplyTo } from "./protocol.js" */
/** @import { MachineName } from "./trace.js" */

import { foldTransition, newTrace } from "./trace.js";

const MAX_PAGES = 40; // of one value

/**
 * @typedef {object} Explained the own transitions of a value, oldest first
 * @property {MachineName} machine
 * @property {string} id
 * @property {readonly ExplainedTransition[]} transitions
 * @property {RunExplanationData["meanings"]} meanings
 */

export class Explanations {
  #request;
  /** @type {Map<string, Explained>} by id; the last one alone */
  #known = new Map();
  /** @type {string | null} what is being read */
  #asked = null;

  /**
   * @param {{
   *   run: (data: DataOf<"explain_run">) => Promise<ReplyTo<"explain_run">>,
   *   value: (data: DataOf<"explain_value">) => Promise<ReplyTo<"explain_value">>,
   * }} request asks the server
   */
  constructor(request) {
    this.#request = request;
  }

  /** What is known is not of the open thread. */
  forget() {
    this.#known.clear();
    this.#asked = null;
  }

  /**
   * What is known of a value; null where it was not read.
   *
   * @param {string} id
   */
  of(id) {
    return this.#known.get(id) ?? null;
  }

  /**
   * Read a value's explanation as far as `count` transitions, where that is not known.
   *
   * @param {string} threadId
   * @param {MachineName} machine
   * @param {string} id
   * @param {number} count
   * @returns {Promise<boolean>} whether something was read
   */
  async read(threadId, machine, id, count) {
    const known = this.of(id);
    const wanted = `${id} ${count}`;
    if (this.#asked === wanted || (known !== null && known.transitions.length >= count))
      return false;
    this.#asked = wanted;
    const transitions = [...(known?.transitions ?? [])];
    let meanings = known?.meanings ?? {};
    for (let pages = 0; pages < MAX_PAGES; pages += 1) {
      const after = transitions.at(-1)?.seq ?? 0;
      const where = { thread_id: threadId, after_seq: after };
      const page = await (machine === "chorus"
        ? this.#request.run({ ...where, run_id: id })
        : this.#request.value({ ...where, value_id: id }));
      if (this.#asked !== wanted) return false; // something else is to be shown meanwhile
      const own = page.transitions.filter(({ transition }) => transition.instance === id);
      transitions.push(...own);
      meanings = { ...meanings, ...page.meanings };
      if (!page.has_more || page.transitions.length === 0) break;
    }
    this.#known.clear();
    this.#known.set(id, { machine, id, transitions, meanings });
    return true;
  }
}

/**
 * Where a value stood once the first `count` of its transitions were taken.
 *
 * @param {Explained} explained
 * @param {number} count
 */
export function traceAt({ machine, transitions }, count) {
  let trace = newTrace(machine, machine === "chorus" ? ["queued"] : []);
  for (const { transition } of transitions.slice(0, count))
    trace = foldTransition(trace, transition);
  return trace;
}
