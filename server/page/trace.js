// Where a machine stands and how it came there, folded from its transitions. Pure.
//
// A drawing is lit from a trace alone, so the live picture and a replay cannot differ.

/** @import { ChorusResponseData, ThreadEventData, TransitionView } from "./wire.d.ts" */
/** @import { Run } from "./runs.js" */

/** Regions that run side by side in the chorus chart, and where each begins. */
const STEP_STATES = new Set([
  "action",
  "experience",
  "intention",
  "observation",
  "update",
  "yielding",
]);
const HEALTH_STATES = new Set(["stable", "recovering"]);

/** @typedef {TransitionView["machine"]} MachineName */

/**
 * @typedef {object} Refusal an event that a machine refused, from the details of the error
 * @property {MachineName} machine
 * @property {string} instance id of what was asked about
 * @property {string} event
 * @property {string} state
 * @property {readonly string[]} guards those that were false
 * @property {readonly string[]} allowed events that are legal now
 * @property {number} at in ms since the epoch
 */

/**
 * @typedef {object} Trace
 * @property {MachineName} machine
 * @property {ReadonlySet<string>} current names of the states that are active, those around them
 *   included
 * @property {ReadonlyMap<string, number>} counts how often each edge was taken, by its id
 * @property {readonly TransitionView[]} path oldest first
 * @property {TransitionView | null} last
 * @property {(Refusal & {edges: readonly string[]}) | null} refused
 */

/**
 * @param {MachineName} machine
 * @param {readonly string[]} current
 * @returns {Trace}
 */
export function newTrace(machine, current = []) {
  return {
    machine,
    current: new Set(current),
    counts: new Map(),
    path: [],
    last: null,
    refused: null,
  };
}

/**
 * The trace after one more transition.
 *
 * @param {Trace} trace
 * @param {TransitionView} transition
 * @returns {Trace}
 */
export function foldTransition(trace, transition) {
  const counts = new Map(trace.counts);
  counts.set(transition.edge, (counts.get(transition.edge) ?? 0) + 1);
  return {
    ...trace,
    current: entered(trace, transition),
    counts,
    path: [...trace.path, transition],
    last: transition,
    refused: null,
  };
}

/**
 * The trace of one instance through journal entries, oldest first.
 *
 * @param {MachineName} machine
 * @param {string} instance
 * @param {readonly {data: ChorusResponseData | ThreadEventData}[]} entries
 */
export function traceOf(machine, instance, entries) {
  let trace = newTrace(machine);
  for (const { data } of entries) {
    for (const transition of data.transitions) {
      if (transition.machine === machine && transition.instance === instance) {
        trace = foldTransition(trace, transition);
      }
    }
  }
  return trace;
}

/**
 * The active states of a run of which only this much is known.
 *
 * @param {Pick<Run, "status" | "step">} run
 * @returns {string[]}
 */
export function statesOfRun({ status, step }) {
  if (status === "running" || status === "recovering") {
    const health = status === "recovering" ? "recovering" : "stable";
    return ["running", "step", "health", stateOfStep(step), health];
  }
  return [status];
}

/**
 * A step's state in the chart: `yield` is a word of Python's, so the state has another name.
 *
 * @param {Run["step"]} step
 */
export function stateOfStep(step) {
  return step === "yield" ? "yielding" : step;
}

/** @param {string} state */
const isAround = (state) => !HEALTH_STATES.has(state);
/** @param {string} state */
const isHealth = (state) => HEALTH_STATES.has(state);

/**
 * @param {Trace} trace
 * @param {TransitionView} transition
 */
function entered(trace, { target }) {
  if (trace.machine !== "chorus") return new Set([target]);
  if (target === "running") return new Set(statesOfRun({ status: "running", step: "action" }));
  const inStep = STEP_STATES.has(target);
  if (!inStep && !HEALTH_STATES.has(target)) return new Set([target]);
  const left = inStep ? STEP_STATES : HEALTH_STATES;
  const stays = trace.current.has("running")
    ? [...trace.current].filter((state) => !left.has(state))
    : ["running", "step", "health", inStep ? "stable" : "action"];
  // The step stands before the health, as the words beside the drawing have them.
  return new Set(
    inStep ? [...stays.filter(isAround), target, ...stays.filter(isHealth)] : [...stays, target],
  );
}
