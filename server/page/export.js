// A thread as a document of the user's own: Markdown to read, JSON to work on. Pure.

/** @import { Message, State, Thread } from "./store.js" */

import { messagesOf } from "./store.js";
import { nameOf, shortKey } from "./words.js";

/**
 * The open thread as Markdown: who said what and when, with the citations of each answer.
 *
 * @param {Thread} thread
 * @param {State} state
 */
export function exportMarkdown(thread, state) {
  const { view } = thread;
  const people = view.co_authors.map((key) => `- ${nameOf(state, key)} (\`${key}\`)`);
  const head = [`# ${view.name}`, "", `A ${view.visibility} thread of`, ...people, ""];
  const parts = messagesOf(thread).map((message) => section(state, message));
  return `${[...head, ...parts].join("\n")}\n`;
}

/**
 * @param {State} state
 * @param {Message} message
 */
function section(state, message) {
  const by =
    message.author === null
      ? `Chorus${message.model ? ` (${message.model})` : ""}`
      : `${nameOf(state, message.author)} (${shortKey(message.author)})`;
  const status = message.status === "approved" ? "" : `, ${message.status}`;
  const lines = [
    `## ${by}, ${message.created_at}${status}`,
    "",
    message.content ?? "(not shown to you)",
    "",
  ];
  for (const { label, message_id: cited } of message.citations)
    lines.push(`- [${label}] message ${cited}`);
  if (message.citations.length > 0) lines.push("");
  return lines.join("\n");
}

/**
 * The open thread as JSON, in the shapes of the wire.
 *
 * @param {Thread} thread
 * @param {State} state
 */
export function exportJson(thread, state) {
  const { view, headSeq } = thread;
  const messages = messagesOf(thread).map(({ fresh: _fresh, ...message }) => message);
  const met = new Set([...view.co_authors, ...messages.map(({ author }) => author)]);
  const names = Object.fromEntries([...state.names].filter(([key]) => met.has(key)));
  return `${JSON.stringify({ thread: view, head_seq: headSeq, names, messages }, null, 2)}\n`;
}
