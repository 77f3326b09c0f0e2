// The open thread as it was after an earlier entry: a snapshot of it then, and the entries around that moment,
// folded by the fold that makes what is shown live. As much is known at a time as one window holds.

/** @import { LiveFrame, ThreadPastData } from "./wire.d.ts" */
/** @import { DataOf, ReplyTo } from "./protocol.js" */
/** @import { State, Thread } from "./state.js" */

import { Refused } from "./protocol.js";
import { FINAL } from "./runs.js";
import { newState } from "./state.js";
import { fold } from "./store.js";

const BEFORE = 32; // entries of a window before the one that was asked for
const PAGE = 128;
const MOST = 512; // entries of a window
const MESSAGES = 50;

/**
 * @typedef {object} Window what is known around a moment
 * @property {number} base the entry of the snapshot
 * @property {State} begin the thread as it was then
 * @property {readonly LiveFrame[]} entries from that one on
 */

/** @typedef {{gathered: number, of: number}} Progress entries that the server went through first */

export class Past {
  #request;
  /** @type {Window | null} */
  #window = null;
  /** @type {State} */
  #state = newState();
  #isReading = false;
  /** The entry after which the thread is shown. */
  seq = 0;
  /** The entry that was asked for last, which may not be read yet. */
  wanted = 0;
  /** @type {Progress | null} */
  progress = null;
  /** Whether the time that was asked for last is before the beginning. */
  isTooEarly = false;
  /** Called where what is shown changed. */
  onChange = () => {};

  /**
   * @param {string} threadId
   * @param {number} head the last entry of the thread
   * @param {{
   *   past: (data: DataOf<"get_past">) => Promise<ReplyTo<"get_past">>,
   *   events: (data: DataOf<"get_events">) => Promise<ReplyTo<"get_events">>,
   * }} request asks the server
   */
  constructor(threadId, head, request) {
    this.threadId = threadId;
    this.head = head;
    this.#request = request;
  }

  /** @param {LiveFrame} frame that came live */
  add(frame) {
    if (frame.thread_id !== this.threadId || typeof frame.seq !== "number") return;
    this.head = Math.max(this.head, frame.seq);
    const last = this.#window && lastOf(this.#window);
    if (this.#window && last === frame.seq - 1 && this.#window.entries.length < MOST) {
      this.#window = { ...this.#window, entries: [...this.#window.entries, frame] };
    }
  }

  /**
   * Show the thread after an entry; where it is not known, once it is read. Of several that are asked for
   * while one is read, the last is read next.
   *
   * @param {number} seq of an entry; what is out of bounds is the first or the last
   */
  async goTo(seq) {
    this.wanted = Math.max(1, Math.min(this.head, Math.round(seq)));
    this.isTooEarly = false;
    if (this.#isReading) return;
    this.#isReading = true;
    try {
      while (!this.#shows(this.wanted)) {
        const { wanted } = this;
        await this.#read({ at_seq: Math.max(1, wanted - BEFORE) }, wanted);
        // A store that was put back may end before what was asked for.
        if (wanted === this.wanted) this.wanted = Math.min(wanted, this.head);
      }
    } catch (error) {
      this.wanted = this.seq;
      throw error;
    } finally {
      this.#isReading = false;
    }
  }

  /**
   * Go to the last entry that is not later than a time, if there is one.
   *
   * @param {number} time in ms since the epoch
   */
  async goToTime(time) {
    try {
      const seq = await this.#read({ at: new Date(time).toISOString() }, 0);
      await this.goTo(seq);
    } catch (error) {
      if (!(error instanceof Refused && error.code === "invalid_field")) throw error;
      this.isTooEarly = true;
      this.onChange();
    }
  }

  /** Read messages that are older than those that are known. */
  async readOlder() {
    const window = this.#window;
    const { thread } = window?.begin ?? {};
    if (!window || !thread) return;
    const first = thread.messages.get(thread.order[0] ?? "");
    const snapshot = await this.#ask({ at_seq: window.base, before_index: first?.index ?? 0 });
    if (this.#window?.base !== window.base) return;
    const begin = fold(window.begin, { kind: "older", snapshot });
    this.#window = { ...this.#window, begin };
    this.#shows(this.seq);
  }

  /** The entry after which the thread is shown. */
  get entry() {
    return this.#window?.entries[this.seq - this.#window.base] ?? null;
  }

  /**
   * The thread as it was then.
   *
   * @returns {Thread | null}
   */
  get thread() {
    return this.#state.thread;
  }

  /**
   * Show the thread after an entry of the window; gives whether it is one.
   *
   * @param {number} seq
   */
  #shows(seq) {
    const window = this.#window;
    if (!window || seq < window.base || seq > lastOf(window)) return false;
    this.seq = seq;
    this.#state = window.entries
      .slice(1, seq - window.base + 1)
      .reduce((state, frame) => fold(state, { kind: "live", frame }), window.begin);
    this.onChange();
    return true;
  }

  /**
   * Read a window; gives the entry of its snapshot.
   *
   * @param {{at_seq: number} | {at: string}} moment of the snapshot
   * @param {number} seq an entry that must be in it
   */
  async #read(moment, seq) {
    const snapshot = await this.#ask(moment);
    const { head_seq: base, last_seq: last } = snapshot;
    /** @type {LiveFrame[]} */
    const entries = [];
    do {
      const after = base - 1 + entries.length;
      const data = { thread_id: this.threadId, after_seq: after, limit: PAGE };
      const page = await this.#request.events(data);
      entries.push(...page.entries);
      if (page.entries.length === 0) break;
    } while (base + entries.length <= Math.min(seq, last));
    this.head = Math.max(last, base + entries.length - 1);
    const begin = fold(newState(), { kind: "opened", snapshot, epoch: null });
    this.#window = { base, begin, entries };
    this.progress = null;
    return base;
  }

  /**
   * @param {Omit<DataOf<"get_past">, "thread_id">} what
   * @returns {Promise<ThreadPastData>}
   */
  async #ask(what) {
    const data = { limit: MESSAGES, ...what, thread_id: this.threadId };
    for (;;) {
      try {
        return await this.#request.past(data);
      } catch (error) {
        const isBusy = error instanceof Refused && error.code === "thread_busy";
        if (!isBusy) throw error;
        this.progress = /** @type {Progress | null} */ (error.details);
        this.onChange();
      }
    }
  }
}

/**
 * A thread as it was, with the steps that are known of runs which were over by then.
 *
 * @param {Thread} then
 * @param {Thread | null} now
 * @returns {Thread}
 */
export function withKnownRuns(then, now) {
  const runs = new Map(then.runs);
  for (const { role, run_id: id } of then.messages.values()) {
    const run = role === "chorus" && id !== null && now?.runs.get(id);
    if (run && FINAL.has(run.status) && !runs.has(run.id)) runs.set(run.id, run);
  }
  return { ...then, runs };
}

/** @param {Window} window */
function lastOf({ base, entries }) {
  return base + entries.length - 1;
}
