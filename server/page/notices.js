// What the page says beside its areas: short messages at its edge, and words for a screen reader
// that come once and never stream.

/** @import { LiveFrame } from "./wire.d.ts" */
/** @import { Connection } from "./protocol.js" */
/** @import { State } from "./store.js" */

import { setText } from "./dom.js";
import { nameOf } from "./words.js";

const SHORT_MS = 5_000;
const LONG_MS = 9_000;

/**
 * A short message at the edge of the page.
 *
 * @param {string} text
 * @param {"info" | "error"} kind
 */
export function toast(text, kind = "info") {
  const element = document.createElement("p");
  element.className = `toast ${kind}`;
  element.textContent = text;
  document.getElementById("toasts")?.append(element);
  setTimeout(() => element.remove(), kind === "error" ? LONG_MS : SHORT_MS);
}

/**
 * Copy a text for the user.
 *
 * @param {string} text
 * @param {string} done what to say once it is copied
 */
export async function copyText(text, done) {
  try {
    await navigator.clipboard.writeText(text);
    toast(done);
  } catch {
    toast("The browser did not let the page copy.", "error");
  }
}

/**
 * Say something to a screen reader, once.
 *
 * @param {string} text
 */
export function announce(text) {
  const announcer = document.getElementById("announcer");
  if (!announcer) return;
  announcer.textContent = "";
  // Emptied first, so that the same words are heard again.
  setTimeout(() => setText(announcer, text), 50);
}

/**
 * Announce what a user who does not look should hear of a live frame.
 *
 * @param {LiveFrame} frame
 * @param {State} state
 */
export function announceFrame({ type, data }, state) {
  if (type === "thread_event") {
    const isPending = data.kind === "message_submitted" && data.message?.status === "pending";
    if (isPending) announce("A message waits for approval.");
  } else if (data.status === "finished") announce("An answer is there.");
  else if (data.status === "failed") announce(`The run failed. ${data.message}`);
  else if (data.status === "cancelled" && data.by)
    announce(`${nameOf(state, data.by)} stopped the run.`);
}

/**
 * Announce a change of the connection, and only that: the seconds until a retry are not read.
 *
 * @param {Connection["phase"]} before
 * @param {Connection} connection
 * @param {boolean} wasConnected
 */
export function announceConnection(before, connection, wasConnected) {
  if (connection.phase === "waiting" && before === "connected")
    announce("The connection is lost; trying again.");
  else if (connection.phase === "connected" && wasConnected) announce("Connected again.");
  else if (connection.phase === "ended") announce(connection.reason);
}
