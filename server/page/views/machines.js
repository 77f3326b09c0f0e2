// The machines at work, over the whole page: the drawing of the run, the message, the thread or this
// connection, what happened last in words, and the replay of what is over.

/** @import { App } from "../app.js" */
/** @import { TransitionView } from "../wire.d.ts" */
/** @import { Subject } from "../subjects.js" */
/** @import { MachineName, Trace } from "../trace.js" */

import { Drawing } from "../drawing.js";
import { h, icon, iconButton, setText } from "../dom.js";
import { say } from "../language.js";
import { Subjects } from "../subjects.js";
import { effectWords, spaced } from "../words.js";
import { HeatPanel } from "./heat.js";
import { ReplayBar } from "./replay.js";
import { Why } from "./why.js";

/** @type {readonly MachineName[]} */
const MACHINES = [
  "chorus",
  "message",
  "thread",
  "invitation",
  "invite_link",
  "removal",
  "branch",
  "connection",
];
const AROUND = new Set(["running", "step", "health"]); // states that only hold others
const ZOOM = 1.25;

export class Machines {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.subjects = new Subjects(app);
    /** @type {Map<MachineName, Drawing>} */
    this.drawings = new Map();
    /** What is drawn, in one text to compare. */
    this.key = "";
    this.tabs = MACHINES.map((machine) =>
      h(
        "button",
        {
          type: "button",
          role: "tab",
          id: `machine-${machine}`,
          "aria-controls": "machine-panel",
          data: { machine },
          on: { click: () => this.choose(machine), keydown: (event) => this.arrow(event) },
        },
        say.machines.tabs[machine],
      ),
    );
    this.about = h("p", { class: "machine-about muted small" });
    this.words = h("div", { class: "machine-words" });
    this.path = h("ol", { class: "machine-path" });
    this.pathSummary = h("summary", {});
    this.stage = h("div", { class: "stage" });
    this.fit = h(
      "button",
      {
        type: "button",
        class: "button small",
        "aria-pressed": "false",
        on: { click: () => this.fitWhole() },
      },
      say.machines.whole,
    );
    this.start = h(
      "button",
      {
        type: "button",
        class: "button small",
        hidden: true,
        on: { click: () => this.startReplay() },
      },
      icon("replay"),
      say.machines.replay,
    );
    this.replay = new ReplayBar(app, () => this.update());
    this.run = h("select", { id: "machine-run", on: { change: () => this.chooseRun() } });
    this.runs = h(
      "div",
      { class: "machine-runs", hidden: true },
      h("label", { for: this.run.id }, say.machines.ofThisPrompt),
      this.run,
    );
    this.drawnRuns = "";
    this.why = new Why(app, () => this.chosen());
    this.heat = new HeatPanel(app, () => this.update());
    this.details = h("details", { class: "machine-details" }, this.pathSummary, this.path);
    this.panel = h(
      "div",
      { id: "machine-panel", role: "tabpanel", class: "machine-panel" },
      this.stage,
      h(
        "div",
        { class: "machine-side" },
        this.heat.element,
        h("div", { class: "machine-caption" }, this.runs, this.about, this.words),
        this.replay.texts,
        this.why.element,
        this.details,
      ),
      this.replay.element,
    );
    this.element = h(
      "dialog",
      {
        class: "machines",
        "aria-label": say.common.machines,
        on: { close: () => this.close() },
      },
      h(
        "header",
        { class: "machine-head" },
        h(
          "div",
          { class: "tabs", role: "tablist", "aria-label": say.machines.which },
          ...this.tabs,
        ),
        h(
          "div",
          { class: "machine-tools" },
          this.start,
          this.heat.toggle,
          iconButton("minus", say.machines.smaller, () => this.zoom(1 / ZOOM)),
          iconButton("plus", say.machines.larger, () => this.zoom(ZOOM)),
          this.fit,
          iconButton("cross", say.machines.close, () => this.close()),
        ),
      ),
      this.panel,
    );
  }

  close() {
    this.app.setUi({ machines: false, replay: null });
  }

  /** @param {MachineName} machine */
  choose(machine) {
    this.replay.end();
    this.app.memory.choose({ drawing: machine });
    this.app.setUi({ drawing: machine, replay: null });
    this.tabs.find((tab) => tab.dataset.machine === machine)?.focus();
  }

  /** @param {KeyboardEvent} event */
  arrow(event) {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    const place = MACHINES.indexOf(this.app.ui.drawing);
    const next = MACHINES.at((place + step) % MACHINES.length);
    if (step !== 0 && next) this.choose(next);
  }

  /** @param {number} factor */
  zoom(factor) {
    this.drawing(this.app.ui.drawing).zoom(factor);
    this.drawFit();
  }

  fitWhole() {
    const drawing = this.drawing(this.app.ui.drawing);
    drawing.isWhole = !drawing.isWhole;
    this.app.memory.choose({ whole: drawing.isWhole });
    this.drawFit();
  }

  drawFit() {
    const { isWhole } = this.drawing(this.app.ui.drawing);
    this.fit.setAttribute("aria-pressed", String(isWhole));
  }

  chooseRun() {
    this.replay.end();
    this.app.setUi({ run: this.run.value, replay: null });
  }

  /** @param {Subject} subject */
  drawRuns({ id, runs = [] }) {
    this.runs.hidden = runs.length < 2;
    const drawn = JSON.stringify(runs);
    if (drawn !== this.drawnRuns) {
      this.drawnRuns = drawn;
      this.run.replaceChildren(...runs.map((each) => h("option", { value: each.id }, each.words)));
    }
    this.run.value = id ?? "";
  }

  startReplay() {
    const { machine, id } = this.subjects.now();
    const isReplayed = machine === "chorus" || machine === "message";
    if (isReplayed && id !== null) this.app.setUi({ replay: { machine, id } });
  }

  /** A moment of the run was chosen, which a replay would pass over. */
  chosen() {
    this.replay.end();
    if (this.app.ui.replay) this.app.setUi({ replay: null });
    this.update();
  }

  /** Nothing is drawn, and no journal read, while it is closed. */
  update() {
    const { ui } = this.app;
    if (!ui.machines) {
      if (this.element.open) this.element.close();
      this.replay.end();
      return;
    }
    if (!this.element.open) {
      this.element.showModal();
      this.tabs.find((tab) => tab.dataset.machine === ui.drawing)?.focus();
    }
    for (const tab of this.tabs) {
      const isChosen = tab.dataset.machine === ui.drawing;
      tab.setAttribute("aria-selected", String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
    }
    this.panel.setAttribute("aria-labelledby", `machine-${ui.drawing}`);
    const drawing = this.drawing(ui.drawing);
    const subject = this.subjects.now();
    this.replay.follow(ui.replay, subject.message);
    this.heat.update(ui.drawing);
    drawing.heat = this.heat.of(ui.drawing);
    this.why.update(subject);
    this.details.hidden = !this.why.element.hidden;
    const replayed = this.replay.trace();
    const past = replayed ? null : this.why.trace(subject.id);
    this.start.hidden = replayed !== null || !subject.isOver;
    this.drawRuns(subject);
    setText(this.about, aboutWords(subject, replayed, past));
    const trace = replayed ?? past ?? this.withRefusal(subject, drawing);
    if (this.isSame(trace)) return;
    drawing.show(trace);
    this.describe(trace, drawing);
  }

  /**
   * Traces are folded anew at each update; what they say is compared, not which they are.
   *
   * @param {Trace} trace
   */
  isSame(trace) {
    const key = [
      trace.machine,
      [...trace.current].join(),
      trace.path.length,
      trace.last?.edge,
      trace.refused?.at,
      this.drawings.get(trace.machine)?.isLoaded,
      [...trace.counts].join(),
    ].join("|");
    const same = key === this.key;
    this.key = key;
    return same;
  }

  /** @param {MachineName} machine */
  drawing(machine) {
    let drawing = this.drawings.get(machine);
    if (!drawing) {
      drawing = this.fetched(machine);
      this.drawings.set(machine, drawing);
    }
    const shown = drawing;
    if (this.stage.firstChild !== shown.element) {
      this.stage.replaceChildren(shown.element);
      this.fit.setAttribute("aria-pressed", String(shown.isWhole));
      requestAnimationFrame(() => shown.reveal({ smoothly: false }));
    }
    return shown;
  }

  /** @param {MachineName} machine */
  fetched(machine) {
    const drawing = new Drawing(machine, () => this.drawFit());
    drawing.isWhole = this.app.memory.choices.whole;
    drawing.load().then(
      () => this.app.schedule(),
      () => drawing.element.replaceChildren(h("p", { class: "note" }, say.machines.missing)),
    );
    return drawing;
  }

  /**
   * @param {Subject} subject
   * @param {Drawing} drawing
   * @returns {Trace}
   */
  withRefusal({ machine, id, trace }, drawing) {
    const { refusal } = this.app;
    if (!refusal || refusal.machine !== machine) return trace;
    if (refusal.instance !== id && machine !== "connection" && machine !== "thread") return trace;
    const edges = drawing.edgesFor(refusal.event, refusal.state, refusal.guards);
    return { ...trace, refused: { ...refusal, edges } };
  }

  /**
   * @param {Trace} trace
   * @param {Drawing} drawing
   */
  describe(trace, drawing) {
    const now = [...trace.current]
      .filter((state) => !AROUND.has(state))
      .map(spaced)
      .join(" · ");
    this.words.replaceChildren(
      h(
        "p",
        { class: "machine-now" },
        h("span", { class: "muted" }, say.machines.now),
        h("strong", {}, now || say.machines.nothingYet),
      ),
      trace.refused ? refusalWords(trace.refused) : lastWords(trace.last, drawing),
    );
    const count = trace.path.length;
    setText(this.pathSummary, say.machines.path(count));
    this.path.replaceChildren(
      ...trace.path.map((transition) =>
        h("li", {}, h("strong", {}, spaced(transition.event)), ` ${fromTo(transition)}`),
      ),
    );
  }
}

/**
 * @param {Subject} subject
 * @param {Trace | null} replayed
 * @param {Trace | null} past
 */
function aboutWords({ about }, replayed, past) {
  if (replayed) return say.machines.replayOf(about);
  return past ? say.why.asItWas(about, past.path.length) : about;
}

/** @param {TransitionView} transition */
function fromTo({ source, target }) {
  return source === target
    ? say.machines.within(spaced(source))
    : say.machines.fromTo(spaced(source), spaced(target));
}

/**
 * @param {TransitionView | null} last
 * @param {Drawing} drawing
 */
function lastWords(last, drawing) {
  if (!last) return h("p", { class: "muted" }, say.machines.noTransition);
  const { guards, actions } = drawing.edge(last.edge);
  const why =
    guards.length > 0
      ? [say.machines.because, h("em", {}, guards.map(spaced).join(say.machines.and))]
      : [];
  const [verb, effects] =
    last.effects.length > 0
      ? [say.machines.askedFor, last.effects.map(effectWords)]
      : [say.machines.did, actions.map(spaced)];
  const did =
    effects.length > 0 ? [h("span", { class: "muted" }, verb), effects.join(", "), "."] : [];
  return h(
    "p",
    { class: "machine-last" },
    h("strong", { class: "event" }, spaced(last.event)),
    ` ${fromTo(last)}`,
    ...why,
    ".",
    ...did,
  );
}

/** @param {NonNullable<Trace["refused"]>} refused */
function refusalWords({ event, state, guards, allowed }) {
  const which =
    guards.length > 0
      ? [say.machines.wasFalse, h("em", {}, guards.map(spaced).join(say.machines.and))]
      : [say.machines.noEdge];
  const now =
    allowed.length > 0 ? say.machines.possible([...new Set(allowed)].map(spaced).join(", ")) : "";
  return h(
    "p",
    { class: "machine-last refused-words" },
    h("strong", { class: "event" }, spaced(event)),
    say.machines.refusedIn(spaced(state)),
    ...which,
    ".",
    now,
  );
}
