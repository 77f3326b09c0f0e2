// The door: making a key, bringing one, or coming back with the one that is here.

/** @import { App } from "../app.js" */
/** @import { Identity } from "../keys.js" */

import { button, filled, h } from "../dom.js";
import { download } from "../files.js";
import {
  createIdentity,
  forgetIdentity,
  KeyProblem,
  loadIdentity,
  RECOVERY_FILE,
  recoveryText,
  restoreIdentity,
  whyUnsupported,
} from "../keys.js";
import { say } from "../language.js";
import { shortKey } from "../words.js";

/**
 * Show the door in `root`.
 *
 * @param {Element} root
 * @param {App} app
 */
export async function showGate(root, app) {
  const [problem, identity] = await Promise.all([
    whyUnsupported(),
    loadIdentity().catch(() => null),
  ]);
  const body = problem
    ? unsupported(problem)
    : identity
      ? comeBack(app, identity, root)
      : begin(app);
  document.title = "Chorus";
  root.replaceChildren(
    h(
      "main",
      { class: "gate" },
      h(
        "div",
        { class: "gate-card" },
        h("h1", { class: "wordmark" }, "Chorus"),
        h(
          "p",
          { class: "lead" },
          location.hash.startsWith("#join=") ? say.gate.invited : say.gate.lead,
        ),

        ...body,
      ),
    ),
  );
  const first = root.querySelector("[data-first]");
  if (first instanceof HTMLElement) first.focus();
}

/** @param {string} problem */
function unsupported(problem) {
  return [h("p", { class: "note error", role: "alert" }, problem)];
}

/** @param {App} app */
function begin(app) {
  const name = h("input", {
    id: "gate-name",
    type: "text",
    maxlength: 80,
    autocomplete: "nickname",
    data: { first: "" },
  });
  const save = h("input", { id: "gate-save", type: "checkbox" });
  const problem = h("p", { class: "note error", role: "alert", hidden: true });
  const start = h("button", { type: "submit", class: "button primary" }, say.gate.start);
  const form = h(
    "form",
    {
      class: "stack",
      on: {
        submit: (event) => {
          event.preventDefault();
          guarded(start, problem, async () => {
            const identity = await createIdentity();
            if (save.checked) download(RECOVERY_FILE, await recoveryText());
            app.memory.choose({ toldOfRecovery: save.checked });
            app.signIn(identity, name.value.trim());
          });
        },
      },
    },
    h(
      "label",
      { for: "gate-name" },
      say.gate.whatName,
      h("span", { class: "muted" }, say.gate.optional),
    ),
    name,
    h(
      "label",
      { class: "check", for: "gate-save" },
      save,
      h("span", {}, say.common.saveRecoveryFile, h("small", {}, say.gate.fileWhy)),
    ),
    start,
    problem,
  );
  return [form, h("p", { class: "muted small" }, say.gate.noAccount), recovery(app, problem)];
}

/**
 * @param {App} app
 * @param {Identity} identity
 * @param {Element} root
 */
function comeBack(app, identity, root) {
  const problem = h("p", { class: "note error", role: "alert", hidden: true });
  const enter = button(say.gate.signIn, () => app.signIn(identity), {
    class: "button primary",
    data: { first: "" },
  });
  const forget = button(
    say.gate.forget,
    async () => {
      if (!confirm(say.gate.confirmForget)) return;
      await forgetIdentity();
      showGate(root, app);
    },
    { class: "button quiet" },
  );
  return [
    h(
      "p",
      {},
      ...filled(say.gate.youAre, {
        key: h("code", { title: identity.publicKey }, shortKey(identity.publicKey)),
      }),
    ),
    h("div", { class: "row" }, enter, forget),
    problem,
    recovery(app, problem),
  ];
}

/**
 * @param {App} app
 * @param {HTMLElement} problem where it is told
 */
function recovery(app, problem) {
  const file = h("input", {
    id: "gate-file",
    type: "file",
    class: "visually-hidden",
    accept: ".key,.txt,text/plain",
    on: {
      change: () =>
        guarded(null, problem, async () => {
          const [chosen] = file.files ?? [];
          if (chosen) app.signIn(await restoreIdentity(await chosen.slice(0, 4096).text()));
        }),
    },
  });
  return h(
    "p",
    { class: "small" },
    file,
    h("label", { class: "link", for: "gate-file" }, say.gate.useFile),
  );
}

/**
 * Do something once; a problem with a key is told where the user looks.
 *
 * @param {HTMLButtonElement | null} control
 * @param {HTMLElement} problem
 * @param {() => Promise<void>} work
 */
async function guarded(control, problem, work) {
  problem.hidden = true;
  if (control) control.disabled = true;
  try {
    await work();
  } catch (error) {
    if (!(error instanceof KeyProblem)) console.error(error);
    problem.textContent = error instanceof KeyProblem ? error.message : say.keys.unusable;
    problem.hidden = false;
  } finally {
    if (control) control.disabled = false;
  }
}
