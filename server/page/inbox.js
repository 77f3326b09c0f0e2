// The user's inbox as this page has it: read when it may have changed, and what is new in it told to
// who does not look. Views show `app.state.inbox`.

/**
 * @import { GetInboxData, InboxData, InboxItem, LiveFrame, MarkReadData } from "./wire.d.ts"
 * @import { Thread } from "./state.js"
 */

import { say } from "./language.js";

const SOON_MS = 400; // many changes at once are one read
const PAGE_ITEMS = 50;

/**
 * @typedef {object} Outside
 * @property {(data: GetInboxData) => Promise<InboxData>} read
 * @property {(data: MarkReadData) => Promise<unknown>} mark
 * @property {(page: InboxData, fresh: boolean) => void} show
 * @property {(items: readonly InboxItem[]) => void} tell says what is new
 * @property {(error: unknown, what: string) => void} explain
 */

export class Inbox {
  /** @type {InboxData | null} */
  #page = null;
  /** @type {Set<string> | null} what is no news; null before the first read */
  #known = null;
  /** @type {Map<string, number>} by thread: the seq up to which it was said to be read */
  #marked = new Map();
  #waiting = 0;

  /** @param {Outside} outside */
  constructor(outside) {
    this.outside = outside;
  }

  /** Read it before long: something may have changed. */
  soon() {
    if (this.#waiting) return;
    this.#waiting = setTimeout(() => this.read(), SOON_MS);
  }

  async read() {
    clearTimeout(this.#waiting);
    this.#waiting = 0;
    try {
      const page = await this.outside.read({ limit: PAGE_ITEMS });
      this.#page = page;
      this.outside.show(page, true);
      this.#tellNews(page.items);
    } catch (error) {
      this.outside.explain(error, say.inbox.missing);
    }
  }

  /** @param {string} after */
  async readMore(after) {
    try {
      this.outside.show(await this.outside.read({ after, limit: PAGE_ITEMS }), false);
    } catch (error) {
      this.outside.explain(error, say.inbox.moreMissing);
    }
  }

  /**
   * The user looks at a thread: what mentions them there is read.
   *
   * @param {Thread} thread
   */
  async markRead({ id, headSeq }) {
    const unread = (this.#page?.items ?? [])
      .filter((item) => item.unread && item.thread_id === id)
      .map(({ seq }) => seq ?? 0)
      .filter((seq) => seq <= headSeq);
    const last = Math.max(0, ...unread);
    if (last <= (this.#marked.get(id) ?? 0)) return;
    this.#marked.set(id, last);
    try {
      await this.outside.mark({ thread_id: id, seq: last });
    } catch (error) {
      this.#marked.delete(id);
      this.outside.explain(error, say.inbox.notMarked);
    }
  }

  /** Another user may come, whose inbox this is not. */
  forget() {
    clearTimeout(this.#waiting);
    this.#waiting = 0;
    this.#page = this.#known = null;
    this.#marked.clear();
  }

  /** @param {readonly InboxItem[]} items */
  #tellNews(items) {
    const known = this.#known;
    this.#known = new Set([...(known ?? []), ...items.map(keyOf)]);
    if (!known) return; // what was there when the user came is no news
    const news = items.filter(
      (item) => !known.has(keyOf(item)) && (item.kind !== "mention" || item.unread),
    );
    if (news.length > 0) this.outside.tell(news);
  }
}

/**
 * What tells one item from another.
 *
 * @param {InboxItem} item
 */
export function keyOf({ kind, thread_id: threadId, message_id: messageId, public_key: key, at }) {
  return [kind, messageId ?? threadId, key ?? "", at].join(" ");
}

/**
 * Whether a live frame may have changed the inbox of one of the thread's co-authors.
 *
 * @param {LiveFrame} frame
 */
export function changesInbox(frame) {
  if (frame.type !== "thread_event") return false;
  const { kind, message, removal, branch } = frame.data;
  if (removal || branch || kind === "co_author_left") return true;
  return Boolean(message && (message.electors.length > 0 || message.mentions?.length));
}
