// One run of the six-step loop, folded from its frames. Pure; live and replay use the same fold.

export const STEPS = ["action", "experience", "intention", "observation", "update", "yield"];
export const FINAL = new Set(["finished", "failed", "cancelled"]);

/**
 * @typedef {object} StepRecord one step of one iteration
 * @property {string} step
 * @property {number} iteration from 1
 * @property {number} attempt from 1
 * @property {"running" | "recovering" | "completed" | "stopped"} status
 * @property {string} text as far as it is known
 * @property {number} length of the text in code points
 * @property {object | null} output
 * @property {object[] | null} priors with experience alone
 * @property {boolean | null} memoryAvailable
 * @property {object | null} usage
 * @property {object[]} failures attempts that failed, oldest first
 */

/** A run of which nothing but its ids is known. */
export function newRun(runId, messageId) {
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
  };
}

/** The run after one more frame of it (`data` of a chorus_response). */
export function foldRun(run, data) {
  const at = { step: data.step, iteration: data.iteration, attempt: data.attempt };
  const known = run ?? newRun(data.run_id, data.message_id);
  if (FINAL.has(known.status) && !FINAL.has(data.status)) return known; // a final run stays final
  switch (data.status) {
    case "queued":
      return { ...known, ...at, status: "queued" };
    case "started":
      return started(known, at, data);
    case "delta":
      return grown(known, at, data);
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
      return stopped({ ...known, ...at, status: "cancelled", stoppedBy: data.by });
    default:
      return known;
  }
}

/** A live run as a snapshot of its thread shows it, over what is known of it already. */
export function mergeSnapshot(run, view) {
  const base = run ?? newRun(view.run_id, view.message_id);
  if (FINAL.has(base.status)) return base;
  let merged = {
    ...base,
    status: view.status,
    step: view.step,
    iteration: view.iteration,
    attempt: view.attempt,
  };
  for (const { step, iteration, attempt, text, output, priors, usage } of view.outputs) {
    merged = withRecord(merged, { step, iteration, attempt }, (record) => ({
      ...record,
      attempt,
      status: "completed",
      text,
      length: codePoints(text),
      output,
      priors: priors ?? record.priors,
      usage,
    }));
  }
  if (view.status === "queued") return merged;
  const status = view.status === "recovering" ? "recovering" : "running";
  const length = codePoints(view.text);
  return withRecord(merged, merged, (record) => {
    if (record.status === "completed") return record;
    const same = record.attempt === view.attempt;
    const text = same && record.length > length ? record.text : view.text;
    return { ...record, attempt: view.attempt, status, text, length: codePoints(text) };
  });
}

/** The records of one step, one for each iteration, in order. */
export function recordsOf(run, step) {
  return run.records.filter((record) => record.step === step);
}

/** Tokens of all steps whose usage is known; null where none is. */
export function totalTokens(run) {
  const known = run.records.filter((record) => record.usage);
  if (known.length === 0) return null;
  return known.reduce((sum, record) => sum + record.usage.total_tokens, 0);
}

/** What became of each prior of the run: the last word on it, by message id. */
export function priorsOf(run) {
  const priors = new Map();
  for (const record of run.records) {
    for (const prior of record.priors ?? []) {
      const before = priors.get(prior.message_id);
      priors.set(prior.message_id, { ...before, ...prior, used: before?.used ?? false });
    }
    for (const id of record.output?.used ?? []) mark(priors, id, { used: true });
    for (const { message_id: id, why } of record.output?.selected_priors ?? []) {
      mark(priors, id, { selected: true, why });
    }
    if (record.step === "yield") {
      for (const { message_id: id, label } of record.output?.citations ?? []) {
        mark(priors, id, { cited: true, label });
      }
    }
  }
  return priors;
}

export function codePoints(text) {
  let count = 0;
  for (const _ of text) count += 1;
  return count;
}

function mark(priors, id, marks) {
  const prior = priors.get(id);
  if (prior) priors.set(id, { ...prior, ...marks });
}

function started(run, at, data) {
  return withRecord({ ...run, ...at, status: "running" }, at, (record) => {
    const again = record.attempt !== at.attempt || record.status === "recovering";
    return {
      ...record,
      attempt: at.attempt,
      status: "running",
      text: again ? "" : record.text,
      length: again ? 0 : record.length,
      priors: data.priors ?? record.priors,
      memoryAvailable: data.memory_available ?? record.memoryAvailable,
    };
  });
}

/** Partial text is added only where it begins at the end of what is known. */
function grown(run, at, data) {
  const record = find(run, at);
  if (!record || record.attempt !== at.attempt || record.status !== "running") return run;
  if (record.length !== data.offset) return run;
  return withRecord(run, at, (known) => ({
    ...known,
    text: known.text + data.text,
    length: known.length + codePoints(data.text),
  }));
}

function stopped(run) {
  const records = run.records.map((record) =>
    record.status === "completed" ? record : { ...record, status: "stopped" },
  );
  return { ...run, records };
}

function failure({ code, message, attempt, retry_in_ms: retryInMs, partial }) {
  return {
    code,
    message: message ?? null,
    attempt,
    retryInMs: retryInMs ?? null,
    partial: partial ?? null,
  };
}

function find(run, { step, iteration }) {
  return run.records.find((record) => record.step === step && record.iteration === iteration);
}

function withRecord(run, at, change) {
  const fresh = {
    step: at.step,
    iteration: at.iteration,
    attempt: at.attempt,
    status: "running",
    text: "",
    length: 0,
    output: null,
    priors: null,
    memoryAvailable: null,
    usage: null,
    failures: [],
  };
  const place = run.records.findIndex(
    (record) => record.step === at.step && record.iteration === at.iteration,
  );
  if (place < 0) return { ...run, records: [...run.records, change(fresh)] };
  return { ...run, records: run.records.with(place, change(run.records[place])) };
}
