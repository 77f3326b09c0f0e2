// The thread that is open, folded from its snapshot and its live frames. Pure.

/**
 * @import {
 *   BranchView, ChorusResponseData, LiveFrame, RunPath, RunView, ThreadEventData, ThreadMessagesData
 * } from "./wire.d.ts"
 */
/** @import { Run } from "./runs.js" */
/** @import { Message, State, Thread } from "./state.js" */

import { FINAL, foldRun, forkThatEnded, mergeSnapshot, messageOf, withKept } from "./runs.js";
import { named, summarised, withHidden } from "./thread_lists.js";

/**
 * @param {State} state
 * @param {{snapshot: ThreadMessagesData, epoch: string | null}} event
 */
export function opened(state, { snapshot, epoch }) {
  /** @type {Thread} */
  const base = {
    id: snapshot.thread.id,
    view: snapshot.thread,
    messages: new Map(),
    order: [],
    hasMore: snapshot.has_more,
    headSeq: snapshot.head_seq,
    epoch,
    runs: new Map(),
    invitations: snapshot.invitations,
    links: snapshot.links,
    removals: snapshot.removals,
    branches: snapshot.branches,
    changes: [],
    hidden: new Set(),
    present: [],
    typing: [],
    waitsBecause: null,
  };
  return withSnapshot(state, base, snapshot);
}

/**
 * After a gap: the entries that were missed have been folded, now what has no entry yet.
 *
 * @param {State} state
 * @param {{snapshot: ThreadMessagesData, epoch: string | null}} event
 */
export function caughtUp(state, { snapshot, epoch }) {
  if (state.thread?.id !== snapshot.thread.id) return state;
  const { invitations, links, removals, branches } = snapshot;
  const known = {
    ...state.thread,
    view: snapshot.thread,
    runs: withoutUntold(state.thread.runs, snapshot.runs),
    invitations,
    links,
    removals,
    branches,
    epoch,
  };
  return withSnapshot(state, known, snapshot);
}

/**
 * Without runs of branches that go on and are not told of any more: the user is no co-author now.
 *
 * @param {Thread["runs"]} runs
 * @param {readonly RunView[]} told
 */
function withoutUntold(runs, told) {
  const going = new Set(told.map(({ run_id: id }) => id));
  return new Map(
    [...runs].filter(([id, run]) => !run.isFork || FINAL.has(run.status) || going.has(id)),
  );
}

/**
 * The open thread with what a snapshot of it tells.
 *
 * @param {State} state
 * @param {Thread} known
 * @param {ThreadMessagesData} snapshot
 */
function withSnapshot(state, known, snapshot) {
  const thread = withHiddenOf(
    withRuns(withMessages(known, snapshot.messages), snapshot.runs),
    snapshot,
  );
  const next = withHidden({ ...state, thread }, thread.id, snapshot.hidden ?? false);
  return summarised(named(next, snapshot.names), thread);
}

/**
 * @param {State} state
 * @param {ThreadMessagesData} snapshot
 */
export function older(state, snapshot) {
  if (state.thread?.id !== snapshot.thread.id) return state;
  const thread = {
    ...withHiddenOf(withMessages(state.thread, snapshot.messages), snapshot),
    hasMore: snapshot.has_more,
  };
  return named({ ...state, thread }, snapshot.names);
}

/**
 * @param {State} state
 * @param {LiveFrame} frame
 */
export function live(state, frame) {
  let { thread } = state;
  if (!thread || thread.id !== frame.thread_id) return state;
  if (typeof frame.seq === "number") {
    thread = { ...thread, headSeq: frame.seq, waitsBecause: null };
  }
  if (frame.type === "thread_event") thread = withWhatIsOpen(thread, frame.data);
  if (frame.type === "thread_event" && frame.data.before && frame.data.thread) {
    const { by, at, before, thread: after } = frame.data;
    const change = { seq: frame.seq ?? 0, by, at, place: after.message_count, before, after };
    thread = { ...thread, changes: [...thread.changes, change] };
  }
  if (frame.type === "chorus_response") thread = ran(thread, frame.data);
  else if (frame.data.thread) thread = { ...thread, view: frame.data.thread };
  const message = messageOf(frame);
  if (message) thread = withMessages(thread, [{ ...message, fresh: true }]);
  if (frame.type === "thread_event" && frame.data.kind === "branch_adopted") {
    thread = adopted(thread, frame.data);
  }
  const ended = thread.runs.get(forkThatEnded(frame) ?? "");
  if (ended) {
    const runs = new Map(thread.runs).set(ended.id, { ...ended, status: "finished" });
    thread = { ...thread, runs };
  }
  const next = { ...state, thread };
  return frame.type === "thread_event" || message ? summarised(next, thread) : next;
}

/**
 * The thread with the invitation, the link, the removal and the branch that an event is about while they
 * are open, and without them once they ended.
 *
 * @param {Thread} thread
 * @param {ThreadEventData} event
 * @returns {Thread}
 */
function withWhatIsOpen(thread, { invitation, link, removal, branch }) {
  return {
    ...thread,
    invitations: placed(thread.invitations, invitation, ["invited"]),
    links: placed(thread.links, link, ["open"]),
    removals: placed(thread.removals, removal, ["proposed"]),
    branches: placed(thread.branches, branch, ["growing", "ready", "proposed"]),
  };
}

/**
 * Some values with this version of one, in its place, while it has one of the statuses `open`.
 *
 * @template {{id: string, status: string}} Value
 * @param {readonly Value[]} values
 * @param {Value | undefined} value
 * @param {readonly Value["status"][]} open
 */
function placed(values, value, open) {
  if (!value) return values;
  const place = values.findIndex(({ id }) => id === value.id);
  if (!open.includes(value.status)) return values.filter(({ id }) => id !== value.id);
  return place < 0 ? [...values, value] : values.with(place, value);
}

/**
 * @param {Thread} thread
 * @param {ChorusResponseData} data
 * @returns {Thread}
 */
function ran(thread, data) {
  const runs = new Map(thread.runs);
  const run = foldRun(runs.get(data.run_id), data);
  runs.set(run.id, run);
  const message = thread.messages.get(data.message_id);
  if (!message || run.isFork || message.run_id === data.run_id || data.status === "delta") {
    return { ...thread, runs };
  }
  // A message says which run it started before there was one: the run names its message.
  const messages = new Map(thread.messages).set(message.id, { ...message, run_id: data.run_id });
  return { ...thread, runs, messages };
}

/**
 * The thread in which a forked run is the one that answers its prompt.
 *
 * @param {Thread} thread
 * @param {ThreadEventData} event of the adoption; earlier ones name prompt and run to co-authors alone
 * @returns {Thread}
 */
function adopted(thread, { prompt_id, run_id, branch }) {
  const promptId = prompt_id ?? branch?.message_id;
  const runId = run_id ?? branch?.run_id;
  const prompt = promptId && thread.messages.get(promptId);
  if (!prompt || !runId) return thread;
  const messages = new Map(thread.messages).set(prompt.id, { ...prompt, run_id: runId });
  return { ...thread, messages };
}

/**
 * @param {State} state
 * @param {{threadId: string, run: Run}} event
 * @returns {State}
 */
export function withRun(state, { threadId, run }) {
  if (state.thread?.id !== threadId) return state;
  const known = state.thread.runs.get(run.id);
  if (known && FINAL.has(known.status) && known.records.length >= run.records.length) return state;
  const runs = new Map(state.thread.runs).set(run.id, run);
  return { ...state, thread: { ...state.thread, runs } };
}

/**
 * @param {State} state
 * @param {{threadId: string, run: Run, path: RunPath}} event `run` as it was when `path` was asked for
 * @returns {State}
 */
export function withKeptSteps(state, { threadId, run, path }) {
  if (state.thread?.id !== threadId) return state;
  const known = withKept(state.thread.runs.get(run.id) ?? run, path);
  const runs = new Map(state.thread.runs).set(run.id, known);
  return { ...state, thread: { ...state.thread, runs } };
}

/**
 * @param {Thread} thread
 * @param {readonly RunView[]} views
 * @returns {Thread}
 */
function withRuns(thread, views) {
  const runs = new Map(thread.runs);
  for (const view of views) runs.set(view.run_id, mergeSnapshot(runs.get(view.run_id), view));
  return { ...thread, runs };
}

/**
 * Messages by id, a newer version over an older one; ordered by their index in the thread.
 *
 * @param {Thread} thread
 * @param {readonly Message[]} incoming
 * @returns {Thread}
 */
function withMessages(thread, incoming) {
  const messages = new Map(thread.messages);
  let grew = false;
  for (const message of incoming) {
    const known = messages.get(message.id);
    if (known && known.version > message.version) continue;
    const runId = message.run_id ?? known?.run_id ?? null;
    const fresh = message.fresh ?? known?.fresh ?? false;
    messages.set(message.id, { ...message, fresh, run_id: runId });
    grew ||= !known;
  }
  const order = grew
    ? [...messages.values()].sort((one, other) => one.index - other.index).map(({ id }) => id)
    : thread.order;
  return { ...thread, messages, order };
}

/**
 * The thread with what its user hid of the messages of a snapshot.
 *
 * @param {Thread} thread
 * @param {ThreadMessagesData} snapshot
 * @returns {Thread}
 */
function withHiddenOf(thread, { messages, hidden_messages: ids }) {
  const hidden = new Set(thread.hidden);
  for (const { id } of messages) hidden.delete(id);
  for (const id of ids ?? []) hidden.add(id);
  return { ...thread, hidden };
}
