// What the page says beside its areas: short messages at its edge, and words for a screen reader
// that come once and never stream.

const SHORT_MS = 5_000;
const LONG_MS = 9_000;

/** A short message at the edge of the page. */
export function toast(text, kind = "info") {
  const element = document.createElement("p");
  element.className = `toast ${kind}`;
  element.textContent = text;
  document.getElementById("toasts").append(element);
  setTimeout(() => element.remove(), kind === "error" ? LONG_MS : SHORT_MS);
}

/** Say something to a screen reader, once. */
export function announce(text) {
  const announcer = document.getElementById("announcer");
  announcer.textContent = "";
  setTimeout(() => (announcer.textContent = text), 50); // emptied first, so that it is heard again
}

/** Announce what somebody who does not look should hear of a live frame. */
export function announceFrame({ data }) {
  if (data.status === "finished") announce("An answer is there.");
  else if (data.status === "failed") announce(`The run failed. ${data.message}`);
  else if (data.kind === "message_submitted" && data.message.status === "pending") {
    announce("A message waits for approval.");
  }
}

/** Announce a change of the connection, and only that: the seconds until a retry are not read. */
export function announceConnection(before, { phase, reason }, wasConnected) {
  if (phase === "waiting" && before === "connected")
    announce("The connection is lost; trying again.");
  else if (phase === "connected" && wasConnected) announce("Connected again.");
  else if (phase === "ended") announce(reason);
}
