// The open thread: its head, its messages in their order, and the prompt box beneath.

/** @import { App } from "../app.js" */
/** @import { ModelInfo } from "../wire.d.ts" */
/** @import { Exchanges } from "../selectors.js" */
/** @import { Prompt, SettingsChange, Thread } from "../state.js" */

import { arrange, button, h, icon, keyed, offerFocus, setText } from "../dom.js";
import { say } from "../language.js";
import { editable, exchangesOf, unsent } from "../selectors.js";
import { Branches } from "./branches.js";
import { Composer } from "./composer.js";
import { MessageView } from "./message.js";
import { PastBar } from "./past.js";
import { Removals } from "./removals.js";
import { Strip } from "./strip.js";
import { ThreadHead } from "./thread_head.js";
import { SettingsChangeView } from "./thread_settings.js";
import { recoveryNotice, welcome } from "./welcome.js";

const NEAR_END = 120; // pixels from the end within which the list follows what comes

/** @typedef {{element: HTMLElement}} Outgoing a prompt that the server has not acknowledged yet */

export class Conversation {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    /** @type {Map<string, MessageView>} by message */
    this.views = new Map();
    /** @type {Map<string, Outgoing>} by prompt */
    this.outgoing = new Map();
    /** @type {Map<SettingsChange, SettingsChangeView>} */
    this.changes = new Map();
    /** @type {Exchanges["roots"] | null} as they are drawn */
    this.roots = null;
    /** @type {Thread["changes"] | null} as they are drawn */
    this.drawnChanges = null;
    /** Whether the last prompt that was sent is to stay in view. */
    this.keepsSent = false;
    this.hadWaiting = false;
    this.head = new ThreadHead(app);
    this.strip = new Strip(app);
    this.banner = h("p", { class: "banner", hidden: true });
    this.recovery = recoveryNotice(app);
    this.older = button(say.conversation.earlier, () => app.readOlder(), {
      class: "button quiet wide",
      hidden: true,
    });
    this.list = h("section", { class: "messages", "aria-label": say.conversation.messages });
    this.welcome = welcome((text) => this.composer.suggest(text));
    this.end = h("div", { class: "list-end" });
    this.scroller = h(
      "div",
      { class: "scroller", tabindex: "-1", on: { scroll: () => this.scrolled() } },
      this.older,
      this.welcome,
      this.list,
      this.end,
    );
    this.jump = h(
      "button",
      { type: "button", class: "jump", hidden: true, on: { click: () => this.jumpToEnd() } },
      icon("down"),
      say.conversation.newest,
    );
    this.composer = new Composer(app);
    this.removals = new Removals(app);
    this.branches = new Branches(app);
    this.past = new PastBar(app);
    this.element = h(
      "main",
      {
        class: "conversation",
        "aria-label": say.shell.conversation,
        on: { keydown: (event) => this.pressed(event) },
      },
      this.head.element,
      this.strip.element,
      this.past.element,
      this.banner,
      this.recovery,
      this.removals.element,
      this.branches.element,
      h("div", { class: "stream" }, this.scroller, this.jump),
      this.composer.element,
    );
    /** @type {string | null | undefined} of the thread that is shown; undefined where none is open */
    this.threadId = null;
    this.follows = true;
    new IntersectionObserver(
      ([entry]) => {
        if (entry?.isIntersecting && !this.older.hidden) app.readOlder();
      },
      { root: this.scroller, rootMargin: "400px 0px 0px" },
    ).observe(this.older);
    new ResizeObserver(() => this.follows && this.toEnd()).observe(this.list);
  }

  update() {
    const { state } = this.app;
    this.strip.update();
    this.head.update();
    this.composer.update();
    this.composer.element.hidden = state.isPast === true;
    this.removals.update();
    this.branches.update();
    this.past.update();
    this.showBanner(state.hello?.model);
    const { thread } = state;
    this.welcome.hidden = Boolean(thread && (thread.order.length > 0 || state.outgoing.length > 0));
    if (thread?.id !== this.threadId) this.change(thread);
    this.older.hidden = !thread?.hasMore;
    if (!thread) {
      this.list.replaceChildren();
      return;
    }
    const { roots, answers } = exchangesOf(thread);
    const views = keyed(this.views, thread.order, (id) => new MessageView(this.app, id));
    const own = editable(state)?.id;
    for (const view of views) {
      view.update(this.views.get(answers.get(view.id) ?? "") ?? null, view.id === own);
    }
    const standing = roots.flatMap((id) => this.views.get(id) ?? []);
    for (const view of standing) view.standAlone();
    const prompts = new Map(unsent(state).map((prompt) => [prompt.id, prompt]));
    const waiting = keyed(this.outgoing, prompts.keys(), (id) => outgoing(prompts.get(id)));
    const changes = keyed(
      this.changes,
      thread.changes,
      (change) => new SettingsChangeView(this.app, change),
    );
    for (const change of changes) change.update();
    const isChanged = thread.changes !== this.drawnChanges;
    if (roots !== this.roots || isChanged || waiting.length > 0 || this.hadWaiting) {
      const grewUpwards = this.roots !== null && roots[0] !== this.roots[0];
      this.place(withChanges(standing, changes), waiting, grewUpwards);
      this.roots = roots;
      this.drawnChanges = thread.changes;
      this.hadWaiting = waiting.length > 0;
    }
    this.showSent();
    this.reach();
  }

  /**
   * Put the messages in their order; what is read stays where it is on the screen.
   *
   * @param {readonly {element: HTMLElement}[]} views
   * @param {readonly Outgoing[]} waiting
   * @param {boolean} grewUpwards
   */
  place(views, waiting, grewUpwards) {
    // Browsers keep what is read in its place, but not at the very top; Safari does so nowhere.
    if (grewUpwards && this.scroller.scrollTop === 0) this.scroller.scrollTop = 1;
    const anchor =
      this.follows || CSS.supports("overflow-anchor", "auto") ? null : this.firstVisible();
    const before = anchor?.getBoundingClientRect().top ?? 0;
    arrange(
      this.list,
      [...views, ...waiting].map((view) => view.element),
    );
    if (anchor?.isConnected) this.scroller.scrollTop += anchor.getBoundingClientRect().top - before;
    if (this.follows) this.toEnd();
  }

  firstVisible() {
    const top = this.scroller.getBoundingClientRect().top;
    for (const child of this.list.children) {
      if (child.getBoundingClientRect().bottom > top) return child;
    }
    return null;
  }

  /** @param {Thread | null} thread */
  change(thread) {
    this.threadId = thread?.id;
    this.views.clear();
    this.outgoing.clear();
    this.changes.clear();
    this.roots = null;
    this.drawnChanges = null;
    this.follows = true;
    this.keepsSent = false;
    this.composer.change(thread?.id ?? "new");
  }

  /** Go once to the message that was asked for. */
  reach() {
    const { target } = this.app.ui;
    const view = target && this.views.get(target);
    if (!view || !view.element.isConnected) return;
    this.app.ui = { ...this.app.ui, target: null };
    this.follows = false;
    if (view.isFolded) view.fold(false);
    view.element.scrollIntoView({ block: "center" });
    offerFocus(view.element);
    view.element.classList.add("reached");
    setTimeout(() => view.element.classList.remove("reached"), 2500);
  }

  /** A prompt that was just sent is in view, wherever its author was reading. */
  showSent() {
    if (!this.app.ui.sent || !this.list.lastElementChild) return;
    this.app.ui = { ...this.app.ui, sent: false };
    this.keepsSent = true;
    this.follows = true;
    this.toEnd();
  }

  scrolled() {
    const { scrollHeight, scrollTop, clientHeight } = this.scroller;
    this.follows = scrollHeight - scrollTop - clientHeight < NEAR_END;
    this.jump.hidden = this.follows;
    // The page itself never goes past the head of that prompt: the user did.
    if (this.follows && this.keepsSent) {
      this.keepsSent = this.hiddenAbove(this.lastSent()) <= 1;
    }
  }

  /** As far down as there is something, and not past the head of the prompt that was sent last. */
  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    const hidden = this.keepsSent ? this.hiddenAbove(this.lastSent()) : 0;
    if (hidden > 0) this.scroller.scrollTop -= hidden;
  }

  /** The user's own newest prompt, on its way or arrived. */
  lastSent() {
    const waiting = [...this.outgoing.values()].at(-1);
    if (waiting) return waiting.element;
    const { thread, user } = this.app.state;
    const own = this.roots?.findLast((id) => thread?.messages.get(id)?.author === user?.public_key);
    return this.views.get(own ?? "")?.element;
  }

  /**
   * Pixels of an element that lie above what the list shows.
   *
   * @param {HTMLElement | undefined} element
   */
  hiddenAbove(element) {
    if (!element?.isConnected) return 0;
    return this.scroller.getBoundingClientRect().top - element.getBoundingClientRect().top;
  }

  jumpToEnd() {
    this.keepsSent = false;
    this.follows = true;
    this.toEnd();
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    if (event.key === "Escape" && !document.querySelector(":popover-open")) this.app.stopCurrent();
  }

  /** @param {ModelInfo | undefined} model */
  showBanner(model) {
    this.banner.hidden = !model?.offline;
    setText(this.banner, model?.offline ? say.conversation.noModel : "");
  }
}

/**
 * The messages with each change of settings before the first that came after it.
 *
 * @param {readonly MessageView[]} messages
 * @param {readonly SettingsChangeView[]} changes
 */
function withChanges(messages, changes) {
  /** @type {(MessageView | SettingsChangeView)[]} */
  const placed = [];
  const left = [...changes];
  for (const message of messages) {
    while (left[0] && left[0].change.place <= (message.message?.index ?? 0)) {
      placed.push(...left.splice(0, 1));
    }
    placed.push(message);
  }
  return [...placed, ...left];
}

/**
 * A prompt that the server has not acknowledged yet.
 *
 * @param {Prompt | undefined} prompt
 * @returns {Outgoing}
 */
function outgoing(prompt) {
  return {
    element: h(
      "article",
      { class: "message outgoing", "aria-label": say.conversation.outgoing },
      h(
        "div",
        { class: "message-main" },
        h(
          "header",
          { class: "message-head" },
          h("span", { class: "muted" }, say.conversation.sending),
        ),
        h("div", { class: "said", dir: "auto" }, prompt?.text),
      ),
    ),
  };
}
