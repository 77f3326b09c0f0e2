// What the machine that is shown did in the thread: a switch, a period, and in words what its drawing shows.

/** @import { App } from "../app.js" */
/** @import { HeatData, GetHeatData, MachineHeat } from "../wire.d.ts" */
/** @import { MachineName } from "../trace.js" */

import { h } from "../dom.js";
import { samples, tokenWords } from "../heat.js";
import { say } from "../language.js";
import { isCoAuthor } from "../selectors.js";
import { elapsed, spaced, whenLong } from "../words.js";

const HOURS = { hour: 1, day: 24, week: 168, all: null };
const HOUR_MS = 3_600_000;
const FEW = 6; // guards that are listed

/** @typedef {keyof typeof HOURS} Period */

export class HeatPanel {
  #isOn = false;
  /** @type {Period} */
  #period = "day";
  /** What was asked for last. */
  #asked = "";
  /** @type {HeatData | null} */
  #told = null;

  /**
   * @param {App} app
   * @param {() => void} changed draws the panel anew
   */
  constructor(app, changed) {
    this.app = app;
    this.changed = changed;
    this.toggle = h(
      "button",
      {
        type: "button",
        class: "button small",
        "aria-pressed": "false",
        on: { click: () => this.#turn(!this.#isOn) },
      },
      say.heat.title,
    );
    this.period = h(
      "select",
      { id: "heat-period", on: { change: () => this.#choose() } },
      ...Object.entries(say.heat.periods).map(([value, words]) => h("option", { value }, words)),
    );
    this.period.value = this.#period;
    this.facts = h("div", { class: "heat-facts" });
    this.element = h(
      "section",
      { class: "heat-panel", "aria-label": say.heat.title, hidden: true },
      h("div", { class: "row" }, h("label", { for: "heat-period" }, say.heat.period), this.period),
      h("p", { class: "muted small" }, say.heat.how),
      this.facts,
    );
  }

  get isOn() {
    return this.#isOn;
  }

  /**
   * What is known of a machine in this thread; null where nothing is to be shown.
   *
   * @param {MachineName} machine
   * @returns {HeatData | null}
   */
  of(machine) {
    if (!this.#isOn || this.#told?.heat.machine !== machine) return null;
    return this.#told.thread_id === this.app.state.thread?.id ? this.#told : null;
  }

  /**
   * Ask for what is to be shown, where it was not asked for.
   *
   * @param {MachineName} machine
   */
  update(machine) {
    const { thread } = this.app.state;
    const isTold = machine !== "connection" && Boolean(thread) && isCoAuthor(this.app.state);
    this.toggle.hidden = !isTold;
    this.toggle.setAttribute("aria-pressed", String(this.#isOn));
    this.element.hidden = !this.#isOn || !isTold;
    if (!this.#isOn || machine === "connection" || !isTold || !thread) return;
    const asked = [thread.id, thread.epoch, machine, this.#period].join(" ");
    if (this.#asked === asked) return;
    this.#asked = asked;
    this.#told = null;
    this.#show();
    this.#ask({ thread_id: thread.id, machine, ...begunBy(this.#period) }, asked).catch(
      (/** @type {unknown} */ error) =>
        this.#asked === asked && this.app.explain(error, say.heat.notRead),
    );
  }

  /**
   * @param {GetHeatData} data
   * @param {string} asked
   */
  async #ask(data, asked) {
    const told = await this.app.client.request("get_heat", data);
    if (this.#asked !== asked) return;
    this.#told = told;
    this.#show();
    this.changed();
  }

  /** @param {boolean} isOn */
  #turn(isOn) {
    this.#isOn = isOn;
    this.#asked = "";
    this.#told = null;
    this.changed();
  }

  #choose() {
    const chosen = this.period.value;
    if (chosen === "hour" || chosen === "day" || chosen === "week" || chosen === "all")
      this.#period = chosen;
    this.changed();
  }

  #show() {
    if (!this.#told) {
      this.facts.replaceChildren();
      return;
    }
    const { heat, since, until, uncounted } = this.#told;
    const from = since ? whenLong(since) : null;
    const to = until ? whenLong(until) : null;
    const late = uncounted > 0 ? [h("p", { class: "note" }, say.heat.uncounted(uncounted))] : [];
    const tables = tablesOf(heat).filter(({ rows }) => rows.length > 0);
    this.facts.replaceChildren(
      h("p", { class: "muted small" }, say.heat.counted(from, to)),
      ...late,
      drawScale(this.#told),
      ...(tables.length > 0 ? tables.map(drawTable) : [h("p", {}, say.heat.nothing)]),
    );
  }
}

/** @param {Period} period */
function begunBy(period) {
  const hours = HOURS[period];
  return hours === null ? {} : { since: new Date(Date.now() - hours * HOUR_MS).toISOString() };
}

/**
 * The scale: what begins each class, beside how it looks.
 *
 * @param {HeatData} told
 */
function drawScale({ edge_steps, state_steps_ms }) {
  /** @param {string} what @param {readonly number[]} begins */
  const heading = (what, begins) =>
    h("dt", {}, begins.length > 1 ? say.heat.logarithmic(what) : what);
  const edges = samples(edge_steps).map(({ step, begin }) =>
    h("dd", {}, h("span", { class: `edge heat-${step}` }), `×${begin}`),
  );
  const states = samples(state_steps_ms).map(({ step, begin }) =>
    h("dd", {}, h("span", { class: `state heat-${step}` }, elapsed(begin))),
  );
  const never = h("dd", {}, h("span", { class: "edge heat-none" }), say.heat.never);
  return h(
    "dl",
    { class: "heat-scale", "aria-label": say.heat.scale },
    heading(say.heat.scaleOfEdges, edge_steps),
    ...edges,
    never,
    ...(states.length > 0 ? [heading(say.heat.scaleOfStates, state_steps_ms), ...states] : []),
  );
}

/** @typedef {{heading: string, rows: string[][]}} Table */

/**
 * @param {MachineHeat} heat
 * @returns {Table[]}
 */
function tablesOf({ machine, edges, states, steps, refused, passed_over }) {
  const ofEdge = `edge_${machine}_`;
  return [
    {
      heading: say.heat.states,
      rows: Object.entries(states).map(([name, { count, p50_ms, p95_ms }]) => [
        spaced(name),
        `×${count}`,
        elapsed(p50_ms),
        elapsed(p95_ms),
        steps[name] ? tokenWords(steps[name]) : "",
      ]),
    },
    {
      heading: say.heat.edges,
      rows: Object.entries(edges)
        .sort(([, one], [, other]) => other - one)
        .map(([id, count]) => [spaced(id.replace(ofEdge, "")), `×${count}`]),
    },
    { heading: say.heat.refused, rows: guardRows(refused) },
    { heading: say.heat.passedOver, rows: guardRows(passed_over) },
  ];
}

/** @param {MachineHeat["refused"]} guards */
function guardRows(guards) {
  return guards
    .slice(0, FEW)
    .map(({ event, guard, count }) => [
      `${spaced(event)} [${guard ? spaced(guard) : say.heat.noEdge}]`,
      `×${count}`,
    ]);
}

/** @param {Table} table */
function drawTable({ heading, rows }) {
  return h(
    "table",
    { class: "heat-table" },
    h("caption", {}, heading),
    h("tbody", {}, ...rows.map((row) => h("tr", {}, ...row.map((cell) => h("td", {}, cell))))),
  );
}
