// The language of the interface. Every text that the page shows of its own is in the catalogues of
// texts/, one for each language, and views read it as `say.<view>.<name>`; a sentence elsewhere is
// refused by eslint. To add a text, name it in texts/en.js and in each other catalogue: tsc holds them to
// the same keys and parameters. A text with an element inside has `{name}` in its place, see `filled`.

import { Memory } from "./memory.js";
import { de } from "./texts/de.js";
import { en } from "./texts/en.js";

const CATALOGUES = { en, de };

/**
 * @typedef {keyof typeof CATALOGUES} Language
 */

/** @type {readonly [language: Language, name: string][]} each by its own name */
export const LANGUAGES = [
  ["en", "English"],
  ["de", "Deutsch"],
];

/** Chosen in the settings, else the first of the browser's that there is. */
export const language = chosen(new Memory().choices.language, navigator.languages);

/** For dates and numbers: the browser's own form of the language, where it has one. */
export const locale = navigator.languages.find((each) => baseOf(each) === language) ?? language;

/** The texts; another choice takes effect when the page is loaded again. */
export const say = CATALOGUES[language];

/**
 * @param {"system" | Language} choice
 * @param {readonly string[]} preferred of the browser
 * @returns {Language}
 */
function chosen(choice, preferred) {
  if (choice !== "system" && choice in CATALOGUES) return choice;
  for (const each of preferred) {
    const base = baseOf(each);
    if (base === "en" || base === "de") return base;
  }
  return "en";
}

/** @param {string} tag of a language, such as `de-AT` */
function baseOf(tag) {
  return tag.toLowerCase().split("-")[0];
}
