// The timeline of a replay, which plays at once: scrub, pause, step; and the texts of the steps.

/** @import { App, Wanted } from "../app.js" */
/** @import { LiveFrame } from "../wire.d.ts" */
/** @import { Message } from "../state.js" */

import { h, icon, iconButton, setText } from "../dom.js";
import { say } from "../language.js";
import { toast } from "../notices.js";
import { Replay } from "../replay.js";
import { newRun } from "../runs.js";
import { nameOf, spaced } from "../words.js";
import { StepList } from "./run.js";
import { readEntries } from "../run_requests.js";

export class ReplayBar {
  /** @type {Replay | null} */
  #replay = null;
  /** @type {Wanted | null} */
  #wanted = null;

  /**
   * @param {App} app
   * @param {() => void} changed draws the panel anew when the position moved
   */
  constructor(app, changed) {
    this.app = app;
    this.changed = changed;
    this.slider = h("input", {
      type: "range",
      min: 0,
      step: 1,
      "aria-label": say.replay.position,
      on: { input: ({ currentTarget }) => this.goTo(Number(currentTarget.value)) },
    });
    this.play = h("button", {
      type: "button",
      class: "icon-button",
      on: { click: () => this.flip() },
    });
    this.words = h("p", { class: "replay-words" });
    this.steps = new StepList(app);
    /** The texts of the steps, as far as they are replayed. */
    this.texts = h("div", { class: "replay-steps", hidden: true }, this.steps.element);
    this.element = h(
      "section",
      { class: "replay", "aria-label": say.replay.title, hidden: true },
      h(
        "div",
        { class: "replay-bar" },
        iconButton("back", say.replay.back, () => this.go(-1)),
        this.play,
        iconButton("forward", say.replay.on, () => this.go(1)),
        this.slider,
        iconButton("cross", say.replay.end, () => {
          this.end();
          app.setUi({ replay: null });
        }),
      ),
      this.words,
    );
  }

  /** Where the machine stands in the replay; null where none is on. */
  trace() {
    return this.#replay?.trace() ?? null;
  }

  /**
   * Replay what `wanted` names; null ends it.
   *
   * @param {Wanted | null} wanted
   * @param {Message | undefined} message that it is about
   */
  follow(wanted, message) {
    if (wanted === this.#wanted) return;
    this.end();
    this.#wanted = wanted;
    if (wanted !== null) this.begin(wanted, message);
  }

  /**
   * @param {Wanted} wanted
   * @param {Message | undefined} message
   */
  async begin(wanted, message) {
    const { machine, id } = wanted;
    const entries = await readEntries(this.app, machine, id, message?.index ?? 0);
    if (this.#wanted !== wanted) return;
    const replay = new Replay(wanted, entries, () => this.draw());
    if (replay.length === 0) {
      toast(say.replay.empty);
      this.app.setUi({ replay: null });
      return;
    }
    this.#replay = replay;
    this.steps = new StepList(this.app);
    this.texts.replaceChildren(this.steps.element);
    this.element.hidden = false;
    this.slider.max = String(replay.length);
    replay.play();
    this.draw();
    this.slider.focus();
  }

  end() {
    this.#replay?.pause();
    this.#replay = null;
    this.#wanted = null;
    this.element.hidden = true;
    this.texts.hidden = true;
  }

  /** @param {number} steps back where they are negative */
  go(steps) {
    if (this.#replay) this.goTo(this.#replay.position + steps);
  }

  /** @param {number} position */
  goTo(position) {
    this.#replay?.pause();
    this.#replay?.goTo(position);
    this.draw();
  }

  flip() {
    if (this.#replay?.isPlaying) this.#replay.pause();
    else this.#replay?.play();
    this.draw();
  }

  draw() {
    const replay = this.#replay;
    if (!replay) return;
    const label = replay.isPlaying ? say.replay.pause : say.replay.play;
    if (this.play.title !== label) {
      this.play.replaceChildren(icon(replay.isPlaying ? "pause" : "play"));
      this.play.title = label;
      this.play.setAttribute("aria-label", label);
    }
    this.slider.value = String(replay.position);
    const words = say.replay.at(replay.position, replay.length, this.describe(replay.entry));
    setText(this.words, words);
    this.slider.setAttribute("aria-valuetext", words);
    const run = replay.run();
    this.texts.hidden = replay.machine !== "chorus";
    if (replay.machine === "chorus") this.steps.update(run ?? newRun(replay.id, ""));
    this.changed();
  }

  /** @param {LiveFrame | null} entry */
  describe(entry) {
    if (!entry) return say.replay.before;
    const { type, data } = entry;
    if (type === "thread_event") {
      const event = spaced(data.kind);
      return data.by ? say.replay.by(event, nameOf(this.app.state, data.by)) : event;
    }
    const loop = data.iteration > 1 ? `, ${say.run.loop(data.iteration)}` : "";
    return `${data.step} ${spaced(data.status)}${loop}`;
  }
}
