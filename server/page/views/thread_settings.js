// A thread's settings: the dialog in which its co-authors say what answers keep to and which model gives
// them, and the line of the conversation that tells of a change.

/** @import { App } from "../app.js" */
/** @import { SettingsChange } from "../state.js" */
/** @import { ThreadView } from "../wire.d.ts" */

import { h, setText } from "../dom.js";
import { say } from "../language.js";
import { codePoints } from "../runs.js";
import { isCoAuthor } from "../selectors.js";
import { clockTime, nameOf, whenLong } from "../words.js";
import { form, show } from "./dialogs.js";

/** @param {App} app */
export function openThreadSettings(app) {
  const { state } = app;
  const view = state.thread?.view;
  if (!view) return;
  show(app.lifetimes.of("coAuthorship"), say.threadSettings.title, (close) => {
    if (!isCoAuthor(state) || view.status !== "active") return [asTheyAre(app, view)];
    const limit = state.hello?.limits.max_instructions_chars ?? 4_000;
    const count = h("span", { class: "count" });
    const counted = () => {
      const length = codePoints(text.value);
      setText(count, say.threadSettings.characters(length, limit));
      count.classList.toggle("over", length > limit);
    };
    const text = h("textarea", {
      id: "thread-instructions",
      rows: 6,
      dir: "auto",
      "aria-describedby": "thread-instructions-hint",
      on: { input: counted },
    });
    text.value = view.instructions ?? "";
    counted();
    const model = modelChoice(app, view);
    return [
      form(
        [
          h("label", { for: text.id }, say.threadSettings.instructions),
          text,
          h(
            "div",
            { class: "row between muted small" },
            h(
              "span",
              { id: "thread-instructions-hint" },
              say.threadSettings.audience(view.visibility === "public"),
            ),
            count,
          ),
          ...model.parts,
        ],
        say.threadSettings.save,
        async (tell) => {
          const data = { instructions: text.value, model: model.select.value || null };
          const what = say.threadSettings.notSaved;
          if (await app.act("configure_thread", data, what, undefined, tell)) close();
        },
      ),
    ];
  });
}

/**
 * The models that may be chosen.
 *
 * @param {App} app
 * @param {ThreadView} view
 */
function modelChoice(app, view) {
  const [own, ...others] = app.state.hello?.models ?? [];
  const select = h("select", { id: "thread-model" });
  select.append(
    h("option", { value: "" }, own ? say.threadSettings.ownOf(own) : say.threadSettings.own),
    ...others.map((name) => h("option", { value: name }, name)),
  );
  const isOffered = view.model !== undefined && others.includes(view.model);
  select.value = isOffered ? (view.model ?? "") : "";
  select.disabled = others.length === 0;
  const isGone = view.model !== undefined && view.model !== own && !isOffered;
  const words = isGone
    ? say.threadSettings.gone(view.model ?? "")
    : others.length === 0
      ? say.threadSettings.noOther
      : "";
  return {
    select,
    parts: [
      h("label", { for: select.id }, say.threadSettings.model),
      select,
      h("p", { class: "muted small", hidden: words === "" }, words),
    ],
  };
}

/**
 * The settings for those who may not change them.
 *
 * @param {App} app
 * @param {ThreadView} view
 */
function asTheyAre(app, view) {
  const own = app.state.hello?.models[0];
  return h(
    "section",
    { class: "stack" },
    h("h3", {}, say.threadSettings.instructions),
    view.instructions
      ? h("p", { class: "said plain", dir: "auto" }, view.instructions)
      : h("p", { class: "muted" }, say.threadSettings.none),
    h("h3", {}, say.threadSettings.model),
    h("p", {}, view.model ?? own ?? say.threadSettings.own),
    h("p", { class: "muted small" }, say.threadSettings.whoSets),
  );
}

/** One change, as a line of the conversation; what was said before and is said now is folded. */
export class SettingsChangeView {
  /**
   * @param {App} app
   * @param {SettingsChange} change
   */
  constructor(app, change) {
    const { before, after, at, by } = change;
    this.app = app;
    this.change = change;
    this.words = h("bdi", {});
    const line = [this.words, " ", h("time", { datetime: at, title: whenLong(at) }, clockTime(at))];
    const lines = differences(before.instructions ?? "", after.instructions ?? "");
    this.element = h(
      "div",
      { class: "settings-change", role: "note" },
      lines.length === 0
        ? h("p", {}, ...line)
        : h(
            "details",
            {},
            h("summary", {}, ...line),
            h("div", { class: "differences", dir: "auto" }, ...lines),
          ),
    );
    this.by = by;
    this.update();
  }

  /** The name of who did it may be known by now. */
  update() {
    const { before, after } = this.change;
    setText(this.words, say.threadSettings.changed(nameOf(this.app.state, this.by), before, after));
  }
}

/**
 * The lines that two texts do not share: what stands between their common beginning and end, first
 * as it was, then as it is.
 *
 * @param {string} before
 * @param {string} after
 */
function differences(before, after) {
  if (before === after) return [];
  const [was, is] = [linesOf(before), linesOf(after)];
  const least = Math.min(was.length, is.length);
  let start = 0;
  while (start < least && was[start] === is[start]) start += 1;
  let end = 0;
  while (end < least - start && was[was.length - 1 - end] === is[is.length - 1 - end]) end += 1;
  return [
    ...was.slice(start, was.length - end).map((line) => h("del", {}, line || " ")),
    ...is.slice(start, is.length - end).map((line) => h("ins", {}, line || " ")),
  ];
}

/** @param {string} text */
function linesOf(text) {
  return text === "" ? [] : text.split("\n");
}
