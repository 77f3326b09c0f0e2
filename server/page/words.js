// Words for users: names, times, numbers and the machines' own names as sentences, in the language of the
// interface and the zone of the browser.

/** @import { ErrorCode, InboxItem, StepEnum } from "./wire.d.ts" */
/** @import { Refused } from "./protocol.js" */

import { locale, say } from "./language.js";

const TIME = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });
const PERCENT = new Intl.NumberFormat(locale, { style: "percent" });

const NAME_LENGTH = 60; // characters of a thread's name that is made out of a prompt

const MILLISECONDS = new Intl.NumberFormat(locale, { style: "unit", unit: "millisecond" });
const SECONDS = new Intl.NumberFormat(locale, {
  style: "unit",
  unit: "second",
  maximumFractionDigits: 1,
});

/**
 * How long something took.
 *
 * @param {number} ms
 */
export function elapsed(ms) {
  return ms < 999.5 ? MILLISECONDS.format(Math.round(ms)) : SECONDS.format(ms / 1_000);
}

/** @type {Record<StepEnum, {name: string, does: string}>} */
export const STEP_WORDS = say.steps;

/**
 * A public key as users can compare it: its first and last four characters.
 *
 * @param {string} key
 */
export function shortKey(key) {
  return `${key.slice(0, 4)}…${key.slice(-4)}`;
}

/**
 * What a user is called: the name they gave, else their short key.
 *
 * @param {{names: ReadonlyMap<string, string>}} state
 * @param {string | null | undefined} key null for the chorus itself
 */
export function nameOf(state, key) {
  if (key === null || key === undefined) return "Chorus";
  return state.names.get(key) ?? shortKey(key);
}

/** @param {string} moment */
export function clockTime(moment) {
  return TIME.format(new Date(moment));
}

/**
 * The time for today, the day for what is older.
 *
 * @param {string} moment
 */
export function whenShort(moment, now = new Date()) {
  const date = new Date(moment);
  return date.toDateString() === now.toDateString() ? TIME.format(date) : DAY.format(date);
}

/** @param {string} moment */
export function whenLong(moment) {
  return FULL.format(new Date(moment));
}

/**
 * How long is left, in the largest unit that says something.
 *
 * @param {string} until
 */
export function timeLeft(until, now = Date.now()) {
  const minutes = Math.floor((Date.parse(until) - now) / 60_000);
  if (minutes < 0) return say.time.over;
  return say.time.left(duration(minutes));
}

/** @param {number} minutes */
function duration(minutes) {
  if (minutes < 1) return say.time.lessThanAMinute;
  if (minutes < 90) return say.time.minutes(minutes);
  if (minutes < 48 * 60) return say.time.hours(Math.round(minutes / 60));
  return say.time.days(Math.round(minutes / 1440));
}

/**
 * @param {number} value
 * @param {number} digits behind the point
 */
export function decimal(value, digits) {
  const form = { minimumFractionDigits: digits, maximumFractionDigits: digits };
  return new Intl.NumberFormat(locale, form).format(value);
}

/**
 * Who wants what, of an item of the inbox.
 *
 * @param {InboxItem} item
 */
export function inboxWords({ kind, by, by_name: byName, public_key: named, name }) {
  const who = byName ?? (by ? shortKey(by) : "Chorus");
  return say.inbox.wants[kind](who, name ?? shortKey(named ?? ""));
}

const MOST_NAMED = 3;

/**
 * A few names, and how many more there are.
 *
 * @param {readonly string[]} names
 */
export function someOf(names) {
  const more = names.length - MOST_NAMED;
  const shown = more > 1 ? [...names.slice(0, MOST_NAMED), say.presence.more(more)] : names;
  return new Intl.ListFormat(locale).format(shown);
}

const MOST_COUNTED = 100;

/**
 * A count as a mark shows it: what is counted up to a bound may be more.
 *
 * @param {number} count
 */
export function countWords(count) {
  return count < MOST_COUNTED ? decimal(count, 0) : `${MOST_COUNTED - 1}+`;
}

/** @param {number} fraction */
export function percent(fraction) {
  return PERCENT.format(fraction);
}

/**
 * `step_completed` as it is read aloud.
 *
 * @param {string} identifier
 */
export function spaced(identifier) {
  return identifier.replaceAll("co_author", "co-author").replaceAll("_", " ");
}

/** @type {Record<string, string>} */
const EFFECTS = say.effects;

/**
 * What an effect asks for: `AICall` is "a call of the model"; others as they are spelt.
 *
 * @param {string} name
 */
export function effectWords(name) {
  return EFFECTS[name] ?? name.replace(/([a-z])(?=[A-Z])/g, "$1 ").toLowerCase();
}

/**
 * The last attempt's trouble, in plain words.
 *
 * @type {Partial<Record<ErrorCode, string>>}
 */
export const TROUBLE = say.trouble;

/**
 * What a refusal means for the user, beyond the server's sentence.
 *
 * @param {Refused} refused
 */
export function advice(refused) {
  const wait = refused.retryAfterMs
    ? say.problems.tryAgainIn(Math.ceil(refused.retryAfterMs / 1000))
    : "";
  switch (refused.code) {
    case "storage_unavailable":
      return say.problems.cannotWrite;
    case "shutting_down":
      return say.problems.shuttingDown;
    default:
      return `${say.problems.refused(refused.code, refused.message)}${wait}`;
  }
}

/**
 * The first words of a prompt, as the name of the thread that is made for it.
 *
 * @param {string} text
 */
export function threadNameFor(text) {
  const words = text.replace(/[\p{C}\s]+/gu, " ").trim();
  const characters = [...words];
  if (characters.length <= NAME_LENGTH) return words || say.common.newThread;
  const cut = characters.slice(0, NAME_LENGTH).join("");
  return `${cut.slice(0, Math.max(cut.lastIndexOf(" "), NAME_LENGTH / 3)).trim()}…`;
}

/**
 * A file name out of a thread's name.
 *
 * @param {string} name
 * @param {string} ending without its dot
 */
export function fileName(name, ending) {
  const stem = name
    .normalize("NFKC")
    .replace(/[^\p{L}\p{N}]+/gu, "-")
    .replace(/^-+|-+$/g, "");
  return `${stem.slice(0, 60) || say.export.thread}.${ending}`;
}
