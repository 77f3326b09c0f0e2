// A person as a coloured disc: the colour comes from the key, so that equal names stay apart.

import { h } from "../dom.js";

/** @param {string | null} key null for the chorus itself */
export function avatar(key, name) {
  const initial = key === null ? "" : [...name.replace(/[^\p{L}\p{N}]/gu, "")][0] ?? "?";
  const disc = h("span", { class: key === null ? "avatar chorus" : "avatar", "aria-hidden": "true" }, initial.toUpperCase());
  if (key !== null) disc.style.setProperty("--hue", String(hueOf(key)));
  return disc;
}

function hueOf(key) {
  let sum = 0;
  for (const character of key) sum = (sum * 31 + character.codePointAt(0)) % 360;
  return sum;
}
