// A thread as a document of the user's own: Markdown to read, JSON to work on. Pure.
//
// In Markdown every heading is ours: what users wrote stands in a fence that it cannot end, an answer in
// a quotation that it cannot leave, and names are escaped, so that no text passes for another's.

/** @import { Message, State, Thread } from "./state.js" */

import { say } from "./language.js";
import { messagesOf } from "./selectors.js";
import { nameOf, shortKey } from "./words.js";

/**
 * The open thread as Markdown: who said what and when, with the citations of each answer.
 *
 * @param {Thread} thread
 * @param {State} state
 */
export function exportMarkdown(thread, state) {
  const { view } = thread;
  const people = view.co_authors.map((key) => `- ${plain(nameOf(state, key))} (\`${key}\`)`);
  const head = [`# ${plain(view.name)}`, "", say.export.threadOf(view.visibility), ...people, ""];
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
      ? `Chorus${message.model ? ` (${plain(message.model)})` : ""}`
      : `${plain(nameOf(state, message.author))} (\`${shortKey(message.author)}\`)`;
  const status = message.status === "approved" ? "" : `, ${message.status}`;
  const lines = [
    `## ${by}, ${message.created_at}${status}`,
    "",
    message.content === null ? say.export.notShown : body(message, message.content),
    "",
  ];
  for (const { label, message_id: cited } of message.citations)
    lines.push(`- [${label}] ${say.export.message(cited)}`);
  if (message.citations.length > 0) lines.push("");
  return lines.join("\n");
}

/**
 * @param {Message} message
 * @param {string} content
 */
function body({ role }, content) {
  return role === "chorus" ? quotation(content) : fenced(content);
}

/**
 * Text as it was typed, behind a fence longer than any in it.
 *
 * @param {string} text
 */
function fenced(text) {
  const runs = text.match(/`+/g) ?? [];
  const fence = "`".repeat(Math.max(3, ...runs.map(({ length }) => length + 1)));
  return [`${fence}text`, text, fence].join("\n");
}

/**
 * Markdown within a quotation; HTML is text there.
 *
 * @param {string} markdown
 */
function quotation(markdown) {
  const lines = markdown.replace(/<(?=[a-z/!?])/gi, "&lt;").split(/\r\n?|\n/);
  return lines.map((line) => `> ${line}`.trimEnd()).join("\n");
}

/**
 * A name that is shown as it is, whatever it means in Markdown.
 *
 * @param {string} name
 */
function plain(name) {
  return name.replace(/[!-/:-@[-`{-~]/g, "\\$&");
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
