// The inbox: a button with the count of what waits, and a dialog with each thing as a way to its place.

/** @import { App } from "../app.js" */
/** @import { InboxItem } from "../wire.d.ts" */

import { arrange, button, h, icon, keyed, setText } from "../dom.js";
import { keyOf } from "../inbox.js";
import { say } from "../language.js";
import { countWords, inboxWords, timeLeft, whenLong, whenShort } from "../words.js";
import { show } from "./dialogs.js";

/** @type {readonly [title: string, kinds: readonly InboxItem["kind"][]][]} */
const SECTIONS = [
  [say.inbox.sections.votes, ["vote", "removal", "branch"]],
  [say.inbox.sections.invitations, ["invitation"]],
  [say.inbox.sections.mentions, ["mention"]],
];

export class InboxButton {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.badge = new InboxCount(app);
    this.element = h(
      "button",
      {
        type: "button",
        class: "icon-button inbox-button",
        "aria-haspopup": "dialog",
        on: { click: () => openInbox(app) },
      },
      icon("inbox"),
      this.badge.element,
    );
  }

  update() {
    this.badge.update();
    const count = this.app.state.inbox?.count ?? 0;
    const label = count > 0 ? say.inbox.label(countWords(count)) : say.inbox.title;
    if (this.element.title === label) return;
    this.element.title = label;
    this.element.setAttribute("aria-label", label);
  }
}

/** The count of what waits, as a mark on a button that says it in words. */
export class InboxCount {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.element = h("span", { class: "count-mark", "aria-hidden": "true", hidden: true });
  }

  update() {
    const count = this.app.state.inbox?.count ?? 0;
    this.element.hidden = count === 0;
    setText(this.element, countWords(count));
  }
}

/** @param {App} app */
export function openInbox(app) {
  if (document.querySelector("dialog.dialog")) return;
  app.inbox.read();
  const list = new InboxList(app, () => dialog.close());
  const dialog = show(app.lifetimes.of("signIn"), say.inbox.title, () => [list.element]);
  app.addView(list);
  dialog.addEventListener("close", () => app.dropView(list));
}

class InboxList {
  /**
   * @param {App} app
   * @param {() => void} close
   */
  constructor(app, close) {
    this.app = app;
    this.close = close;
    /** @type {App["state"]["inbox"] | undefined} as it is drawn */
    this.drawn = undefined;
    this.empty = h("p", { class: "muted", role: "status" });
    this.sections = SECTIONS.map(([title, kinds]) => new InboxSection(this, title, kinds));
    this.more = button(say.inbox.more, () => this.readMore(), { class: "button quiet wide" });
    this.element = h(
      "div",
      { class: "stack" },
      this.empty,
      ...this.sections.map(({ element }) => element),
      this.more,
    );
  }

  readMore() {
    const next = this.app.state.inbox?.next;
    if (next) this.app.inbox.readMore(next);
  }

  update() {
    const { inbox } = this.app.state;
    if (inbox === this.drawn) return;
    this.drawn = inbox;
    const items = inbox?.items ?? [];
    setText(this.empty, inbox ? say.inbox.empty : say.inbox.reading);
    this.empty.hidden = items.length > 0;
    for (const section of this.sections) section.draw(items);
    this.more.hidden = !inbox?.next;
  }

  /** @param {InboxItem} item */
  go(item) {
    this.close();
    this.app.openInboxItem(item);
  }
}

class InboxSection {
  /**
   * @param {InboxList} list
   * @param {string} title
   * @param {readonly InboxItem["kind"][]} kinds
   */
  constructor(list, title, kinds) {
    this.list = list;
    this.kinds = kinds;
    /** @type {Map<string, InboxRow>} */
    this.rows = new Map();
    this.rowList = h("ul", { class: "inbox-list" });
    this.element = h("section", { "aria-label": title }, h("h3", {}, title), this.rowList);
  }

  /** @param {readonly InboxItem[]} items of all sections */
  draw(items) {
    const own = new Map(
      items.filter(({ kind }) => this.kinds.includes(kind)).map((item) => [keyOf(item), item]),
    );
    this.element.hidden = own.size === 0;
    const rows = keyed(this.rows, own.keys(), () => new InboxRow(this.list));
    for (const [place, item] of [...own.values()].entries()) rows[place]?.draw(item);
    arrange(
      this.rowList,
      rows.map(({ element }) => element),
    );
  }
}

class InboxRow {
  /** @param {InboxList} list */
  constructor(list) {
    /** @type {InboxItem | null} */
    this.item = null;
    this.words = h("span", { class: "inbox-words" });
    this.thread = h("bdi", { class: "thread-name" });
    this.excerpt = h("span", { class: "inbox-excerpt", dir: "auto" });
    this.when = h("span", { class: "inbox-when" });
    this.link = h(
      "a",
      {
        class: "inbox-link",
        on: {
          click: (event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey) return;
            event.preventDefault();
            if (this.item) list.go(this.item);
          },
        },
      },
      this.words,
      this.when,
      this.thread,
      this.excerpt,
    );
    this.element = h("li", {}, this.link);
  }

  /** @param {InboxItem} item */
  draw(item) {
    this.item = item;
    const { thread_id: threadId, message_id: messageId, expires_at: until } = item;
    const isNew = item.kind !== "mention" || Boolean(item.unread);
    this.link.href = `#/t/${threadId}${messageId ? `/m/${messageId}` : ""}`;
    this.link.classList.toggle("fresh", isNew);
    setText(
      this.words,
      [inboxWords(item), item.unread && say.inbox.unread].filter(Boolean).join(" · "),
    );
    setText(this.thread, item.thread_name);
    setText(this.excerpt, item.excerpt ?? "");
    this.excerpt.hidden = !item.excerpt;
    setText(this.when, until ? timeLeft(until) : whenShort(item.at));
    this.when.title = whenLong(until ?? item.at);
  }
}
