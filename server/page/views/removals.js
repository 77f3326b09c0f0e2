// Votes on whether a co-author stays: a card for each, above the conversation, while it is open.

/** @import { App } from "../app.js" */
/** @import { RemovalView } from "../wire.d.ts" */

import { button, filled, h } from "../dom.js";
import { say } from "../language.js";
import { isCoAuthor } from "../selectors.js";
import { nameOf, timeLeft } from "../words.js";

export class Removals {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    /** @type {unknown[]} what the cards were drawn from */
    this.drawn = [];
    this.element = h("section", {
      class: "removals",
      "aria-label": say.removals.title,
      hidden: true,
    });
  }

  update() {
    const { thread, names, user } = this.app.state;
    const drawn = [thread?.removals, names, user];
    if (drawn.every((part, place) => part === this.drawn[place])) return;
    this.drawn = drawn;
    const removals = thread?.removals ?? [];
    this.element.hidden = removals.length === 0;
    this.element.replaceChildren(...removals.map((removal) => this.card(removal)));
  }

  /** @param {RemovalView} removal */
  card(removal) {
    const { state } = this.app;
    const me = state.user?.public_key ?? "";
    const hasVoted = removal.votes.some((vote) => vote.co_author === me);
    const mayVote = removal.electors.includes(me) && !hasVoted && isCoAuthor(state);
    const isAlone = removal.electors.length === 1;
    const mayStay = isAlone && removal.public_key === me;
    const subject = { public_key: removal.public_key };
    const agree = button(
      say.removals.remove,
      () =>
        this.app.act(
          "vote_on_removal",
          { ...subject, decision: "remove" },
          say.common.voteNotCounted,
        ),
      { class: "button danger small" },
    );
    const keep = button(
      mayStay ? say.removals.stay : say.removals.keep,
      () =>
        this.app.act(
          "vote_on_removal",
          { ...subject, decision: "keep" },
          say.common.voteNotCounted,
        ),
      { class: "button primary small" },
    );
    const withdraw = button(
      say.common.withdraw,
      () => this.app.act("withdraw_removal", subject, say.removals.goesOn),
      { class: "button small" },
    );
    return h(
      "div",
      { class: "removal" },
      h(
        "p",
        {},
        ...filled(isAlone ? say.removals.proposesAlone : say.removals.proposes, {
          who: h("bdi", {}, nameOf(state, removal.proposed_by)),
          whom: h("bdi", {}, nameOf(state, removal.public_key)),
        }),
      ),
      h(
        "p",
        { class: "muted small" },
        isAlone
          ? say.removals.silence(timeLeft(removal.expires_at))
          : say.removals.agreed(
              removal.votes.length,
              removal.electors.length,
              timeLeft(removal.expires_at),
            ),
      ),
      h(
        "div",
        { class: "row" },
        ...(mayVote ? [agree, keep] : []),
        mayStay ? keep : "",
        removal.proposed_by === me ? withdraw : "",
      ),
    );
  }
}
