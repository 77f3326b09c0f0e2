// What the page knows, folded from what the client tells. Pure: no clock, no IO, no document.
//
// `fold(state, event)` is the whole interface; states are frozen by habit, never changed in place,
// so that a view may tell by identity whether its part changed.

import { FINAL, foldRun, mergeSnapshot } from "./runs.js";

export function newState() {
  return {
    connection: { phase: "offline" },
    hello: null,
    user: null,
    /** Thread summaries by id, for both lists. */
    summaries: new Map(),
    lists: { mine: { ids: [], next: null }, public: { ids: [], next: null } },
    /** By thread: the seq up to which this person has seen it. */
    seen: new Map(),
    /** Names of people by public key, as far as they gave one and were met. */
    names: new Map(),
    /** The thread that is open; null while there is none. */
    thread: null,
    /** Prompts that the server has not acknowledged yet. */
    outgoing: [],
    /** Frames that could not be read, for the notice about them. */
    unreadable: 0,
  };
}

/** The state after one more event. */
export function fold(state, event) {
  switch (event.kind) {
    case "connection":
      return { ...state, connection: event.connection };
    case "hello":
      return { ...state, hello: event.hello };
    case "init":
      return initialised(state, event.init);
    case "renamed_self":
      return named(
        { ...state, user: { ...state.user, name: event.name } },
        {
          [state.user.public_key]: event.name,
        },
      );
    case "signed_out":
      return { ...newState(), hello: state.hello };
    case "threads":
      return listed(state, event);
    case "seen":
      return { ...state, seen: new Map([...state.seen, ...event.seen]) };
    case "notice":
      return noticed(state, event);
    case "opened":
      return opened(state, event);
    case "caught_up":
      return caughtUp(state, event);
    case "older":
      return older(state, event.snapshot);
    case "closed":
      return { ...state, thread: null };
    case "gone":
      return gone(state, event.threadId);
    case "live":
      return live(state, event.frame);
    case "names":
      return named(state, event.names);
    case "run_read":
      return event.threadId === state.thread?.id ? withRun(state, event.run) : state;
    case "outgoing":
      return { ...state, outgoing: [...state.outgoing, event.prompt] };
    case "acknowledged":
      return { ...state, outgoing: state.outgoing.filter(({ id }) => id !== event.id) };
    case "unreadable":
      return { ...state, unreadable: state.unreadable + 1 };
    default:
      return state;
  }
}

/** Whether a thread has entries that this person has not seen. */
export function isUnread(state, summary) {
  return summary.id !== state.thread?.id && summary.head_seq > (state.seen.get(summary.id) ?? 0);
}

/** Runs of the open thread that are not over, the oldest first. */
export function liveRuns(state) {
  if (!state.thread) return [];
  return [...state.thread.runs.values()].filter((run) => !FINAL.has(run.status));
}

const answered = new WeakMap(); // messages of a thread -> ids of the runs that gave one of them

/** Ids of the runs whose answers are among the messages that are here. */
export function answeredRuns({ messages }) {
  let runs = answered.get(messages);
  if (!runs) {
    runs = new Set();
    for (const { role, run_id: id } of messages.values()) if (role === "chorus") runs.add(id);
    answered.set(messages, runs);
  }
  return runs;
}

export function isCoAuthor(state) {
  return Boolean(state.thread?.view.co_authors.includes(state.user?.public_key));
}

/** Prompts under way in the open thread that have not come back as messages yet. */
export function unsent(state) {
  if (!state.thread) return [];
  return state.outgoing.filter(
    ({ threadId, text }) => threadId === state.thread.id && !cameBack(state, text),
  );
}

/** The live frame may come before the acknowledgement: then the prompt is not shown twice. */
function cameBack(state, text) {
  const last = state.thread.order.slice(-4).map((id) => state.thread.messages.get(id));
  return last.some(
    ({ author, content, fresh }) => fresh && author === state.user.public_key && content === text,
  );
}

function initialised(state, init) {
  const next = named({ ...state, user: init.user }, { [init.user.public_key]: init.user.name });
  return listed(next, { scope: "mine", threads: init.threads, next: null, fresh: true });
}

function listed(state, { scope, threads, next, fresh }) {
  const summaries = new Map(state.summaries);
  for (const summary of threads) summaries.set(summary.id, summary);
  const before = fresh ? [] : state.lists[scope].ids;
  const ids = [...new Set([...before, ...threads.map(({ id }) => id)])];
  return { ...state, summaries, lists: { ...state.lists, [scope]: { ids, next } } };
}

function noticed(state, { threadId, headSeq }) {
  const summary = state.summaries.get(threadId);
  if (!summary) return state; // a thread that is new to this page is asked for by the caller
  return withSummary(state, { ...summary, head_seq: Math.max(headSeq, summary.head_seq) });
}

/** The summary in its place; what changed last stands first in the list of one's own. */
function withSummary(state, summary) {
  const summaries = new Map(state.summaries).set(summary.id, summary);
  const mine = state.lists.mine;
  const isMine = summary.co_authors.includes(state.user.public_key);
  const others = mine.ids.filter((id) => id !== summary.id);
  const ids = isMine ? [summary.id, ...others] : others;
  return { ...state, summaries, lists: { ...state.lists, mine: { ...mine, ids } } };
}

function named(state, names) {
  const known = new Map(state.names);
  for (const [key, name] of Object.entries(names)) if (name) known.set(key, name);
  return { ...state, names: known };
}

function opened(state, { snapshot, epoch }) {
  const base = {
    id: snapshot.thread.id,
    view: snapshot.thread,
    messages: new Map(),
    order: [],
    hasMore: snapshot.has_more,
    headSeq: snapshot.head_seq,
    epoch,
    runs: new Map(),
  };
  const thread = withRuns(withMessages(base, snapshot.messages), snapshot.runs);
  return summarised(named({ ...state, thread }, snapshot.names));
}

/** After a gap: the entries that were missed have been folded, now what has no entry yet. */
function caughtUp(state, { snapshot, epoch }) {
  if (state.thread?.id !== snapshot.thread.id) return state;
  const known = { ...state.thread, view: snapshot.thread, epoch };
  const thread = withRuns(withMessages(known, snapshot.messages), snapshot.runs);
  return summarised(named({ ...state, thread }, snapshot.names));
}

function older(state, snapshot) {
  if (state.thread?.id !== snapshot.thread.id) return state;
  const thread = {
    ...withMessages(state.thread, snapshot.messages),
    hasMore: snapshot.has_more,
  };
  return named({ ...state, thread }, snapshot.names);
}

function gone(state, threadId) {
  const mine = state.lists.mine;
  const ids = mine.ids.filter((id) => id !== threadId);
  const lists = { ...state.lists, mine: { ...mine, ids } };
  return { ...state, lists, thread: state.thread?.id === threadId ? null : state.thread };
}

function live(state, frame) {
  if (state.thread?.id !== frame.thread_id) return state;
  let { thread } = state;
  if (Number.isInteger(frame.seq)) thread = { ...thread, headSeq: frame.seq };
  const { data } = frame;
  if (frame.type === "chorus_response") thread = ran(thread, data);
  if (data.thread) thread = { ...thread, view: data.thread };
  // A failed run has a `message` too: a sentence for people, and none of the thread's messages.
  const hasMessage = Boolean(data.message?.id);
  if (hasMessage) thread = withMessages(thread, [{ ...data.message, fresh: true }]);
  const next = { ...state, thread };
  return frame.type === "thread_event" || hasMessage ? summarised(next) : next;
}

function ran(thread, data) {
  const runs = new Map(thread.runs);
  const run = foldRun(runs.get(data.run_id), data);
  runs.set(run.id, run);
  const message = thread.messages.get(data.message_id);
  if (!message || message.run_id === data.run_id || data.status === "delta") {
    return { ...thread, runs };
  }
  // A message says which run it started before there was one: the run names its message.
  const messages = new Map(thread.messages).set(message.id, { ...message, run_id: data.run_id });
  return { ...thread, runs, messages };
}

function withRun(state, run) {
  const known = state.thread.runs.get(run.id);
  if (known && FINAL.has(known.status) && known.records.length >= run.records.length) return state;
  const runs = new Map(state.thread.runs).set(run.id, run);
  return { ...state, thread: { ...state.thread, runs } };
}

function withRuns(thread, views) {
  const runs = new Map(thread.runs);
  for (const view of views) runs.set(view.run_id, mergeSnapshot(runs.get(view.run_id), view));
  return { ...thread, runs };
}

/** Messages by id, a newer version over an older one; ordered by their index in the thread. */
function withMessages(thread, incoming) {
  const messages = new Map(thread.messages);
  let grew = false;
  for (const message of incoming) {
    const known = messages.get(message.id);
    if (known && known.version > message.version) continue;
    const runId = message.run_id ?? known?.run_id ?? null;
    messages.set(message.id, { ...message, fresh: message.fresh || known?.fresh, run_id: runId });
    grew ||= !known;
  }
  const order = grew
    ? [...messages.values()].sort((one, other) => one.index - other.index).map(({ id }) => id)
    : thread.order;
  return { ...thread, messages, order };
}

/** The list entry of the open thread, as the thread itself says. */
function summarised(state) {
  const { view, headSeq } = state.thread;
  const { id, name, visibility, status, co_authors, message_count, updated_at } = view;
  const known = state.summaries.get(id);
  const summary = {
    id,
    name,
    visibility,
    status,
    co_authors,
    message_count,
    updated_at,
    head_seq: headSeq,
  };
  const unchanged = known && known.updated_at === updated_at && known.head_seq === headSeq;
  return unchanged ? state : withSummaryInPlace(state, summary, known);
}

function withSummaryInPlace(state, summary, known) {
  const moved = !known || known.head_seq < summary.head_seq;
  if (moved) return withSummary(state, summary);
  return { ...state, summaries: new Map(state.summaries).set(summary.id, summary) };
}
