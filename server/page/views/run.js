// One run beneath its prompt: six steps as rows, the answer as it is written, stop and retry.
//
// While it runs, the row of the current step is open at a fixed height, so that nothing beneath it
// moves while text streams. Rows that a user opened stay as they were put.

/** @import { App } from "../app.js" */
/** @import { Run } from "../runs.js" */
/** @import { Message } from "../store.js" */

import { button, growText, h, icon, setText } from "../dom.js";
import { FINAL, recordsOf, STEPS, totalTokens } from "../runs.js";
import { isCoAuthor } from "../store.js";
import { counted, number, TROUBLE } from "../words.js";
import { StepRow } from "./step.js";

export class RunView {
  /**
   * @param {App} app
   * @param {Message} message the prompt
   */
  constructor(app, message) {
    this.app = app;
    this.message = message;
    /** @type {Run | null} */
    this.run = null;
    this.hasAnswer = false;
    this.wasLive = false;
    /** @type {boolean | null} null: as the run's state suggests */
    this.isOpen = null;
    const id = `run-${message.run_id}`;
    this.toggle = h("button", {
      type: "button",
      class: "run-toggle",
      "aria-expanded": "false",
      "aria-controls": id,
      on: { click: () => this.flip() },
    });
    this.summary = h("span", { class: "run-summary" });
    this.toggle.append(icon("down"), this.summary);
    this.stop = button("Stop", () => this.message.run_id && app.stop(this.message.run_id), {
      class: "button small",
      hidden: true,
    });
    this.retry = button("Retry", () => this.message.run_id && app.retry(this.message.run_id), {
      class: "button small",
      hidden: true,
    });
    this.replay = button("Replay", () => this.startReplay(), {
      class: "button small quiet",
      hidden: true,
    });
    this.steps = new StepList(app);
    this.steps.element.id = id;
    this.problem = h("p", { class: "note error", hidden: true });
    this.answer = h("div", { class: "said plain live-answer", dir: "auto", hidden: true });
    this.element = h(
      "section",
      { class: "run", "aria-label": "How this is answered" },
      h("header", { class: "run-head" }, this.toggle, this.stop, this.retry, this.replay),
      this.steps.element,
      this.problem,
      this.answer,
    );
  }

  /**
   * @param {Message} message
   * @param {Run | null} run null where it was not read
   * @param {boolean} hasAnswer whether its answer is among the messages
   */
  update(message, run, hasAnswer) {
    this.message = message;
    this.run = run;
    this.hasAnswer = hasAnswer;
    const isLive = run !== null && !FINAL.has(run.status);
    const mayAct = isCoAuthor(this.app.state);
    this.wasLive ||= isLive;
    const opens = this.isOpen ?? this.wasLive;
    this.toggle.setAttribute("aria-expanded", String(opens));
    this.element.dataset.status = run?.status ?? "unread";
    setText(this.summary, summaryOf(run, hasAnswer));
    this.stop.hidden = !(isLive && mayAct);
    this.retry.hidden = !(mayAct && (run?.status === "failed" || run?.status === "cancelled"));
    this.replay.hidden = isLive || (!run && !hasAnswer);
    this.steps.element.hidden = !opens || !run;
    if (opens && run) this.steps.update(run);
    this.drawProblem(run);
    this.drawAnswer(run, hasAnswer);
  }

  async flip() {
    this.isOpen = this.toggle.getAttribute("aria-expanded") !== "true";
    if (this.isOpen && !this.run) {
      setText(this.summary, "Reading the journal…");
      await this.app.readRun(this.message);
    }
    this.update(this.message, this.run, this.hasAnswer);
  }

  startReplay() {
    const { id: selected, run_id: id } = this.message;
    if (id === null) return;
    const replay = { machine: /** @type {const} */ ("chorus"), id };
    this.app.setUi({ area: "machines", drawing: "chorus", selected, replay });
  }

  /** @param {Run | null} run */
  drawProblem(run) {
    const failure = run?.status === "failed" ? run.failure : null;
    this.problem.hidden = failure === null;
    if (failure) {
      const why = TROUBLE[failure.code] ?? failure.code;
      setText(this.problem, `The run failed: ${why}. ${failure.message ?? ""}`);
    }
  }

  /**
   * The answer while it is written; the message that follows takes its place.
   *
   * @param {Run | null} run
   * @param {boolean} hasAnswer
   */
  drawAnswer(run, hasAnswer) {
    const text = (run && recordsOf(run, "yield").at(-1)?.text) ?? "";
    this.answer.hidden = hasAnswer || text === "";
    if (!this.answer.hidden) growText(this.answer, text);
  }
}

/** The six rows; used by live runs and by replays. */
export class StepList {
  /** @param {App} app */
  constructor(app) {
    this.rows = STEPS.map((step) => new StepRow(app, step));
    this.element = h("ol", { class: "steps" }, ...this.rows.map((row) => row.element));
  }

  /** @param {Run} run */
  update(run) {
    for (const row of this.rows) row.update(run);
  }
}

/**
 * @param {Run | null} run
 * @param {boolean} hasAnswer
 */
function summaryOf(run, hasAnswer) {
  if (!run) return hasAnswer ? "How this was answered" : "What became of this";
  const loops = Math.max(1, ...run.records.map((record) => record.iteration));
  const tokens = totalTokens(run);
  const facts = [
    loops > 1 ? counted(loops, "loop") : null,
    tokens === null ? null : `${number(tokens)} tokens`,
  ]
    .filter(Boolean)
    .map((fact) => ` · ${fact}`)
    .join("");
  switch (run.status) {
    case "queued":
      return "Queued: the thread is busy with an earlier prompt";
    case "running":
      return `At work: ${run.step}${run.iteration > 1 ? `, loop ${run.iteration}` : ""}${facts}`;
    case "recovering":
      return `Recovering: ${run.step}, attempt ${run.attempt}${facts}`;
    case "finished":
      return `Answered in six steps${facts}`;
    case "failed":
      return `Failed at ${run.step}${facts}`;
    case "cancelled":
      return `Stopped at ${run.step}${facts}`;
    default:
      return run.status;
  }
}
