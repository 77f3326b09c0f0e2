// Branches: a card for each that is open, above the conversation.

/** @import { App } from "../app.js" */
/** @import { BranchView } from "../wire.d.ts" */

import { button, filled, h } from "../dom.js";
import { say } from "../language.js";
import { nameOf, STEP_WORDS, timeLeft } from "../words.js";
import { decisions } from "./branch_buttons.js";
import { openComparison } from "./comparison.js";
import { showWhy } from "../run_requests.js";

export class Branches {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    /** @type {unknown[]} what the cards were drawn from */
    this.drawn = [];
    this.element = h("section", {
      class: "removals branches",
      "aria-label": say.branches.title,
      hidden: true,
    });
  }

  update() {
    const { thread, names, user } = this.app.state;
    const branches = thread?.branches ?? [];
    const steps = branches.map((branch) => this.stepOf(branch));
    const drawn = [thread?.branches, names, user, thread?.view.co_authors, steps.join()];
    if (drawn.every((part, place) => part === this.drawn[place])) return;
    this.drawn = drawn;
    this.element.hidden = branches.length === 0;
    const restoreFocus = this.focus();
    this.element.replaceChildren(...branches.map((branch) => this.card(branch)));
    restoreFocus();
  }

  /** Gives what puts the focus back on the button that has it now, once the cards are drawn anew. */
  focus() {
    const focused = document.activeElement;
    const card = focused?.closest(".branch");
    if (!(card instanceof HTMLElement) || !this.element.contains(card)) return () => {};
    const { branch = "" } = card.dataset;
    const words = focused?.textContent;
    return () => {
      const buttons = this.element.querySelectorAll(`[data-branch="${CSS.escape(branch)}"] button`);
      const same = [...buttons].find(({ textContent }) => textContent === words) ?? buttons[0];
      if (same instanceof HTMLElement) same.focus();
    };
  }

  /**
   * What its run is at; empty while that is not known.
   *
   * @param {BranchView} branch
   */
  stepOf(branch) {
    const run = this.app.state.thread?.runs.get(branch.run_id);
    return run && run.status !== "queued" ? STEP_WORDS[run.step].name : "";
  }

  /** @param {BranchView} branch */
  card(branch) {
    const { state } = this.app;
    return h(
      "div",
      { class: "removal branch", data: { branch: branch.id, status: branch.status } },
      h(
        "p",
        {},
        ...filled(say.branches.goesOn[branch.change], {
          who: h("bdi", {}, nameOf(state, branch.made_by)),
          step: h("strong", {}, STEP_WORDS[branch.step].name),
        }),
      ),
      h("p", { class: "muted small" }, this.standing(branch)),
      branch.generation !== undefined &&
        h("p", { class: "muted small" }, say.branches.forks(branch.generation)),
      h(
        "div",
        { class: "row" },
        button(say.branches.compare, () => this.compare(branch), { class: "button small" }),
        button(say.why.title, () => showWhy(this.app, branch.message_id, branch.run_id), {
          class: "button small",
        }),
        ...decisions(this.app, branch),
      ),
    );
  }

  /** @param {BranchView} branch */
  compare(branch) {
    openComparison(this.app, branch.origin_run_id, branch.run_id);
  }

  /** @param {BranchView} branch */
  standing(branch) {
    const left = timeLeft(branch.expires_at);
    switch (branch.status) {
      case "ready":
        return say.branches.ready(left);
      case "proposed": {
        const agreed = branch.votes.filter(({ decision }) => decision === "approve").length;
        return say.branches.agreed(agreed, branch.electors.length, left);
      }
      default:
        return say.branches.growing(this.stepOf(branch));
    }
  }
}
