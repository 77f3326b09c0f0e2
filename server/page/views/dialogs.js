// Small questions to the user: a thread's name, who may read it. Native dialogs keep the
// focus inside and give it back.

/** @import { App, Tell } from "../app.js" */
/** @import { Props } from "../dom.js" */
/** @import { Visibility } from "../wire.d.ts" */

import { h, iconButton } from "../dom.js";
import { say } from "../language.js";
import { createThread } from "../thread_requests.js";

/**
 * Show a dialog; `build(close)` gives its content. Gives the dialog, which is gone once it is closed.
 *
 * @param {AbortSignal} lasting as long as what it is about: then it is closed
 * @param {string} title
 * @param {(close: () => void) => HTMLElement[]} build
 */
export function show(lasting, title, build) {
  const dialog = h("dialog", { class: "dialog", "aria-labelledby": "dialog-title" });
  const close = () => dialog.close();
  dialog.append(
    h(
      "header",
      { class: "row between" },
      h("h2", { id: "dialog-title" }, title),
      iconButton("cross", say.common.close, close),
    ),
    ...build(close),
  );
  dialog.addEventListener("close", () => {
    dialog.remove();
    lasting.removeEventListener("abort", close);
  });
  lasting.addEventListener("abort", close);
  dialog.addEventListener("click", (event) => event.target === dialog && close());
  document.body.append(dialog);
  dialog.showModal();
  const first = dialog.querySelector("input:not([type=radio]), textarea");
  if (first instanceof HTMLElement) first.focus();
  return dialog;
}

/**
 * A form that says what went wrong where the user looks, until they change something.
 *
 * @param {readonly HTMLElement[]} fields
 * @param {string} label of its button
 * @param {(tell: Tell) => Promise<void>} submit
 */
export function form(fields, label, submit) {
  const send = h("button", { type: "submit", class: "button primary" }, label);
  const words = h("span", {});
  const problem = h(
    "div",
    { class: "note error problem", role: "alert", hidden: true },
    words,
    iconButton("cross", say.common.dismiss, () => {
      problem.hidden = true;
    }),
  );
  /** @param {string} text */
  const tell = (text) => {
    words.textContent = text;
    problem.hidden = false;
  };
  return h(
    "form",
    {
      class: "stack",
      on: {
        submit: async (event) => {
          event.preventDefault();
          send.disabled = true;
          problem.hidden = true;
          await submit(tell);
          send.disabled = false;
        },
        input: () => {
          problem.hidden = true;
        },
      },
    },
    ...fields,
    problem,
    h("div", { class: "row end" }, send),
  );
}

/**
 * A text field, and it with its label.
 *
 * @param {string} id
 * @param {string} label
 * @param {Props<HTMLInputElement>} props
 */
export function field(id, label, props = {}) {
  const input = h("input", { id, type: "text", required: true, autocomplete: "off", ...props });
  return { input, parts: [h("label", { for: id }, label), input] };
}

/**
 * A choice of the dialog for a new thread, and it with its label.
 *
 * @param {Visibility} value
 * @param {string} label
 * @param {string} words
 */
function choice(value, label, words) {
  const checked = value === "private";
  const input = h("input", { type: "radio", name: "visibility", value, checked });
  const part = h("label", { class: "check" }, input, h("span", {}, label, h("small", {}, words)));
  return { input, part };
}

/** @param {App} app */
export function openNewThreadDialog(app) {
  show(app.lifetimes.of("signIn"), say.common.newThread, (close) => {
    const name = field("new-name", say.common.name, { maxlength: 80 });
    const forAll = choice("public", say.dialogs.public, say.dialogs.publicMeans);
    const visibility = h(
      "fieldset",
      { class: "stack" },
      h("legend", {}, say.dialogs.visibility),
      choice("private", say.dialogs.private, say.dialogs.privateMeans).part,
      forAll.part,
    );
    return [
      form([...name.parts, visibility], say.dialogs.create, async (tell) => {
        try {
          await createThread(app, name.input.value, forAll.input.checked ? "public" : "private");
          close();
          document.getElementById("prompt")?.focus();
        } catch (error) {
          app.explain(error, say.problems.notMade, tell);
        }
      }),
    ];
  });
}

/** @param {App} app */
export function openRenameDialog(app) {
  const view = app.state.thread?.view;
  if (!view) return;
  show(app.lifetimes.of("coAuthorship"), say.dialogs.renameTitle, (close) => {
    const { input, parts } = field("rename", say.common.name, { maxlength: 80, value: view.name });
    return [
      form(parts, say.dialogs.rename, async (tell) => {
        const data = { name: input.value };
        if (await app.act("rename_thread", data, say.dialogs.keepsName, undefined, tell)) close();
      }),
    ];
  });
}

/** @param {App} app */
export async function archiveThread(app) {
  if (!confirm(say.dialogs.confirmArchive)) return;
  await app.act("archive_thread", {}, say.dialogs.notArchived);
}
