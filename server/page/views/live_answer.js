// An answer while it is written: the blocks that the server has rendered, and behind them the text that
// it has not. A block that stays the same is left alone, with what is selected in it.

/** @import { RenderedText } from "../wire.d.ts" */
/** @import { StepRecord } from "../runs.js" */

import { arrange, growText, h } from "../dom.js";
import { dressCode } from "../code.js";
import { fromHtml } from "../markup.js";

/** @typedef {{html: string, element: HTMLElement}} Block */

export class LiveAnswer {
  constructor() {
    /** @type {Map<number, Block>} by where they begin */
    this.blocks = new Map();
    /** @type {readonly RenderedText[]} as they are drawn */
    this.drawn = [];
    /** Of the text, in UTF-16 units: where the rendered part ends. */
    this.end = 0;
    this.tail = h("p", { class: "live-tail" });
    this.element = h("div", { class: "said prose live-answer", dir: "auto", hidden: true });
  }

  /** @param {Pick<StepRecord, "text" | "rendered"> | undefined} record */
  update(record) {
    const { text, rendered } = record ?? { text: "", rendered: [] };
    if (rendered !== this.drawn || !this.tail.isConnected) this.draw(text, rendered);
    growText(this.tail, text.slice(this.end).replace(/^\n+/, ""));
    this.tail.hidden = this.tail.textContent === "";
  }

  /**
   * @param {string} text
   * @param {readonly RenderedText[]} rendered
   */
  draw(text, rendered) {
    this.drawn = rendered;
    const characters = rendered.length > 0 ? [...text] : [];
    /** @type {Map<number, Block>} */
    const blocks = new Map();
    let last = 0;
    for (const { start, end, html } of rendered) {
      // A part whose rendering was lost on the way stands as its text.
      const between = characters.slice(last, start).join("").trim();
      if (between) blocks.set(last, this.block(last, plain(between), between));
      blocks.set(start, this.block(start, html));
      last = end;
    }
    this.blocks = blocks;
    this.end = characters.slice(0, last).join("").length;
    arrange(this.element, [...[...blocks.values()].map(({ element }) => element), this.tail]);
  }

  /**
   * @param {number} start
   * @param {string} html that tells whether the block is the same
   * @param {string} [text] in place of the HTML
   * @returns {Block}
   */
  block(start, html, text) {
    const known = this.blocks.get(start);
    if (known?.html === html) return known;
    const element = h("div", { class: text ? "live-tail" : "live-block" });
    if (text) element.textContent = text;
    else {
      element.append(fromHtml(html, () => null));
      dressCode(element);
    }
    return { html, element };
  }
}

/** @param {string} text */
function plain(text) {
  return `text:${text}`;
}
