// One run beneath its prompt: six steps as rows, the answer as it is written, stop and retry.
//
// While it runs, the row of the current step is open at a fixed height, so that nothing beneath it
// moves while text streams. Rows that a user opened stay as they were put.

/** @import { App } from "../app.js" */
/** @import { Run } from "../runs.js" */
/** @import { Message } from "../state.js" */
/** @import { MessageView } from "./message.js" */

import { arrange, button, h, icon, setText } from "../dom.js";
import { say } from "../language.js";
import { FINAL, STEPS } from "../runs.js";
import { loopsOf, priorsOf, recordsOf, totalTokens } from "../run_facts.js";
import { isCoAuthor, isOwn, authorOf } from "../selectors.js";
import { nameOf, STEP_WORDS, TROUBLE } from "../words.js";
import { LiveAnswer } from "./live_answer.js";
import { StepRow } from "./step.js";
import { readKept, readRun, showWhy } from "../run_requests.js";

/**
 * @typedef {object} Answering what is known of how a prompt is answered
 * @property {Message} message the prompt
 * @property {Run | null} run null where it was not read
 * @property {MessageView | null} answer once it is among the messages
 * @property {number} before how many runs go before it while it waits, as far as the user is told
 * @property {boolean} isTold whether the user is told of the run
 */

export class RunView {
  /**
   * @param {App} app
   * @param {Message} message the prompt
   */
  constructor(app, message) {
    this.app = app;
    /** @type {Answering} */
    this.shown = { message, run: null, answer: null, before: 0, isTold: true };
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
    this.stop = button(say.run.stop, () => this.act((runId) => app.stop(runId)), {
      class: "button small",
      hidden: true,
    });
    this.retry = button(say.run.retry, () => this.act((runId) => app.retry(runId)), {
      class: "button small",
      hidden: true,
    });
    this.why = button(say.why.title, () => this.showWhy(), {
      class: "button small quiet",
      hidden: true,
    });
    this.replay = button(say.run.replay, () => this.startReplay(), {
      class: "button small quiet",
      hidden: true,
    });
    this.steps = new StepList(app);
    this.steps.element.id = id;
    this.problem = h("p", { class: "note error", hidden: true });
    this.live = new LiveAnswer();
    this.answer = h("div", { class: "run-answer" }, this.live.element);
    this.element = h(
      "section",
      { class: "run", "aria-label": say.run.title },
      this.answer,
      this.problem,
      h("header", { class: "run-head" }, this.toggle, this.stop, this.retry, this.why, this.replay),
      this.steps.element,
    );
  }

  /** @param {Answering} shown */
  update(shown) {
    this.shown = shown;
    const { run, answer, isTold } = shown;
    const isLive = run !== null && !FINAL.has(run.status);
    const mayAct = isCoAuthor(this.app.state);
    this.drawProblem(run);
    this.drawAnswer(run, answer);
    // Once the answer begins it is what is read, and the steps are one line.
    const opens = this.isOpen ?? (isLive && run.status !== "queued" && this.live.element.hidden);
    this.toggle.setAttribute("aria-expanded", String(opens));
    this.element.dataset.status = run?.status ?? "unread";
    setText(this.summary, this.summaryOf(shown));
    this.toggle.hidden = !isTold;
    this.drawStop(run, isLive && mayAct);
    const counts = shown.message.status === "approved";
    this.retry.hidden = !(
      mayAct &&
      counts &&
      (run?.status === "failed" || run?.status === "cancelled")
    );
    this.why.hidden = !isTold || (!run && !answer);
    this.replay.hidden = isLive || !isTold || (!run && !answer);
    this.steps.element.hidden = !opens || !run;
    if (opens && run) this.steps.update(run);
  }

  /**
   * @param {Run | null} run
   * @param {boolean} mayStop
   */
  drawStop(run, mayStop) {
    const { state } = this.app;
    this.stop.hidden = run === null || !mayStop;
    if (run === null || !mayStop) return;
    const whose = isOwn(state, run) ? null : nameOf(state, authorOf(state, run));
    this.stop.setAttribute("aria-label", say.composer.stop(whose));
  }

  /** @param {(runId: string) => void} action */
  act(action) {
    const { run_id: runId } = this.shown.message;
    if (runId !== null) action(runId);
  }

  async flip() {
    this.isOpen = this.toggle.getAttribute("aria-expanded") !== "true";
    let { run } = this.shown;
    if (this.isOpen && !run) {
      setText(this.summary, say.run.reading);
      run = await readRun(this.app, this.shown.message);
    }
    this.update(this.shown);
    if (this.isOpen && run) await readKept(this.app, run);
  }

  showWhy() {
    const { id, run_id: runId } = this.shown.message;
    if (runId !== null) showWhy(this.app, id, runId);
  }

  startReplay() {
    const { id: selected, run_id: id } = this.shown.message;
    if (id === null) return;
    const replay = { machine: /** @type {const} */ ("chorus"), id };
    this.app.setUi({ machines: true, drawing: "chorus", selected, replay });
  }

  /** @param {Run | null} run */
  drawProblem(run) {
    const problem = this.problemOf(run);
    this.problem.hidden = problem === null;
    if (problem !== null) setText(this.problem, problem);
  }

  /**
   * What keeps the run from its answer, for good or for a while.
   *
   * @param {Run | null} run
   */
  problemOf(run) {
    if (run?.status === "failed" && run.failure) {
      const { code, message } = run.failure;
      return say.run.failed(TROUBLE[code] ?? code, message ?? "");
    }
    const why = this.app.state.thread?.waitsBecause ?? null;
    const isUnderWay = run?.status === "running" || run?.status === "recovering";
    return isUnderWay && why !== null ? say.run.waits(why) : null;
  }

  /**
   * The answer while it is written; the message that follows takes its place. What was written
   * before a run was stopped stays.
   *
   * @param {Run | null} run
   * @param {MessageView | null} answer
   */
  drawAnswer(run, answer) {
    const record = run ? recordsOf(run, "yield").at(-1) : undefined;
    const isShown = answer === null && record !== undefined && record.text !== "";
    this.live.element.hidden = !isShown;
    if (isShown) this.live.update(record);
    arrange(this.answer, [answer?.element ?? this.live.element]);
  }

  /** @param {Answering} shown */
  summaryOf({ run, answer, before }) {
    if (!run) return answer ? say.run.howAnswered : say.run.whatBecame;
    const { name } = STEP_WORDS[run.step];
    switch (run.status) {
      case "queued":
        return say.run.queued(before, isCoAuthor(this.app.state));
      case "running":
        return joined([
          `${name}${run.iteration > 1 ? `, ${say.run.loop(run.iteration)}` : ""}`,
          tokensOf(run),
        ]);
      case "recovering":
        return joined([say.run.recovering(name, run.attempt), tokensOf(run)]);
      case "finished":
        return joined([
          say.run.steps(new Set(run.records.map(({ step }) => step)).size),
          sourcesOf(run),
          tokensOf(run),
          loopsOf(run) > 1 ? say.run.loops(loopsOf(run)) : null,
        ]);
      case "failed":
        return joined([say.run.failedAt(name), tokensOf(run)]);
      case "cancelled":
        return run.records.length === 0
          ? this.takenBack(run)
          : joined([this.stopped(run, name), tokensOf(run)]);
      default:
        return run.status;
    }
  }

  /** @param {Run} run */
  takenBack({ stoppedBy }) {
    return stoppedBy === null ? say.run.takenBack : say.run.takenBackBy(this.actor(stoppedBy));
  }

  /**
   * @param {Run} run
   * @param {string} step
   */
  stopped({ stoppedBy }, step) {
    return stoppedBy === null
      ? say.run.stoppedAt(step)
      : say.run.stoppedBy(this.actor(stoppedBy), step);
  }

  /** @param {string} key of a user; gives their name, or null for the one who reads */
  actor(key) {
    const { state } = this.app;
    return key === state.user?.public_key ? null : nameOf(state, key);
  }
}

/** @param {readonly (string | null)[]} facts */
function joined(facts) {
  return facts.filter(Boolean).join(" · ");
}

/**
 * How many priors the answer cites; null where it cites none.
 *
 * @param {Run} run
 */
function sourcesOf(run) {
  const cited = [...priorsOf(run).values()].filter((prior) => prior.cited);
  return cited.length > 0 ? say.run.sources(cited.length) : null;
}

/** @param {Run} run */
function tokensOf(run) {
  const tokens = totalTokens(run);
  return tokens === null ? null : say.run.tokens(tokens);
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
