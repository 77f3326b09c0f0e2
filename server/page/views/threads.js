// The list of threads, the search over everything, and the way to a new thread.

/** @import { App } from "../app.js" */
/** @import { ThreadSummary } from "../wire.d.ts" */
/** @import { Scope } from "../state.js" */

import { arrange, button, h, icon, iconButton, keyed, setText } from "../dom.js";
import { say } from "../language.js";
import { isUnread } from "../selectors.js";
import { whenLong, whenShort } from "../words.js";
import { openNewThreadDialog } from "./dialogs.js";
import { InboxButton } from "./inbox.js";
import { Invitations } from "./invitations.js";
import { SearchResults } from "./search.js";
import { listThreads } from "../thread_requests.js";

/** @type {readonly ("mine" | "public")[]} */
const TABS = ["mine", "public"];

/** @type {Record<Scope, string>} */
const EMPTY = {
  mine: say.threads.none,
  public: say.threads.nonePublic,
  hidden: say.threads.noneHidden,
};

export class Threads {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    /** @type {Scope} */
    this.scope = "mine"; // or "hidden", which is in the tab of "mine"
    /** @type {Map<string, ThreadRow>} by thread */
    this.rows = new Map();
    /** @type {unknown[] | null} what the list was drawn from */
    this.drawn = null;
    this.tabs = TABS.map((scope) =>
      h(
        "button",
        {
          type: "button",
          role: "tab",
          id: `scope-${scope}`,
          "aria-controls": "thread-list",
          on: { click: () => this.choose(scope), keydown: (event) => this.arrow(event) },
        },
        say.threads[scope],
      ),
    );
    this.list = h("ul", { class: "thread-list" });
    this.empty = h("p", { class: "muted empty" });
    this.more = button(say.threads.more, () => this.readMore(), { class: "button quiet wide" });
    this.toggle = button("", () => this.choose(this.scope === "hidden" ? "mine" : "hidden"), {
      class: "button quiet wide small",
    });
    this.panel = h(
      "div",
      { id: "thread-list", role: "tabpanel", class: "thread-panel" },
      this.list,
      this.empty,
      this.more,
      this.toggle,
    );
    this.results = new SearchResults(app);
    this.invitations = new Invitations(app);
    this.inbox = new InboxButton(app);
    this.element = h(
      "nav",
      { class: "threads", "aria-label": say.shell.threads },
      h(
        "header",
        { class: "threads-head" },
        h("h1", { class: "wordmark" }, "Chorus"),
        h(
          "div",
          { class: "row" },
          this.inbox.element,
          iconButton("plus", say.common.newThread, () => openNewThreadDialog(app), {
            class: "icon-button primary",
          }),
        ),
      ),
      this.results.form,
      this.invitations.element,
      h("div", { class: "tabs", role: "tablist", "aria-label": say.threads.which }, ...this.tabs),
      this.results.element,
      this.panel,
    );
  }

  /** @param {Scope} scope */
  choose(scope) {
    this.scope = scope;
    listThreads(this.app, scope);
    this.app.schedule();
    this.drawn = null;
    this.update();
  }

  /** @param {KeyboardEvent} event */
  arrow(event) {
    if (event.key !== "ArrowLeft" && event.key !== "ArrowRight") return;
    this.choose(this.scope === "public" ? "mine" : "public");
    this.tabs[TABS.indexOf(this.tab())]?.focus();
  }

  tab() {
    return this.scope === "public" ? "public" : "mine";
  }

  readMore() {
    const { next } = this.app.state.lists[this.scope];
    if (next) listThreads(this.app, this.scope, next);
  }

  update() {
    this.invitations.update();
    this.results.update();
    this.inbox.update();
    const { state } = this.app;
    const drawn = [
      state.summaries,
      state.lists,
      state.seen,
      state.thread?.id,
      this.scope,
      this.results.isOpen,
    ];
    const before = this.drawn;
    if (before && drawn.every((part, place) => part === before[place])) return;
    this.drawn = drawn;
    this.tabs.forEach((tab, place) => {
      const isChosen = TABS[place] === this.tab();
      tab.setAttribute("aria-selected", String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
    });
    this.panel.setAttribute("aria-labelledby", `scope-${this.tab()}`);
    this.panel.hidden = this.results.isOpen;
    const { ids, next } = state.lists[this.scope];
    const rows = keyed(this.rows, ids, (id) => new ThreadRow(this.app, id));
    for (const row of rows) row.update();
    arrange(
      this.list,
      rows.map((row) => row.element),
    );
    this.empty.hidden = ids.length > 0;
    setText(this.empty, EMPTY[this.scope]);
    this.toggle.hidden = this.scope === "public";
    setText(this.toggle, this.scope === "hidden" ? say.threads.showMine : say.threads.showHidden);
    this.more.hidden = !next;
  }
}

class ThreadRow {
  /**
   * @param {App} app
   * @param {string} id
   */
  constructor(app, id) {
    this.app = app;
    this.id = id;
    /** @type {ThreadSummary | null} as it is drawn */
    this.summary = null;
    this.unread = false;
    this.isOpen = false;
    this.name = h("bdi", { class: "thread-name" });
    this.when = h("time", { class: "thread-when" });
    this.facts = h("span", { class: "thread-facts" });
    this.link = h(
      "a",
      {
        class: "thread-link",
        href: `#/t/${id}`,
        on: {
          click: (event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey) return;
            event.preventDefault();
            app.openThread(id);
          },
        },
      },
      this.name,
      this.when,
      this.facts,
    );
    this.element = h("li", {}, this.link);
  }

  update() {
    const { state } = this.app;
    const summary = state.summaries.get(this.id);
    if (!summary) return;
    const unread = isUnread(state, summary);
    const isOpen = state.thread?.id === this.id;
    if (summary === this.summary && unread === this.unread && isOpen === this.isOpen) return;
    this.summary = summary;
    this.unread = unread;
    this.isOpen = isOpen;
    setText(this.name, summary.name);
    setText(this.when, whenShort(summary.updated_at));
    this.when.dateTime = summary.updated_at;
    this.when.title = whenLong(summary.updated_at);
    const people = summary.co_authors.length;
    this.facts.replaceChildren(
      icon(summary.visibility === "public" ? "globe" : "lock"),
      h(
        "span",
        {},
        [
          say.common.visibility[summary.visibility],
          people > 1 ? say.threads.people(people) : null,
          summary.status === "archived" ? say.common.archived : null,
        ]
          .filter(Boolean)
          .join(" · "),
      ),
      unread ? h("span", { class: "unread" }, say.threads.unread) : "",
    );
    this.link.classList.toggle("is-unread", unread);
    if (isOpen) this.link.setAttribute("aria-current", "page");
    else this.link.removeAttribute("aria-current");
  }
}
