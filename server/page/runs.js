// One run of the six-step loop, folded from its frames. Pure; live and replay use the same fold.

/**
 * @import {
 *   ChorusResponseData, ErrorCode, LiveFrame, Prior, RenderedText, RunPath, RunView, StepDeltaData,
 *   StepEnum, StepOutput, StepStartedData, StepThinkingData, Usage
 * } from "./wire.d.ts"
 */

/** @type {readonly StepEnum[]} */
export const STEPS = ["action", "experience", "intention", "observation", "update", "yield"];
/** @type {ReadonlySet<string>} */
export const FINAL = new Set(["finished", "failed", "cancelled"]);

/**
 * @typedef {object} Failure an attempt that failed, or what ended the run
 * @property {ErrorCode} code
 * @property {string | null} message
 * @property {number} attempt
 * @property {number | null} retryInMs
 * @property {string | null} partial
 */

/**
 * @typedef {object} StepRecord one step of one iteration
 * @property {StepEnum} step
 * @property {number} iteration from 1
 * @property {number} attempt from 1
 * @property {"running" | "recovering" | "completed" | "stopped"} status
 * @property {string} text as far as it is known
 * @property {number} length of the text in code points
 * @property {readonly RenderedText[]} rendered parts of it as HTML while it is written
 * @property {string} thinking what the model thought aloud, as far as it was seen
 * @property {StepOutput | null} output
 * @property {readonly Prior[] | null} priors of the step that searched the memory
 * @property {boolean | null} memoryAvailable
 * @property {Usage | null} usage
 * @property {boolean} isCut whether the text ended at its length limit
 * @property {readonly Failure[]} failures attempts that failed, oldest first
 * @property {boolean} [isKept] whether a fork has it of the run that it left
 */

/**
 * @typedef {object} Run
 * @property {string} id
 * @property {string} messageId of the prompt
 * @property {"queued" | "running" | "recovering" | "finished" | "failed" | "cancelled"} status
 * @property {StepEnum} step
 * @property {number} iteration from 1
 * @property {number} attempt from 1
 * @property {readonly StepRecord[]} records
 * @property {Failure | null} failure what ended it
 * @property {string | null} stoppedBy key of who stopped it; null for the system
 * @property {string | null} answerId
 * @property {boolean} isFork whether it began with steps of another run
 */

/** @typedef {Pick<StepRecord, "step" | "iteration" | "attempt">} Place where a run stands */

/**
 * A run of which nothing but its ids is known.
 *
 * @param {string} runId
 * @param {string} messageId
 * @param {boolean} isFork
 * @returns {Run}
 */
export function newRun(runId, messageId, isFork = false) {
  return {
    id: runId,
    messageId,
    status: "queued",
    step: "action",
    iteration: 1,
    attempt: 1,
    records: [],
    failure: null,
    stoppedBy: null,
    answerId: null,
    isFork,
  };
}

/**
 * The run after one more frame of it (`data` of a chorus_response).
 *
 * @param {Run | null | undefined} run
 * @param {ChorusResponseData} data
 * @returns {Run}
 */
export function foldRun(run, data) {
  const at = { step: data.step, iteration: data.iteration, attempt: data.attempt };
  const known = run ?? newRun(data.run_id, data.message_id, data.branch_id !== undefined);
  if (FINAL.has(known.status) && !FINAL.has(data.status)) return known; // a final run stays final
  switch (data.status) {
    case "queued":
      return { ...known, ...at, status: "queued" };
    case "started":
      return started(known, at, data);
    case "delta":
      return grown(known, at, data);
    case "thinking":
      return thought(known, at, data);
    case "completed":
      return withRecord({ ...known, ...at, status: "running" }, at, (record) => ({
        ...record,
        attempt: at.attempt,
        status: "completed",
        text: data.text,
        length: codePoints(data.text),
        output: data.output,
        priors: data.priors ?? record.priors,
        memoryAvailable: data.memory_available ?? record.memoryAvailable,
        usage: data.usage,
        isCut: data.cut ?? false,
      }));
    case "recovering":
      return withRecord({ ...known, ...at, status: "recovering" }, at, (record) => ({
        ...record,
        status: "recovering",
        failures: [...record.failures, failure(data)],
      }));
    case "finished":
      return { ...known, ...at, status: "finished", answerId: data.message_id_of_answer };
    case "failed":
      return stopped({ ...known, ...at, status: "failed", failure: failure(data) });
    case "cancelled":
      return stopped({ ...withPartial(known, at, data), status: "cancelled", stoppedBy: data.by });
    default:
      return known;
  }
}

/**
 * The run that these entries tell of, oldest first; null where they tell of none.
 *
 * @param {readonly LiveFrame[]} entries
 */
export function runOf(entries) {
  return entries.reduce(withEntry, /** @type {Run | null} */ (null));
}

/**
 * @param {Run | null} run
 * @param {LiveFrame} frame
 * @returns {Run | null}
 */
function withEntry(run, frame) {
  if (frame.type === "chorus_response") return foldRun(run, frame.data);
  return run && forkThatEnded(frame) === run.id ? { ...run, status: "finished" } : run;
}

/**
 * Whether an entry is one of a run: a forked one ends with what is said of its branch.
 *
 * @param {LiveFrame} frame
 * @param {string} id of the run
 */
export function isOfRun(frame, id) {
  const isItsOwn = frame.type === "chorus_response" && frame.data.run_id === id;
  return isItsOwn || forkThatEnded(frame) === id;
}

/**
 * The id of the forked run that has its answer with this entry; null for any other.
 *
 * @param {LiveFrame} frame
 */
export function forkThatEnded({ type, data }) {
  if (type !== "thread_event" || data.kind !== "branch_ready") return null;
  return data.branch?.run_id ?? null;
}

/**
 * A live run as a snapshot of its thread shows it, over what is known of it already.
 *
 * @param {Run | undefined} run
 * @param {RunView} view
 * @returns {Run}
 */
export function mergeSnapshot(run, view) {
  const base = run ?? newRun(view.run_id, view.message_id, view.branch_id !== undefined);
  if (FINAL.has(base.status)) return base;
  /** @type {Run} */
  let merged = {
    ...base,
    status: view.status,
    step: view.step,
    iteration: view.iteration,
    attempt: view.attempt,
  };
  for (const { step, iteration, attempt, text, output, priors, usage, cut } of view.outputs) {
    merged = withRecord(merged, { step, iteration, attempt }, (record) => ({
      ...record,
      attempt,
      status: "completed",
      text,
      length: codePoints(text),
      output,
      priors: priors ?? record.priors,
      usage,
      isCut: cut ?? false,
    }));
  }
  if (view.status === "queued") return merged;
  const status = view.status === "recovering" ? "recovering" : "running";
  const length = codePoints(view.text);
  return withRecord(merged, merged, (record) => {
    if (record.status === "completed") return record;
    const same = record.attempt === view.attempt;
    const isAhead = same && record.length > length;
    const text = isAhead ? record.text : view.text;
    const rendered = isAhead ? record.rendered : (view.rendered ?? []);
    const thinking = view.thinking ?? (same ? record.thinking : "");
    const texts = { text, length: codePoints(text), rendered, thinking };
    return { ...record, attempt: view.attempt, status, ...texts };
  });
}

/**
 * A forked run with the steps that it kept, which its own entries do not hold. Their tokens are those of the
 * run that made them.
 *
 * @param {Run} run
 * @param {RunPath} path the run as a comparison has it
 * @returns {Run}
 */
export function withKept(run, { origin, steps }) {
  const forked = steps.findIndex(
    ({ step, iteration }) => step === origin?.step && iteration === origin.iteration,
  );
  let kept = steps.slice(0, forked + 1);
  if (origin?.step === "yield" && origin.change.kind !== "step_text") {
    // The answer is asked for again, and may not be there yet.
    kept = steps.filter((_, place) => place !== forked);
  }
  const records = kept.map(
    ({ step, iteration, attempt, text, output, cut }) =>
      /** @type {StepRecord} */ ({
        ...newRecord({ step, iteration, attempt }),
        status: "completed",
        text,
        length: codePoints(text),
        output,
        priors: find(run, { step, iteration })?.priors ?? null,
        isCut: cut ?? false,
        isKept: true,
      }),
  );
  const isOwn = (/** @type {StepRecord} */ { step, iteration }) =>
    !kept.some((each) => each.step === step && each.iteration === iteration);
  return { ...run, records: [...records, ...run.records.filter(isOwn)] };
}

/**
 * The message that a live frame carries; null for most. A failed run has a `message` too: a
 * sentence for users, and none of the thread's messages.
 *
 * @param {LiveFrame} frame
 */
export function messageOf({ type, data }) {
  if (type === "thread_event") return data.message ?? null;
  return data.status === "finished" ? data.message : null;
}

/** @param {string} text */
export function codePoints(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

/**
 * @param {Run} run
 * @param {Place} at
 * @param {StepStartedData} data
 */
function started(run, at, data) {
  return withRecord({ ...run, ...at, status: "running" }, at, (record) => {
    const again = record.attempt !== at.attempt || record.status === "recovering";
    return {
      ...record,
      attempt: at.attempt,
      status: "running",
      text: again ? "" : record.text,
      length: again ? 0 : record.length,
      rendered: again ? [] : record.rendered,
      thinking: again ? "" : record.thinking,
      priors: data.priors ?? record.priors,
      memoryAvailable: data.memory_available ?? record.memoryAvailable,
    };
  });
}

/**
 * Partial text is added only where it begins at the end of what is known.
 *
 * @param {Run} run
 * @param {Place} at
 * @param {StepDeltaData} data
 */
function grown(run, at, data) {
  const record = find(run, at);
  if (!record || record.attempt !== at.attempt || record.status !== "running") return run;
  const [first, ...others] = data.rendered ?? [];
  if (first) {
    const before = record.rendered.filter(({ end }) => end <= first.start);
    const rendered = [...before, first, ...others];
    return withRecord(run, at, (known) => ({ ...known, rendered }));
  }
  if (record.length !== data.offset) return run;
  return withRecord(run, at, (known) => ({
    ...known,
    text: known.text + data.text,
    length: known.length + codePoints(data.text),
  }));
}

/**
 * Thoughts are added as partial text is.
 *
 * @param {Run} run
 * @param {Place} at
 * @param {StepThinkingData} data
 */
function thought(run, at, data) {
  const record = find(run, at);
  if (!record || record.attempt !== at.attempt || record.status !== "running") return run;
  if (codePoints(record.thinking) !== data.offset) return run;
  return withRecord(run, at, (known) => ({ ...known, thinking: known.thinking + data.text }));
}

/**
 * A run whose last step shows what it had written when it was stopped.
 *
 * @param {Run} run
 * @param {Place} at
 * @param {{partial?: string}} data
 * @returns {Run}
 */
function withPartial(run, at, { partial }) {
  if (partial === undefined) return { ...run, ...at };
  return withRecord({ ...run, ...at }, at, (record) => ({
    ...record,
    text: partial,
    length: codePoints(partial),
  }));
}

/**
 * @param {Run} run
 * @returns {Run}
 */
function stopped(run) {
  const records = run.records.map((record) =>
    record.status === "completed"
      ? record
      : { ...record, status: /** @type {const} */ ("stopped") },
  );
  return { ...run, records };
}

/**
 * @param {{
 *   code: ErrorCode, message?: string, attempt: number, retry_in_ms?: number, partial?: string
 * }} data
 * @returns {Failure}
 */
function failure({ code, message, attempt, retry_in_ms: retryInMs, partial }) {
  return {
    code,
    message: message ?? null,
    attempt,
    retryInMs: retryInMs ?? null,
    partial: partial ?? null,
  };
}

/**
 * The record of a step and its iteration; undefined where there is none.
 *
 * @param {Run} run
 * @param {Pick<Place, "step" | "iteration">} at
 */
export function find(run, { step, iteration }) {
  return run.records.find((record) => record.step === step && record.iteration === iteration);
}

/**
 * @param {Run} run
 * @param {Place} at
 * @param {(record: StepRecord) => StepRecord} change
 * @returns {Run}
 */
function withRecord(run, at, change) {
  const place = run.records.findIndex(
    (record) => record.step === at.step && record.iteration === at.iteration,
  );
  const known = run.records[place];
  if (!known) return { ...run, records: [...run.records, change(newRecord(at))] };
  return { ...run, records: run.records.with(place, change(known)) };
}

/**
 * @param {Place} at
 * @returns {StepRecord}
 */
function newRecord({ step, iteration, attempt }) {
  return {
    step,
    iteration,
    attempt,
    status: "running",
    text: "",
    length: 0,
    rendered: [],
    thinking: "",
    output: null,
    priors: null,
    memoryAvailable: null,
    usage: null,
    isCut: false,
    failures: [],
  };
}
