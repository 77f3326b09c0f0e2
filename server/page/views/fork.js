// The dialog in which a co-author lets a run go on in another way.

/** @import { App } from "../app.js" */
/** @import { ChangeKind, ForkRunData } from "../wire.d.ts" */
/** @import { Run, StepRecord } from "../runs.js" */

import { h } from "../dom.js";
import { say } from "../language.js";
import { toast } from "../notices.js";
import { STEP_WORDS } from "../words.js";
import { form, show } from "./dialogs.js";
import { askedWith } from "../run_requests.js";

/**
 * Ask what is to be otherwise, and let the run go on with it from a step that it completed.
 *
 * @param {App} app
 * @param {Run} run
 * @param {StepRecord} record
 */
export async function openForkDialog(app, run, record) {
  const lasting = app.lifetimes.of("coAuthorship");
  const asked = await askedWith(app, run.id);
  if (asked === null || lasting.aborted) return;
  const name = STEP_WORDS[record.step].name;
  show(lasting, say.branches.whatIf(name), (close) => {
    /** @type {Record<Exclude<ChangeKind, "model">, string>} */
    const texts = {
      step_text: record.text,
      prompt: asked.prompt,
      instructions: asked.instructions ?? "",
    };
    const models = app.state.hello?.models ?? [];
    const others = models.filter((model) => model !== (asked.model ?? models[0]));
    const text = h("textarea", { id: "fork-text", rows: 8, dir: "auto" });
    text.value = texts.step_text;
    const model = h(
      "select",
      { id: "fork-model" },
      ...others.map((each) => h("option", { value: each }, each)),
    );
    const textLabel = h("label", { for: text.id }, say.branches.changes.step_text(name));
    const modelLabel = h("label", { for: model.id, hidden: true }, say.branches.changes.model());
    model.hidden = true;
    /** @type {ChangeKind} */
    let chosen = "step_text";
    /** @param {ChangeKind} kind */
    const choose = (kind) => {
      if (chosen !== "model") texts[chosen] = text.value;
      chosen = kind;
      const isModel = kind === "model";
      text.hidden = textLabel.hidden = isModel;
      model.hidden = modelLabel.hidden = !isModel;
      if (kind !== "model") {
        text.value = texts[kind];
        textLabel.textContent = say.branches.changes[kind](name);
      }
    };
    const kinds = /** @type {ChangeKind[]} */ (["step_text", "prompt", "instructions"]);
    if (others.length > 0) kinds.push("model");
    const choices = kinds.map((kind) =>
      h(
        "label",
        { class: "check" },
        h("input", {
          type: "radio",
          name: "fork-change",
          value: kind,
          checked: kind === "step_text",
          on: { change: () => choose(kind) },
        }),
        h("span", {}, say.branches.changes[kind](name)),
      ),
    );
    return [
      h("p", { class: "muted small" }, say.branches.means(name)),
      form(
        [
          h("fieldset", { class: "stack" }, h("legend", {}, say.branches.changed), ...choices),
          textLabel,
          text,
          modelLabel,
          model,
        ],
        say.branches.goOn,
        async (tell) => {
          /** @type {ForkRunData["change"]} */
          const change =
            chosen === "model"
              ? { kind: "model", model: model.value }
              : { kind: chosen, text: text.value };
          const data = { run_id: run.id, step: record.step, iteration: record.iteration, change };
          if (!(await app.act("fork_run", data, say.branches.notForked, run.id, tell))) return;
          close();
          toast(say.branches.wentOn);
        },
      ),
    ];
  });
}
