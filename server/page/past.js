// The open thread as it was after an earlier entry: its journal from the beginning, folded by the fold that
// makes what is shown live.

/** @import { LiveFrame, ThreadView } from "./wire.d.ts" */
/** @import { DataOf, ReplyTo } from "./protocol.js" */
/** @import { State, Thread } from "./state.js" */

import { fold } from "./store.js";
import { newState } from "./state.js";

const PAGE = 1_000;
const KEPT_EACH = 100; // entries from one state that is kept to the next

export class Past {
  #request;
  /** @type {LiveFrame[]} the entry with the number n is at n - 1 */
  #entries = [];
  /** @type {Map<number, State>} by the number of the entry that it was reached by */
  #kept = new Map();
  /** @type {State} */
  #state = newState();
  /** The entry after which the thread is shown. */
  seq = 0;

  /**
   * @param {string} threadId
   * @param {(data: DataOf<"get_events">) => Promise<ReplyTo<"get_events">>} request asks the server
   */
  constructor(threadId, request) {
    this.threadId = threadId;
    this.#request = request;
  }

  /** Read the journal to its end. */
  async read() {
    for (let more = true; more;) {
      const after = this.#entries.length;
      const data = { thread_id: this.threadId, after_seq: after, limit: PAGE };
      const page = await this.#request(data);
      this.#entries.push(...page.entries);
      more = page.has_more && page.entries.length > 0;
    }
  }

  /** The last entry that is known. */
  get head() {
    return this.#entries.length;
  }

  /** @param {LiveFrame} frame that came live */
  add(frame) {
    if (frame.thread_id === this.threadId && frame.seq === this.head + 1) this.#entries.push(frame);
  }

  /** @param {number} seq of an entry; what is out of bounds is the first or the last */
  goTo(seq) {
    this.seq = Math.max(1, Math.min(this.head, Math.round(seq)));
    this.#state = this.#stateAt(this.seq);
  }

  /**
   * Go to the last entry that is not later than a time; gives whether there is one.
   *
   * @param {number} time in ms since the epoch
   */
  goToTime(time) {
    const later = this.#entries.findIndex(
      ({ data: { at } }) => at !== undefined && Date.parse(at) > time,
    );
    if (later === 0) return false;
    this.goTo(later === -1 ? this.head : later);
    return true;
  }

  /** The entry after which the thread is shown. */
  get entry() {
    return this.#entries[this.seq - 1] ?? null;
  }

  /**
   * The thread as it was then.
   *
   * @returns {Thread | null}
   */
  get thread() {
    return this.#state.thread;
  }

  /** @param {number} seq */
  #stateAt(seq) {
    let from = seq - (seq % KEPT_EACH);
    while (from > 0 && !this.#kept.has(from)) from -= KEPT_EACH;
    let state = this.#kept.get(from) ?? newState();
    for (const frame of this.#entries.slice(from, seq)) {
      state = state.thread ? state : beginning(frame);
      state = fold(state, { kind: "live", frame });
      if (frame.seq && frame.seq % KEPT_EACH === 0) this.#kept.set(frame.seq, state);
    }
    return state;
  }
}

/**
 * Before the first entry, which tells what the thread is.
 *
 * @param {LiveFrame} frame
 */
function beginning(frame) {
  const { thread } = frame.type === "thread_event" ? frame.data : {};
  if (!thread) return newState();
  return fold(newState(), {
    kind: "opened",
    snapshot: {
      thread,
      messages: [],
      hidden_messages: [],
      runs: [],
      invitations: [],
      links: [],
      removals: [],
      branches: [],
      names: {},
      head_seq: 0,
      has_more: false,
    },
    epoch: null,
  });
}
