// What the page knows, folded from what the client tells. Pure: no clock, no IO, no document.
//
// `fold(state, event)` is the whole interface; states are frozen by habit, never changed in place,
// so that a view may tell by identity whether its part changed.

import { FINAL, foldRun, forkThatEnded, mergeSnapshot, messageOf } from "./runs.js";

/**
 * @import {
 *   BranchView, ChorusResponseData, HelloData, InboxData, InitData, InvitationSummary, InvitationView, InviteLinkView, ListThreadsData, LiveFrame, MessageView, RemovalView, RunView,
 *   ThreadEventData, ThreadMessagesData, ThreadSettingsView, ThreadSummary, ThreadView, UserView
 * } from "./wire.d.ts"
 * @import { ClientEvent, Connection, Noticed } from "./protocol.js"
 * @import { Run } from "./runs.js"
 */

/** @typedef {MessageView & {fresh?: boolean}} Message `fresh` came live, and was not read */

/**
 * @typedef {object} Prompt
 * @property {string} id that of its request
 * @property {string} threadId
 * @property {string} text
 * @property {string} [supersedes] the message that it is written anew from
 */

/** @typedef {Exclude<ListThreadsData["scope"], "invited"> | "hidden"} Scope of a list of threads */

/**
 * @typedef {object} SettingsChange told live: a co-author changed what the thread's runs keep to
 * @property {number} seq
 * @property {string | null} by
 * @property {string} at
 * @property {number} place index of the message that came next
 * @property {ThreadSettingsView} before
 * @property {ThreadSettingsView} after
 */

/**
 * @typedef {object} Thread the thread that is open
 * @property {string} id
 * @property {ThreadView} view
 * @property {ReadonlyMap<string, Message>} messages by id
 * @property {readonly string[]} order ids of the messages, oldest first
 * @property {boolean} hasMore whether there are older messages
 * @property {number} headSeq
 * @property {string | null} epoch
 * @property {ReadonlyMap<string, Run>} runs by id, in the order in which they came; those of branches too
 * @property {readonly InvitationView[]} invitations that wait for an answer
 * @property {readonly InviteLinkView[]} links into it that are open
 * @property {readonly BranchView[]} branches that are open
 * @property {readonly RemovalView[]} removals votes on whether a co-author stays
 * @property {readonly SettingsChange[]} changes of its settings that were seen, oldest first
 * @property {ReadonlySet<string>} hidden messages that the user hid
 * @property {readonly string[]} present co-authors who look at it now, this user too
 * @property {readonly string[]} typing those of them who type
 * @property {string | null} waitsBecause why a run of it cannot go on now, since its last entry
 */

/**
 * @typedef {object} ThreadList
 * @property {readonly string[]} ids
 * @property {string | null} next what to ask for after these; null at the end
 */

/**
 * @typedef {object} State
 * @property {Connection} connection
 * @property {HelloData | null} hello
 * @property {UserView | null} user
 * @property {ReadonlyMap<string, ThreadSummary>} summaries by thread, for all lists
 * @property {Record<Scope, ThreadList>} lists
 * @property {ReadonlySet<string>} hidden threads that the user hid, as far as they were met
 * @property {readonly InvitationSummary[]} invitations that wait for this user's answer
 * @property {InboxData | null} inbox what waits for this user and mentions them; null before it was read
 * @property {ReadonlyMap<string, number>} seen by thread: the seq up to which the user has seen it
 * @property {ReadonlyMap<string, string>} names by public key, of those who gave one and were met
 * @property {Thread | null} thread the one that is open
 * @property {readonly Prompt[]} outgoing prompts that the server has not acknowledged yet
 * @property {number} unreadable frames that could not be read, for the notice about them
 * @property {boolean} [isPast] whether the open thread is shown as it was, and is only read
 */

/**
 * @typedef {ClientEvent
 *   | {kind: "renamed_self", name: string}
 *   | {kind: "signed_out"}
 *   | Listed
 *   | {kind: "invited", invitations: readonly InvitationSummary[]}
 *   | {kind: "set_presence", shown: boolean}
 *   | {kind: "inbox", page: InboxData, fresh: boolean}
 *   | {kind: "seen", seen: Iterable<[string, number]>}
 *   | {kind: "older", snapshot: ThreadMessagesData}
 *   | {kind: "closed"}
 *   | {kind: "names", names: Record<string, string>}
 *   | {kind: "met", snapshot: ThreadMessagesData}
 *   | {kind: "run_read", threadId: string, run: Run}
 *   | {kind: "outgoing", prompt: Prompt}
 *   | {kind: "acknowledged", id: string}
 * } StoreEvent
 */

/**
 * @typedef {object} Listed a page of a list of threads
 * @property {"threads"} kind
 * @property {Scope} scope
 * @property {readonly ThreadSummary[]} threads
 * @property {string | null} next
 * @property {boolean} fresh whether it is the first page
 */

/** @returns {State} */
export function newState() {
  return {
    connection: { phase: "offline" },
    hello: null,
    user: null,
    summaries: new Map(),
    lists: {
      mine: { ids: [], next: null },
      public: { ids: [], next: null },
      hidden: { ids: [], next: null },
    },
    hidden: new Set(),
    invitations: [],
    inbox: null,
    seen: new Map(),
    names: new Map(),
    thread: null,
    outgoing: [],
    unreadable: 0,
  };
}

/**
 * The state after one more event.
 *
 * @param {State} state
 * @param {StoreEvent} event
 * @returns {State}
 */
export function fold(state, event) {
  switch (event.kind) {
    case "connection":
      return connected(state, event.connection);
    case "hello":
      return { ...state, hello: event.hello };
    case "init":
      return initialised(state, event.init);
    case "renamed_self":
      return renamedSelf(state, event.name);
    case "signed_out":
      return { ...newState(), hello: state.hello };
    case "threads":
      return listed(state, event);
    case "invited":
      return { ...state, invitations: event.invitations };
    case "inbox":
      return { ...state, inbox: event.fresh ? event.page : longerInbox(state.inbox, event.page) };
    case "seen":
      return { ...state, seen: new Map([...state.seen, ...event.seen]) };
    case "notice":
      return noticed(state, event);
    case "presence":
      return present(state, event);
    case "set_presence":
      return presenceSet(state, event.shown);
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
    case "met":
      return met(state, event.snapshot);
    case "run_read":
      return withRun(state, event);
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

/**
 * @param {State} state
 * @param {string} name
 */
function renamedSelf(state, name) {
  const { user } = state;
  return user ? named({ ...state, user: { ...user, name } }, { [user.public_key]: name }) : state;
}

/**
 * @param {State} state
 * @param {InitData} init
 */
function initialised(state, init) {
  const { user, threads, invitations, next: further } = init;
  const next = named({ ...state, user, invitations }, { [user.public_key]: user.name });
  return listed(next, { kind: "threads", scope: "mine", threads, next: further, fresh: true });
}

/**
 * @param {State} state
 * @param {Listed} page
 * @returns {State}
 */
function listed(state, { scope, threads, next, fresh }) {
  const summaries = new Map(state.summaries);
  for (const summary of threads) summaries.set(summary.id, summary);
  const before = fresh ? [] : state.lists[scope].ids;
  const ids = [...new Set([...before, ...threads.map(({ id }) => id)])];
  let { hidden } = state;
  if (scope !== "public") {
    for (const { id } of threads) hidden = toggled(hidden, id, scope === "hidden");
  }
  return { ...state, summaries, hidden, lists: { ...state.lists, [scope]: { ids, next } } };
}

/**
 * Who is there is told anew after a socket was lost.
 *
 * @param {State} state
 * @param {Connection} connection
 * @returns {State}
 */
function connected(state, connection) {
  const { thread } = state;
  if (connection.phase === "connected" || !thread) return { ...state, connection };
  return { ...state, connection, thread: { ...thread, present: [], typing: [] } };
}

/**
 * @param {State} state
 * @param {{threadId: string, present: readonly string[], typing: readonly string[]}} event
 * @returns {State}
 */
function present(state, { threadId, present: there, typing }) {
  if (state.thread?.id !== threadId || state.user?.hides_presence) return state;
  return { ...state, thread: { ...state.thread, present: there, typing } };
}

/**
 * @param {State} state
 * @param {boolean} shown
 * @returns {State}
 */
function presenceSet(state, shown) {
  const { user, thread } = state;
  return {
    ...state,
    user: user && { ...user, hides_presence: !shown },
    thread: thread && (shown ? thread : { ...thread, present: [], typing: [] }),
  };
}

/**
 * @param {InboxData | null} before
 * @param {InboxData} page that follows
 * @returns {InboxData}
 */
function longerInbox(before, page) {
  return { ...page, items: [...(before?.items ?? []), ...page.items] };
}

/**
 * @param {State} state
 * @param {Noticed} notice
 * @returns {State}
 */
function noticed(state, { threadId, headSeq, what, message, hidden, messageId }) {
  if (what === "hidden") {
    if (messageId === null) return hid(state, threadId, hidden);
    if (state.thread?.id !== threadId) return state;
    const ids = toggled(state.thread.hidden, messageId, hidden);
    return { ...state, thread: { ...state.thread, hidden: ids } };
  }
  if (what === "storage_unavailable") {
    if (state.thread?.id !== threadId) return state;
    return { ...state, thread: { ...state.thread, waitsBecause: message } };
  }
  const summary = state.summaries.get(threadId);
  if (!summary) return state; // a thread that is new to this page is asked for by the caller
  return withSummary(state, { ...summary, head_seq: Math.max(headSeq, summary.head_seq) });
}

/**
 * The thread out of the list that it leaves; that which it enters is read anew.
 *
 * @param {State} state
 * @param {string} id
 * @param {boolean} isHidden
 * @returns {State}
 */
function hid(state, id, isHidden) {
  const left = isHidden ? "mine" : "hidden";
  return withHidden(without(state, id, left), id, isHidden);
}

/**
 * @param {State} state
 * @param {string} id of a thread
 * @param {Scope} scope
 * @returns {State}
 */
function without(state, id, scope) {
  const list = state.lists[scope];
  const ids = list.ids.filter((each) => each !== id);
  return { ...state, lists: { ...state.lists, [scope]: { ...list, ids } } };
}

/**
 * @param {State} state
 * @param {string} id of a thread
 * @param {boolean} isHidden
 * @returns {State}
 */
function withHidden(state, id, isHidden) {
  return { ...state, hidden: toggled(state.hidden, id, isHidden) };
}

/**
 * @param {ReadonlySet<string>} ids
 * @param {string} id
 * @param {boolean} isIn
 */
function toggled(ids, id, isIn) {
  if (ids.has(id) === isIn) return ids;
  const changed = new Set(ids);
  if (isIn) changed.add(id);
  else changed.delete(id);
  return changed;
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

/**
 * The summary in its place; what changed last stands first in the list of one's own.
 *
 * @param {State} state
 * @param {ThreadSummary} summary
 * @returns {State}
 */
function withSummary(state, summary) {
  const summaries = new Map(state.summaries).set(summary.id, summary);
  const mine = state.lists.mine;
  const isMine = state.user !== null && summary.co_authors.includes(state.user.public_key);
  const others = mine.ids.filter((id) => id !== summary.id);
  const ids = isMine && !state.hidden.has(summary.id) ? [summary.id, ...others] : others;
  return { ...state, summaries, lists: { ...state.lists, mine: { ...mine, ids } } };
}

/**
 * @param {State} state
 * @param {Record<string, string | null>} names
 * @returns {State}
 */
function named(state, names) {
  const known = new Map(state.names);
  for (const [key, name] of Object.entries(names)) if (name) known.set(key, name);
  return { ...state, names: known };
}

/**
 * What a thread that is not open, and those who write in it, are called.
 *
 * @param {State} state
 * @param {ThreadMessagesData} snapshot
 * @returns {State}
 */
function met(state, { thread: view, head_seq: headSeq, names }) {
  const summaries = new Map(state.summaries).set(view.id, summaryOf(view, headSeq));
  return named({ ...state, summaries }, names);
}

/**
 * @param {State} state
 * @param {{snapshot: ThreadMessagesData, epoch: string | null}} event
 */
function opened(state, { snapshot, epoch }) {
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
function caughtUp(state, { snapshot, epoch }) {
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
function older(state, snapshot) {
  if (state.thread?.id !== snapshot.thread.id) return state;
  const thread = {
    ...withHiddenOf(withMessages(state.thread, snapshot.messages), snapshot),
    hasMore: snapshot.has_more,
  };
  return named({ ...state, thread }, snapshot.names);
}

/**
 * @param {State} state
 * @param {string} threadId
 * @returns {State}
 */
function gone(state, threadId) {
  const { lists } = without(without(state, threadId, "mine"), threadId, "hidden");
  return { ...state, lists, thread: state.thread?.id === threadId ? null : state.thread };
}

/**
 * @param {State} state
 * @param {LiveFrame} frame
 */
function live(state, frame) {
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
function withRun(state, { threadId, run }) {
  if (state.thread?.id !== threadId) return state;
  const known = state.thread.runs.get(run.id);
  if (known && FINAL.has(known.status) && known.records.length >= run.records.length) return state;
  const runs = new Map(state.thread.runs).set(run.id, run);
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
 * The list entry of the open thread, as the thread itself says.
 *
 * @param {State} state
 * @param {Thread} thread
 */
function summarised(state, { view, headSeq }) {
  const known = state.summaries.get(view.id);
  const unchanged = known && known.updated_at === view.updated_at && known.head_seq === headSeq;
  return unchanged ? state : withSummaryInPlace(state, summaryOf(view, headSeq), known);
}

/**
 * @param {ThreadView} view
 * @param {number} headSeq
 * @returns {ThreadSummary}
 */
function summaryOf(view, headSeq) {
  const { id, name, visibility, status, co_authors, message_count, updated_at } = view;
  return {
    id,
    name,
    visibility,
    status,
    co_authors,
    message_count,
    updated_at,
    head_seq: headSeq,
  };
}

/**
 * @param {State} state
 * @param {ThreadSummary} summary
 * @param {ThreadSummary | undefined} known
 * @returns {State}
 */
function withSummaryInPlace(state, summary, known) {
  const moved = !known || known.head_seq < summary.head_seq;
  if (moved) return withSummary(state, summary);
  return { ...state, summaries: new Map(state.summaries).set(summary.id, summary) };
}
