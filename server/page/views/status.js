// Whether the page is connected, and who is signed in. Never in the way.

/** @import { App } from "../app.js" */
/** @import { Connection } from "../protocol.js" */
/** @import { State } from "../store.js" */

import { h, iconButton, setText } from "../dom.js";
import { nameOf } from "../words.js";
import { avatar } from "./avatar.js";
import { openPersonDialog } from "./dialogs.js";

export class StatusBar {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    /** @type {State["user"]} as they are drawn */
    this.user = null;
    /** @type {State["names"] | null} as they are drawn */
    this.names = null;
    this.dot = h("span", { class: "dot", "aria-hidden": "true" });
    this.words = h("span", { class: "connection-words" });
    this.now = h(
      "button",
      { type: "button", class: "link", hidden: true, on: { click: () => app.client.retryNow() } },
      "Try now",
    );
    this.who = h("button", {
      type: "button",
      class: "who",
      on: { click: () => openPersonDialog(app) },
    });
    this.element = h(
      "footer",
      { class: "status" },
      this.who,
      h("p", { class: "connection", id: "connection" }, this.dot, this.words, this.now),
      iconButton("more", "You and your key", () => openPersonDialog(app), {
        class: "icon-button who-more",
      }),
    );
    const clock = setInterval(() => {
      if (this.element.isConnected) this.update();
      else clearInterval(clock); // the user signed out
    }, 1000);
  }

  update() {
    const { connection, user } = this.app.state;
    this.element.dataset.phase = connection.phase;
    setText(this.words, sentence(connection));
    this.now.hidden = connection.phase !== "waiting";
    if (user && (user !== this.user || this.app.state.names !== this.names)) {
      this.user = user;
      this.names = this.app.state.names;
      const name = nameOf(this.app.state, user.public_key);
      this.who.replaceChildren(
        avatar(user.public_key, name),
        h("span", { class: "visually-hidden" }, "You are "),
        h("bdi", { class: "who-name" }, name),
      );
    }
  }
}

/** @param {Connection} connection */
function sentence(connection) {
  switch (connection.phase) {
    case "connected":
      return "Connected";
    case "connecting":
      return "Connecting…";
    case "signing_in":
      return "Signing in…";
    case "waiting": {
      const seconds = Math.max(0, Math.ceil((connection.retryAt - Date.now()) / 1000));
      const what = navigator.onLine ? "Reconnecting" : "Offline; trying again";
      return `${what} in ${seconds} s`;
    }
    case "ended":
      return connection.reason;
    default:
      return "Offline";
  }
}
