// One of the six steps as a row that opens: its text as it streams, and what it gave.

import { growText, h, icon, setText } from "../dom.js";
import { FINAL, priorsOf, recordsOf } from "../runs.js";
import { nameOf, number, percent, STEP_WORDS, TROUBLE, whenShort } from "../words.js";

let rows = 0;

export class StepRow {
  constructor(app, step) {
    this.app = app;
    this.step = step;
    this.isOpen = null; // null: as the run suggests
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

  update(run, message) {
    Object.assign(this, { run, message });
    const records = recordsOf(run, this.step);
    const last = records.at(-1);
    const isLive = !FINAL.has(run.status);
    const isCurrent = isLive && run.status !== "queued" && run.step === this.step;
    const isDone = last?.status === "completed" && last.iteration === run.iteration;
    this.element.dataset.state = isCurrent && !isDone ? run.status : (last?.status ?? "waiting");
    if (isCurrent) this.toggle.setAttribute("aria-current", "step");
    else this.toggle.removeAttribute("aria-current");
    setText(this.facts, factsOf(records, last));
    this.toggle.disabled = records.length === 0;
    // The answer itself streams beneath the rows, so its own row need not open.
    const opens = records.length > 0 && (this.isOpen ?? (isCurrent && this.step !== "yield"));
    this.toggle.setAttribute("aria-expanded", String(opens));
    this.body.hidden = !opens;
    this.body.classList.toggle("window", opens && this.isOpen === null);
    if (opens) this.draw(records);
  }

  flip() {
    this.isOpen = this.toggle.getAttribute("aria-expanded") !== "true";
    this.update(this.run, this.message);
  }

  draw(records) {
    for (const record of records) {
      let block = this.blocks.get(record.iteration);
      if (!block) {
        block = new RecordBlock(this.app);
        this.blocks.set(record.iteration, block);
        this.body.append(block.element);
      }
      block.update(record, records.length > 1, this.run);
    }
    for (const [iteration, block] of this.blocks) {
      if (!records.some((record) => record.iteration === iteration)) {
        block.element.remove();
        this.blocks.delete(iteration);
      }
    }
    const isStreaming = records.at(-1).status === "running";
    if (this.body.classList.contains("window")) {
      this.body.scrollTop = isStreaming ? this.body.scrollHeight : 0;
    }
  }
}

function factsOf(records, last) {
  if (!last) return "";
  const tokens = records.reduce((sum, { usage }) => sum + (usage?.total_tokens ?? 0), 0);
  return [
    records.length > 1 ? `loop ${last.iteration}` : null,
    last.attempt > 1 ? `attempt ${last.attempt}` : null,
    last.priors ? `${last.priors.length} found` : null,
    tokens > 0 ? `${number(tokens)} tokens` : null,
  ]
    .filter(Boolean)
    .join(" · ");
}

/** What one step gave in one iteration. */
class RecordBlock {
  constructor(app) {
    this.app = app;
    this.title = h("h5", { hidden: true });
    this.failures = h("div", {});
    this.text = h("p", { class: "step-text", dir: "auto" });
    this.output = h("div", { class: "step-output" });
    this.element = h("div", { class: "record" }, this.title, this.failures, this.text, this.output);
  }

  update(record, isNumbered, run) {
    this.title.hidden = !isNumbered;
    setText(this.title, `Loop ${record.iteration}`);
    growText(this.text, record.text);
    this.text.hidden = record.text === "";
    if (record.failures !== this.drawnFailures) {
      this.drawnFailures = record.failures;
      this.failures.replaceChildren(...record.failures.map(failed));
    }
    const key = [record.output, record.priors, run.records.length, run.status].map((part) => part);
    if (this.drawn && key.every((part, place) => part === this.drawn[place])) return;
    this.drawn = key;
    this.output.replaceChildren(...outputOf(this.app, record, run));
  }
}

function failed({ attempt, code, message, retryInMs, partial }) {
  const why = message ?? TROUBLE[code] ?? code;
  const again = retryInMs === null ? "" : ` Tried again after ${(retryInMs / 1000).toFixed(1)} s.`;
  return h(
    "div",
    { class: "note warn" },
    `Attempt ${attempt}: ${why}${again}`,
    partial &&
      h(
        "details",
        {},
        h("summary", {}, "What it had written"),
        h("p", { class: "step-text", dir: "auto" }, partial),
      ),
  );
}

function outputOf(app, record, run) {
  const parts = [];
  const output = record.output ?? {};
  if (record.priors) parts.push(...priorList(app, record, run));
  if (output.explicit_intent !== undefined) {
    parts.push(
      facts([
        ["Asked for", output.explicit_intent],
        ["Beneath it", output.implicit_intent],
      ]),
    );
    for (const { message_id: id, why } of output.selected_priors) {
      parts.push(
        h(
          "p",
          { class: "chosen", dir: "auto" },
          h("strong", {}, "Chosen: "),
          excerpt(run, id),
          why ? ` (${why})` : "",
        ),
      );
    }
  }
  if (output.patterns) parts.push(list("Patterns", output.patterns), list("Gaps", output.gaps));
  if (output.loop !== undefined) {
    parts.push(
      h(
        "p",
        { class: "verdict" },
        output.loop
          ? `Goes round again${output.next_query ? `, searching for “${output.next_query}”` : ""}.`
          : "Enough: on to the answer.",
      ),
    );
  }
  if (output.key_insights) parts.push(list("Insights", output.key_insights));
  if (output.confidence !== undefined)
    parts.push(h("p", { class: "muted small" }, `Confidence ${percent(output.confidence)}`));
  if (record.usage) parts.push(h("p", { class: "muted small" }, usageOf(record.usage)));
  return parts.filter(Boolean);
}

function priorList(app, record, run) {
  if (record.memoryAvailable === false) {
    return [
      h("p", { class: "note warn" }, "Memory could not be searched; the run went on without it."),
    ];
  }
  if (record.priors.length === 0)
    return [h("p", { class: "muted small" }, "Memory holds nothing near this.")];
  const fates = priorsOf(run);
  return [
    h(
      "ol",
      { class: "priors", "aria-label": "What memory holds" },
      ...record.priors.map((prior) => {
        const fate = fates.get(prior.message_id) ?? prior;
        const marks = [
          fate.used && ["used", "drawn on by experience"],
          fate.selected && ["selected", fate.why || "chosen by intention"],
          fate.cited && [`cited ${fate.label}`, "cited in the answer"],
        ].filter(Boolean);
        const meter = h("meter", {
          min: 0,
          max: 1,
          value: Math.max(0, Math.min(1, prior.score)),
          "aria-hidden": "true",
        });
        return h(
          "li",
          { class: "prior" },
          h(
            "button",
            {
              type: "button",
              class: "prior-button",
              title: "Go to this message",
              on: { click: () => app.openThread(prior.thread_id, prior.message_id) },
            },
            h(
              "span",
              { class: "prior-head" },
              meter,
              h("span", { class: "score" }, prior.score.toFixed(2)),
              h("bdi", {}, nameOf(app.state, prior.author)),
              h("span", { class: "muted" }, whenShort(prior.created_at)),
              ...marks.map(([mark, why]) =>
                h("span", { class: `mark ${mark.split(" ")[0]}`, title: why }, mark),
              ),
            ),
            h("span", { class: "prior-text", dir: "auto" }, prior.content),
          ),
        );
      }),
    ),
  ];
}

function excerpt(run, id) {
  const prior = priorsOf(run).get(id);
  return prior ? `“${[...prior.content].slice(0, 80).join("")}…”` : "a message";
}

function facts(pairs) {
  const known = pairs.filter(([, value]) => value);
  return known.length === 0
    ? null
    : h(
        "dl",
        { class: "facts" },
        ...known.flatMap(([term, value]) => [h("dt", {}, term), h("dd", { dir: "auto" }, value)]),
      );
}

function list(title, items) {
  return items.length === 0
    ? null
    : h(
        "div",
        {},
        h("h5", {}, title),
        h("ul", {}, ...items.map((item) => h("li", { dir: "auto" }, item))),
      );
}

function usageOf({ prompt_tokens: read, completion_tokens: written, total_tokens: total }) {
  const parts = [
    read === null ? null : `${number(read)} read`,
    written === null ? null : `${number(written)} written`,
  ].filter(Boolean);
  return `${number(total)} tokens${parts.length > 0 ? ` (${parts.join(", ")})` : ""}`;
}
