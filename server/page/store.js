// What the page knows, folded from what the client tells. Pure: no clock, no IO, no document.
//
// `fold(state, event)` is the whole interface; states are frozen by habit, never changed in place,
// so that a view may tell by identity whether its part changed.

import { caughtUp, live, older, opened, withKeptSteps, withRun } from "./open_thread.js";
import { newState } from "./state.js";
import { hid, listed, met, named, toggled, without, withSummary } from "./thread_lists.js";

/**
 * @import {
 *   InboxData, InitData, InvitationSummary, RunPath, ThreadMessagesData, ThreadSummary
 * } from "./wire.d.ts"
 */
/** @import { ClientEvent, Connection, Noticed } from "./protocol.js" */
/** @import { Run } from "./runs.js" */
/** @import { Prompt, Scope, State } from "./state.js" */

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
 *   | {kind: "kept_read", threadId: string, run: Run, path: RunPath}
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
    case "kept_read":
      return withKeptSteps(state, event);
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
 * @param {State} state
 * @param {string} threadId
 * @returns {State}
 */
function gone(state, threadId) {
  const { lists } = without(without(state, threadId, "mine"), threadId, "hidden");
  return { ...state, lists, thread: state.thread?.id === threadId ? null : state.thread };
}
