// A citation's pop-over: whose words they are, what they say, and the way to them.

/** @import { App } from "../app.js" */
/** @import { Citation, MessageView, Prior } from "../wire.d.ts" */

import { button, h } from "../dom.js";
import { say } from "../language.js";
import { priorsOf } from "../run_facts.js";
import { messagesOf } from "../selectors.js";
import { nameOf, whenLong } from "../words.js";
import { avatar } from "./avatar.js";
import { readRun } from "../run_requests.js";

const MARGIN = 8; // pixels to the edge of the page

/**
 * Show the prior that a label of an answer stands for.
 *
 * @param {App} app
 * @param {HTMLElement} anchor
 * @param {Citation} citation
 * @param {MessageView} answer
 */
export async function openCitation(app, anchor, citation, answer) {
  const content = h(
    "div",
    { class: "citation-content" },
    h("p", { class: "muted" }, say.citation.looking),
  );
  const popover = h(
    "div",
    {
      class: "popover",
      popover: "auto",
      role: "dialog",
      "aria-label": say.common.source(citation.label),
    },
    content,
  );
  popover.addEventListener("toggle", (event) => {
    if (event instanceof ToggleEvent && event.newState === "closed") {
      popover.remove();
      anchor.focus({ preventScroll: true });
    }
  });
  const lasting = app.lifetimes.of("thread");
  lasting.addEventListener("abort", () => popover.remove(), { once: true });
  document.body.append(popover);
  popover.showPopover();
  place(popover, anchor);
  const prior = await find(app, citation, answer);
  if (prior) await app.meetThreads([{ author: prior.author, thread_id: citation.thread_id }]);
  if (!popover.isConnected) return;
  content.replaceChildren(
    ...(prior ? describe(app, citation, prior) : [h("p", {}, say.citation.unreadable)]),
    button(
      say.common.goToMessage,
      () => {
        popover.hidePopover();
        app.openThread(citation.thread_id, citation.message_id);
      },
      { class: "button small" },
    ),
  );
  place(popover, anchor);
  content.querySelector("button")?.focus({ preventScroll: true });
}

/**
 * From the open thread, from the run's priors, or from the journal of the run; null where none of
 * them has it.
 *
 * @param {App} app
 * @param {Citation} citation
 * @param {MessageView} answer
 * @returns {Promise<MessageView | Prior | null>}
 */
async function find(app, { message_id: id, thread_id: threadId }, answer) {
  const { thread } = app.state;
  if (!thread) return null;
  const here = threadId === thread.id ? thread.messages.get(id) : undefined;
  if (here) return here;
  const known = answer.run_id === null ? undefined : thread.runs.get(answer.run_id);
  const prior = known && priorsOf(known).get(id);
  if (prior) return prior;
  const prompt = messagesOf(thread).find(
    ({ role, run_id: runId }) => role === "user" && runId === answer.run_id,
  );
  const run = await readRun(app, prompt ?? answer);
  return run ? (priorsOf(run).get(id) ?? null) : null;
}

/**
 * @param {App} app
 * @param {Citation} citation
 * @param {MessageView | Prior} prior
 */
function describe(app, { label, thread_id: threadId }, prior) {
  const { state } = app;
  const name = nameOf(state, prior.author);
  const elsewhere = threadId === state.thread?.id ? null : state.summaries.get(threadId);
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
      elsewhere && h("bdi", {}, ` · ${say.common.inThread(elsewhere.name)}`),
    ),
  ];
}

/**
 * @param {HTMLElement} popover
 * @param {HTMLElement} anchor
 */
function place(popover, anchor) {
  const at = anchor.getBoundingClientRect();
  const { width, height } = popover.getBoundingClientRect();
  const left = Math.min(Math.max(MARGIN, at.left), innerWidth - width - MARGIN);
  const below = at.bottom + 6;
  const top = below + height < innerHeight ? below : Math.max(MARGIN, at.top - height - 6);
  popover.style.left = `${left}px`;
  popover.style.top = `${top}px`;
}
