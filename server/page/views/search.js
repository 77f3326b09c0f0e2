// Search over everything that the user may read; a result leads to its message.

/** @import { App } from "../app.js" */
/** @import { State } from "../state.js" */
/** @import { Prior } from "../wire.d.ts" */

import { h, icon } from "../dom.js";
import { say } from "../language.js";
import { Refused } from "../protocol.js";
import { advice, nameOf, percent, whenShort } from "../words.js";

export class SearchResults {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.isOpen = false;
    /** @type {Map<Prior, HTMLElement>} who wrote each result, where and when */
    this.heads = new Map();
    /** @type {State["names"] | null} as they are drawn */
    this.names = null;
    this.input = h("input", {
      id: "search",
      type: "search",
      placeholder: say.search.placeholder,
      "aria-label": say.search.label,
      maxlength: 2000,
      autocomplete: "off",
      "aria-keyshortcuts": "Control+K",
      on: {
        keydown: (event) => event.key === "Escape" && this.close(),
        input: ({ currentTarget }) => currentTarget.value === "" && this.close(),
      },
    });
    this.form = h(
      "form",
      {
        class: "search",
        role: "search",
        on: {
          submit: (event) => {
            event.preventDefault();
            this.find();
          },
        },
      },
      icon("search"),
      this.input,
    );
    this.count = h("p", { class: "muted small", role: "status" });
    this.list = h("ol", { class: "results" });
    this.element = h(
      "section",
      { class: "search-results", "aria-label": say.search.results, hidden: true },
      h(
        "div",
        { class: "row between" },
        this.count,
        h(
          "button",
          { type: "button", class: "link small", on: { click: () => this.close() } },
          say.common.close,
        ),
      ),
      this.list,
    );
  }

  async find() {
    const query = this.input.value.trim();
    if (!query) return;
    this.isOpen = true;
    this.element.hidden = false;
    this.count.textContent = say.search.searching;
    this.app.schedule();
    try {
      const { results } = await this.app.search(query);
      this.show(results);
    } catch (error) {
      this.count.textContent = error instanceof Refused ? advice(error) : say.search.failed;
      this.list.replaceChildren();
    }
  }

  /** @param {readonly Prior[]} results */
  show(results) {
    const { state } = this.app;
    const byMeaning = state.hello?.embedder.semantic ?? false;
    this.count.textContent =
      results.length === 0 ? say.search.nothing : say.search.found(results.length, byMeaning);
    this.heads = new Map(results.map((prior) => [prior, h("span", { class: "result-head" })]));
    this.list.replaceChildren(
      ...results.map((prior) =>
        h(
          "li",
          {},
          h(
            "button",
            {
              type: "button",
              class: "result",
              on: { click: () => this.app.openThread(prior.thread_id, prior.message_id) },
            },
            this.heads.get(prior),
            h("span", { class: "result-text", dir: "auto" }, prior.content.slice(0, 240)),
          ),
        ),
      ),
    );
    this.names = null;
    this.update();
    this.app.meetThreads(results);
  }

  /** Names may come after what they belong to. */
  update() {
    const { state } = this.app;
    if (state.names === this.names) return;
    this.names = state.names;
    for (const [prior, head] of this.heads) {
      const thread = state.summaries.get(prior.thread_id);
      head.replaceChildren(
        h("bdi", {}, nameOf(state, prior.author)),
        thread ? h("bdi", { class: "muted" }, ` ${say.common.inThread(thread.name)}`) : "",
        h("span", { class: "muted" }, ` · ${whenShort(prior.created_at)}${nearness(prior.score)}`),
      );
    }
  }

  close() {
    this.isOpen = false;
    this.element.hidden = true;
    this.input.value = "";
    this.app.schedule();
  }
}

/**
 * Nothing for a score that says of no nearness.
 *
 * @param {number} score
 */
function nearness(score) {
  return score > 0 ? ` · ${percent(Math.min(1, score))}` : "";
}
