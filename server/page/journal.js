// The journal of the followed thread as far as this page has read it, by what it is about.
//
// Live entries are kept as they come; earlier ones are read when they are to be shown. Where they
// begin is found by bisection over the messages' indexes, so that a replay in a thread of a million
// entries costs a handful of requests.

/** @import { LiveFrame } from "./wire.d.ts" */
/** @import { DataOf, ReplyTo } from "./protocol.js" */

/** @typedef {{entries: Map<number, LiveFrame>, whole: boolean}} Subject entries by their seq */

/** @typedef {{id: string, seq: number, isFork: boolean}} KnownRun `seq` of its first entry that was met */

import { forkThatEnded, messageOf } from "./runs.js";

const PAGE = 200;
const PROBE = 64;
const MAX_PAGES = 40; // behind one entry: a run or a vote that is longer is shown as far as this
const KEPT_SUBJECTS = 200;

export class Journal {
  #request;
  /** @type {string | null} */
  #threadId = null;
  /** Counts what was opened: what was read before is not known any more. */
  opening = 0;
  /** @type {Map<string, Subject>} by the id of the run or the message */
  #subjects = new Map();
  /** @type {Map<string, Map<string, KnownRun>>} by the id of the prompt and of the run */
  #runs = new Map();

  /**
   * @param {(data: DataOf<"get_events">) => Promise<ReplyTo<"get_events">>} request asks the server
   */
  constructor(request) {
    this.#request = request;
  }

  /**
   * Begin with another thread, or with none; what was read of the one before is dropped.
   *
   * @param {string | null} threadId
   */
  open(threadId) {
    this.#threadId = threadId;
    this.#subjects.clear();
    this.#runs.clear();
    this.opening += 1;
  }

  /**
   * Keep an entry that came live.
   *
   * @param {LiveFrame} frame
   */
  add(frame) {
    if (typeof frame.seq !== "number") return;
    this.#note(frame, frame.seq);
    for (const id of subjectsOf(frame)) {
      const subject = this.#subject(id);
      subject.entries.set(frame.seq, frame);
      if (beginsWith(frame, id)) subject.whole = true;
    }
  }

  /**
   * What is known of a run or a message, oldest first.
   *
   * @param {string} id
   * @returns {LiveFrame[]}
   */
  entries(id) {
    const subject = this.#subjects.get(id);
    if (!subject) return [];
    return [...subject.entries].sort(([one], [other]) => one - other).map(([, frame]) => frame);
  }

  /**
   * The runs of a prompt that were met so far, the oldest first: that which gave its answer, those before it,
   * and its forks.
   *
   * @param {string} promptId
   * @returns {KnownRun[]}
   */
  runsOf(promptId) {
    return [...(this.#runs.get(promptId)?.values() ?? [])].sort(
      (one, other) => one.seq - other.seq,
    );
  }

  /**
   * Whether the entries of a run or a message are known from its beginning.
   *
   * @param {string} id
   */
  isWhole(id) {
    return this.#subjects.get(id)?.whole ?? false;
  }

  /**
   * Read everything about a run or a message up to now.
   *
   * @param {string} id of the run or the message
   * @param {number} index of the prompt (for a run) or of the message itself
   * @param {(entries: LiveFrame[]) => boolean} isOver whether nothing more can follow
   * @param {() => Promise<number | null>} first asks for the seq of its first entry, where that is far behind
   *   the message; null where it is not told
   */
  async load(id, index, isOver, first = () => Promise.resolve(null)) {
    if (this.isWhole(id)) return this.entries(id);
    const threadId = this.#threadId;
    if (threadId === null) return [];
    const before = await this.#before(threadId, index);
    const reached = await this.#readOn(threadId, id, before, isOver);
    const begins = reached === null ? null : await first();
    if (reached !== null && begins !== null && begins > reached) {
      await this.#readOn(threadId, id, begins - 1, isOver);
    }
    if (threadId !== this.#threadId) return [];
    this.#subject(id).whole = true;
    return this.entries(id);
  }

  /**
   * Read entries behind one; gives the last that was read, or null where nothing more is to be read.
   *
   * @param {string} threadId
   * @param {string} id
   * @param {number} before
   * @param {(entries: LiveFrame[]) => boolean} isOver
   */
  async #readOn(threadId, id, before, isOver) {
    let after = before;
    for (let pages = 0; pages < MAX_PAGES; pages += 1) {
      const page = await this.#page(threadId, after, PAGE);
      if (threadId !== this.#threadId) return null;
      for (const frame of page.entries) this.#keep(id, frame);
      after = page.entries.at(-1)?.seq ?? after;
      if (!page.has_more || isOver(this.entries(id))) return null;
    }
    return after;
  }

  /**
   * A seq before the entry that submitted the message with this index.
   *
   * @param {string} threadId
   * @param {number} index
   */
  async #before(threadId, index) {
    let low = 0; // the entry is after this seq
    let { head_seq: high } = await this.#page(threadId, low, PROBE);
    if (high <= PAGE) return low;
    while (high - low > PROBE) {
      const middle = Math.floor((low + high) / 2);
      const page = await this.#page(threadId, middle, PROBE);
      const found = page.entries.map(indexOf).find((each) => each !== null);
      if (found !== undefined && found !== null && found < index) low = middle;
      else high = middle;
    }
    return low;
  }

  /**
   * @param {string} threadId
   * @param {number} afterSeq
   * @param {number} limit
   */
  #page(threadId, afterSeq, limit) {
    return this.#request({ thread_id: threadId, after_seq: afterSeq, limit });
  }

  /**
   * @param {string} id
   * @param {LiveFrame} frame
   */
  #keep(id, frame) {
    if (typeof frame.seq !== "number") return;
    this.#note(frame, frame.seq);
    if (subjectsOf(frame).includes(id)) this.#subject(id).entries.set(frame.seq, frame);
  }

  /**
   * Note the run that an entry is about.
   *
   * @param {LiveFrame} frame
   * @param {number} seq
   */
  #note({ type, data }, seq) {
    if (type !== "chorus_response") return;
    const { message_id: promptId, run_id: id, branch_id: branchId } = data;
    const runs = this.#runs.get(promptId) ?? new Map();
    const known = runs.get(id) ?? { id, seq, isFork: branchId !== undefined };
    this.#runs.set(promptId, runs.set(id, { ...known, seq: Math.min(known.seq, seq) }));
  }

  /** @param {string} id */
  #subject(id) {
    let subject = this.#subjects.get(id);
    if (!subject) {
      subject = { entries: new Map(), whole: false };
      this.#subjects.set(id, subject);
      const [oldest] = this.#subjects.keys();
      if (oldest && this.#subjects.size > KEPT_SUBJECTS) this.#subjects.delete(oldest);
    }
    return subject;
  }
}

/**
 * Ids of the runs, the messages and the thread that an entry is about.
 *
 * @param {LiveFrame} frame
 * @returns {string[]}
 */
function subjectsOf(frame) {
  const { data } = frame;
  const ids = [
    data.run_id,
    data.message_id,
    messageOf(frame)?.id,
    forkThatEnded(frame) ?? undefined,
  ];
  if (frame.type === "thread_event") ids.push(frame.thread_id ?? undefined);
  for (const { instance } of data.transitions) ids.push(instance);
  return [...new Set(ids.filter((id) => id !== undefined))];
}

/**
 * The index of the message that an entry carries; null where it carries none.
 *
 * @param {LiveFrame} frame
 */
function indexOf(frame) {
  return messageOf(frame)?.index ?? null;
}

/**
 * Whether a live entry is the first one of a run or a message.
 *
 * @param {LiveFrame} frame
 * @param {string} id
 */
function beginsWith({ type, data }, id) {
  return (
    data.transitions.some(
      ({ instance, source }) => instance === id && (source === "queued" || source === "submitted"),
    ) ||
    (type === "chorus_response" && data.status === "queued" && data.run_id === id)
  );
}
