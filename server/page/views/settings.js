// The user's own: their name, how the page looks, their key, and what the keyboard does.

/** @import { App } from "../app.js" */
/** @import { Choices } from "../memory.js" */

import { button, h, iconButton } from "../dom.js";
import { download } from "../files.js";
import { KeyProblem, RECOVERY_FILE, recoveryText } from "../keys.js";
import { LANGUAGES, say } from "../language.js";
import { complain, copyText } from "../notices.js";
import { field, form, show } from "./dialogs.js";

/** @type {readonly Choices["theme"][]} */
const THEMES = ["system", "light", "dark"];

/** @param {App} app */
export function openSettings(app) {
  const { user } = app.state;
  if (!user) return;
  show(app.lifetimes.of("signIn"), say.settings.title, (close) => {
    const name = field("own-name", say.settings.name, { maxlength: 80, value: user.name ?? "" });
    return [
      form(name.parts, say.settings.saveName, async (tell) => {
        if (await app.setName(name.input.value, tell)) close();
      }),
      looks(app),
      notifications(app),
      presence(app),
      ownKey(user.public_key),
      section(
        say.settings.keys,
        h(
          "dl",
          { class: "shortcuts" },
          ...say.settings.shortcuts.flatMap(([keys, does]) => [
            h("dt", {}, ...keys.flatMap((key) => [h("kbd", {}, key), " "])),
            h("dd", {}, does),
          ]),
        ),
      ),
      h(
        "div",
        { class: "row" },
        button(say.settings.signOut, () => {
          close();
          app.signOut();
        }),
        button(
          say.settings.signOutForget,
          () => {
            if (!confirm(say.settings.confirmForget)) return;
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
  const what = say.keys.fileNotMade;
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
  const themes = THEMES.map((theme) =>
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
      say.settings.themes[theme],
    ),
  );
  const strip = h("input", {
    type: "checkbox",
    checked: app.ui.strip,
    on: { change: ({ currentTarget }) => app.showStrip(currentTarget.checked) },
  });
  return section(
    say.settings.looks,
    h(
      "fieldset",
      { class: "row" },
      h("legend", { class: "visually-hidden" }, say.settings.theme),
      ...themes,
    ),
    languages(app),
    h("label", { class: "check" }, strip, say.settings.showSteps),
  );
}

/**
 * The page is loaded again in the language that is chosen; what was typed is kept.
 *
 * @param {App} app
 */
function languages(app) {
  const { choices } = app.memory;
  const select = h(
    "select",
    { id: "language", on: { change: ({ currentTarget }) => app.setLanguage(currentTarget.value) } },
    h("option", { value: "system" }, say.settings.languageOfBrowser),
    ...LANGUAGES.map(([code, name]) => h("option", { value: code, lang: code }, name)),
  );
  select.value = choices.language;
  return h("div", { class: "row" }, h("label", { for: "language" }, say.settings.language), select);
}

/**
 * The server keeps the choice, for every browser of the user.
 *
 * @param {App} app
 */
function presence(app) {
  const shown = h("input", {
    type: "checkbox",
    checked: !app.state.user?.hides_presence,
    on: {
      change: async () => {
        if (!(await app.setPresence(shown.checked))) shown.checked = !shown.checked;
      },
    },
  });
  return section(say.presence.title, h("label", { class: "row" }, shown, say.presence.show));
}

/**
 * The browser asks for its permission when the user presses the button, and never before.
 *
 * @param {App} app
 */
function notifications(app) {
  const own = app.notifications;
  const words = h("p", { class: "muted small", role: "status" });
  const change = button("", async () => {
    if (own.isOn) own.turnOff();
    else await own.turnOn();
    draw();
  });
  const draw = () => {
    const isBlocked = own.permission === "denied" || own.permission === "unsupported";
    const texts = say.notifications;
    change.hidden = isBlocked;
    change.textContent = own.isOn ? texts.turnOff : texts.turnOn;
    words.textContent = isBlocked ? texts.blocked : own.isOn ? texts.on : texts.off;
  };
  draw();
  return section(say.notifications.title, words, h("div", { class: "row" }, change));
}

/** @param {string} publicKey */
function ownKey(publicKey) {
  return section(
    say.settings.yourKey,
    h("p", { class: "muted small" }, say.settings.keyMeans),
    h(
      "div",
      { class: "row" },
      h("code", { class: "key", id: "own-key" }, publicKey),
      iconButton("copy", say.settings.copyKey, () => copyText(publicKey, say.settings.keyCopied)),
    ),
    h("p", { class: "muted small" }, say.settings.secret),
    h("div", { class: "row" }, button(say.common.saveRecoveryFile, saveRecoveryFile)),
  );
}
