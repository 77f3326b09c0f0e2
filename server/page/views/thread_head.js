// The head of the conversation: the thread's name, facts about it, and the menu of what can be done with it.

/** @import { App } from "../app.js" */
/** @import { ThreadView } from "../wire.d.ts" */

import { h, iconButton, setText } from "../dom.js";
import { say } from "../language.js";
import { copyText } from "../notices.js";
import { isCoAuthor, othersThere } from "../selectors.js";
import { countWords, nameOf, someOf } from "../words.js";
import { archiveThread, openRenameDialog } from "./dialogs.js";
import { openPeopleDialog } from "./people.js";
import { openThreadSettings } from "./thread_settings.js";
import { hideThread } from "../thread_requests.js";
import { exportThread } from "../run_requests.js";

export class ThreadHead {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    /** @type {ThreadView | null | undefined} as it is drawn; undefined before the first time */
    this.view = undefined;
    /** @type {string | null} who else is there, as it is drawn */
    this.present = null;
    this.name = h("h2", { class: "thread-title", dir: "auto" });
    this.facts = h("p", { class: "muted small thread-about" });
    this.machines = iconButton("machine", say.common.machines, () => app.setUi({ machines: true }));
    this.people = iconButton("people", say.conversation.coAuthors, () => openPeopleDialog(app));
    this.menu = menu(app);
    this.element = h(
      "header",
      { class: "thread-head" },
      h("div", { class: "thread-titles" }, this.name, this.facts),
      this.machines,
      this.people,
      this.menu.element,
    );
  }

  update() {
    const view = this.app.state.thread?.view ?? null;
    this.menu.drawStrip(this.app.ui.strip);
    this.menu.drawHidden();
    const count = this.app.state.inbox?.count ?? 0;
    const place = view ? `${view.name} · Chorus` : "Chorus";
    const title = count > 0 ? `(${countWords(count)}) ${place}` : place;
    if (document.title !== title) document.title = title;
    const here = view ? othersThere(this.app.state).present : [];
    const names = here.map((key) => nameOf(this.app.state, key)).sort();
    const present = names.length > 0 ? say.presence.here(someOf(names)) : null;
    if (view === this.view && present === this.present) return;
    this.view = view;
    this.present = present;
    setText(this.name, view?.name ?? say.conversation.newConversation);
    setText(
      this.facts,
      view
        ? [
            say.common.visibility[view.visibility],
            say.conversation.authors(view.co_authors.length),
            view.status === "archived" ? say.common.archived : null,
            view.instructions ? say.threadSettings.has : null,
            view.token_balance > 0 ? say.conversation.balance(view.token_balance) : null,
            present,
          ]
            .filter(Boolean)
            .join(" · ")
        : say.conversation.newHint,
    );
    this.people.hidden = !view;
    this.menu.element.hidden = !view;
    this.menu.update(
      view?.status === "active" && isCoAuthor(this.app.state),
      view?.visibility === "public",
    );
  }
}

/** What can be done with a whole thread. */
/** @param {App} app */
function menu(app) {
  const list = h("div", { class: "menu", id: "thread-menu", popover: "auto" });
  /**
   * @param {string} label
   * @param {() => unknown} action
   */
  const item = (label, action) =>
    h(
      "button",
      {
        type: "button",
        on: {
          click: () => {
            list.hidePopover();
            action();
          },
        },
      },
      label,
    );
  const forCoAuthors = [
    item(say.conversation.rename, () => openRenameDialog(app)),
    item(say.conversation.archive, () => archiveThread(app)),
  ];
  const share = item(say.conversation.copyPublic, () => {
    const id = app.state.thread?.id;
    if (id) copyText(new URL(`t/${id}`, document.baseURI).href, say.conversation.linkCopied);
  });
  const settings = item(say.threadSettings.title, () => openThreadSettings(app));
  const hide = item("", () => hideThread(app, !isHidden(app)));
  const strip = item("", () => app.showStrip(!app.ui.strip));
  const past = item(say.past.open, () => app.lookBack());
  list.append(
    ...forCoAuthors,
    settings,
    strip,
    past,
    hide,
    share,
    item(say.conversation.copyLink, () => copyText(location.href, say.conversation.linkCopied)),
    item(say.conversation.exportMarkdown, () => exportThread(app, "md")),
    item(say.conversation.exportJson, () => exportThread(app, "json")),
    item(say.conversation.close, () => app.closeThread()),
  );
  const opener = iconButton("more", say.conversation.more, undefined, {
    popovertarget: "thread-menu",
    "aria-haspopup": "true",
    on: {}, // the browser opens what it names
  });
  list.addEventListener("beforetoggle", ({ newState }) => {
    if (newState === "closed") return;
    const lasting = app.lifetimes.of("thread");
    lasting.addEventListener("abort", () => list.hidePopover(), { once: true });
    const { bottom, right } = opener.getBoundingClientRect();
    list.style.top = `${bottom + 4}px`;
    list.style.right = `${innerWidth - right}px`;
  });
  return {
    element: h("div", { class: "menu-holder" }, opener, list),
    drawHidden: () => {
      hide.hidden = !isCoAuthor(app.state);
      setText(hide, isHidden(app) ? say.conversation.showAgain : say.conversation.hide);
    },
    /** @param {boolean} isCoAuthorOfActive @param {boolean} isPublic */
    update: (isCoAuthorOfActive, isPublic) => {
      for (const each of forCoAuthors) each.hidden = !isCoAuthorOfActive;
      share.hidden = !isPublic;
    },
    /** @param {boolean} isShown */
    drawStrip: (isShown) =>
      setText(strip, isShown ? say.conversation.hideSteps : say.conversation.showSteps),
  };
}

/** @param {App} app */
function isHidden({ state }) {
  return state.hidden.has(state.thread?.id ?? "");
}
