// The prompt box: Enter sends, Shift+Enter breaks the line, Escape stops the run that the button above
// the box names. What was typed is kept for each thread until it is sent.

/** @import { App } from "../app.js" */

import { button, h, icon, offerFocus, setText } from "../dom.js";
import { say } from "../language.js";
import { codePoints } from "../runs.js";
import { authorOf, editable, isCoAuthor, isOwn, othersThere, runToStop } from "../selectors.js";
import { nameOf, someOf } from "../words.js";
import { ConnectionLine } from "./connection.js";
import { MentionBox } from "./mention_box.js";

const WARN_FROM = 0.9; // of the limit

export class Composer {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    /** Id of the thread whose draft is in the box; `new` where none is open. */
    this.place = "new";
    /** @type {string | null} the message whose text is in the box, to be written anew */
    this.editing = null;
    this.isOverLimit = false;
    this.isMakingThread = false;
    this.box = h("textarea", {
      id: "prompt",
      rows: 1,
      placeholder: say.composer.placeholder,
      "aria-label": say.composer.label,
      "aria-describedby": "prompt-hint",
      dir: "auto",
      enterkeyhint: "send",
      on: { keydown: (event) => this.pressed(event), input: () => this.typed() },
    });
    this.send = h(
      "button",
      {
        type: "submit",
        class: "send",
        "aria-label": say.composer.send,
        title: say.composer.sendKey,
      },
      icon("send"),
    );
    this.mentions = new MentionBox(app, this.box, () => this.typed());
    this.stopWords = h("bdi", {});
    this.stop = h(
      "button",
      {
        type: "button",
        class: "button small stop",
        title: say.composer.stopKey,
        hidden: true,
        on: { click: () => this.stopRun() },
      },
      icon("stop"),
      this.stopWords,
    );
    this.connection = new ConnectionLine(app);
    this.typing = h("p", { class: "typing muted small", hidden: true });
    this.hint = h("p", { id: "prompt-hint", class: "hint" });
    this.count = h("span", { class: "count" });
    this.editingLine = h(
      "p",
      { class: "row between editing", hidden: true },
      h("span", { id: "editing" }, say.composer.editing),
      button(say.composer.stopEditing, () => this.edit(null), { class: "button small quiet" }),
    );
    this.form = h(
      "form",
      {
        class: "composer-box",
        on: {
          submit: (event) => {
            event.preventDefault();
            this.submit();
          },
        },
      },
      this.box,
      this.send,
      this.mentions.element,
    );
    this.element = h(
      "footer",
      { class: "composer" },
      h("div", { class: "composer-top" }, this.connection.element, this.stop),
      this.typing,
      this.editingLine,
      this.form,
      h("div", { class: "row between" }, this.hint, this.count),
    );
  }

  /**
   * Another thread is open: its own draft comes back.
   *
   * @param {string} place
   */
  change(place) {
    this.place = place;
    if (this.editing !== null) this.edit(null);
    this.restore();
    // A message that was asked for takes the focus itself.
    if (matchMedia("(hover: hover)").matches && !this.app.ui.target) offerFocus(this.box);
  }

  /** Whose drafts these are; the shell is only there while someone is signed in. */
  get publicKey() {
    return this.app.identity?.publicKey ?? "";
  }

  restore() {
    const kept = this.app.memory.draft(this.publicKey, this.place);
    if (this.box.value !== kept) this.box.value = kept;
    this.counted();
  }

  /** @param {KeyboardEvent} event */
  pressed(event) {
    if (this.mentions.pressed(event)) return;
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.submit();
    } else if (event.key === "Escape" && this.editing !== null) {
      event.stopPropagation(); // else it would stop a run
      this.edit(null);
    } else if (event.key === "ArrowUp" && this.box.value === "" && this.editing === null) {
      const own = editable(this.app.state);
      if (own) event.preventDefault();
      if (own) this.edit(own.id);
    }
  }

  /**
   * Write a message of the user's anew, or none any more.
   *
   * @param {string | null} id
   */
  edit(id) {
    this.app.setUi({ editing: id });
    this.drawEditing(id);
    this.box.focus();
  }

  /** @param {string | null} id */
  drawEditing(id) {
    this.editing = id;
    this.editingLine.hidden = id === null;
    if (id === null) this.box.removeAttribute("aria-description");
    else this.box.setAttribute("aria-description", say.composer.editing);
    const message = id === null ? null : this.app.state.thread?.messages.get(id);
    if (!message) this.restore();
    else {
      this.box.value = message.content ?? "";
      this.box.setSelectionRange(this.box.value.length, this.box.value.length);
      this.counted();
    }
  }

  typed() {
    this.app.types();
    // What was begun before stays the draft while a message is written anew.
    if (this.editing === null)
      this.app.memory.keepDraft(this.publicKey, this.place, this.box.value);
    this.counted();
  }

  /**
   * Put a text into the box, as if it was typed.
   *
   * @param {string} text
   */
  suggest(text) {
    this.box.value = text;
    this.typed();
    this.box.focus();
  }

  async submit() {
    const text = this.box.value;
    const isHeld = this.isOverLimit || this.box.disabled || this.isMakingThread;
    if (text.trim() === "" || isHeld) return;
    const { publicKey } = this;
    const { memory } = this.app;
    const place = this.app.target() ?? "new";
    const needsThread = place === "new";
    this.box.value = "";
    this.counted();
    this.isMakingThread = needsThread; // while a thread is made, a second prompt would make another
    // The app keeps it from here.
    if (!needsThread && this.editing === null) memory.keepDraft(publicKey, place, "");
    const supersedes = this.editing ?? undefined;
    if (supersedes) this.edit(null);
    const wasTaken = await this.app.submit(text, supersedes);
    this.isMakingThread = false;
    if (wasTaken && needsThread) memory.keepDraft(publicKey, place, "");
    if (!wasTaken && (supersedes || this.box.value === "")) this.restore();
  }

  stopRun() {
    this.app.stopCurrent();
    this.box.focus();
  }

  update() {
    const { state } = this.app;
    const { thread } = state;
    const isArchived = thread?.view.status === "archived";
    const isOutside = Boolean(thread) && !isCoAuthor(state);
    this.box.disabled = isArchived;
    this.send.disabled = isArchived;
    this.connection.update();
    this.drawTyping();
    this.drawStop();
    if (this.app.ui.editing !== this.editing) {
      this.drawEditing(this.app.ui.editing);
      this.box.focus();
    }
    const others = thread ? thread.view.co_authors.length : 0;
    this.hint.classList.toggle("keys", !isArchived && !isOutside);
    setText(
      this.hint,
      isArchived
        ? say.composer.archived
        : isOutside
          ? say.composer.outside(others)
          : say.composer.hint,
    );
  }

  drawTyping() {
    const { state } = this.app;
    const names = othersThere(state).typing.map((key) => nameOf(state, key));
    this.typing.hidden = names.length === 0;
    if (names.length > 0) setText(this.typing, say.presence.typing(someOf(names), names.length));
  }

  drawStop() {
    const { state } = this.app;
    const run = runToStop(state);
    this.stop.hidden = run === null;
    if (run === null) return;
    const whose = isOwn(state, run) ? null : nameOf(state, authorOf(state, run));
    const isWaiting = run.status === "queued";
    setText(this.stopWords, isWaiting ? say.composer.takeBack(whose) : say.composer.stop(whose));
  }

  counted() {
    const limit = this.app.state.hello?.limits.max_prompt_chars ?? 32_000;
    const length = this.box.value.length < limit * WARN_FROM ? 0 : codePoints(this.box.value);
    this.isOverLimit = length > limit;
    const isNear = length > limit * WARN_FROM;
    setText(this.count, isNear ? say.composer.length(length, limit) : "");
    this.count.classList.toggle("over", this.isOverLimit);
    this.send.disabled = this.isOverLimit;
  }
}
