// Names that complete an `@` in the prompt box: the co-authors' of the open thread. The focus stays in
// the box; arrows choose, Enter or Tab takes, Escape closes.

/** @import { App } from "../app.js" */

import { h } from "../dom.js";
import { say } from "../language.js";
import { announce } from "../notices.js";

const MOST = 8;
const BEGUN = /(?<![\p{L}\p{N}_@])@([^@\n]{0,80})$/u; // an `@` before the caret, and what follows it

export class MentionBox {
  /**
   * @param {App} app
   * @param {HTMLTextAreaElement} box
   * @param {() => void} typed is told when the text was changed here
   */
  constructor(app, box, typed) {
    this.app = app;
    this.box = box;
    this.typed = typed;
    /** @type {readonly string[]} */
    this.names = [];
    this.chosen = 0;
    this.element = h("ul", {
      id: "mention-list",
      class: "mention-list",
      role: "listbox",
      "aria-label": say.mentions.list,
      hidden: true,
    });
    box.setAttribute("aria-autocomplete", "list");
    box.setAttribute("aria-controls", "mention-list");
    box.addEventListener("input", () => this.look());
    box.addEventListener("click", () => this.look());
    box.addEventListener("blur", () => this.close());
  }

  get isOpen() {
    return !this.element.hidden;
  }

  /** See whether a name is being typed. */
  look() {
    const begun = this.begun();
    const names = begun === null ? [] : this.fitting(begun);
    if (names.length === 0) {
      this.close();
      return;
    }
    const isNews = names.join("\n") !== this.names.join("\n") || !this.isOpen;
    this.names = names;
    if (!isNews) return;
    this.chosen = 0;
    this.draw();
    announce(say.mentions.offered(names.join(", "), names.length));
  }

  /** What was typed of a name so far; null where none is typed. */
  begun() {
    const { selectionStart, selectionEnd, value } = this.box;
    if (selectionStart !== selectionEnd) return null;
    return BEGUN.exec(value.slice(0, selectionStart))?.[1] ?? null;
  }

  /**
   * Names that go on as what was typed; none where it is whole already, so that Enter sends.
   *
   * @param {string} begun
   */
  fitting(begun) {
    const { thread, user, names } = this.app.state;
    const wanted = begun.toLocaleLowerCase();
    const others = (thread?.view.co_authors ?? []).filter((key) => key !== user?.public_key);
    const known = others.map((key) => names.get(key)).filter((name) => name !== undefined);
    const fitting = [...new Set(known)]
      .filter((name) => name.toLocaleLowerCase().startsWith(wanted))
      .sort((one, other) => one.localeCompare(other))
      .slice(0, MOST);
    const isWhole = fitting.length === 1 && fitting[0]?.toLocaleLowerCase() === wanted;
    return isWhole ? [] : fitting;
  }

  draw() {
    this.element.replaceChildren(
      ...this.names.map((name, place) =>
        h(
          "li",
          {
            id: `mention-${place}`,
            role: "option",
            "aria-selected": place === this.chosen ? "true" : "false",
            dir: "auto",
            on: {
              // The focus would leave the box before the click.
              mousedown: (event) => {
                event.preventDefault();
                this.take(name);
              },
            },
          },
          name,
        ),
      ),
    );
    this.element.hidden = false;
    this.box.setAttribute("aria-activedescendant", `mention-${this.chosen}`);
  }

  close() {
    this.element.hidden = true;
    this.box.removeAttribute("aria-activedescendant");
  }

  /**
   * Whether a key was meant for the list.
   *
   * @param {KeyboardEvent} event
   */
  pressed(event) {
    if (!this.isOpen || event.isComposing) return false;
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step !== undefined) {
      this.chosen = (this.chosen + step + this.names.length) % this.names.length;
      this.draw();
    } else if (event.key === "Escape") {
      this.close();
    } else if ((event.key === "Enter" && !event.shiftKey) || event.key === "Tab") {
      const name = this.names[this.chosen];
      if (name !== undefined) this.take(name);
    } else {
      return false;
    }
    event.preventDefault();
    event.stopPropagation();
    return true;
  }

  /** @param {string} name */
  take(name) {
    const begun = this.begun();
    if (begun === null) return;
    const end = this.box.selectionStart;
    this.box.setRangeText(`${name} `, end - begun.length, end, "end");
    this.close();
    this.typed();
    this.box.focus();
  }
}
