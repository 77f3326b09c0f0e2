// The machines at work: the drawing of the run, the message, the thread or this connection, what
// happened last in words, and the replay of what is over.

import { Drawing } from "../drawing.js";
import { button, h, icon, setText } from "../dom.js";
import { FINAL } from "../runs.js";
import { newTrace, statesOfRun, traceOf } from "../trace.js";
import { effectWords, spaced } from "../words.js";
import { ReplayBar } from "./replay.js";

const MACHINES = [
  ["chorus", "Run"],
  ["message", "Message"],
  ["thread", "Thread"],
  ["connection", "Connection"],
];
const AROUND = new Set(["running", "step", "health"]); // states that only hold others

export class Machines {
  constructor(app) {
    this.app = app;
    this.drawings = new Map();
    this.asked = new Set();
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

  choose(machine) {
    this.replay.end();
    this.app.setUi({ drawing: machine, replay: null });
    this.tabs.find((tab) => tab.dataset.machine === machine).focus();
  }

  arrow(event) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const place = MACHINES.findIndex(([machine]) => machine === this.app.ui.drawing);
    this.choose(MACHINES.at((place + step) % MACHINES.length)[0]);
  }

  toggleZoom() {
    const drawing = this.drawings.get(this.app.ui.drawing);
    drawing.toggleZoom();
    this.fit.setAttribute("aria-pressed", String(drawing.isFitted));
  }

  startReplay() {
    const { machine, id, message } = this.subject();
    this.app.setUi({ replay: { machine, id, messageId: message.id } });
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
    const shown = this.replay.isOn ? this.replay.trace() : subject.trace;
    this.start.hidden = this.replay.isOn || !subject.isOver;
    setText(this.about, this.replay.isOn ? `Replay: ${subject.about}` : subject.about);
    const trace = this.withRefusal(shown, subject, drawing);
    if (this.isSame(trace)) return;
    this.trace = trace;
    drawing.show(trace);
    this.describe(trace, drawing);
  }

  /** Traces are folded anew at each update; what they say is compared, not which they are. */
  isSame(trace) {
    const key = [
      trace.machine,
      [...trace.current].join(),
      trace.path.length,
      trace.last?.edge,
      trace.refused?.at,
      this.replay.isOn,
      this.drawings.get(trace.machine)?.isLoaded,
      [...trace.counts].join(),
    ].join("|");
    const same = key === this.key;
    this.key = key;
    return same;
  }

  drawing(machine) {
    let drawing = this.drawings.get(machine);
    if (!drawing) {
      drawing = new Drawing(machine);
      this.drawings.set(machine, drawing);
      drawing.load().then(
        () => {
          drawing.isLoaded = true;
          this.app.schedule();
        },
        () =>
          drawing.element.replaceChildren(h("p", { class: "note" }, "The drawing did not come.")),
      );
    }
    if (this.stage.firstChild !== drawing.element) {
      this.stage.replaceChildren(drawing.element);
      this.fit.setAttribute("aria-pressed", String(drawing.isFitted));
      requestAnimationFrame(() => drawing.reveal({ smoothly: false }));
    }
    return drawing;
  }

  /** What is drawn: {machine, id, about, trace, message, isOver}. */
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
    const message = this.message();
    if (!message)
      return { machine, id: null, about: "Nothing was said yet.", trace: newTrace(machine) };
    return machine === "message" ? this.messageSubject(message) : this.runSubject(message);
  }

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

  runSubject(message) {
    const run = this.app.state.thread.runs.get(message.run_id);
    if (!message.run_id) {
      return {
        machine: "chorus",
        id: null,
        about: "This message has no run.",
        trace: newTrace("chorus"),
        message,
      };
    }
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

  /** The trace out of the journal; until that is read, only where the machine stands. */
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

  /** The chosen message, else the one whose run is newest, else the newest. */
  message() {
    const { thread } = this.app.state;
    const { selected } = this.app.ui;
    if (selected && thread.messages.has(selected)) return thread.messages.get(selected);
    const all = thread.order.map((id) => thread.messages.get(id));
    if (this.app.ui.drawing === "message")
      return (
        all.findLast(({ status }) => status === "pending") ??
        all.findLast(({ role }) => role === "user")
      );
    const live = all.find(
      ({ run_id: id, role }) =>
        role === "user" &&
        thread.runs.has(id) &&
        !FINAL.has(thread.runs.get(id).status) &&
        thread.runs.get(id).status !== "queued",
    );
    return live ?? all.findLast(({ role, run_id: id }) => role === "user" && id) ?? all.at(-1);
  }

  withRefusal(trace, { machine, id }, drawing) {
    const { refusal } = this.app;
    if (this.replay.isOn || !refusal || refusal.machine !== machine) return trace;
    if (refusal.instance !== id && machine !== "connection" && machine !== "thread") return trace;
    const edges = drawing.edgesFor(refusal.event, refusal.state, refusal.guards);
    return { ...trace, refused: { ...refusal, edges } };
  }

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

function fromTo({ source, target }) {
  return source === target ? `in ${spaced(source)}` : `from ${spaced(source)} to ${spaced(target)}`;
}

function lastWords(last, drawing) {
  if (!last) return h("p", { class: "muted" }, "No transition yet.");
  const { guards, actions } = drawing.edge(last.edge);
  const why =
    guards.length > 0 ? [", because ", h("em", {}, guards.map(spaced).join(" and "))] : [];
  const effects = last.effects?.length > 0 ? last.effects.map(effectWords) : actions.map(spaced);
  const did =
    effects.length > 0
      ? [
          h("span", { class: "muted" }, last.effects?.length > 0 ? " It asked for: " : " It did: "),
          effects.join(", "),
          ".",
        ]
      : [];
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
