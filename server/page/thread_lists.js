// The lists of threads, which of them are hidden, and what threads and users are called. Pure.

/** @import { ThreadMessagesData, ThreadSummary, ThreadView } from "./wire.d.ts" */
/** @import { Scope, State, Thread } from "./state.js" */
/** @import { Listed } from "./store.js" */

/**
 * @param {State} state
 * @param {Listed} page
 * @returns {State}
 */
export function listed(state, { scope, threads, next, fresh }) {
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
 * The thread out of the list that it leaves; that which it enters is read anew.
 *
 * @param {State} state
 * @param {string} id
 * @param {boolean} isHidden
 * @returns {State}
 */
export function hid(state, id, isHidden) {
  const left = isHidden ? "mine" : "hidden";
  return withHidden(without(state, id, left), id, isHidden);
}

/**
 * @param {State} state
 * @param {string} id of a thread
 * @param {Scope} scope
 * @returns {State}
 */
export function without(state, id, scope) {
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
export function withHidden(state, id, isHidden) {
  return { ...state, hidden: toggled(state.hidden, id, isHidden) };
}

/**
 * @param {ReadonlySet<string>} ids
 * @param {string} id
 * @param {boolean} isIn
 */
export function toggled(ids, id, isIn) {
  if (ids.has(id) === isIn) return ids;
  const changed = new Set(ids);
  if (isIn) changed.add(id);
  else changed.delete(id);
  return changed;
}

/**
 * The summary in its place; what changed last stands first in the list of one's own.
 *
 * @param {State} state
 * @param {ThreadSummary} summary
 * @returns {State}
 */
export function withSummary(state, summary) {
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
export function named(state, names) {
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
export function met(state, { thread: view, head_seq: headSeq, names }) {
  const summaries = new Map(state.summaries).set(view.id, summaryOf(view, headSeq));
  return named({ ...state, summaries }, names);
}

/**
 * The list entry of the open thread, as the thread itself says.
 *
 * @param {State} state
 * @param {Thread} thread
 */
export function summarised(state, { view, headSeq }) {
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
