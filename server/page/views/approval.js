// A message before the vote: who has voted, who has not, how long is left; and the vote itself.

/** @import { App } from "../app.js" */
/** @import { ApprovalView as Vote, MessageStatus } from "../wire.d.ts" */
/** @import { DataOf } from "../protocol.js" */
/** @import { Message } from "../state.js" */

import { button, h, setText } from "../dom.js";
import { say } from "../language.js";
import { nameOf, timeLeft, whenLong, whenShort } from "../words.js";

/** @type {Partial<Record<MessageStatus, string>>} */
const OUTCOMES = say.approval.outcomes;

export class ApprovalView {
  /**
   * @param {App} app
   * @param {Message} message
   */
  constructor(app, message) {
    this.app = app;
    this.message = message;
    /** @type {ReadonlyMap<string, string> | null} as they are drawn */
    this.names = null;
    this.deadline = h("p", { class: "small muted" });
    this.votes = h("ul", { class: "votes" });
    this.reason = h("input", {
      type: "text",
      maxlength: 1000,
      placeholder: say.approval.reason,
      "aria-label": say.approval.reasonLabel,
    });
    this.approve = button(say.approval.approve, () => this.vote("approve_message"), {
      class: "button primary small",
    });
    this.reject = button(say.approval.reject, () => this.vote("reject_message"), {
      class: "button danger small",
    });
    this.withdraw = button(say.common.withdraw, () => this.vote("withdraw_message"), {
      class: "button small",
    });
    this.voting = h("div", { class: "voting" }, this.approve, this.reason, this.reject);
    this.element = h(
      "section",
      { class: "approval", "aria-label": say.approval.title },
      this.votes,
      this.deadline,
      this.voting,
      this.withdraw,
    );
    this.timer = setInterval(() => {
      if (!this.element.isConnected) clearInterval(this.timer);
      else if (this.message.status === "pending") this.drawDeadline();
    }, 30_000);
  }

  /** @param {Message} message */
  update(message) {
    const { state } = this.app;
    if (message === this.message && state.names === this.names) return;
    this.message = message;
    this.names = state.names;
    const me = state.user?.public_key ?? "";
    const voted = new Map(message.approvals.map((vote) => [vote.co_author, vote]));
    this.votes.replaceChildren(
      ...message.electors.map((key) => this.row(key, voted.get(key), message.status)),
    );
    const isPending = message.status === "pending";
    this.voting.hidden = !(isPending && message.electors.includes(me) && !voted.has(me));
    this.withdraw.hidden = !(isPending && message.author === me);
    this.drawDeadline();
  }

  /**
   * @param {string} key of the elector
   * @param {Vote | undefined} vote
   * @param {MessageStatus} status
   */
  row(key, vote, status) {
    const words =
      vote === undefined
        ? status === "pending"
          ? say.approval.notVoted
          : say.approval.didNotVote
        : vote.decision === "approve"
          ? say.approval.approved
          : say.approval.rejected;
    return h(
      "li",
      { class: "vote", data: { decision: vote?.decision ?? "none" } },
      h("bdi", {}, nameOf(this.app.state, key)),
      ` ${words}`,
      vote && h("time", { datetime: vote.at, title: whenLong(vote.at) }, whenShort(vote.at)),
      vote?.reason && h("q", { dir: "auto" }, vote.reason),
    );
  }

  drawDeadline() {
    const { status, expires_at: until, approvals, electors } = this.message;
    if (status !== "pending") {
      setText(this.deadline, OUTCOMES[status] ?? "");
      return;
    }
    const left = until ? timeLeft(until) : "";
    setText(this.deadline, say.approval.voted(approvals.length, electors.length, left));
    if (until) this.deadline.title = say.common.until(whenLong(until));
  }

  /** @param {"approve_message" | "reject_message" | "withdraw_message"} type */
  async vote(type) {
    const { id } = this.message;
    /** @type {Omit<DataOf<"reject_message">, "thread_id">} */
    const data = { message_id: id };
    const reason = this.reason.value.trim();
    if (type === "reject_message" && reason) data.reason = reason;
    const controls = [this.approve, this.reject, this.withdraw];
    for (const control of controls) control.disabled = true;
    await this.app.act(type, data, say.common.voteNotCounted, id);
    for (const control of controls) control.disabled = false;
  }
}
