// What is read out of the state: which runs are under way, which answer belongs to which prompt, who may
// do what. Pure.

/** @import { ThreadSummary, UserView } from "./wire.d.ts" */
/** @import { Run } from "./runs.js" */
/** @import { Message, Prompt, State, Thread } from "./state.js" */

import { FINAL } from "./runs.js";

/**
 * Whether a thread has entries that this user has not seen.
 *
 * @param {State} state
 * @param {ThreadSummary} summary
 */
export function isUnread(state, summary) {
  return summary.id !== state.thread?.id && summary.head_seq > (state.seen.get(summary.id) ?? 0);
}

/**
 * Runs of the open thread that are not over, those of its branches too, the oldest first.
 *
 * @param {State} state
 */
function liveRuns({ thread }) {
  return [...(thread?.runs.values() ?? [])].filter((run) => !FINAL.has(run.status));
}

/**
 * How many runs of the open thread go before a queued one, as far as the user is told of them.
 *
 * @param {State} state
 * @param {Run} run
 */
export function runsBefore(state, run) {
  const runs = liveRuns(state);
  const place = runs.findIndex(({ id }) => id === run.id);
  // What runs goes before all that waits, also where it was queued later.
  return runs.filter(
    (each, index) => each.id !== run.id && (each.status !== "queued" || index < place),
  ).length;
}

/**
 * The run that the user may want to stop: their own, the one at work before one that waits; else
 * the one that is at work. Never one of somebody else's that waits.
 *
 * @param {State} state
 */
export function runToStop(state) {
  if (!isCoAuthor(state)) return null;
  const runs = liveRuns(state).filter((run) => !run.isFork);
  const own = runs.filter((run) => isOwn(state, run));
  const isAtWork = (/** @type {Run} */ { status }) => status !== "queued";
  return own.find(isAtWork) ?? own.at(-1) ?? runs.find(isAtWork) ?? null;
}

/**
 * Whether a run answers the user's own prompt.
 *
 * @param {State} state
 * @param {Run} run
 */
export function isOwn(state, run) {
  const author = authorOf(state, run);
  return author !== null && author === state.user?.public_key;
}

/**
 * Key of who wrote the prompt of a run; null where the prompt is not here.
 *
 * @param {State} state
 * @param {Run} run
 */
export function authorOf({ thread }, run) {
  return thread?.messages.get(run.messageId)?.author ?? null;
}

/**
 * @typedef {object} Exchanges prompts and what belongs to them
 * @property {readonly string[]} roots ids of the messages that stand by themselves, oldest first
 * @property {ReadonlyMap<string, string>} answers id of the answer, by the id of its prompt
 */

/** @type {WeakMap<Thread["messages"], Exchanges>} */
const arranged = new WeakMap();

/**
 * Each answer with its prompt; an answer whose prompt is not here stands by itself. An answer that was
 * adopted takes the place of the one before, which is shown no more.
 *
 * @param {Thread} thread
 * @returns {Exchanges}
 */
export function exchangesOf(thread) {
  const known = arranged.get(thread.messages);
  if (known) return known;
  const all = messagesOf(thread);
  const byRun = new Map(
    all.flatMap(({ id, role, run_id: runId }) => (role === "chorus" && runId ? [[runId, id]] : [])),
  );
  const successors = new Map(
    all.flatMap(({ id, role, superseded_by: next }) =>
      role === "chorus" && next && thread.messages.has(next) ? [[id, next]] : [],
    ),
  );
  /** @type {Map<string, string>} */
  const answers = new Map();
  /** @type {Set<string>} */
  const nested = new Set();
  for (const { id, role, run_id: runId } of all) {
    let answer = role === "user" && runId ? byRun.get(runId) : undefined;
    while (answer !== undefined) {
      answers.set(id, answer);
      nested.add(answer);
      answer = successors.get(answer);
    }
  }
  for (const replaced of successors.keys()) nested.add(replaced);
  const roots = all.flatMap(({ id }) => (nested.has(id) ? [] : [id]));
  const exchanges = { roots, answers };
  arranged.set(thread.messages, exchanges);
  return exchanges;
}

/**
 * The run of a prompt that the user is told of. Where its answer was adopted from a branch, outsiders are told
 * of the run before alone.
 *
 * @param {State} state
 * @param {Message} prompt
 * @returns {{id: string | null, isItsOwn: boolean}} `isItsOwn`: whether it gave the answer that is shown
 */
export function toldRun({ thread, user }, { id: promptId, run_id: runId }) {
  const known = { id: runId, isItsOwn: true };
  if (!thread || (user && thread.view.co_authors.includes(user.public_key))) return known;
  const shown = thread.messages.get(exchangesOf(thread).answers.get(promptId) ?? "");
  if (!shown?.forked_from) return known;
  let id = shown.forked_from.run_id;
  for (const { run_id: own, forked_from: fork } of messagesOf(thread).toReversed()) {
    if (own === id && fork) id = fork.run_id;
  }
  return { id, isItsOwn: false };
}

/**
 * The messages that are here, oldest first.
 *
 * @param {Thread} thread
 */
export function messagesOf({ order, messages }) {
  return order.map((id) => messages.get(id)).filter((message) => message !== undefined);
}

/**
 * The user's newest message in the open thread, where they may write it anew; else null.
 *
 * @param {State} state
 */
export function editable(state) {
  const { thread, user } = state;
  if (!user || thread?.view.status !== "active") return null;
  const newest = messagesOf(thread).findLast(
    ({ author, status }) =>
      author === user.public_key && (status === "approved" || status === "pending"),
  );
  // What the thread has approved is no outsider's to take out of it.
  return newest && (newest.status === "pending" || isCoAuthor(state)) ? newest : null;
}

/** @param {State} state */
export function isCoAuthor({ thread, user, isPast }) {
  return Boolean(!isPast && user && thread?.view.co_authors.includes(user.public_key));
}

/**
 * Whether the user may let a run of the open thread go on in another way.
 *
 * @param {State} state
 */
export function mayFork(state) {
  return state.thread?.view.status === "active" && isCoAuthor(state);
}

/**
 * Prompts under way in the open thread that have not come back as messages yet.
 *
 * @param {State} state
 */
export function unsent({ thread, user, outgoing }) {
  if (!thread) return [];
  return outgoing.filter(
    ({ threadId, text }) => threadId === thread.id && !cameBack(thread, user, text),
  );
}

/**
 * The live frame may come before the acknowledgement: then the prompt is not shown twice.
 *
 * @param {Thread} thread
 * @param {UserView | null} user
 * @param {string} text
 */
function cameBack({ order, messages }, user, text) {
  return order.slice(-4).some((id) => {
    const message = messages.get(id);
    return message?.fresh && message.author === user?.public_key && message.content === text;
  });
}

/**
 * The co-authors but the user who look at the open thread, and those of them who type.
 *
 * @param {State} state
 */
export function othersThere({ thread, user }) {
  const isOther = (/** @type {string} */ key) => key !== user?.public_key;
  return {
    present: thread?.present.filter(isOther) ?? [],
    typing: thread?.typing.filter(isOther) ?? [],
  };
}
