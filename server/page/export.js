// A thread as a document of the person's own: Markdown to read, JSON to work on. Pure.

import { nameOf, shortKey } from "./words.js";

/** The open thread as Markdown: who said what and when, with the citations of each answer. */
export function exportMarkdown(state) {
  const { view, order, messages } = state.thread;
  const people = view.co_authors.map((key) => `- ${nameOf(state, key)} (\`${key}\`)`);
  const head = [`# ${view.name}`, "", `A ${view.visibility} thread of`, ...people, ""];
  const parts = order.map((id) => section(state, messages.get(id)));
  return `${[...head, ...parts].join("\n")}\n`;
}

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

/** The open thread as JSON, in the shapes of the wire. */
export function exportJson(state) {
  const { view, order, messages, headSeq } = state.thread;
  const names = Object.fromEntries(
    [...state.names].filter(([key]) => view.co_authors.includes(key) || wrote(state, key)),
  );
  const kept = order.map((id) => {
    const { fresh: _fresh, ...message } = messages.get(id);
    return message;
  });
  return `${JSON.stringify({ thread: view, head_seq: headSeq, names, messages: kept }, null, 2)}\n`;
}

function wrote(state, key) {
  return state.thread.order.some((id) => state.thread.messages.get(id).author === key);
}
