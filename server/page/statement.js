// The check of a challenge before it is signed. Pure.
//
// A signature says "I am this key, towards this host". A server that passes on another server's
// challenge would get a signature that is good there; so only what names the dialled host and the
// user's own key is signed.

import { say } from "./language.js";

const FIRST_LINE_END = " wants you to sign in with your Ed25519 key:";
const MAX_CHARACTERS = 4096;

/**
 * Why a statement may not be signed, as a sentence; null where it may.
 *
 * @param {string} statement the text of the challenge
 * @param {{host: string, publicKey: string, nonce: string}} expected `host` as in location.host
 */
export function whyNotSign(statement, { host, publicKey, nonce }) {
  if (statement.length > MAX_CHARACTERS || /[^\P{C}\n]/u.test(statement)) {
    return say.statement.notPlain;
  }
  const lines = statement.split("\n");
  const first = lines[0] ?? "";
  if (!first.endsWith(FIRST_LINE_END)) {
    return say.statement.notChorus;
  }
  const named = first.slice(0, -FIRST_LINE_END.length);
  if (named !== host) {
    return say.statement.otherHost(named.slice(0, 80), host);
  }
  if (lines[1] !== publicKey) return say.statement.otherKey;
  const addresses = items(lines, "URI");
  if (addresses.length === 0 || !addresses.every((address) => hostOf(address) === host)) {
    return say.statement.otherAddress(host);
  }
  if (items(lines, "Version").join() !== "1" || items(lines, "Nonce").join() !== nonce) {
    return say.statement.otherChallenge;
  }
  return null;
}

/**
 * @param {readonly string[]} lines
 * @param {string} name
 */
function items(lines, name) {
  const start = `${name}: `;
  return lines.filter((line) => line.startsWith(start)).map((line) => line.slice(start.length));
}

/** @param {string} address */
function hostOf(address) {
  try {
    return new URL(address).host;
  } catch {
    return "";
  }
}
