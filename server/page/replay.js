// A finished run or message, step by step out of its journal. Pure, but for the timer that plays.

import { foldRun } from "./runs.js";
import { traceOf } from "./trace.js";

const BEAT_MS = 900;

export class Replay {
  position = 0;
  #timer = 0;

  /**
   * @param {object} what
   * @param {"chorus" | "message"} what.machine
   * @param {string} what.id of the run or the message
   * @param {string} what.messageId of the prompt or the message
   * @param {object[]} entries of the journal, oldest first
   * @param {() => void} changed is told when the position moved by itself
   */
  constructor({ machine, id, messageId }, entries, changed) {
    Object.assign(this, { machine, id, messageId, changed });
    this.entries = entries.filter(({ data }) =>
      machine === "chorus" ? data.run_id === id && data.status : data.kind && isAbout(data, id),
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
    return this.entries.slice(0, this.position).reduce((run, { data }) => foldRun(run, data), null);
  }

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

function isAbout(data, id) {
  return data.message_id === id || (data.transitions ?? []).some(({ instance }) => instance === id);
}
