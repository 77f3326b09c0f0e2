// What stands in the conversation for who is new: ideas for a first prompt, and what becomes of a lost key.

/** @import { App } from "../app.js" */

import { button, h } from "../dom.js";
import { say } from "../language.js";
import { saveRecoveryFile } from "./settings.js";

/**
 * What is lost without a recovery file, said once.
 *
 * @param {App} app
 */
export function recoveryNotice(app) {
  const notice = h("div", {
    class: "row between recovery",
    role: "note",
    hidden: app.memory.choices.toldOfRecovery,
  });
  const told = () => {
    app.memory.choose({ toldOfRecovery: true });
    notice.hidden = true;
  };
  notice.append(
    h("span", {}, say.conversation.recovery),
    h(
      "span",
      { class: "row" },
      button(
        say.common.saveRecoveryFile,
        async () => {
          await saveRecoveryFile();
          told();
        },
        { class: "button small" },
      ),
      button(say.conversation.notNow, told, { class: "button small quiet" }),
    ),
  );
  return notice;
}

/** @param {(text: string) => void} suggest puts a prompt into the box */
export function welcome(suggest) {
  /** @param {string} text */
  const idea = (text) => button(text, () => suggest(text), { class: "idea" });
  return h(
    "section",
    { class: "welcome" },
    h("h3", {}, say.conversation.ask),
    h("p", {}, say.conversation.askHow),
    h("div", { class: "ideas" }, ...say.conversation.ideas.map(idea)),
  );
}
