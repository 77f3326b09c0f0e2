// Who is signed in, at the foot of the list of threads.

/** @import { App } from "../app.js" */
/** @import { State } from "../state.js" */

import { h, iconButton } from "../dom.js";
import { say } from "../language.js";
import { nameOf } from "../words.js";
import { avatar } from "./avatar.js";
import { openSettings } from "./settings.js";

export class StatusBar {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    /** @type {State["user"]} as they are drawn */
    this.user = null;
    /** @type {State["names"] | null} as they are drawn */
    this.names = null;
    this.who = h("button", {
      type: "button",
      class: "who",
      on: { click: () => openSettings(app) },
    });
    this.element = h(
      "footer",
      { class: "status" },
      this.who,
      iconButton("more", say.shell.settings, () => openSettings(app)),
    );
  }

  update() {
    const { user, names } = this.app.state;
    if (!user || (user === this.user && names === this.names)) return;
    this.user = user;
    this.names = names;
    const name = nameOf(this.app.state, user.public_key);
    this.who.replaceChildren(
      avatar(user.public_key, name),
      h("span", { class: "visually-hidden" }, say.shell.youAre),
      h("bdi", { class: "who-name" }, name),
    );
  }
}
