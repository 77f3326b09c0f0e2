// What is read out of a run: its records by step, its tokens, what became of its priors, where its steps stand.
// Pure.

/** @import { Prior, StepEnum } from "./wire.d.ts" */
/** @import { Run, StepRecord } from "./runs.js" */

import { find, STEPS } from "./runs.js";

/** @typedef {StepRecord["status"] | "waiting" | "skipped" | "kept" | "failed"} StepState */

/** @typedef {{used: boolean, selected?: true, why?: string, cited?: true, label?: string}} Fate */

/**
 * The records of one step, one for each iteration, in order.
 *
 * @param {{records: readonly StepRecord[]}} run
 * @param {StepEnum} step
 */
export function recordsOf(run, step) {
  return run.records.filter((record) => record.step === step);
}

/**
 * Tokens of all steps whose usage is known; null where none is.
 *
 * @param {Run} run
 */
export function totalTokens(run) {
  const known = run.records.map(({ usage }) => usage).filter((usage) => usage !== null);
  if (known.length === 0) return null;
  return known.reduce((sum, usage) => sum + usage.total_tokens, 0);
}

/**
 * What became of each prior of the run: the last word on it, by message id.
 *
 * @param {{records: readonly StepRecord[]}} run
 */
export function priorsOf(run) {
  /** @type {Map<string, Prior & Fate>} */
  const priors = new Map();
  for (const { priors: found, output } of run.records) {
    for (const prior of found ?? []) {
      const before = priors.get(prior.message_id);
      priors.set(prior.message_id, { ...before, ...prior, used: before?.used ?? false });
    }
    switch (output?.step) {
      case "experience":
        for (const id of output.used) mark(priors, id, { used: true });
        break;
      case "intention":
        for (const { message_id: id, why } of output.selected_priors) {
          mark(priors, id, { selected: true, why });
        }
        break;
      case "yield":
        for (const { message_id: id, label } of output.citations) {
          mark(priors, id, { cited: true, label });
        }
        break;
      default:
    }
  }
  return priors;
}

/**
 * How often the run went through its steps.
 *
 * @param {Run} run
 */
export function loopsOf(run) {
  return Math.max(1, ...run.records.map((record) => record.iteration));
}

/**
 * Where each step stands in the loop that the run is in. A step without a record is skipped where a
 * later one of the same loop has begun, or the run has its answer; before the first one of a fork it
 * is kept from the run that it left.
 *
 * @param {Run} run
 * @returns {Map<StepEnum, StepState>}
 */
export function stepStates(run) {
  const begun = run.records.filter(
    ({ iteration, isKept }) => iteration === run.iteration && !isKept,
  );
  const places = begun.map(({ step }) => STEPS.indexOf(step));
  const furthest = Math.max(-1, ...places);
  const kept = run.isFork ? Math.min(STEPS.indexOf(run.step), ...places) : 0;
  return new Map(
    STEPS.map((step, place) => [
      step,
      place < kept ? "kept" : stateOf(run, step, place < furthest),
    ]),
  );
}

/**
 * @param {Run} run
 * @param {StepEnum} step
 * @param {boolean} isBehind whether a later step has begun
 * @returns {StepState}
 */
function stateOf(run, step, isBehind) {
  const record = find(run, { step, iteration: run.iteration });
  if (!record) return isBehind || run.status === "finished" ? "skipped" : "waiting";
  if (record.status === "stopped") return run.status === "failed" ? "failed" : "stopped";
  return record.status;
}

/**
 * @param {Map<string, Prior & Fate>} priors
 * @param {string} id
 * @param {Partial<Fate>} marks
 */
function mark(priors, id, marks) {
  const prior = priors.get(id);
  if (prior) priors.set(id, { ...prior, ...marks });
}
