// Notifications of the browser: only where the user turned them on and the browser allows it, only
// while the page is not looked at. They hold plain text: what asks, in which thread, who.

/** @import { InboxItem } from "./wire.d.ts" */
/** @import { Memory } from "./memory.js" */

import { keyOf } from "./inbox.js";
import { say } from "./language.js";
import { inboxWords } from "./words.js";

const MOST_AT_ONCE = 3;
const LONGEST = 160; // characters

export class Notifications {
  /**
   * @param {Memory} memory
   * @param {(item: InboxItem | null) => void} open shows the place of an item, or the whole inbox
   */
  constructor(memory, open) {
    this.memory = memory;
    this.open = open;
  }

  /** Whether the user wants them and the browser allows them. */
  get isOn() {
    return this.memory.choices.notifications && this.permission === "granted";
  }

  /** What the browser says; `unsupported` where it has no notifications. */
  get permission() {
    return "Notification" in window ? Notification.permission : "unsupported";
  }

  /** Ask the browser, which asks the user; gives whether they are on. */
  async turnOn() {
    if (this.permission === "unsupported") return false;
    const isAllowed = (await Notification.requestPermission()) === "granted";
    this.memory.choose({ notifications: isAllowed });
    return isAllowed;
  }

  turnOff() {
    this.memory.choose({ notifications: false });
  }

  /** @param {readonly InboxItem[]} items that are new */
  tell(items) {
    if (!this.isOn || document.visibilityState === "visible") return;
    if (items.length > MOST_AT_ONCE) {
      this.#show("Chorus", say.notifications.several(items.length), "inbox", null);
      return;
    }
    for (const item of items) {
      const body = [inboxWords(item), item.excerpt].filter(Boolean).join(": ");
      this.#show(item.thread_name, body, keyOf(item), item);
    }
  }

  /**
   * @param {string} title
   * @param {string} body
   * @param {string} tag the same in every tab, so that each thing is told once
   * @param {InboxItem | null} item
   */
  #show(title, body, tag, item) {
    const notification = new Notification(plain(title), { body: plain(body), tag });
    notification.addEventListener("click", () => {
      window.focus();
      // Who asks for what is told leaves the field that they wrote in, which would keep the focus.
      if (document.activeElement instanceof HTMLElement) document.activeElement.blur();
      notification.close();
      this.open(item);
    });
  }
}

/**
 * One line of text without control and direction characters.
 *
 * @param {string} text
 */
function plain(text) {
  const line = text
    .replaceAll(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, " ")
    .replaceAll(/\s+/gu, " ")
    .trim();
  const characters = [...line];
  if (characters.length <= LONGEST) return line;
  return `${characters.slice(0, LONGEST - 1).join("")}…`;
}
