// A user as a coloured disc: the colour comes from the key, so that equal names stay apart.

import { h } from "../dom.js";

/**
 * @param {string | null} key null for the chorus itself
 * @param {string} name
 */
export function avatar(key, name) {
  const disc = h("span", {
    class: key === null ? "avatar chorus" : "avatar",
    "aria-hidden": "true",
  });
  if (key !== null) disc.textContent = initialOf(name);
  if (key !== null) disc.style.setProperty("--hue", String(hueOf(key)));
  return disc;
}

/**
 * The first letter or digit of a name, as it stands on the disc.
 *
 * @param {string} name
 */
export function initialOf(name) {
  return ([...name.replace(/[^\p{L}\p{N}]/gu, "")][0] ?? "?").toUpperCase();
}

/** @param {string} key */
function hueOf(key) {
  let sum = 0;
  for (const character of key) sum = (sum * 31 + (character.codePointAt(0) ?? 0)) % 360;
  return sum;
}
