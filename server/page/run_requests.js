// What a user asks about runs of the open thread: their entries in the journal, two of them side by side, what
// one was asked with and why it did what it did; and the thread as a file.

/** @import { App } from "./app.js" */
/** @import { LiveFrame } from "./wire.d.ts" */
/** @import { Run } from "./runs.js" */
/** @import { Message } from "./state.js" */
/** @import { MachineName } from "./trace.js" */

import { exportJson, exportMarkdown } from "./export.js";
import { download } from "./files.js";
import { say } from "./language.js";
import { FINAL, isOfRun, runOf } from "./runs.js";
import { isCoAuthor } from "./selectors.js";
import { Refused } from "./protocol.js";
import { fileName } from "./words.js";

const AT_ONCE = 200; // messages that are read for a file

/**
 * Read two runs of the open thread side by side; null where they could not be read.
 *
 * @param {App} app
 * @param {string} one id of a run
 * @param {string} other
 */
export async function compare(app, one, other) {
  const threadId = app.state.thread?.id;
  if (!threadId) return null;
  const lasting = app.lifetimes.of("coAuthorship");
  try {
    const data = { thread_id: threadId, run_id: one, other_run_id: other };
    return await app.client.request("compare_runs", data);
  } catch (error) {
    if (!lasting.aborted) app.explain(error, say.comparison.notRead);
    return null;
  }
}

/**
 * What a run of the open thread was asked with; null where that could not be read.
 *
 * @param {App} app
 * @param {string} runId
 */
export async function askedWith(app, runId) {
  const { thread } = app.state;
  if (!thread) return null;
  const lasting = app.lifetimes.of("coAuthorship");
  try {
    // Of its transitions, which are before the last entry, none are wanted.
    const data = { thread_id: thread.id, run_id: runId, after_seq: thread.headSeq };
    return (await app.client.request("explain_run", data)).asked_with ?? null;
  } catch (error) {
    if (!lasting.aborted) app.explain(error, say.branches.notForked);
    return null;
  }
}

/**
 * Read the steps of a message's run from the journal; gives the run, or null where there is none
 * or it could not be read.
 *
 * @param {App} app
 * @param {Message} message
 */
export async function readRun(app, { run_id: runId, index }) {
  const threadId = app.state.thread?.id;
  if (!threadId || !runId) return null;
  const entries = await readEntries(app, "chorus", runId, index);
  const run = runOf(entries.filter((frame) => isOfRun(frame, runId)));
  if (run) app.take({ kind: "run_read", threadId, run });
  return run;
}

/**
 * Read the steps that a forked run kept of the run that it left, where they are not known: each is one to
 * ask "what if?" at. Forked runs are told to co-authors alone.
 *
 * @param {App} app
 * @param {Run} run
 */
export async function readKept(app, run) {
  const threadId = app.state.thread?.id;
  const isKnown = run.records.some(({ isKept }) => isKept);
  if (!threadId || !run.isFork || isKnown || !isCoAuthor(app.state)) return;
  const compared = await compare(app, run.id, run.id);
  if (compared) app.take({ kind: "kept_read", threadId, run, path: compared.one });
}

/**
 * All journal entries about a run or a message, read once.
 *
 * @param {App} app
 * @param {MachineName} machine
 * @param {string} id
 * @param {number} index of the prompt or the message
 */
export async function readEntries(app, machine, id, index) {
  const lasting = app.lifetimes.of("thread");
  try {
    return await app.journal.load(
      id,
      index,
      (entries) => entries.some((frame) => endsRun(frame, id) || endsVote(frame, id)),
      () => (machine === "chorus" ? beginningOf(app, id) : Promise.resolve(null)),
    );
  } catch (error) {
    if (!lasting.aborted) app.explain(error, say.problems.journalNotRead);
    return [];
  }
}

/**
 * The seq of a run's first entry, which may be long after its prompt: it was retried, or forked. Null where
 * that is not told.
 *
 * @param {App} app
 * @param {string} runId
 */
async function beginningOf(app, runId) {
  const { thread } = app.state;
  if (!thread) return null;
  const data = { thread_id: thread.id, run_id: runId, after_seq: thread.headSeq };
  try {
    return (await app.client.request("explain_run", data)).created_seq;
  } catch (error) {
    if (error instanceof Refused) return null;
    throw error;
  }
}

/**
 * A run as its entries that were read tell of it; null where none was.
 *
 * @param {App} app
 * @param {string} id
 */
export function runRead(app, id) {
  return runOf(app.journal.entries(id).filter((frame) => isOfRun(frame, id)));
}

/**
 * Show why a run did what it did, beside its drawing.
 *
 * @param {App} app
 * @param {string} messageId of its prompt
 * @param {string} run
 */
export async function showWhy(app, messageId, run) {
  if (!app.state.thread?.messages.has(messageId)) await app.seek(messageId);
  app.setUi({ machines: true, drawing: "chorus", selected: messageId, run, replay: null });
}

/**
 * @param {App} app
 * @param {"md" | "json"} form
 */
export async function exportThread(app, form) {
  const lasting = app.lifetimes.of("thread");
  while (app.state.thread?.hasMore) {
    const before = app.state.thread.order.length;
    await app.readOlder(AT_ONCE);
    if (lasting.aborted || app.state.thread.order.length === before) return;
  }
  const { thread } = app.state;
  if (!thread) return;
  const text = form === "md" ? exportMarkdown(thread, app.state) : exportJson(thread, app.state);
  download(fileName(thread.view.name, form), text);
}

/**
 * @param {LiveFrame} frame
 * @param {string} id
 */
function endsRun(frame, id) {
  if (!isOfRun(frame, id)) return false;
  return frame.type === "thread_event" || FINAL.has(frame.data.status);
}

/**
 * @param {LiveFrame} frame
 * @param {string} id
 */
function endsVote({ data }, id) {
  return data.transitions.some(
    ({ machine, instance, target }) =>
      machine === "message" && instance === id && target !== "pending",
  );
}
