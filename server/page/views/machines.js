// The machines at work: the drawing of the run, the message, the thread or this connection, what
// happened last in words, and the replay of what is over.

/** @import { App } from "../app.js" */
/** @import { TransitionView } from "../wire.d.ts" */
/** @import { Message, Thread } from "../store.js" */
/** @import { MachineName, Trace } from "../trace.js" */

import { Drawing } from "../drawing.js";
import { button, h, icon, setText } from "../dom.js";
import { FINAL } from "../runs.js";
import { messagesOf } from "../store.js";
import { newTrace, statesOfRun, traceOf } from "../trace.js";
import { effectWords, spaced } from "../words.js";
import { ReplayBar } from "./replay.js";

/**
 * @typedef {object} Subject what is drawn
 * @property {MachineName} machine
 * @property {string | null} id of its instance; null where there is none
 * @property {string} about
 * @property {Trace} trace
 * @property {Message} [message]
 * @property {boolean} [isOver] whether it may be replayed
 */

/** @type {readonly [machine: MachineName, label: string][]} */
const MACHINES = [
  ["chorus", "Run"],
  ["message", "Message"],
  ["thread", "Thread"],
  ["connection", "Connection"],
];
const AROUND = new Set(["running", "step", "health"]); // states that only hold others

export class Machines {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    /** @type {Map<MachineName, Drawing>} */
    this.drawings = new Map();
    /** @type {Set<string>} ids of the runs and messages whose entries were asked for */
    this.asked = new Set();
    /** What is drawn, in one text to compare. */
    this.key = "";
    /** Which opening of the journal that was. */
    this.opening = 0;
    this.tabs = MACHINES.map(([machine, label]) =>
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
        label,
      ),
    );
    this.about = h("p", { class: "machine-about muted small" });
    this.words = h("div", { class: "machine-words" });
    this.path = h("ol", { class: "machine-path" });
    this.pathSummary = h("summary", {});
    this.stage = h("div", { class: "drawing-holder" });
    this.fit = button("Whole", () => this.toggleZoom(), {
      class: "button small",
      "aria-pressed": "false",
    });
    this.start = h(
      "button",
      {
        type: "button",
        class: "button small",
        hidden: true,
        on: { click: () => this.startReplay() },
      },
      icon("replay"),
      "Replay",
    );
    this.replay = new ReplayBar(app, () => this.update());
    this.panel = h(
      "div",
      { id: "machine-panel", role: "tabpanel", class: "machine-panel" },
      h("div", { class: "machine-caption" }, this.about, this.words),
      h(
        "div",
        { class: "stage" },
        this.stage,
        h("div", { class: "machine-tools row" }, this.start, this.fit),
      ),
      this.replay.element,
      h("details", { class: "machine-details" }, this.pathSummary, this.path),
    );
    this.element = h(
      "aside",
      { class: "machines", "aria-label": "Machines" },
      h(
        "div",
        { class: "tabs machine-tabs", role: "tablist", "aria-label": "Which machine" },
        ...this.tabs,
      ),
      this.panel,
    );
  }

  /** @param {MachineName} machine */
  choose(machine) {
    this.replay.end();
    this.app.setUi({ drawing: machine, replay: null });
    this.tabs.find((tab) => tab.dataset.machine === machine)?.focus();
  }

  /** @param {KeyboardEvent} event */
  arrow(event) {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    const place = MACHINES.findIndex(([machine]) => machine === this.app.ui.drawing);
    const next = MACHINES.at((place + step) % MACHINES.length);
    if (step !== 0 && next) this.choose(next[0]);
  }

  toggleZoom() {
    const drawing = this.drawing(this.app.ui.drawing);
    drawing.toggleZoom();
    this.fit.setAttribute("aria-pressed", String(drawing.isFitted));
  }

  startReplay() {
    const { machine, id } = this.subject();
    const isReplayed = machine === "chorus" || machine === "message";
    if (isReplayed && id !== null) this.app.setUi({ replay: { machine, id } });
  }

  update() {
    const { ui } = this.app;
    for (const tab of this.tabs) {
      const isChosen = tab.dataset.machine === ui.drawing;
      tab.setAttribute("aria-selected", String(isChosen));
      tab.tabIndex = isChosen ? 0 : -1;
    }
    this.panel.setAttribute("aria-labelledby", `machine-${ui.drawing}`);
    const drawing = this.drawing(ui.drawing);
    const subject = this.subject();
    this.replay.follow(ui.replay, subject.message);
    const replayed = this.replay.trace();
    this.start.hidden = replayed !== null || !subject.isOver;
    setText(this.about, replayed ? `Replay: ${subject.about}` : subject.about);
    const trace = replayed ?? this.withRefusal(subject, drawing);
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
      this.fit.setAttribute("aria-pressed", String(shown.isFitted));
      requestAnimationFrame(() => shown.reveal({ smoothly: false }));
    }
    return shown;
  }

  /** @param {MachineName} machine */
  fetched(machine) {
    const drawing = new Drawing(machine);
    drawing.load().then(
      () => this.app.schedule(),
      () => drawing.element.replaceChildren(h("p", { class: "note" }, "The drawing did not come.")),
    );
    return drawing;
  }

  /**
   * What is drawn.
   *
   * @returns {Subject}
   */
  subject() {
    const { state, ui } = this.app;
    const machine = ui.drawing;
    if (machine === "connection") {
      return {
        machine,
        id: "this",
        about: "This page's own connection",
        trace: this.app.connection.trace,
      };
    }
    if (!state.thread)
      return { machine, id: null, about: "No thread is open.", trace: newTrace(machine) };
    if (machine === "thread") return this.threadSubject(state.thread);
    const message = this.message(state.thread);
    if (!message)
      return { machine, id: null, about: "Nothing was said yet.", trace: newTrace(machine) };
    if (machine === "message") return this.messageSubject(message);
    return this.runSubject(state.thread, message);
  }

  /**
   * @param {Thread} thread
   * @returns {Subject}
   */
  threadSubject(thread) {
    const entries = this.app.journal.entries(thread.id);
    const known = traceOf("thread", thread.id, entries);
    const trace = { ...known, current: new Set([thread.view.status]) };
    return {
      machine: "thread",
      id: thread.id,
      about: "This thread, since the page opened it",
      trace,
    };
  }

  /**
   * @param {Message} message
   * @returns {Subject}
   */
  messageSubject(message) {
    const trace = this.journalled("message", message.id, message.index, [message.status]);
    const excerpt =
      message.content === null ? "a message" : `“${[...message.content].slice(0, 40).join("")}”`;
    return {
      machine: "message",
      id: message.id,
      about: `The message ${excerpt}`,
      trace,
      message,
      isOver: message.status !== "pending",
    };
  }

  /**
   * @param {Thread} thread
   * @param {Message} message
   * @returns {Subject}
   */
  runSubject(thread, message) {
    if (!message.run_id) {
      return {
        machine: "chorus",
        id: null,
        about: "This message has no run.",
        trace: newTrace("chorus"),
        message,
      };
    }
    const run = thread.runs.get(message.run_id);
    const trace = this.journalled(
      "chorus",
      message.run_id,
      message.index,
      run ? statesOfRun(run) : [],
    );
    const about = `The run of “${[...(message.content ?? "a message")].slice(0, 40).join("")}”`;
    return {
      machine: "chorus",
      id: message.run_id,
      about,
      trace,
      message,
      isOver: !run || FINAL.has(run.status),
    };
  }

  /**
   * The trace out of the journal; until that is read, only where the machine stands.
   *
   * @param {MachineName} machine
   * @param {string} id
   * @param {number} index of the message
   * @param {readonly string[]} current where it stands
   */
  journalled(machine, id, index, current) {
    const { journal } = this.app;
    if (journal.opening !== this.opening) {
      this.opening = journal.opening;
      this.asked.clear();
    }
    if (!journal.isWhole(id) && !this.asked.has(id) && this.isVisible()) {
      this.asked.add(id);
      this.app.readEntries(id, index).then(() => this.app.schedule());
    }
    const trace = traceOf(machine, id, journal.entries(id));
    return trace.path.length > 0 ? trace : { ...trace, current: new Set(current) };
  }

  isVisible() {
    return this.element.getClientRects().length > 0;
  }

  /**
   * The chosen message, else the one whose run is newest, else the newest.
   *
   * @param {Thread} thread
   */
  message(thread) {
    const { selected } = this.app.ui;
    const chosen = selected === null ? undefined : thread.messages.get(selected);
    if (chosen) return chosen;
    const all = messagesOf(thread);
    if (this.app.ui.drawing === "message")
      return (
        all.findLast(({ status }) => status === "pending") ??
        all.findLast(({ role }) => role === "user")
      );
    const live = all.find(({ run_id: id, role }) => {
      const run = role === "user" && id !== null ? thread.runs.get(id) : undefined;
      return run && !FINAL.has(run.status) && run.status !== "queued";
    });
    return live ?? all.findLast(({ role, run_id: id }) => role === "user" && id) ?? all.at(-1);
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
        h("span", { class: "muted" }, "Now "),
        h("strong", {}, now || "nothing yet"),
      ),
      trace.refused ? refusalWords(trace.refused) : lastWords(trace.last, drawing),
    );
    const count = trace.path.length;
    setText(this.pathSummary, `The path in words (${count})`);
    this.path.replaceChildren(
      ...trace.path.map((transition) =>
        h("li", {}, h("strong", {}, spaced(transition.event)), ` ${fromTo(transition)}`),
      ),
    );
  }
}

/** @param {TransitionView} transition */
function fromTo({ source, target }) {
  return source === target ? `in ${spaced(source)}` : `from ${spaced(source)} to ${spaced(target)}`;
}

/**
 * @param {TransitionView | null} last
 * @param {Drawing} drawing
 */
function lastWords(last, drawing) {
  if (!last) return h("p", { class: "muted" }, "No transition yet.");
  const { guards, actions } = drawing.edge(last.edge);
  const why =
    guards.length > 0 ? [", because ", h("em", {}, guards.map(spaced).join(" and "))] : [];
  const [verb, effects] =
    last.effects.length > 0
      ? [" It asked for: ", last.effects.map(effectWords)]
      : [" It did: ", actions.map(spaced)];
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
      ? [", because it was false that ", h("em", {}, guards.map(spaced).join(" and "))]
      : [", since no edge leads on from there"];
  const now =
    allowed.length > 0 ? ` Possible now: ${[...new Set(allowed)].map(spaced).join(", ")}.` : "";
  return h(
    "p",
    { class: "machine-last refused-words" },
    h("strong", { class: "event" }, spaced(event)),
    ` was refused in ${spaced(state)}`,
    ...which,
    ".",
    now,
  );
}
