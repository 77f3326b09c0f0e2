// A finished run or message, step by step out of its journal. Pure, but for the timer that plays.

/** @import { LiveFrame, ThreadEventData } from "./wire.d.ts" */

import { isOfRun, runOf } from "./runs.js";
import { traceOf } from "./trace.js";

const BEAT_MS = 900;

/**
 * @typedef {object} Replayed what is replayed
 * @property {"chorus" | "message"} machine
 * @property {string} id of the run or the message
 */

export class Replay {
  position = 0;
  #timer = 0;

  /**
   * @param {Replayed} what
   * @param {readonly LiveFrame[]} entries of the journal, oldest first
   * @param {() => void} changed is told when the position moved by itself
   */
  constructor({ machine, id }, entries, changed) {
    this.machine = machine;
    this.id = id;
    this.changed = changed;
    this.entries = entries.filter((frame) =>
      machine === "chorus"
        ? isOfRun(frame, id)
        : frame.type === "thread_event" && isAbout(frame.data, id),
    );
  }

  get length() {
    return this.entries.length;
  }

  get isPlaying() {
    return this.#timer !== 0;
  }

  /** The entry that was reached last; null at the very beginning. */
  get entry() {
    return this.entries[this.position - 1] ?? null;
  }

  /** Where the machine stands at this position. */
  trace() {
    const trace = traceOf(this.machine, this.id, this.entries.slice(0, this.position));
    const isNew = trace.path.length === 0;
    return isNew
      ? { ...trace, current: new Set([this.machine === "chorus" ? "queued" : "submitted"]) }
      : trace;
  }

  /** The run as it was at this position; null for a message, and before its first entry. */
  run() {
    if (this.machine !== "chorus") return null;
    return runOf(this.entries.slice(0, this.position));
  }

  /** @param {number} position */
  goTo(position) {
    this.position = Math.max(0, Math.min(this.length, position));
  }

  play() {
    if (this.position === this.length) this.position = 0;
    this.#timer = setInterval(() => {
      this.goTo(this.position + 1);
      if (this.position === this.length) this.pause();
      this.changed();
    }, BEAT_MS);
  }

  pause() {
    clearInterval(this.#timer);
    this.#timer = 0;
  }
}

/**
 * @param {ThreadEventData} data
 * @param {string} id
 */
function isAbout(data, id) {
  return data.message_id === id || data.transitions.some(({ instance }) => instance === id);
}
