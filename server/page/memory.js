// What this browser remembers between visits, beside the key: drafts, prompts that were not
// acknowledged, what was seen, the session's token. A browser that keeps nothing is lived with.

/** @import { Prompt } from "./state.js" */
/** @import { Language } from "./language.js" */
/** @import { MachineName } from "./trace.js" */

/**
 * @typedef {object} Choices
 * @property {boolean} strip whether the strip of steps is shown
 * @property {MachineName} drawing which machine is drawn
 * @property {boolean} whole whether a drawing is shown whole
 * @property {"system" | "light" | "dark"} theme
 * @property {"system" | Language} language of the interface
 * @property {boolean} notifications whether the browser is to tell what is new in the inbox
 * @property {boolean} toldOfRecovery whether it was said what is lost without a recovery file
 */

/** @type {Choices} */
const UNCHOSEN = {
  strip: true,
  drawing: "chorus",
  whole: false,
  theme: "system",
  language: "system",
  notifications: false,
  toldOfRecovery: false,
};

export class Memory {
  /** The token belongs to one tab: two tabs with one session would push each other out. */
  token = {
    get: () => read(sessionStorage, "chorus.token"),
    /** @param {string | null} token */
    set: (token) => write(sessionStorage, "chorus.token", token),
  };

  /**
   * What the user chose of the page's looks; the same for every key in this browser.
   *
   * @returns {Choices}
   */
  get choices() {
    return { ...UNCHOSEN, ...parse(read(localStorage, "chorus.choices"), {}) };
  }

  /** @param {Partial<Choices>} choices */
  choose(choices) {
    write(localStorage, "chorus.choices", JSON.stringify({ ...this.choices, ...choices }));
  }

  get signedOut() {
    return read(localStorage, "chorus.signed-out") === "yes";
  }

  set signedOut(isOut) {
    write(localStorage, "chorus.signed-out", isOut ? "yes" : null);
  }

  /**
   * Whether a `storage` event says that another tab signed out.
   *
   * @param {StorageEvent} event
   */
  isSignOut({ key, newValue }) {
    return key === "chorus.signed-out" && newValue === "yes";
  }

  /**
   * Drop all that was kept for a user.
   *
   * @param {string} publicKey of the user
   */
  forget(publicKey) {
    try {
      for (const name of Object.keys(localStorage)) {
        if (name.startsWith("chorus.") && name.includes(publicKey)) localStorage.removeItem(name);
      }
    } catch {
      // Storage is off: there is nothing to drop.
    }
  }

  /**
   * @param {string} publicKey
   * @param {string} threadId
   */
  draft(publicKey, threadId) {
    return read(localStorage, `chorus.draft.${publicKey}.${threadId}`) ?? "";
  }

  /**
   * @param {string} publicKey
   * @param {string} threadId
   * @param {string} text
   */
  keepDraft(publicKey, threadId, text) {
    write(localStorage, `chorus.draft.${publicKey}.${threadId}`, text || null);
  }

  /**
   * A prompt that was refused becomes the draft again, before what was typed since.
   *
   * @param {string} publicKey
   * @param {Prompt} prompt
   */
  giveBack(publicKey, { threadId, text }) {
    const typed = this.draft(publicKey, threadId);
    this.keepDraft(publicKey, threadId, typed ? `${text}\n\n${typed}` : text);
  }

  /**
   * @param {string} publicKey
   * @returns {Prompt[]}
   */
  outgoing(publicKey) {
    return parse(read(localStorage, `chorus.outgoing.${publicKey}`), []);
  }

  /**
   * @param {string} publicKey
   * @param {Prompt} prompt
   */
  keepOutgoing(publicKey, prompt) {
    this.#writeOutgoing(publicKey, [...this.outgoing(publicKey), prompt]);
  }

  /**
   * @param {string} publicKey
   * @param {string} id
   */
  dropOutgoing(publicKey, id) {
    this.#writeOutgoing(
      publicKey,
      this.outgoing(publicKey).filter((prompt) => prompt.id !== id),
    );
  }

  /**
   * @param {string} publicKey
   * @param {readonly Prompt[]} prompts
   */
  #writeOutgoing(publicKey, prompts) {
    write(
      localStorage,
      `chorus.outgoing.${publicKey}`,
      prompts.length > 0 ? JSON.stringify(prompts) : null,
    );
  }

  /**
   * Pairs of thread and seq.
   *
   * @param {string} publicKey
   * @returns {[string, number][]}
   */
  seen(publicKey) {
    return parse(read(localStorage, `chorus.seen.${publicKey}`), []);
  }

  /**
   * @param {string} publicKey
   * @param {ReadonlyMap<string, number>} seen
   */
  keepSeen(publicKey, seen) {
    write(localStorage, `chorus.seen.${publicKey}`, JSON.stringify([...seen]));
  }
}

/**
 * @param {Storage} storage
 * @param {string} name
 */
function read(storage, name) {
  try {
    return storage.getItem(name);
  } catch {
    return null; // storage is off in this browser
  }
}

/**
 * @param {Storage} storage
 * @param {string} name
 * @param {string | null} value
 */
function write(storage, name, value) {
  try {
    if (value === null) storage.removeItem(name);
    else storage.setItem(name, value);
  } catch {
    // Full or off: then it is not remembered, and nothing else suffers.
  }
}

/**
 * What was kept, as this page wrote it; `otherwise` where there is nothing that can be read.
 *
 * @template Kept
 * @param {string | null} text
 * @param {Kept} otherwise
 * @returns {Kept}
 */
function parse(text, otherwise) {
  try {
    return text === null ? otherwise : JSON.parse(text);
  } catch {
    return otherwise;
  }
}
