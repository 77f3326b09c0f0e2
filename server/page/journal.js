// The journal of the followed thread as far as this page has read it, by what it is about.
//
// Live entries are kept as they come. What happened before is asked for when somebody wants to see
// it: the beginning is found by bisection over the messages' indexes, so that a replay in a thread
// of a million entries costs a handful of requests.

const PAGE = 200;
const PROBE = 64;
const MAX_PAGES = 40; // a run or a vote that is longer is shown as far as this
const KEPT_SUBJECTS = 200;

export class Journal {
  #request;
  #threadId = null;
  /** Counts what was opened: what was read before is not known any more. */
  opening = 0;
  #subjects = new Map(); // run or message id -> {entries: Map<seq, frame>, whole: boolean}

  /** @param {(type: string, data: object) => Promise<object>} request asks the server */
  constructor(request) {
    this.#request = request;
  }

  /** Begin with another thread; what was read of the one before is dropped. */
  open(threadId) {
    this.#threadId = threadId;
    this.#subjects.clear();
    this.opening += 1;
  }

  /** Keep an entry that came live. */
  add(frame) {
    if (!Number.isInteger(frame.seq)) return;
    for (const id of subjectsOf(frame)) {
      const subject = this.#subject(id);
      subject.entries.set(frame.seq, frame);
      if (beginsWith(frame, id)) subject.whole = true;
    }
  }

  /** What is known of a run or a message, oldest first. */
  entries(id) {
    const subject = this.#subjects.get(id);
    if (!subject) return [];
    return [...subject.entries.values()].sort((one, other) => one.seq - other.seq);
  }

  /** Whether the entries of a run or a message are known from its beginning. */
  isWhole(id) {
    return this.#subjects.get(id)?.whole ?? false;
  }

  /**
   * Read everything about a run or a message up to now.
   *
   * @param {string} id of the run or the message
   * @param {number} index of the prompt (for a run) or of the message itself
   * @param {(entries: object[]) => boolean} isOver whether nothing more can follow
   */
  async load(id, index, isOver) {
    if (this.isWhole(id)) return this.entries(id);
    const threadId = this.#threadId;
    let after = await this.#before(threadId, index);
    for (let pages = 0; pages < MAX_PAGES; pages += 1) {
      const page = await this.#page(threadId, after, PAGE);
      if (threadId !== this.#threadId) return [];
      for (const frame of page.entries) this.#keep(id, frame);
      after = page.entries.at(-1)?.seq ?? after;
      if (!page.has_more || isOver(this.entries(id))) break;
    }
    this.#subject(id).whole = true;
    return this.entries(id);
  }

  /** A seq before the entry that submitted the message with this index. */
  async #before(threadId, index) {
    let low = 0; // the entry is after this seq
    let high = null;
    for (;;) {
      const middle = high === null ? 0 : Math.floor((low + high) / 2);
      const page = await this.#page(threadId, middle, PROBE);
      const indexed = page.entries.find((frame) => Number.isInteger(frame.data.message?.index));
      if (high === null) {
        high = page.head_seq;
        if (high <= PAGE) return 0;
      } else if (indexed && indexed.data.message.index < index) {
        low = middle;
      } else {
        high = middle;
      }
      if (high - low <= PROBE) return low;
    }
  }

  #page(threadId, afterSeq, limit) {
    return this.#request("get_events", { thread_id: threadId, after_seq: afterSeq, limit });
  }

  #keep(id, frame) {
    if (subjectsOf(frame).includes(id)) this.#subject(id).entries.set(frame.seq, frame);
  }

  #subject(id) {
    let subject = this.#subjects.get(id);
    if (!subject) {
      subject = { entries: new Map(), whole: false };
      this.#subjects.set(id, subject);
      if (this.#subjects.size > KEPT_SUBJECTS) {
        this.#subjects.delete(this.#subjects.keys().next().value);
      }
    }
    return subject;
  }
}

/** Ids of the runs and messages that an entry is about. */
function subjectsOf({ data }) {
  const ids = [data.run_id, data.message_id, data.message?.id];
  for (const { instance } of data.transitions ?? []) ids.push(instance);
  return [...new Set(ids.filter(Boolean))];
}

/** Whether a live entry is the first one of a run or a message. */
function beginsWith({ data }, id) {
  return (
    (data.transitions ?? []).some(
      ({ instance, source }) => instance === id && (source === "queued" || source === "submitted"),
    ) ||
    (data.status === "queued" && data.run_id === id)
  );
}
