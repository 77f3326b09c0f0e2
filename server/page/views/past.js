// The thread as it was: which moment is shown, and the way to another one and back to now.

/** @import { App } from "../app.js" */

import { button, h, iconButton, setText } from "../dom.js";
import { say } from "../language.js";
import { nameOf, spaced, whenLong } from "../words.js";

export class PastBar {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.slider = h("input", {
      type: "range",
      min: 1,
      step: 1,
      "aria-label": say.past.position,
      on: { input: ({ currentTarget }) => this.goTo(Number(currentTarget.value)) },
    });
    this.time = h("input", {
      type: "datetime-local",
      step: 1,
      "aria-label": say.past.time,
      on: { change: ({ currentTarget }) => this.goToTime(currentTarget.value) },
    });
    this.words = h("p", { class: "past-words", role: "status" });
    this.element = h(
      "section",
      {
        class: "past",
        "aria-label": say.past.title,
        hidden: true,
        on: { keydown: (event) => this.key(event) },
      },
      h(
        "div",
        { class: "past-bar" },
        iconButton("back", say.past.back, () => this.go(-1)),
        this.slider,
        iconButton("forward", say.past.on, () => this.go(1)),
        this.time,
        button(say.past.now, () => app.lookNow(), { class: "button small" }),
      ),
      this.words,
    );
    document.addEventListener(
      "keydown",
      (event) => {
        const isFree = event.key === "Escape" && !event.defaultPrevented;
        if (isFree && app.past && !document.querySelector("dialog[open]")) app.lookNow();
      },
      { signal: app.lifetimes.of("signIn") },
    );
  }

  /** @param {number} step */
  go(step) {
    if (this.app.past) this.goTo(this.app.past.wanted + step);
  }

  /** @param {number} seq */
  goTo(seq) {
    this.app.past?.goTo(seq).catch((error) => this.app.explain(error, say.past.notRead));
    this.app.schedule();
  }

  /** @param {string} value in the zone of the browser */
  goToTime(value) {
    const time = new Date(value).getTime();
    if (Number.isNaN(time)) return;
    // The field has no fractions of a second, and the whole second is meant.
    this.app.past?.goToTime(time + 999).catch((error) => this.app.explain(error, say.past.notRead));
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const isRange = event.target === this.slider;
    if (isRange || event.target === this.time) return;
    if (event.key === "ArrowLeft") this.go(-1);
    else if (event.key === "ArrowRight") this.go(1);
  }

  update() {
    const { past } = this.app;
    const wasHidden = this.element.hidden;
    this.element.hidden = past === null;
    document.body.classList.toggle("in-past", past !== null);
    if (past === null) return;
    this.slider.max = String(past.head);
    this.slider.value = String(past.wanted);
    const at = past.entry?.data.at;
    if (past.isTooEarly) {
      setText(this.words, say.past.tooEarly);
      return;
    }
    if (at) this.time.value = local(at);
    if (past.progress) {
      const { gathered, of } = past.progress;
      setText(this.words, say.past.gathering(gathered, of));
      return;
    }
    const { entry } = past;
    const what = entry === null ? "" : spaced(whatOf(entry));
    const by =
      entry?.type === "thread_event" && entry.data.by
        ? nameOf(this.app.state, entry.data.by)
        : null;
    setText(
      this.words,
      say.past.words(
        past.seq,
        past.head,
        at ? whenLong(at) : "",
        by ? say.replay.by(what, by) : what,
      ),
    );
    if (wasHidden) this.slider.focus();
  }
}

/** @param {import("../wire.d.ts").LiveFrame} frame */
function whatOf({ type, data }) {
  return type === "thread_event" ? data.kind : `${data.step} ${data.status}`;
}

/**
 * As a field of date and time takes it, in the zone of the browser.
 *
 * @param {string} at
 */
function local(at) {
  const date = new Date(at);
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 19);
}
