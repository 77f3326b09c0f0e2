// The two areas of the page and how they share it, threads and conversation; and the machines, which
// lie over both when they are asked for.

/** @import { App, Ui } from "../app.js" */
/** @import { IconName } from "../dom.js" */

import { h, icon, isTyping } from "../dom.js";
import { say } from "../language.js";
import { Conversation } from "./conversation.js";
import { InboxCount, openInbox } from "./inbox.js";
import { Machines } from "./machines.js";
import { openSettings } from "./settings.js";
import { StatusBar } from "./status.js";
import { Threads } from "./threads.js";

/** @type {readonly [area: Ui["area"], symbol: IconName][]} */
const AREAS = [
  ["threads", "people"],
  ["conversation", "talk"],
];

/**
 * Build the page for a user who signs in.
 *
 * @param {Element} root
 * @param {App} app
 */
export function buildShell(root, app) {
  const threads = new Threads(app);
  const conversation = new Conversation(app);
  const machines = new Machines(app);
  const status = new StatusBar(app);
  const areas = new AreaSwitch(app);
  threads.element.append(status.element);
  const shell = h(
    "div",
    { class: "shell" },
    h(
      "a",
      { class: "skip", href: "#prompt", on: { click: (event) => skip(event) } },
      say.shell.skip,
    ),
    threads.element,
    conversation.element,
    machines.element,
    areas.element,
  );
  root.replaceChildren(shell);
  for (const view of [threads, conversation, machines, status, areas]) app.addView(view);
  app.onInboxWanted = () => openInbox(app);
  app.addView({
    update: () => {
      shell.dataset.area = app.ui.area;
    },
  });
  shell.addEventListener("keydown", (event) => {
    if ((event.ctrlKey || event.metaKey) && !event.shiftKey && !event.altKey) {
      const shortcut = SHORTCUTS[event.key.toLowerCase()];
      if (!shortcut) return;
      event.preventDefault();
      shortcut(app);
    } else if (event.key === "?" && !isTyping(event.target)) {
      openSettings(app);
    }
  });
}

/** @type {Record<string, (app: App) => void>} with Control or Command */
const SHORTCUTS = {
  k: (app) => {
    app.setUi({ area: "threads" });
    app.draw(); // what is typed next is typed into it
    document.getElementById("search")?.focus();
  },
  i: (app) => openInbox(app),
  m: (app) => app.setUi({ machines: true }),
};

/** @param {Event} event */
function skip(event) {
  event.preventDefault();
  document.getElementById("prompt")?.focus();
}

/** On narrow screens one area fills the page; these buttons choose which. */
class AreaSwitch {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    this.count = new InboxCount(app);
    this.buttons = AREAS.map(([area, symbol]) =>
      h(
        "button",
        {
          type: "button",
          data: { area },
          on: { click: () => app.setUi({ area }) },
        },
        icon(symbol),
        h("span", {}, say.shell[area]),
        area === "threads" && this.count.element,
      ),
    );
    this.element = h("nav", { class: "areas", "aria-label": say.shell.areas }, ...this.buttons);
  }

  update() {
    this.count.update();
    for (const button of this.buttons) {
      const isShown = button.dataset.area === this.app.ui.area;
      if (isShown) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }
}
