// Why a run, a message or what is voted on became what it is: its transitions as a list; the chosen one tells its guards with their values,
// its effects and what they brought, and the drawing shows it as it stood then.

/** @import { App } from "../app.js" */
/** @import { Explained } from "../explained.js" */
/** @import { EffectView, ExplainedTransition, GuardView, TriedEdgeView } from "../wire.d.ts" */
/** @import { Run } from "../runs.js" */
/** @import { Subject } from "../subjects.js" */
/** @import { MachineName } from "../trace.js" */

import { button, h, icon, setText } from "../dom.js";
import { traceAt } from "../explained.js";
import { say } from "../language.js";
import { Refused } from "../protocol.js";
import { mayFork } from "../selectors.js";
import { effectWords, elapsed, nameOf, spaced, STEP_WORDS, whenLong } from "../words.js";
import { openForkDialog } from "./fork.js";
import { readKept, runRead } from "../run_requests.js";

/** @type {ReadonlySet<MachineName>} a thread's own transitions are too many */
const EXPLAINED = new Set(["chorus", "message", "invitation", "invite_link", "removal", "branch"]);

export class Why {
  /** @type {Explained | null} as it was read */
  #read = null;
  /** @type {Explained | null} as far as it is shown */
  #shown = null;
  #until = Infinity;
  /** @type {number | null} place of the chosen transition; null is now */
  #chosen = null;
  /** @type {HTMLButtonElement[]} */
  #heads = [];
  /** @type {Run | null} whose kept steps are drawn */
  #keptOf = null;
  /** @type {string | null} the run whose kept steps were asked for last */
  #asked = null;

  /**
   * @param {App} app
   * @param {() => void} changed draws the panel anew when another moment was chosen
   */
  constructor(app, changed) {
    this.app = app;
    this.changed = changed;
    this.summary = h("p", { class: "muted small" });
    this.kept = h("div", { class: "why-kept", hidden: true });
    this.list = h("ol", { class: "why-list", on: { keydown: (event) => this.#key(event) } });
    this.now = h(
      "button",
      {
        type: "button",
        class: "button small",
        hidden: true,
        on: { click: () => this.choose(null) },
      },
      say.why.now,
    );
    this.element = h(
      "section",
      { class: "why", "aria-label": say.why.title, hidden: true },
      h("header", { class: "why-head" }, h("h3", {}, say.why.title), this.now),
      this.summary,
      this.kept,
      this.list,
    );
  }

  /**
   * The moment that was chosen; null is now.
   *
   * @param {string | null} id of what is drawn
   */
  trace(id) {
    if (this.#chosen === null || this.#shown === null || this.#shown.id !== id) return null;
    return traceAt(this.#shown, this.#chosen + 1);
  }

  /**
   * Tell of a value that the server explains; of nothing else.
   *
   * @param {Subject} subject
   */
  update({ machine, id, trace }) {
    const thread = this.app.state.thread;
    if (!EXPLAINED.has(machine) || id === null || !thread) {
      this.#show(null);
      return;
    }
    const { explanations, lifetimes } = this.app;
    const lasting = lifetimes.of("thread");
    explanations.read(thread.id, machine, id, trace.path.length).then(
      (isNew) => isNew && this.app.schedule(),
      (error) => {
        // Of the run of an answer that is not here the page does not know that outsiders are told nothing.
        const isUntold = error instanceof Refused && error.code === "not_found";
        if (!lasting.aborted && !isUntold) this.app.explain(error, say.why.notRead);
      },
    );
    this.#show(explanations.of(id));
    this.#drawKept(thread.runs.get(id) ?? runRead(this.app, id));
  }

  /**
   * What a forked run kept has no transition of its own: each such step is one to ask "what if?" at.
   *
   * @param {Run | null} run
   */
  #drawKept(run) {
    const forked = run?.isFork && mayFork(this.app.state) ? run : null;
    if (forked && forked.id !== this.#asked) readKept(this.app, forked);
    this.#asked = forked?.id ?? null;
    if (forked === this.#keptOf) return;
    this.#keptOf = forked;
    const kept = forked?.records.filter(({ isKept }) => isKept) ?? [];
    this.kept.hidden = kept.length === 0;
    this.kept.replaceChildren(
      h("span", { class: "muted small" }, say.why.kept),
      ...kept.map((record) => {
        const { name } = STEP_WORDS[record.step];
        const words = record.iteration > 1 ? `${name}, ${say.run.loop(record.iteration)}` : name;
        const open = () => forked && openForkDialog(this.app, forked, record);
        return button(words, open, {
          class: "button small",
          "aria-label": say.branches.whatIf(words),
        });
      }),
    );
  }

  /** @param {number | null} place of a transition; null goes back to now */
  choose(place) {
    const last = this.#heads.length - 1;
    this.#chosen = place === null ? null : Math.max(0, Math.min(last, place));
    this.#draw();
    this.changed();
    const head = this.#heads[this.#chosen ?? last];
    head?.focus();
    head?.scrollIntoView({ block: "nearest" });
  }

  /** @param {Explained | null} explained */
  #show(explained) {
    const { until } = this.app;
    if (explained === this.#read && until === this.#until) return;
    if (explained?.id !== this.#shown?.id || until !== this.#until) this.#chosen = null;
    this.#read = explained;
    this.#until = until;
    // Of a past that is looked at, nothing is told that came later.
    const transitions = explained?.transitions.filter(({ seq }) => seq <= until) ?? [];
    this.#shown = explained && { ...explained, transitions };
    this.element.hidden = transitions.length === 0;
    this.#draw();
  }

  #draw() {
    this.now.hidden = this.#chosen === null;
    const { transitions = [], meanings = {} } = this.#shown ?? {};
    const reached = this.#chosen ?? transitions.length - 1;
    const whole = transitions.reduce((sum, { after_ms: afterMs }) => sum + afterMs, 0);
    setText(this.summary, say.why.summary(transitions.length, elapsed(whole)));
    this.#heads = [];
    this.list.replaceChildren(
      ...transitions.map((each, place) => {
        const head = this.#head(each, place, place === reached);
        this.#heads.push(head);
        const isChosen = place === this.#chosen;
        return h("li", {}, head, isChosen && this.#details(each, meanings));
      }),
    );
  }

  /**
   * @param {ExplainedTransition} explained
   * @param {number} place
   * @param {boolean} isReached whether Tab leads to it
   */
  #head({ transition: { event, source, target }, after_ms: afterMs }, place, isReached) {
    const isChosen = place === this.#chosen;
    return h(
      "button",
      {
        type: "button",
        class: "why-step",
        "aria-expanded": String(isChosen),
        tabindex: isReached ? 0 : -1,
        on: { click: () => this.choose(isChosen ? null : place) },
      },
      h("strong", {}, spaced(event)),
      h("span", {}, ` ${say.machines.fromTo(spaced(source), spaced(target))}`),
      h("span", { class: "muted why-time" }, `+${elapsed(afterMs)}`),
    );
  }

  /**
   * @param {ExplainedTransition} explained
   * @param {Explained["meanings"]} meanings
   */
  #details(explained, meanings) {
    const details = detailsOf(this.app, explained, meanings);
    const record = this.#completed(explained);
    if (record && mayFork(this.app.state)) {
      const open = () => openForkDialog(this.app, record.run, record.record);
      details.append(button(say.branches.fork, open, { class: "button small" }));
    }
    return details;
  }

  /**
   * The run, and the step of it that a transition completed; null where it completed none.
   *
   * @param {ExplainedTransition} explained
   */
  #completed({ transition: { event, instance }, facts: { step, iteration } }) {
    const run = event === "step_completed" ? runRead(this.app, instance) : null;
    const record = run?.records.find(
      (each) => each.step === step && each.iteration === iteration && each.status === "completed",
    );
    return run && record ? { run, record } : null;
  }

  /** @param {KeyboardEvent} event */
  #key(event) {
    const place = this.#chosen ?? this.#heads.length;
    const last = this.#heads.length - 1;
    /** @type {Record<string, number | null>} */
    const to = { ArrowUp: place - 1, ArrowDown: place + 1, Home: 0, End: last };
    if (event.key === "Escape" && this.#chosen !== null) this.choose(null);
    else if (event.key === "ArrowDown" && place >= last) this.choose(null);
    else if (event.key in to) this.choose(to[event.key] ?? null);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/**
 * @param {App} app
 * @param {ExplainedTransition} explained
 * @param {Explained["meanings"]} meanings
 */
function detailsOf(app, explained, meanings) {
  const { seq, at, facts, edges, effects, judged } = explained;
  const told = Object.entries(facts).map(
    ([name, value]) => `${spaced(name)}: ${factWords(app, name, value)}`,
  );
  const [asked, others] = [true, false].map((isAsked) =>
    edges.filter(({ verdict }) => (verdict !== "not_tried") === isAsked),
  );
  return h(
    "div",
    { class: "why-details" },
    h("p", { class: "muted small" }, say.why.entry(seq, whenLong(at))),
    told.length > 0 && h("p", { class: "small" }, told.join(" · ")),
    h("p", { class: judged === "executed" ? "muted small" : "note" }, say.why.judged[judged]),
    edges.length > 0 &&
      h(
        "ul",
        { class: "why-edges" },
        ...(asked ?? []).map((edge) => edgeOf(edge, meanings)),
        ...notTried(others ?? []),
      ),
    effects.length > 0 && h("ul", { class: "why-effects" }, ...effects.map(effectOf)),
  );
}

/**
 * @param {TriedEdgeView} edge
 * @param {Explained["meanings"]} meanings
 */
function edgeOf({ target, verdict, guards }, meanings) {
  const asked = guards.filter(({ value }) => value !== null);
  return h(
    "li",
    { data: { verdict } },
    h("span", { class: "why-edge" }, say.why.verdicts[verdict](spaced(target))),
    asked.length > 0 &&
      h("ul", { class: "why-guards" }, ...asked.map((guard) => guardOf(guard, meanings))),
  );
}

/**
 * The edges that no guard was asked of, in one line.
 *
 * @param {readonly TriedEdgeView[]} edges
 */
function notTried(edges) {
  if (edges.length === 0) return [];
  const targets = [...new Set(edges.map(({ target }) => spaced(target)))].join(", ");
  const words = say.why.verdicts.not_tried(targets);
  return [h("li", { data: { verdict: "not_tried" } }, h("span", { class: "why-edge" }, words))];
}

/**
 * @param {GuardView} guard
 * @param {Explained["meanings"]} meanings
 */
function guardOf({ name, expected, value }, meanings) {
  const holds = value === expected;
  return h(
    "li",
    { data: { holds: String(holds) } },
    icon(holds ? "check" : "cross"),
    h(
      "span",
      {},
      h("strong", {}, spaced(name)),
      `: ${value ? say.why.isTrue : say.why.isFalse}. `,
      h("span", { class: "muted" }, meanings[name] ?? ""),
    ),
  );
}

/** @param {EffectView} effect */
function effectOf({ effect, brought, seq, after_ms: afterMs }) {
  const words = effectWords(effect);
  return h(
    "li",
    {},
    brought === undefined || seq === undefined || afterMs === undefined
      ? words
      : say.why.brought(words, spaced(brought), seq, elapsed(afterMs)),
  );
}

/**
 * @param {App} app
 * @param {string} name
 * @param {string | number | boolean} value
 */
function factWords({ state }, name, value) {
  if (name === "by") return nameOf(state, String(value));
  if (typeof value === "boolean") return value ? say.why.isTrue : say.why.isFalse;
  return String(value);
}
