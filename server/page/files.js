// Files of the user's own.

/** @type {Record<string, string>} */
const TYPES = { md: "text/markdown", json: "application/json", key: "text/plain" };

/**
 * Save a text under a name; its ending says what it is.
 *
 * @param {string} name
 * @param {string} text
 */
export function download(name, text) {
  const type = TYPES[name.slice(name.lastIndexOf(".") + 1)] ?? "text/plain";
  const address = URL.createObjectURL(new Blob([text], { type }));
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000); // once the browser has read it
}
