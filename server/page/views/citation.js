// A citation's pop-over: whose words they are, what they say, and the way to them.

import { button, h } from "../dom.js";
import { priorsOf } from "../runs.js";
import { nameOf, whenLong } from "../words.js";
import { avatar } from "./avatar.js";

const MARGIN = 8; // pixels to the edge of the page

/** Show the prior that a label of an answer stands for. */
export async function openCitation(app, anchor, citation, answer) {
  const content = h(
    "div",
    { class: "citation-content" },
    h("p", { class: "muted" }, "Looking it up…"),
  );
  const popover = h(
    "div",
    {
      class: "popover",
      popover: "auto",
      role: "dialog",
      "aria-label": `Source ${citation.label}`,
    },
    content,
  );
  popover.addEventListener("toggle", ({ newState }) => {
    if (newState === "closed") {
      popover.remove();
      anchor.focus({ preventScroll: true });
    }
  });
  document.body.append(popover);
  popover.showPopover();
  place(popover, anchor);
  const prior = await find(app, citation, answer);
  if (!popover.isConnected) return;
  content.replaceChildren(
    ...(prior ? describe(app, citation, prior) : [h("p", {}, "What is cited could not be read.")]),
    button(
      "Go to this message",
      () => {
        popover.hidePopover();
        app.openThread(citation.thread_id, citation.message_id);
      },
      { class: "button small" },
    ),
  );
  place(popover, anchor);
  content.querySelector("button").focus({ preventScroll: true });
}

/** From the open thread, from the run's priors, or from the journal of the run. */
async function find(app, { message_id: id, thread_id: threadId }, answer) {
  const { thread } = app.state;
  if (threadId === thread.id && thread.messages.has(id)) return thread.messages.get(id);
  const known = thread.runs.get(answer.run_id);
  if (known && priorsOf(known).has(id)) return priorsOf(known).get(id);
  const prompt = thread.order
    .map((each) => thread.messages.get(each))
    .find(({ role, run_id: runId }) => role === "user" && runId === answer.run_id);
  const run = await app.readRun(prompt ?? answer);
  return run ? (priorsOf(run).get(id) ?? null) : null;
}

function describe(app, { label, thread_id: threadId }, prior) {
  const { state } = app;
  const name = nameOf(state, prior.author);
  const elsewhere = threadId !== state.thread.id && state.summaries.get(threadId);
  return [
    h(
      "header",
      { class: "row" },
      avatar(prior.author, name),
      h("strong", {}, h("bdi", {}, name)),
      h("span", { class: "citation" }, label),
    ),
    h("p", { class: "citation-text", dir: "auto" }, prior.content),
    h(
      "p",
      { class: "muted small" },
      whenLong(prior.created_at),
      elsewhere && h("bdi", {}, ` · in ${elsewhere.name}`),
    ),
  ];
}

function place(popover, anchor) {
  const at = anchor.getBoundingClientRect();
  const { width, height } = popover.getBoundingClientRect();
  const left = Math.min(Math.max(MARGIN, at.left), innerWidth - width - MARGIN);
  const below = at.bottom + 6;
  const top = below + height < innerHeight ? below : Math.max(MARGIN, at.top - height - 6);
  popover.style.left = `${left}px`;
  popover.style.top = `${top}px`;
}
