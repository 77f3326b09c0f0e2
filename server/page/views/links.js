// Invite links: making one, what stands open, and what one says to who was given it.

/** @import { App } from "../app.js" */
/** @import { InviteLinkData, InviteLinkView, NewInviteLink } from "../wire.d.ts" */

import { button, filled, h } from "../dom.js";
import { say } from "../language.js";
import { copyText } from "../notices.js";
import { Refused } from "../protocol.js";
import { nameOf, shortKey, timeLeft, whenLong } from "../words.js";
import { field, form, show } from "./dialogs.js";
import { createLink, joinByLink } from "../thread_requests.js";

/** @type {readonly number[]} hours that a link may be made for; the second is chosen at first */
const HOURS = [24, 168, 720];

/**
 * The part of the dialog of co-authors that makes a link, and shows those that are open.
 *
 * @param {App} app
 */
export function linkParts(app) {
  const hours = h(
    "select",
    { id: "link-hours" },
    ...HOURS.map((each) =>
      h("option", { value: each, selected: each === HOURS[1] }, say.time.days(each / 24)),
    ),
  );
  const fresh = h("div", { class: "stack", "aria-live": "polite" });
  const open = h("ul", { class: "people", id: "links" });
  /** @type {readonly InviteLinkView[]} as they are drawn */
  let drawn = [];
  const update = () => {
    const links = app.state.thread?.links ?? [];
    if (links === drawn) return;
    drawn = links;
    open.replaceChildren(...links.map((link) => openLink(app, link)));
  };
  const make = form(
    [h("div", { class: "row" }, h("label", { for: "link-hours" }, say.links.validFor), hours)],
    say.links.make,
    async (tell) => {
      const link = await createLink(app, Number(hours.value), tell);
      if (!link) return;
      fresh.replaceChildren(...madeLink(link));
      fresh.querySelector("button")?.focus();
    },
  );
  const parts = [
    h("h3", {}, say.links.title),
    h("p", { class: "muted small" }, say.links.how),
    make,
    fresh,
    open,
  ];
  return { parts, update };
}

/**
 * A link that was just made: its address is shown this once.
 *
 * @param {NewInviteLink} link
 */
function madeLink({ secret, expires_at: at }) {
  const address = `${location.origin}${location.pathname}#join=${secret}`;
  const { input, parts } = field("link-address", say.links.address, {
    value: address,
    readonly: true,
    required: false,
    on: { focus: () => input.select() },
  });
  const copy = button(say.links.copy, () => copyText(address, say.links.copied), {
    class: "button primary",
  });
  return [
    ...parts,
    h("p", { class: "muted small" }, say.links.once(whenLong(at))),
    h("div", { class: "row end" }, copy),
  ];
}

/**
 * A link that nobody has used; a co-author may take it back.
 *
 * @param {App} app
 * @param {InviteLinkView} link
 */
function openLink(app, { id, made_by: by, expires_at: at }) {
  const revoke = button(
    say.dialogs.takeBack,
    async () => {
      revoke.disabled = true;
      await app.act("revoke_invite_link", { link_id: id }, say.links.stands);
      revoke.disabled = false;
    },
    { class: "button small" },
  );
  return h(
    "li",
    { class: "person" },
    h(
      "span",
      {},
      say.links.madeBy(nameOf(app.state, by)),
      h("small", { class: "muted", title: say.common.until(whenLong(at)) }, timeLeft(at)),
    ),
    revoke,
  );
}

/**
 * Ask a user who was given a link whether they join.
 *
 * @param {App} app
 * @param {string} secret
 */
export async function openInviteLink(app, secret) {
  /** @type {InviteLinkData} */
  let link;
  try {
    link = await app.client.request("view_invite_link", { secret });
  } catch (error) {
    showProblem(app, error);
    return;
  }
  if (link.thread_id) {
    app.leaveLink();
    app.openThread(link.thread_id);
    return;
  }
  const { thread_name: name, invited_by: key, invited_by_name: by, expires_at: at } = link;
  const dialog = show(app.lifetimes.of("signIn"), say.links.invitation, (close) => [
    h(
      "p",
      { class: "lead" },
      ...filled(say.invitations.invites, {
        who: h("bdi", { title: key }, by ?? shortKey(key)),
        thread: h("strong", {}, h("bdi", {}, name)),
      }),
    ),
    h("p", { class: "muted small" }, say.links.joining),
    h("p", { class: "muted small", title: say.common.until(whenLong(at)) }, timeLeft(at)),
    form([], say.links.join, async (tell) => {
      if (await joinByLink(app, secret, tell)) close();
    }),
  ]);
  dialog.addEventListener("close", () => app.leaveLink());
  const join = dialog.querySelector("button.primary");
  if (join instanceof HTMLElement) join.focus();
}

/**
 * @param {App} app
 * @param {unknown} error
 */
function showProblem(app, error) {
  const words = h("p", { role: "alert" });
  const dialog = show(app.lifetimes.of("signIn"), say.links.invitation, (close) => [
    words,
    h("div", { class: "row end" }, button(say.common.close, close, { class: "button primary" })),
  ]);
  if (error instanceof Refused && error.code === "not_found") {
    words.textContent = say.links.over;
  } else {
    app.explain(error, say.links.notOpened, (text) => {
      words.textContent = text;
    });
  }
  dialog.addEventListener("close", () => app.leaveLink());
}
