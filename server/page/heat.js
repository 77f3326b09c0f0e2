// What a machine did in a period, on its drawing: classes say how wide and dark an edge and a state are,
// and labels lie above it, so that the drawing itself stays as it was committed. Which numbers are in which
// class the server says; how a class looks, `diagrams.heat_scale`.

/** @import { HeatData, MachineHeat } from "./wire.d.ts" */

import { say } from "./language.js";
import { elapsed, spaced } from "./words.js";

const CLASSES = 5; // of each scale
const WARM = ["heat-none", ...Array.from({ length: CLASSES }, (_, step) => `heat-${step}`)];
const GUARDS = /^(\w+)[^[\n]*\[([^\]]*)\]/mu; // event from state [guards] / actions

/** @typedef {{element: Element, text: string, isState: boolean}} Label */

/**
 * The class of a number, from 0; where all numbers are alike, the middle.
 *
 * @param {readonly number[]} begins with which number each class begins
 * @param {number} number
 */
export function classOf(begins, number) {
  if (begins.length < CLASSES) return Math.floor(CLASSES / 2);
  return Math.max(0, begins.filter((begin) => begin <= number).length - 1);
}

/**
 * Each class that a number may be in, with what begins it. Of classes that begin alike the last is meant.
 *
 * @param {readonly number[]} begins
 * @returns {{step: number, begin: number}[]}
 */
export function samples(begins) {
  return begins
    .filter((begin, place) => begin !== begins[place + 1])
    .map((begin) => ({ step: classOf(begins, begin), begin }));
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
 * @param {HeatData} told
 * @returns {Label[]}
 */
export function warm(svg, told) {
  cool(svg);
  svg.classList.add("heat");
  return [...warmStates(svg, told), ...warmEdges(svg, told)];
}

/**
 * @param {SVGElement} svg
 * @param {HeatData} told
 * @returns {Label[]}
 */
function warmStates(svg, { heat: { machine, states, steps }, state_steps_ms }) {
  return Object.entries(states).flatMap(([name, { p50_ms, p95_ms }]) => {
    const element = svg.querySelector(`#state_${machine}_${CSS.escape(name)}`);
    if (!element) return [];
    if (element.classList.contains("atomic")) {
      element.classList.add(`heat-${classOf(state_steps_ms, p95_ms)}`);
    }
    const spent = steps[name] ? tokenWords(steps[name]) : "";
    const held = say.heat.held(elapsed(p50_ms), elapsed(p95_ms));
    return [{ element, text: spent ? `${held} · ${spent}` : held, isState: true }];
  });
}

/**
 * @param {SVGElement} svg
 * @param {HeatData} told
 * @returns {Label[]}
 */
function warmEdges(svg, { heat: { edges, refused }, edge_steps }) {
  // A guard of several edges is told of at the first: which of them it closed is not counted.
  const left = new Set(refused);
  return [...lines(svg).values()].flatMap(({ shown, own }) => {
    const taken = own.filter(({ id }) => edges[id]);
    const total = taken.reduce((sum, { id }) => sum + (edges[id] ?? 0), 0);
    // Edges that share a line have one width, that of all of them.
    shown.classList.add(total > 0 ? `heat-${classOf(edge_steps, total)}` : "heat-none");
    for (const edge of own) if (!edges[edge.id]) edge.classList.add("heat-none");
    return own.flatMap((element) => {
      const count = edges[element.id];
      const words = [
        ...(count ? [`×${count}`] : []),
        ...refusedAt(element, left).map(({ guard, count: times }) =>
          say.heat.refusedAt(spaced(guard), times),
        ),
      ];
      return words.length > 0 ? [{ element, text: words.join(" · "), isState: false }] : [];
    });
  });
}

/**
 * What a guard of this edge refused; it is taken out of what is left.
 *
 * @param {Element} element
 * @param {Set<MachineHeat["refused"][number]>} left
 */
function refusedAt(element, left) {
  const [, event, guards = ""] =
    GUARDS.exec(element.querySelector("title")?.textContent ?? "") ?? [];
  const found = [...left].filter(
    (each) => each.event === event && guards.split(", ").includes(each.guard),
  );
  if (element.querySelector("text") === null) return [];
  for (const each of found) left.delete(each);
  return found;
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
