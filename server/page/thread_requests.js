// What a user asks of the server about threads as a whole: lists of them, a new one, invitations and links
// into one, which are hidden.

/** @import { App, Tell } from "./app.js" */
/** @import { Visibility } from "./wire.d.ts" */
/** @import { Scope } from "./state.js" */

import { say } from "./language.js";
import { toast } from "./notices.js";

/**
 * Read a page of a list of threads: the first, or the one `after`.
 *
 * @param {App} app
 * @param {Scope} scope
 * @param {string} [after]
 */
export async function listThreads(app, scope, after) {
  try {
    const page = await app.client.request("list_threads", {
      scope: scope === "hidden" ? "mine" : scope,
      hidden: scope === "hidden",
      limit: 50,
      after: after ?? null,
    });
    app.take({ kind: "threads", scope, ...page, fresh: after === undefined });
  } catch (error) {
    app.explain(error, say.problems.listMissing);
  }
}

/**
 * @param {App} app
 * @param {boolean} hidden whether the open thread is left out of the user's own list
 */
export async function hideThread(app, hidden) {
  const isDone = await app.act("hide_thread", { hidden }, say.problems.notHidden);
  if (isDone) toast(hidden ? say.conversation.threadHidden : say.conversation.threadShown);
}

/**
 * @param {App} app
 * @param {string} messageId of the open thread
 * @param {boolean} hidden whether it is folded away for this user
 */
export function hideMessage(app, messageId, hidden) {
  const data = { message_id: messageId, hidden };
  return app.act("hide_message", data, say.problems.notHidden, messageId);
}

/**
 * Those with whom the user shares a thread; nobody where they did not come.
 *
 * @param {App} app
 */
export async function listPeople(app) {
  try {
    return (await app.client.request("list_people", {})).people;
  } catch (error) {
    app.explain(error, say.acquaintances.notListed);
    return [];
  }
}

/**
 * Read what the user is invited into.
 *
 * @param {App} app
 */
export async function listInvitations(app) {
  try {
    const page = await app.client.request("list_threads", { scope: "invited", limit: 50 });
    app.take({ kind: "invited", invitations: page.invitations ?? [] });
  } catch (error) {
    app.explain(error, say.problems.invitationsMissing);
  }
}

/**
 * Join a thread that the user is invited into, and open it; or stay outside.
 *
 * @param {App} app
 * @param {string} threadId
 * @param {boolean} accepts
 */
export async function answerInvitation(app, threadId, accepts) {
  const type = accepts ? "accept_invitation" : "decline_invitation";
  let joined = accepts;
  try {
    await app.client.request(type, { thread_id: threadId });
  } catch (error) {
    app.explain(error, accepts ? say.problems.notJoined : say.problems.invitationStands);
    joined = false;
  }
  await listInvitations(app);
  if (!joined) return;
  await listThreads(app, "mine");
  await app.openThread(threadId);
}

/**
 * Make a link into the open thread; null where that was refused.
 *
 * @param {App} app
 * @param {number} hours until it expires
 * @param {Tell} tell
 */
export async function createLink(app, hours, tell) {
  const threadId = app.state.thread?.id;
  if (!threadId) return null;
  try {
    const data = { thread_id: threadId, expires_in_hours: hours };
    return (await app.client.request("create_invite_link", data)).link ?? null;
  } catch (error) {
    app.explain(error, say.links.notMade, tell);
    return null;
  }
}

/**
 * Join the thread that a link leads to, and open it; gives whether the user joined.
 *
 * @param {App} app
 * @param {string} secret
 * @param {Tell} tell
 */
export async function joinByLink(app, secret, tell) {
  try {
    const { thread_id: threadId } = await app.client.request("accept_invite_link", { secret });
    if (threadId === null) throw new TypeError("a link leads into no thread");
    app.leaveLink();
    await listThreads(app, "mine");
    await app.openThread(threadId);
    return true;
  } catch (error) {
    app.explain(error, say.problems.notJoined, tell);
    return false;
  }
}

/**
 * Make a thread and open it; gives its id.
 *
 * @param {App} app
 * @param {string} name
 * @param {Visibility} visibility
 */
export async function createThread(app, name, visibility) {
  const accepted = await app.client.request("create_thread", { name, visibility });
  const threadId = accepted.thread_id;
  if (threadId === null) throw new TypeError("a thread was made without an id");
  await listThreads(app, "mine");
  await app.openThread(threadId);
  return threadId;
}
