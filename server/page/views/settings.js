// The user's own: their name, how the page looks, their key, and what the keyboard does.

/** @import { App } from "../app.js" */
/** @import { Choices } from "../memory.js" */

import { button, h, iconButton } from "../dom.js";
import { download } from "../files.js";
import { KeyProblem, RECOVERY_FILE, recoveryText } from "../keys.js";
import { complain, copyText } from "../notices.js";
import { field, form, show } from "./dialogs.js";

/** @type {readonly [theme: Choices["theme"], label: string][]} */
const THEMES = [
  ["system", "As the system"],
  ["light", "Light"],
  ["dark", "Dark"],
];

/** @type {readonly [keys: readonly string[], does: string][]} */
const SHORTCUTS = [
  [["Enter"], "sends the prompt"],
  [["Shift", "Enter"], "breaks the line"],
  [["Escape"], "stops the run that the button above the prompt names"],
  [["Ctrl", "K"], "searches"],
  [["Ctrl", "M"], "opens the machines"],
  [["?"], "shows these settings"],
  [["+", "\u2212", "0"], "in a drawing: larger, smaller, whole"],
  [["Arrows"], "in tabs, drawings and a replay: on and back"],
];

/** @param {App} app */
export function openSettings(app) {
  const { user } = app.state;
  if (!user) return;
  show("Settings", (close) => {
    const name = field("own-name", "Your name", { maxlength: 80, value: user.name ?? "" });
    return [
      form(name.parts, "Save the name", async (tell) => {
        if (await app.setName(name.input.value, tell)) close();
      }),
      looks(app),
      ownKey(user.public_key),
      section(
        "Keys",
        h(
          "dl",
          { class: "shortcuts" },
          ...SHORTCUTS.flatMap(([keys, does]) => [
            h("dt", {}, ...keys.flatMap((key) => [h("kbd", {}, key), " "])),
            h("dd", {}, does),
          ]),
        ),
      ),
      h(
        "div",
        { class: "row" },
        button("Sign out", () => {
          close();
          app.signOut();
        }),
        button(
          "Sign out and forget the key",
          () => {
            if (!confirm("Without a recovery file this key is gone for good. Forget it?")) return;
            close();
            app.signOut({ forget: true });
          },
          { class: "button danger" },
        ),
      ),
    ];
  });
}

/** Give the user the file that makes them the same person elsewhere. */
export async function saveRecoveryFile() {
  const what = "The recovery file was not made";
  try {
    download(RECOVERY_FILE, await recoveryText());
  } catch (error) {
    if (!(error instanceof KeyProblem)) console.error(error);
    complain(error instanceof KeyProblem ? `${what}. ${error.message}` : `${what}.`, what);
  }
}

/**
 * @param {string} title
 * @param {...HTMLElement} parts
 */
function section(title, ...parts) {
  return h("section", { class: "stack" }, h("h3", {}, title), ...parts);
}

/** @param {App} app */
function looks(app) {
  const { choices } = app.memory;
  const themes = THEMES.map(([theme, label]) =>
    h(
      "label",
      { class: "row" },
      h("input", {
        type: "radio",
        name: "theme",
        value: theme,
        checked: theme === choices.theme,
        on: { change: () => app.setTheme(theme) },
      }),
      label,
    ),
  );
  const strip = h("input", {
    type: "checkbox",
    checked: app.ui.strip,
    on: { change: ({ currentTarget }) => app.showStrip(currentTarget.checked) },
  });
  return section(
    "Looks",
    h("fieldset", { class: "row" }, h("legend", { class: "visually-hidden" }, "Theme"), ...themes),
    h("label", { class: "row" }, strip, "Show the steps of the run above the conversation"),
  );
}

/** @param {string} publicKey */
function ownKey(publicKey) {
  return section(
    "Your key",
    h(
      "p",
      { class: "muted small" },
      "It is your name everywhere. Give it to whom you want to be invited by.",
    ),
    h(
      "div",
      { class: "row" },
      h("code", { class: "key", id: "own-key" }, publicKey),
      iconButton("copy", "Copy your key", () => copyText(publicKey, "Your key is copied.")),
    ),
    h(
      "p",
      { class: "muted small" },
      "Its secret half is in this browser alone. With a recovery file you are the same person in another one; without it, what you may do is lost with this browser's data.",
    ),
    h("div", { class: "row" }, button("Save a recovery file", saveRecoveryFile)),
  );
}
