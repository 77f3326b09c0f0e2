// The prompt box: Enter sends, Shift+Enter breaks the line, Escape stops the run that the button above
// the box names. What was typed is kept for each thread until it is sent.

/** @import { App } from "../app.js" */

import { h, icon, setText } from "../dom.js";
import { say } from "../language.js";
import { codePoints } from "../runs.js";
import { authorOf, isCoAuthor, isOwn, runToStop } from "../store.js";
import { nameOf } from "../words.js";
import { ConnectionLine } from "./connection.js";

const WARN_FROM = 0.9; // of the limit

export class Composer {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    /** Id of the thread whose draft is in the box; `new` where none is open. */
    this.place = "new";
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
    this.hint = h("p", { id: "prompt-hint", class: "hint" });
    this.count = h("span", { class: "count" });
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
    );
    this.element = h(
      "footer",
      { class: "composer" },
      h("div", { class: "composer-top" }, this.connection.element, this.stop),
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
    this.restore();
    if (matchMedia("(hover: hover)").matches) this.box.focus({ preventScroll: true });
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
    if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
      event.preventDefault();
      this.submit();
    }
  }

  typed() {
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
    if (!needsThread) memory.keepDraft(publicKey, place, ""); // the app keeps it from here
    const wasTaken = await this.app.submit(text);
    this.isMakingThread = false;
    if (wasTaken && needsThread) memory.keepDraft(publicKey, place, "");
    if (!wasTaken && this.box.value === "") this.restore();
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
    this.drawStop();
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
