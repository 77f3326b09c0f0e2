// Where a machine stands and how it came there, folded from its transitions. Pure.
//
// A drawing is lit from a trace alone, so the live picture and a replay cannot differ.

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

/**
 * @typedef {object} Trace
 * @property {string} machine chorus, message, connection or thread
 * @property {Set<string>} current names of the states that are active, those around them included
 * @property {Map<string, number>} counts how often each edge was taken, by its id
 * @property {object[]} path the transitions, oldest first
 * @property {object | null} last the last transition
 * @property {{edges: string[], event: string, guards: string[]} | null} refused
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

/** The trace after one more transition (a TransitionView of the wire). */
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

/** The trace of one instance through journal entries, oldest first. */
export function traceOf(machine, instance, entries) {
  let trace = newTrace(machine);
  for (const { data } of entries) {
    for (const transition of data.transitions ?? []) {
      if (transition.machine === machine && transition.instance === instance) {
        trace = foldTransition(trace, transition);
      }
    }
  }
  return trace;
}

/** The active states of a run of which only this much is known. */
export function statesOfRun({ status, step }) {
  if (status === "running" || status === "recovering") {
    const health = status === "recovering" ? "recovering" : "stable";
    return ["running", "step", "health", stateOfStep(step), health];
  }
  return [status];
}

/** A step's state in the chart: `yield` is a word of Python's, so the state has another name. */
export function stateOfStep(step) {
  return step === "yield" ? "yielding" : step;
}

const isAround = (state) => !HEALTH_STATES.has(state);
const isHealth = (state) => HEALTH_STATES.has(state);

function entered(trace, { target }) {
  if (trace.machine !== "chorus") return new Set([target]);
  if (target === "running") return new Set(statesOfRun({ status: "running", step: "action" }));
  const inStep = STEP_STATES.has(target);
  if (!inStep && !HEALTH_STATES.has(target)) return new Set([target]);
  const left = inStep ? STEP_STATES : HEALTH_STATES;
  const stays = trace.current.has("running")
    ? [...trace.current].filter((state) => !left.has(state))
    : ["running", "step", "health", inStep ? "stable" : "action"];
  // The step stands before the health, as people name them.
  return new Set(
    inStep ? [...stays.filter(isAround), target, ...stays.filter(isHealth)] : [...stays, target],
  );
}
