// One of the six steps as a row that opens: its text as it streams, and what it gave.

/** @import { App } from "../app.js" */
/** @import { Prior, StepEnum, Usage } from "../wire.d.ts" */
/** @import { Failure, Run, StepRecord } from "../runs.js" */
/** @import { Fate } from "../run_facts.js" */

import { button, growText, h, icon, setText } from "../dom.js";
import { say } from "../language.js";
import { codePoints, FINAL } from "../runs.js";
import { priorsOf, recordsOf, stepStates } from "../run_facts.js";
import { mayFork } from "../selectors.js";
import { decimal, nameOf, percent, STEP_WORDS, TROUBLE, whenShort } from "../words.js";
import { openForkDialog } from "./fork.js";

let rows = 0;

export class StepRow {
  /**
   * @param {App} app
   * @param {StepEnum} step
   */
  constructor(app, step) {
    this.app = app;
    this.step = step;
    /** @type {Run | null} */
    this.run = null;
    /** @type {boolean | null} null: as the run suggests */
    this.isOpen = null;
    /** @type {Map<number, RecordBlock>} by iteration */
    this.blocks = new Map();
    const id = `step-${(rows += 1)}`;
    const { name, does } = STEP_WORDS[step];
    this.facts = h("span", { class: "step-facts" });
    this.toggle = h(
      "button",
      {
        type: "button",
        class: "step-toggle",
        "aria-expanded": "false",
        "aria-controls": id,
        on: { click: () => this.flip() },
      },
      h("span", { class: "step-mark", "aria-hidden": "true" }),
      h("span", { class: "step-name" }, name),
      h("span", { class: "step-does" }, does),
      this.facts,
      icon("down"),
    );
    this.body = h("div", { class: "step-body", id, hidden: true });
    this.element = h("li", { class: "step", data: { step } }, this.toggle, this.body);
  }

  /** @param {Run} run */
  update(run) {
    this.run = run;
    const records = recordsOf(run, this.step);
    const last = records.at(-1);
    const isLive = !FINAL.has(run.status);
    const isCurrent = isLive && run.status !== "queued" && run.step === this.step;
    const state = stepStates(run).get(this.step) ?? "waiting";
    this.element.dataset.state = state;
    if (isCurrent) this.toggle.setAttribute("aria-current", "step");
    else this.toggle.removeAttribute("aria-current");
    const words = state === "skipped" || state === "kept" ? say.step[state] : "";
    setText(this.facts, last && state !== "kept" ? factsOf(records, last) : words);
    this.toggle.disabled = records.length === 0;
    // The answer itself streams beneath the rows, so its own row need not open.
    const opens = records.length > 0 && (this.isOpen ?? (isCurrent && this.step !== "yield"));
    this.toggle.setAttribute("aria-expanded", String(opens));
    this.body.hidden = !opens;
    this.body.classList.toggle("window", opens && this.isOpen === null);
    if (opens) this.draw(run, records);
  }

  flip() {
    this.isOpen = this.toggle.getAttribute("aria-expanded") !== "true";
    if (this.run) this.update(this.run);
  }

  /**
   * @param {Run} run
   * @param {readonly StepRecord[]} records of this step
   */
  draw(run, records) {
    for (const record of records) {
      let block = this.blocks.get(record.iteration);
      if (!block) {
        block = new RecordBlock(this.app);
        this.blocks.set(record.iteration, block);
        this.body.append(block.element);
      }
      block.update(record, records.length > 1, run);
    }
    for (const [iteration, block] of this.blocks) {
      if (!records.some((record) => record.iteration === iteration)) {
        block.element.remove();
        this.blocks.delete(iteration);
      }
    }
    const isStreaming = records.at(-1)?.status === "running";
    if (this.body.classList.contains("window")) {
      this.body.scrollTop = isStreaming ? this.body.scrollHeight : 0;
    }
  }
}

/**
 * @param {readonly StepRecord[]} records of one step
 * @param {StepRecord} last of them
 */
function factsOf(records, last) {
  const tokens = records.reduce((sum, { usage }) => sum + (usage?.total_tokens ?? 0), 0);
  return [
    records.length > 1 ? say.run.loop(last.iteration) : null,
    last.attempt > 1 ? say.strip.attempt(last.attempt) : null,
    last.priors ? say.step.found(last.priors.length) : null,
    tokens > 0 ? say.run.tokens(tokens) : null,
  ]
    .filter(Boolean)
    .join(" · ");
}

/** What one step gave in one iteration. */
class RecordBlock {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    /** @type {readonly Failure[]} as they are drawn */
    this.drawnFailures = [];
    /** @type {unknown[] | null} what the output was drawn from */
    this.drawn = null;
    this.title = h("h5", { hidden: true });
    this.failures = h("div", {});
    this.thought = h("p", { class: "thought", dir: "auto" });
    this.thoughtTitle = h("summary", {});
    this.thinking = h("details", { class: "thinking" }, this.thoughtTitle, this.thought);
    this.text = h("p", { class: "step-text", dir: "auto" });
    this.output = h("div", { class: "step-output" });
    /** @type {{run: Run, record: StepRecord} | null} what a fork would leave */
    this.shown = null;
    this.fork = button(say.branches.fork, () => this.openFork(), {
      class: "button small quiet",
      hidden: true,
    });
    this.element = h(
      "div",
      { class: "record" },
      this.title,
      this.failures,
      this.thinking,
      this.text,
      this.output,
      this.fork,
    );
  }

  /**
   * @param {StepRecord} record
   * @param {boolean} isNumbered
   * @param {Run} run
   */
  update(record, isNumbered, run) {
    this.title.hidden = !isNumbered;
    setText(this.title, say.step.loopTitle(record.iteration));
    this.thinking.hidden = record.thinking === "";
    setText(this.thoughtTitle, thinkingWords(record));
    growText(this.thought, record.thinking);
    growText(this.text, record.text);
    this.text.hidden = record.text === "";
    if (record.failures !== this.drawnFailures) {
      this.drawnFailures = record.failures;
      this.failures.replaceChildren(...record.failures.map(failed));
    }
    if (record.priors) this.app.meetThreads(record.priors);
    this.shown = { run, record };
    this.fork.hidden = record.status !== "completed" || !mayFork(this.app.state);
    const { names } = this.app.state;
    const key = [record.output, record.priors, run.records.length, run.status, names];
    const before = this.drawn;
    if (before && key.every((part, place) => part === before[place])) return;
    this.drawn = key;
    this.output.replaceChildren(...outputOf(this.app, record, run));
  }

  openFork() {
    if (this.shown) openForkDialog(this.app, this.shown.run, this.shown.record);
  }
}

/** @param {StepRecord} record */
function thinkingWords({ status, text, thinking }) {
  const length = codePoints(thinking);
  const isThinking = status === "running" && text === "";
  return isThinking ? say.step.thinking(length) : say.step.thought(length);
}

/** @param {Failure} failure */
function failed({ attempt, code, message, retryInMs, partial }) {
  const why = message ?? TROUBLE[code] ?? code;
  const again = retryInMs === null ? "" : say.step.triedAgain(decimal(retryInMs / 1000, 1));
  return h(
    "div",
    { class: "note warn" },
    `${say.step.attempt(attempt, why)}${again}`,
    partial &&
      h(
        "details",
        {},
        h("summary", {}, say.step.hadWritten),
        h("p", { class: "step-text", dir: "auto" }, partial),
      ),
  );
}

/**
 * @param {App} app
 * @param {StepRecord} record
 * @param {Run} run
 */
function outputOf(app, { text, output, priors, memoryAvailable, usage, isCut }, run) {
  const parts = priors ? priorList(app, priors, memoryAvailable, run) : [];
  const unsaid = unsaidAfter(text);
  switch (output?.step) {
    case "action":
      if (output.enough) parts.push(h("p", { class: "verdict" }, say.step.enough));
      break;
    case "experience":
      parts.push(...list(say.step.insights, unsaid(output.key_insights)));
      break;
    case "intention":
      parts.push(
        ...facts([
          [say.step.askedFor, unsaid([output.explicit_intent])[0]],
          [say.step.beneath, unsaid([output.implicit_intent])[0]],
        ]),
        ...output.selected_priors.map(({ message_id: id, why }) => chosen(run, id, why)),
        ...confidence(output.confidence),
      );
      break;
    case "observation":
      parts.push(
        ...list(say.step.patterns, unsaid(output.patterns)),
        ...list(say.step.gaps, unsaid(output.gaps)),
        ...confidence(output.confidence),
      );
      break;
    case "update":
      parts.push(
        verdict(output.loop, output.next_query),
        ...list(say.step.insights, unsaid(output.key_insights)),
        ...confidence(output.confidence),
      );
      break;
    default:
  }
  if (isCut) parts.push(h("p", { class: "note warn" }, say.common.cut));
  if (usage) parts.push(h("p", { class: "muted small" }, usageOf(usage)));
  return parts;
}

/**
 * @param {Run} run
 * @param {string} id of the prior
 * @param {string} why
 */
function chosen(run, id, why) {
  return h(
    "p",
    { class: "chosen", dir: "auto" },
    h("strong", {}, say.step.chosen),
    excerpt(run, id),
    why ? ` (${why})` : "",
  );
}

/**
 * @param {boolean} loop
 * @param {string | null} query
 */
function verdict(loop, query) {
  return h("p", { class: "verdict" }, loop ? say.step.loopsAgain(query) : say.step.goesOn);
}

/**
 * Nothing where none was given, which is 0.
 *
 * @param {number} value from 0 to 1
 */
function confidence(value) {
  return value > 0 ? [h("p", { class: "muted small" }, say.step.confidence(percent(value)))] : [];
}

/**
 * Gives of some sentences those that stand neither in the text of the step nor among those that were
 * given before: none is shown under two headings.
 *
 * @param {string} text
 * @returns {(sentences: readonly string[]) => string[]}
 */
function unsaidAfter(text) {
  let said = plainly(text);
  return (sentences) =>
    sentences.filter((sentence) => {
      const words = plainly(sentence);
      if (said.includes(words)) return false;
      said += `\n${words}`;
      return true;
    });
}

/** @param {string} text */
function plainly(text) {
  return text
    .toLowerCase()
    .replace(/\s+/g, " ")
    .replace(/[.…]+$/, "")
    .trim();
}

/**
 * @param {App} app
 * @param {readonly Prior[]} priors
 * @param {boolean | null} memoryAvailable
 * @param {Run} run
 * @returns {HTMLElement[]}
 */
function priorList(app, priors, memoryAvailable, run) {
  if (memoryAvailable === false) {
    return [h("p", { class: "note warn" }, say.step.noMemory)];
  }
  if (priors.length === 0) return [h("p", { class: "muted small" }, say.step.nothingNear)];
  const fates = priorsOf(run);
  return [
    h(
      "ol",
      { class: "priors", "aria-label": say.step.priors },
      ...priors.map((prior) => {
        const marks = marksOf(fates.get(prior.message_id));
        const thread = app.state.summaries.get(prior.thread_id);
        const isElsewhere = prior.thread_id !== app.state.thread?.id;
        return h(
          "li",
          { class: "prior" },
          h(
            "button",
            {
              type: "button",
              class: "prior-button",
              title: say.common.goToMessage,
              on: { click: () => app.openThread(prior.thread_id, prior.message_id) },
            },
            h(
              "span",
              { class: "prior-head" },
              ...relevance(prior.score),
              h("bdi", {}, nameOf(app.state, prior.author)),
              isElsewhere &&
                thread &&
                h("bdi", { class: "muted" }, say.common.inThread(thread.name)),
              h("span", { class: "muted" }, whenShort(prior.created_at)),
              ...marks,
            ),
            h("span", { class: "prior-text", dir: "auto" }, prior.content),
          ),
        );
      }),
    ),
  ];
}

/**
 * How near a prior stands; nothing where its score says of none that it does.
 *
 * @param {number} score
 */
function relevance(score) {
  if (score <= 0) return [];
  const value = Math.min(1, score);
  return [
    h("meter", { min: 0, max: 1, value, "aria-hidden": "true" }),
    h("span", { class: "score" }, decimal(score, 2)),
  ];
}

/**
 * What became of a prior, as words beside it.
 *
 * @param {Fate | undefined} fate
 */
function marksOf(fate) {
  /**
   * @param {string} name of its class
   * @param {string} why
   * @param {string} words
   */
  const mark = (name, why, words) => h("span", { class: `mark ${name}`, title: why }, words);
  return [
    fate?.used ? mark("used", say.step.usedWhy, say.step.used) : null,
    fate?.selected ? mark("selected", fate.why || say.step.selectedWhy, say.step.selected) : null,
    fate?.cited ? mark("cited", say.step.citedWhy, say.step.cited(fate.label ?? "")) : null,
  ];
}

/**
 * @param {Run} run
 * @param {string} id of the prior
 */
function excerpt(run, id) {
  const prior = priorsOf(run).get(id);
  return prior ? `“${[...prior.content].slice(0, 80).join("")}…”` : say.common.aMessage;
}

/**
 * Terms and what stands for them; nothing where none has a value.
 *
 * @param {readonly (readonly [term: string, value: string | undefined])[]} pairs
 */
function facts(pairs) {
  const known = pairs.filter(([, value]) => value);
  if (known.length === 0) return [];
  const parts = known.flatMap(([term, value]) => [
    h("dt", {}, term),
    h("dd", { dir: "auto" }, value),
  ]);
  return [h("dl", { class: "facts" }, ...parts)];
}

/**
 * A list with its title; nothing where it is empty.
 *
 * @param {string} title
 * @param {readonly string[]} items
 */
function list(title, items) {
  if (items.length === 0) return [];
  const points = items.map((item) => h("li", { dir: "auto" }, item));
  return [h("div", {}, h("h5", {}, title), h("ul", {}, ...points))];
}

/** @param {Usage} usage */
function usageOf({ prompt_tokens: read, completion_tokens: written, total_tokens: total }) {
  const parts = [
    read === null ? null : say.step.read(read),
    written === null ? null : say.step.written(written),
  ].filter(Boolean);
  return `${say.run.tokens(total)}${parts.length > 0 ? ` (${parts.join(", ")})` : ""}`;
}
