// What the user is invited into: a card for each, above the list of threads, until it is answered.

/** @import { App } from "../app.js" */
/** @import { InvitationSummary } from "../wire.d.ts" */

import { button, filled, h } from "../dom.js";
import { say } from "../language.js";
import { timeLeft, whenLong } from "../words.js";
import { answerInvitation } from "../thread_requests.js";

export class Invitations {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    /** @type {readonly InvitationSummary[] | null} as they are drawn */
    this.drawn = null;
    this.list = h("ul", { class: "invitations" });
    this.element = h("section", { "aria-label": say.invitations.title, hidden: true }, this.list);
  }

  update() {
    const { invitations } = this.app.state;
    if (invitations === this.drawn) return;
    this.drawn = invitations;
    this.element.hidden = invitations.length === 0;
    this.list.replaceChildren(...invitations.map((invitation) => this.card(invitation)));
  }

  /** @param {InvitationSummary} invitation */
  card({ thread_id: id, thread_name: name, invited_by: key, invited_by_name: by, expires_at: at }) {
    const inviter = h("bdi", { title: key }, by ?? `${key.slice(0, 8)}…`);
    const accept = button(say.invitations.accept, () => answer(true), {
      class: "button primary small",
    });
    const decline = button(say.invitations.decline, () => answer(false), { class: "button small" });
    /** @param {boolean} accepts */
    const answer = async (accepts) => {
      accept.disabled = decline.disabled = true;
      await answerInvitation(this.app, id, accepts);
      accept.disabled = decline.disabled = false;
    };
    return h(
      "li",
      { class: "invitation", data: { thread: id } },
      h(
        "p",
        {},
        ...filled(say.invitations.invites, {
          who: inviter,
          thread: h("bdi", { class: "thread-name" }, name),
        }),
      ),
      h("p", { class: "muted small", title: say.common.until(whenLong(at)) }, timeLeft(at)),
      h("div", { class: "row" }, accept, decline),
    );
  }
}
