// Words for users: names, times, counts and the machines' own names as sentences. Pure, but for
// the language and zone of the browser.

/** @import { ErrorCode, StepEnum } from "./wire.d.ts" */
/** @import { Refused } from "./protocol.js" */

const TIME = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { day: "numeric", month: "short" });
const FULL = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const COUNT = new Intl.NumberFormat();

const NAME_LENGTH = 60; // characters of a thread's name that is made out of a prompt

/** @type {Record<StepEnum, {name: string, does: string}>} */
export const STEP_WORDS = {
  action: { name: "Action", does: "a first answer, without memory" },
  experience: { name: "Experience", does: "what memory adds" },
  intention: { name: "Intention", does: "what is really asked" },
  observation: { name: "Observation", does: "patterns and gaps" },
  update: { name: "Update", does: "enough, or another loop?" },
  yield: { name: "Yield", does: "the final answer" },
};

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
  if (minutes < 0) return "over";
  if (minutes < 1) return "less than a minute";
  if (minutes < 90) return counted(minutes, "minute");
  if (minutes < 48 * 60) return counted(Math.round(minutes / 60), "hour");
  return counted(Math.round(minutes / 1440), "day");
}

/**
 * @param {number} count
 * @param {string} noun
 */
export function counted(count, noun) {
  return `${COUNT.format(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** @param {number} value */
export function number(value) {
  return COUNT.format(value);
}

/** @param {number} fraction */
export function percent(fraction) {
  return `${Math.round(fraction * 100)}%`;
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
const EFFECTS = {
  AICall: "a call of the model",
  CancelTimer: "an end of the timer",
  DBOperation: "a write to memory",
  RecallPriors: "a search of memory",
  ScheduleTimer: "a timer",
  StopAttempt: "an end of the model's call",
};

/**
 * What an effect asks for: `AICall` is "a call of the model"; others as they are spelt.
 *
 * @param {string} name
 */
export function effectWords(name) {
  return EFFECTS[name] ?? name.replace(/([a-z])(?=[A-Z])/g, "$1 ").toLowerCase();
}

/** Beside a text that ended at its length limit. */
export const CUT = "Cut at the length limit: the model had more to say.";

/**
 * The last attempt's trouble, in plain words.
 *
 * @type {Partial<Record<ErrorCode, string>>}
 */
export const TROUBLE = {
  ai_unavailable: "the model could not be reached",
  ai_rejected: "the model refused: its key, quota or name needs an operator",
  ai_invalid_output: "the model gave nothing usable",
  storage_unavailable: "the server could not write to its disk",
  internal: "the server failed",
};

/**
 * What a refusal means for the user, beyond the server's sentence.
 *
 * @param {Refused} refused
 */
export function advice(refused) {
  const wait = refused.retryAfterMs
    ? ` Try again in ${Math.ceil(refused.retryAfterMs / 1000)} s.`
    : "";
  switch (refused.code) {
    case "storage_unavailable":
      return "The server cannot write: its disk may be full. Nothing of yours is lost; it stays here.";
    case "shutting_down":
      return "The server is going down; the page goes on when it is back.";
    default:
      return `${refused.message}${wait}`;
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
  if (characters.length <= NAME_LENGTH) return words || "New thread";
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
  return `${stem.slice(0, 60) || "thread"}.${ending}`;
}
