// Those with whom the user shares a thread: they are invited into this one by their name.

/** @import { App } from "../app.js" */
/** @import { PersonView } from "../wire.d.ts" */

import { button, h } from "../dom.js";
import { say } from "../language.js";
import { shortKey } from "../words.js";
import { avatar } from "./avatar.js";
import { field } from "./dialogs.js";
import { listPeople } from "../thread_requests.js";

const SHOWN = 5;

/**
 * A part of the dialog of co-authors; it is filled once the server has named them, and stays hidden
 * where there is nobody to invite.
 *
 * @param {App} app
 * @param {() => void} close
 */
export function acquaintances(app, close) {
  const search = field("invite-name", say.acquaintances.search, {
    type: "search",
    required: false,
    on: { input: () => draw() },
  });
  const list = h("ul", { class: "people", id: "acquaintances" });
  const part = h(
    "section",
    { class: "stack", hidden: true },
    h("h3", {}, say.acquaintances.title),
    ...search.parts,
    list,
  );
  /** @type {readonly PersonView[]} */
  let people = [];
  const draw = () => {
    const wanted = search.input.value.trim().toLocaleLowerCase();
    const found = people.filter(({ name, public_key: key }) =>
      `${name ?? ""} ${key}`.toLocaleLowerCase().includes(wanted),
    );
    list.replaceChildren(...found.slice(0, SHOWN).map((each) => person(app, each, close)));
    if (found.length > SHOWN)
      list.append(h("li", { class: "muted small" }, say.acquaintances.more(found.length - SHOWN)));
  };
  listPeople(app).then((known) => {
    const { thread } = app.state;
    const inside = new Set([
      ...(thread?.view.co_authors ?? []),
      ...(thread?.invitations ?? []).map((each) => each.public_key),
    ]);
    people = known.filter(({ public_key: key }) => !inside.has(key));
    part.hidden = people.length === 0;
    draw();
  });
  return part;
}

/**
 * @param {App} app
 * @param {PersonView} person
 * @param {() => void} close
 */
function person(app, { public_key: key, name, threads, thread_count: count }, close) {
  const stub = shortKey(key);
  const invite = button(
    say.dialogs.invite,
    async () => {
      if (!confirm(say.acquaintances.confirm(name ?? stub, stub))) return;
      invite.disabled = true;
      const data = { public_key: key };
      if (await app.act("invite_co_author", data, say.dialogs.nobodyInvited)) close();
      invite.disabled = false;
    },
    { class: "button small", "aria-label": say.acquaintances.inviteWhom(name ?? stub) },
  );
  return h(
    "li",
    { class: "person" },
    avatar(key, name ?? stub),
    h(
      "span",
      {},
      h("bdi", {}, name ?? stub),
      " ",
      h("code", { title: key }, stub),
      h("small", { class: "muted shared" }, say.acquaintances.shared(threads, count)),
    ),
    invite,
  );
}
