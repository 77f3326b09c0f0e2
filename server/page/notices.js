// What the page says beside its areas: short messages at its edge, and words for a screen reader
// that come once and never stream.

/** @import { LiveFrame } from "./wire.d.ts" */
/** @import { Connection } from "./protocol.js" */
/** @import { State } from "./state.js" */

import { h, iconButton, setText } from "./dom.js";
import { say } from "./language.js";
import { nameOf } from "./words.js";

const SHORT_MS = 5_000;

/**
 * A short message at the edge of the page.
 *
 * @param {string} text
 */
export function toast(text) {
  const element = h("p", { class: "toast info" }, text);
  place(element);
  setTimeout(() => element.remove(), SHORT_MS);
}

/** @type {Map<string, HTMLElement>} what could not be done, by what it was */
const complaints = new Map();

/**
 * Say what could not be done, until the user has read it or it is done after all.
 *
 * @param {string} text
 * @param {string} about what was not done: said once, however often it fails
 */
export function complain(text, about) {
  settle(about);
  const element = h(
    "div",
    { class: "toast error" },
    h("p", {}, text),
    iconButton("cross", say.common.dismiss, () => settle(about)),
  );
  complaints.set(about, element);
  place(element);
}

/**
 * It was done after all, or read.
 *
 * @param {string} about
 */
export function settle(about) {
  complaints.get(about)?.remove();
  complaints.delete(about);
}

/** Whoever the complaints were for is signed out. */
export function settleAll() {
  for (const about of complaints.keys()) settle(about);
}

/**
 * The toasts are a popover: shown anew, they lie above a dialog that was opened since.
 *
 * @param {HTMLElement} element
 */
function place(element) {
  const toasts = document.getElementById("toasts");
  toasts?.append(element);
  if (toasts?.matches(":popover-open")) toasts.hidePopover();
  toasts?.showPopover();
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
    complain(say.problems.notCopied, done);
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
    if (isPending) announce(say.said.pending);
    else if (data.kind === "branch_proposed") announce(say.said.proposed);
    else if (data.before && data.thread)
      announce(say.threadSettings.changed(nameOf(state, data.by), data.before, data.thread));
  } else if (data.status === "finished") announce(say.said.answered);
  else if (data.status === "failed") announce(say.said.failed(data.message));
  else if (data.status === "cancelled" && data.by)
    announce(say.said.stopped(nameOf(state, data.by)));
}

/**
 * Announce a change of the connection, and only that: the seconds until a retry are not read.
 *
 * @param {Connection["phase"]} before
 * @param {Connection} connection
 * @param {boolean} wasConnected
 */
export function announceConnection(before, connection, wasConnected) {
  if (connection.phase === "waiting" && before === "connected") announce(say.said.lost);
  else if (connection.phase === "connected" && wasConnected) announce(say.said.connected);
  else if (connection.phase === "ended") announce(connection.reason);
}
