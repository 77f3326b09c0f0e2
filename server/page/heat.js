// What a machine did in a period, on its drawing: classes say how wide and dark an edge and a state are,
// and labels lie above it, so that the drawing itself stays as it was committed.

/** @import { MachineHeat } from "./wire.d.ts" */

import { say } from "./language.js";
import { elapsed } from "./words.js";

const STEPS = 5; // of each scale
const WARM = ["heat-none", ...Array.from({ length: STEPS }, (_, step) => `heat-${step}`)];

/** @typedef {{element: Element, text: string, isState: boolean}} Label */

/**
 * A scale between the smallest and the largest of some numbers, by their logarithms.
 *
 * @param {readonly number[]} numbers
 */
export function scaleOf(numbers) {
  const logs = numbers.map((number) => Math.log(Math.max(number, 0.001)));
  const low = Math.min(...logs);
  const step = (Math.max(...logs) - low) / STEPS;
  return {
    /** @param {number} number */
    stepOf: (number) => {
      if (step === 0) return Math.floor(STEPS / 2);
      const place = (Math.log(Math.max(number, 0.001)) - low) / step;
      return Math.max(0, Math.min(STEPS - 1, Math.floor(place + 1e-9)));
    },
  };
}

/**
 * Take the heat off a drawing.
 *
 * @param {SVGElement} svg
 */
export function cool(svg) {
  svg.classList.remove("heat");
  for (const element of svg.querySelectorAll(WARM.map((name) => `.${name}`).join())) {
    element.classList.remove(...WARM);
  }
}

/**
 * Show the heat on a drawing; gives the labels to be put at states and edges.
 *
 * @param {SVGElement} svg
 * @param {MachineHeat} heat
 * @returns {Label[]}
 */
export function warm(svg, heat) {
  cool(svg);
  svg.classList.add("heat");
  return [...warmStates(svg, heat), ...warmEdges(svg, heat)];
}

/**
 * @param {SVGElement} svg
 * @param {MachineHeat} heat
 * @returns {Label[]}
 */
function warmStates(svg, { machine, states, steps }) {
  const scale = scaleOf(Object.values(states).map(({ p95_ms }) => p95_ms));
  return Object.entries(states).flatMap(([name, { p50_ms, p95_ms }]) => {
    const element = svg.querySelector(`#state_${machine}_${CSS.escape(name)}`);
    if (!element) return [];
    if (element.classList.contains("atomic")) {
      element.classList.add(`heat-${scale.stepOf(p95_ms)}`);
    }
    const spent = steps[name] ? tokenWords(steps[name]) : "";
    const held = say.heat.held(elapsed(p50_ms), elapsed(p95_ms));
    return [{ element, text: spent ? `${held} · ${spent}` : held, isState: true }];
  });
}

/**
 * @param {SVGElement} svg
 * @param {MachineHeat} heat
 * @returns {Label[]}
 */
function warmEdges(svg, { edges }) {
  const scale = scaleOf(Object.values(edges));
  return [...lines(svg).values()].flatMap(({ shown, own }) => {
    const taken = own.filter(({ id }) => edges[id]);
    const total = taken.reduce((sum, { id }) => sum + (edges[id] ?? 0), 0);
    // Edges that share a line have one width, that of all of them.
    shown.classList.add(total > 0 ? `heat-${scale.stepOf(total)}` : "heat-none");
    for (const edge of own) if (!edges[edge.id]) edge.classList.add("heat-none");
    return taken.map((element) => ({ element, text: `×${edges[element.id]}`, isState: false }));
  });
}

/** @param {SVGElement} svg */
function lines(svg) {
  /** @type {Map<string, {shown: Element, own: Element[]}>} */
  const found = new Map();
  for (const element of svg.querySelectorAll("g.arrow, g.edge")) {
    const way = element.querySelector(".line")?.getAttribute("d") ?? element.id;
    const line = found.get(way) ?? { shown: element, own: [] };
    if (element.classList.contains("edge")) line.own.push(element);
    found.set(way, line);
  }
  return found;
}

/**
 * Tokens of a completed call, in the mean; empty where the endpoint told of none.
 *
 * @param {MachineHeat["steps"][string]} sums
 */
export function tokenWords({ counted, prompt_tokens, completion_tokens }) {
  if (counted === 0) return "";
  return say.heat.tokens(
    Math.round(prompt_tokens / counted),
    Math.round(completion_tokens / counted),
  );
}
