// Code in an answer: a button that copies it, and its colours. The library that knows the languages is
// fetched when the first code comes whose language is named.

import { h, iconButton } from "./dom.js";
import { say } from "./language.js";
import { fromHighlighted } from "./markup.js";
import { copyText } from "./notices.js";

/** @typedef {typeof import("./vendor/highlight.js").default} Highlighter */

const LONGEST = 20_000; // characters that are coloured: what a library does to longer ones takes too long
const LANGUAGE = /^language-(.+)$/;

/** @type {Highlighter | null} */
let highlighter = null;
/** @type {Promise<{default: Highlighter}> | null} */
let loading = null;

/**
 * Give each block of code below `root` its button and its colours.
 *
 * @param {ParentNode} root
 */
export function dressCode(root) {
  for (const block of root.querySelectorAll("pre")) {
    block.tabIndex = 0; // a long line scrolls, by keyboard too
    const copy = iconButton("copy", say.code.copy, () =>
      copyText(block.textContent ?? "", say.code.copied),
    );
    const frame = h("div", { class: "code" });
    block.replaceWith(frame);
    frame.append(block, copy);
    const code = block.querySelector("code");
    const [, language] = LANGUAGE.exec(code?.className ?? "") ?? [];
    if (code && language) colour(code, language);
  }
}

/**
 * At once where the library is here already, so that code that is written does not flicker.
 *
 * @param {HTMLElement} code
 * @param {string} language
 */
async function colour(code, language) {
  const text = code.textContent ?? "";
  if (text.length > LONGEST) return;
  try {
    highlighter ??= (await (loading ??= import("./vendor/highlight.js"))).default;
  } catch {
    loading = null; // the line is cut: code is read without colours, and the next one tries again
    return;
  }
  if (!highlighter.getLanguage(language)) return;
  const { value } = highlighter.highlight(text, { language, ignoreIllegals: true });
  code.replaceChildren(fromHighlighted(value));
}
