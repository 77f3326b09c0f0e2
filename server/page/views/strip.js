// The run in one line that is always there: its six steps, its health, its loop; and the way to the
// drawings.

/** @import { App } from "../app.js" */
/** @import { Run } from "../runs.js" */
/** @import { StepState } from "../run_facts.js" */
/** @import { Message } from "../state.js" */

import { h, icon, setText } from "../dom.js";
import { say } from "../language.js";
import { FINAL, newRun, STEPS } from "../runs.js";
import { stepStates } from "../run_facts.js";
import { toldRun } from "../selectors.js";
import { messageShown } from "../subjects.js";
import { STEP_WORDS } from "../words.js";
import { readRun } from "../run_requests.js";

/** @type {Partial<Record<StepState, string>>} */
const SAID = say.strip.states;

export class Strip {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    /** @type {Run | null} as it is drawn */
    this.run = null;
    /** Ids of the runs whose entries were asked for. */
    this.asked = new Set();
    /** Which opening of the journal that was. */
    this.opening = 0;
    this.steps = STEPS.map((step) => {
      const said = h("span", { class: "visually-hidden" });
      const { name } = STEP_WORDS[step];
      const element = h(
        "li",
        { class: "strip-step", data: { step, state: "waiting" } },
        h("span", { class: "step-mark", "aria-hidden": "true" }),
        h("span", { class: "strip-name" }, name),
        h("span", { class: "strip-letter", "aria-hidden": "true" }, name.slice(0, 1)),
        said,
      );
      return { step, element, said };
    });
    this.facts = h("p", { class: "strip-facts" });
    this.element = h(
      "section",
      { class: "strip", "aria-label": say.strip.title },
      h("ol", { class: "strip-steps" }, ...this.steps.map(({ element }) => element)),
      this.facts,
      h(
        "button",
        {
          type: "button",
          class: "button small strip-open",
          "aria-haspopup": "dialog",
          on: { click: () => app.setUi({ machines: true }) },
        },
        icon("machine"),
        say.common.machines,
      ),
    );
  }

  update() {
    const { state, ui } = this.app;
    const message = state.thread && messageShown(state.thread, { ...ui, drawing: "chorus" });
    const runId = message && toldRun(state, message).id;
    this.element.hidden = !ui.strip || !message || !runId;
    if (this.element.hidden || !message || !runId) return;
    const run = state.thread?.runs.get(runId);
    if (!run) this.read(message, runId);
    const shown = run ?? newRun(runId, message.id);
    if (shown === this.run) return;
    this.run = shown;
    const states = stepStates(shown);
    for (const { step, element, said } of this.steps) {
      const stepState = states.get(step) ?? "waiting";
      element.dataset.state = stepState;
      setText(said, SAID[stepState] ? `, ${SAID[stepState]}` : "");
      if (isAt(shown, step)) element.setAttribute("aria-current", "step");
      else element.removeAttribute("aria-current");
    }
    this.element.dataset.status = shown.status;
    setText(this.facts, run ? factsOf(run) : "");
    this.element.title = say.strip.about(
      [...(message.content ?? say.common.aMessage)].slice(0, 60).join(""),
    );
  }

  /**
   * A run that is over is in the journal alone, which is read once.
   *
   * @param {Message} message
   * @param {string} runId
   */
  read(message, runId) {
    const { opening } = this.app.journal;
    if (opening !== this.opening) this.asked.clear();
    this.opening = opening;
    if (this.asked.has(runId)) return;
    this.asked.add(runId);
    readRun(this.app, { ...message, run_id: runId });
  }
}

/**
 * Whether a run stands at this step now.
 *
 * @param {Run} run
 * @param {Run["step"]} step
 */
function isAt(run, step) {
  return run.step === step && run.status !== "queued" && !FINAL.has(run.status);
}

/** @param {Run} run */
function factsOf({ status, iteration, attempt }) {
  const now = say.strip.health[status];
  return [
    status === "recovering" ? `${now}, ${say.strip.attempt(attempt)}` : now,
    iteration > 1 ? say.run.loop(iteration) : null,
  ]
    .filter(Boolean)
    .join(" · ");
}
