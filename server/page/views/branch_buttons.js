// What a user may decide about a branch: propose it, vote on it, give it up.

/** @import { App } from "../app.js" */
/** @import { BranchView } from "../wire.d.ts" */

import { button } from "../dom.js";
import { say } from "../language.js";
import { isCoAuthor } from "../selectors.js";

/**
 * What the user may decide about a branch now, as buttons.
 *
 * @param {App} app
 * @param {BranchView} branch
 */
export function decisions(app, branch) {
  const me = app.state.user?.public_key ?? "";
  if (!isCoAuthor(app.state)) return [];
  const subject = { branch_id: branch.id };
  const isAlone = app.state.thread?.view.co_authors.length === 1;
  const propose = button(
    isAlone ? say.branches.adopt : say.branches.propose,
    () => app.act("propose_adoption", subject, say.branches.notProposed),
    { class: "button primary small" },
  );
  /** @param {"approve" | "reject"} decision */
  const vote = (decision) =>
    app.act("vote_on_branch", { ...subject, decision }, say.common.voteNotCounted);
  const hasVoted = branch.votes.some(({ co_author: key }) => key === me);
  const mayVote = branch.status === "proposed" && branch.electors.includes(me) && !hasVoted;
  return [
    branch.status === "ready" && propose,
    mayVote && button(say.branches.adopt, () => vote("approve"), { class: "button primary small" }),
    mayVote && button(say.branches.reject, () => vote("reject"), { class: "button small" }),
    branch.made_by === me &&
      button(
        say.branches.discard,
        () => app.act("discard_branch", subject, say.branches.notDiscarded),
        { class: "button small quiet" },
      ),
  ].filter((part) => part !== false);
}
