// Two runs side by side: what the one and the other gave step by step, where their texts differ, and the
// ways that they took on one drawing.

/** @import { App } from "../app.js" */
/** @import { ComparisonData, RunPath, Span, StepEnum } from "../wire.d.ts" */

import { button, h } from "../dom.js";
import { say } from "../language.js";
import { STEPS } from "../runs.js";
import { STEP_WORDS } from "../words.js";
import { decisions } from "./branch_buttons.js";
import { show } from "./dialogs.js";
import { compare, showWhy } from "../run_requests.js";

/**
 * Read two runs of the open thread and show them.
 *
 * @param {App} app
 * @param {string} one id of the run that the other is held against
 * @param {string} other
 */
export async function openComparison(app, one, other) {
  const lasting = app.lifetimes.of("coAuthorship");
  const compared = await compare(app, one, other);
  if (compared === null || lasting.aborted) return;
  const dialog = show(lasting, say.comparison.title, (close) => [
    h(
      "div",
      { class: "comparison" },
      ...heads(app, compared, close),
      ...answers(compared),
      ...steps(compared),
      ways(compared),
    ),
    h("div", { class: "row end", on: { click: close } }, ...open(app, compared)),
  ]);
  dialog.classList.add("wide");
}

/**
 * The buttons of the branch, while something may be decided about it.
 *
 * @param {App} app
 * @param {ComparisonData} compared
 */
function open(app, { other }) {
  const branch = app.state.thread?.branches.find(({ id }) => id === other.branch?.id);
  return branch ? decisions(app, branch) : [];
}

/**
 * @param {App} app
 * @param {ComparisonData} compared
 * @param {() => void} close
 */
function heads(app, { one, other }, close) {
  return [
    head(say.comparison.one, one, () => explain(one)),
    head(say.comparison.other, other, () => explain(other)),
  ];
  /** @param {RunPath} path */
  function explain({ message_id: promptId, run_id: runId }) {
    close();
    showWhy(app, promptId, runId);
  }
}

/**
 * @param {string} title
 * @param {RunPath} path
 * @param {() => void} explain
 */
function head(title, { origin, status, model }, explain) {
  const change = origin?.change;
  const changed = change && h("p", {}, say.comparison.changed[change.kind], " ", said(change));
  return h(
    "section",
    { class: "side" },
    h(
      "div",
      { class: "row between" },
      h("h3", {}, title),
      button(say.why.title, explain, { class: "button small" }),
    ),
    h(
      "p",
      { class: "muted small" },
      [say.comparison.status[status], model].filter(Boolean).join(" · "),
    ),
    changed,
  );
}

/** @param {{text?: string, model?: string}} change */
function said({ text, model }) {
  return h("q", { dir: "auto" }, model ?? (text || say.comparison.none));
}

/** @param {ComparisonData} compared */
function answers({ one, other, answers: spans }) {
  if (!spans) return [];
  const [left, right] = [one, other].map((path) => path.steps.at(-1)?.text ?? "");
  return [
    h("h4", { class: "across" }, say.comparison.answers),
    ...sides(left ?? "", right ?? "", spans),
  ];
}

/** @param {ComparisonData} compared */
function steps({ one, other, steps: differences }) {
  return places(one, other).map(({ step, iteration }) => {
    /** @param {{step: StepEnum, iteration: number}} each */
    const isIt = (each) => each.step === step && each.iteration === iteration;
    const left = one.steps.find(isIt);
    const right = other.steps.find(isIt);
    const difference = differences.find(isIt);
    const title = [STEP_WORDS[step].name, iteration > 1 ? say.run.loop(iteration) : null];
    const summary = h(
      "summary",
      {},
      title.filter(Boolean).join(", "),
      " ",
      h("span", { class: "muted small" }, verdict(difference)),
    );
    const texts = sides(left?.text ?? "", right?.text ?? "", difference?.spans ?? null);
    return h("details", { class: "across" }, summary, h("div", { class: "pair" }, ...texts));
  });
}

/** @param {ComparisonData["steps"][number] | undefined} difference */
function verdict(difference) {
  if (!difference) return say.comparison.onlyOne;
  if (difference.kept) return say.comparison.kept;
  const isSame = difference.spans.every(({ kind }) => kind === "same");
  return isSame ? say.comparison.same : say.comparison.differs;
}

/**
 * The steps that either completed, in order.
 *
 * @param {RunPath} one
 * @param {RunPath} other
 */
function places(one, other) {
  /** @type {Map<string, {step: StepEnum, iteration: number}>} */
  const all = new Map();
  for (const { step, iteration } of [...one.steps, ...other.steps]) {
    all.set(`${iteration} ${step}`, { step, iteration });
  }
  return [...all.values()].sort(
    (a, b) => a.iteration - b.iteration || STEPS.indexOf(a.step) - STEPS.indexOf(b.step),
  );
}

/**
 * Two texts beside each other; what stands in one alone is marked.
 *
 * @param {string} one
 * @param {string} other
 * @param {readonly Span[] | null} spans null where they were not compared
 */
function sides(one, other, spans) {
  const left = h("div", { class: "side compared", dir: "auto" });
  const right = h("div", { class: "side compared", dir: "auto" });
  if (spans === null) {
    left.textContent = one;
    right.textContent = other;
    return [left, right];
  }
  const [was, is] = [[...one], [...other]]; // code points, in which spans are counted
  let [atOne, atOther] = [0, 0];
  for (const { kind, length } of spans) {
    const before = was.slice(atOne, atOne + length).join("");
    const after = is.slice(atOther, atOther + length).join("");
    if (kind !== "added") {
      left.append(kind === "same" ? before : h("del", {}, before));
      atOne += length;
    }
    if (kind !== "removed") {
      right.append(kind === "same" ? after : h("ins", {}, after));
      atOther += length;
    }
  }
  return [left, right];
}

/** @param {ComparisonData} compared */
function ways({ one, other, common_edges: common }) {
  // An edge that was taken often is named once: addresses have a bound.
  /** @param {readonly string[]} edges */
  const named = (edges) => [...new Set(edges)].join();
  const query = new URLSearchParams({
    common: named(one.edges.slice(0, common)),
    one: named(one.edges.slice(common)),
    other: named(other.edges.slice(common)),
  });
  const drawing = h("img", {
    src: `diagrams/chorus.svg?${query}`,
    alt: say.comparison.waysAlt,
    loading: "lazy",
    on: {
      load: ({ currentTarget }) => currentTarget.parentElement?.scrollIntoView({ block: "end" }),
    },
  });
  return h(
    "details",
    { class: "across" },
    h("summary", {}, say.comparison.ways),
    h(
      "div",
      { class: "ways", role: "region", tabindex: "0", "aria-label": say.comparison.ways },
      drawing,
    ),
  );
}
