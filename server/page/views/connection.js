// Whether the page is connected, in one line above the prompt box.

/** @import { App } from "../app.js" */
/** @import { Connection } from "../protocol.js" */

import { h, setText } from "../dom.js";
import { say } from "../language.js";

export class ConnectionLine {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.words = h("span", { class: "connection-words" });
    this.now = h(
      "button",
      { type: "button", class: "link", hidden: true, on: { click: () => app.client.retryNow() } },
      say.connection.tryNow,
    );
    this.element = h(
      "p",
      { class: "connection", id: "connection" },
      h("span", { class: "dot", "aria-hidden": "true" }),
      this.words,
      this.now,
    );
    const clock = setInterval(() => {
      if (this.element.isConnected) this.update();
      else clearInterval(clock); // the user signed out
    }, 1000);
  }

  update() {
    const { connection } = this.app.state;
    this.element.dataset.phase = connection.phase;
    setText(this.words, sentence(connection));
    this.now.hidden = connection.phase !== "waiting";
  }
}

/** @param {Connection} connection */
function sentence(connection) {
  switch (connection.phase) {
    case "connected":
      return say.connection.connected;
    case "connecting":
      return say.connection.connecting;
    case "signing_in":
      return say.connection.signingIn;
    case "waiting": {
      const seconds = Math.max(0, Math.ceil((connection.retryAt - Date.now()) / 1000));
      const { reconnecting, offlineRetry } = say.connection;
      return navigator.onLine ? reconnecting(seconds) : offlineRetry(seconds);
    }
    case "ended":
      return connection.reason;
    default:
      return say.connection.offline;
  }
}
