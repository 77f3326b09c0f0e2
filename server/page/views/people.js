// The co-authors of a thread: who they are, who is asked in, and by what; and how one leaves.

/** @import { App } from "../app.js" */
/** @import { InvitationView } from "../wire.d.ts" */

import { button, h } from "../dom.js";
import { say } from "../language.js";
import { isCoAuthor } from "../selectors.js";
import { nameOf } from "../words.js";
import { acquaintances } from "./acquaintances.js";
import { avatar } from "./avatar.js";
import { field, form, show } from "./dialogs.js";
import { linkParts } from "./links.js";

/** @param {App} app */
export function openPeopleDialog(app) {
  const { state } = app;
  const view = state.thread?.view;
  if (!view) return;
  const links = linkParts(app);
  const dialog = show(app.lifetimes.of("coAuthorship"), say.dialogs.coAuthors, (close) => {
    const canRemove = isCoAuthor(state) && view.status === "active";
    const people = view.co_authors.map((key) =>
      h(
        "li",
        { class: "person" },
        avatar(key, nameOf(state, key)),
        h(
          "span",
          {},
          h("bdi", {}, nameOf(state, key)),
          key === state.user?.public_key ? say.common.you : "",
          h("code", { class: "key" }, key),
        ),
        canRemove && key !== state.user?.public_key ? removeButton(app, key, close) : "",
      ),
    );
    /** @type {HTMLElement[]} */
    const parts = [h("ul", { class: "people" }, ...people)];
    const waiting = (state.thread?.invitations ?? []).map((invitation) =>
      invitedPerson(app, invitation, close),
    );
    if (waiting.length > 0) {
      parts.push(
        h("h3", {}, say.dialogs.invited),
        h("ul", { class: "people", id: "invited" }, ...waiting),
      );
    }
    if (!isCoAuthor(state) || view.status !== "active") return parts;
    const key = field("invite", say.dialogs.inviteKey, {
      placeholder: say.dialogs.keyLooks,
      maxlength: 64,
      spellcheck: "false",
    });
    parts.push(
      acquaintances(app, close),
      form(key.parts, say.dialogs.invite, async (tell) => {
        const data = { public_key: key.input.value.trim() };
        if (await app.act("invite_co_author", data, say.dialogs.nobodyInvited, undefined, tell))
          close();
      }),
      h("p", { class: "muted small" }, say.dialogs.inviteHow),
      ...links.parts,
      button(
        say.dialogs.leave,
        async () => {
          if (!confirm(say.dialogs.confirmLeave)) return;
          if (await app.act("leave_co_authorship", {}, say.dialogs.stillIn)) close();
        },
        { class: "button danger" },
      ),
    );
    return parts;
  });
  app.addView(links);
  dialog.addEventListener("close", () => app.dropView(links));
}

/**
 * Proposes to remove a co-author, which all the others must agree to.
 *
 * @param {App} app
 * @param {string} key
 * @param {() => void} close
 */
function removeButton(app, key, close) {
  const remove = button(
    say.dialogs.remove,
    async () => {
      const name = nameOf(app.state, key);
      if (!confirm(say.dialogs.confirmRemove(name))) return;
      remove.disabled = true;
      const data = { public_key: key };
      if (await app.act("propose_removal", data, say.dialogs.nothingProposed)) close();
      remove.disabled = false;
    },
    { class: "button danger small" },
  );
  return remove;
}

/**
 * Somebody who is invited and has not answered; a co-author may take the invitation back.
 *
 * @param {App} app
 * @param {InvitationView} invitation
 * @param {() => void} close
 */
function invitedPerson(app, { public_key: key, invited_by: by }, close) {
  const { state } = app;
  const revoke = button(
    say.dialogs.takeBack,
    async () => {
      revoke.disabled = true;
      const data = { public_key: key };
      if (await app.act("revoke_invitation", data, say.problems.invitationStands)) close();
      revoke.disabled = false;
    },
    { class: "button small" },
  );
  return h(
    "li",
    { class: "person" },
    avatar(key, nameOf(state, key)),
    h(
      "span",
      {},
      h("bdi", {}, nameOf(state, key)),
      say.dialogs.invitedBy(nameOf(state, by)),
      h("code", { class: "key" }, key),
    ),
    isCoAuthor(state) ? revoke : "",
  );
}
