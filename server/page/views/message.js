// One message: who, when, what became of it, and for a prompt the run that answers it.

/** @import { App } from "../app.js" */
/** @import { MessageStatus } from "../wire.d.ts" */
/** @import { Message, State, Thread } from "../state.js" */

import { button, h, iconButton, setText } from "../dom.js";
import { dressCode } from "../code.js";
import { say } from "../language.js";
import { fromHtml } from "../markup.js";
import { copyText } from "../notices.js";
import { FINAL } from "../runs.js";
import { isCoAuthor, mayFork, messagesOf, runsBefore, toldRun } from "../selectors.js";
import { nameOf, shortKey, clockTime, whenLong } from "../words.js";
import { ApprovalView } from "./approval.js";
import { avatar, initialOf } from "./avatar.js";
import { openCitation } from "./citation.js";
import { openComparison } from "./comparison.js";
import { RunView } from "./run.js";
import { hideMessage } from "../thread_requests.js";
import { readRun } from "../run_requests.js";

/** @type {Partial<Record<MessageStatus, string>>} */
const STATUS_WORDS = say.message.statuses;

/** @type {Set<MessageStatus>} what needs no word about a vote */
const COUNTS = new Set(["approved", "superseded"]);

/** How the offline responder begins and ends its answers. */
const NOTICE = /^No language model is connected, (?:and|so) (.+)$/s;
const HOW_TO = /^To have requests answered, connect a model/;

export class MessageView {
  /**
   * @param {App} app
   * @param {string} id
   */
  constructor(app, id) {
    this.app = app;
    this.id = id;
    /** @type {RunView | null} */
    this.run = null;
    /** @type {ApprovalView | null} */
    this.approval = null;
    /** @type {Message | null} as it is drawn */
    this.message = null;
    /** @type {State["names"] | null} as they are drawn */
    this.names = null;
    /** @type {unknown[] | null} what its run was drawn from */
    this.drawn = null;
    this.isSelected = false;
    this.hasAsked = false; // for the run's entries
    this.author = h("span", { class: "author" });
    this.time = h("time", {});
    this.status = h("span", { class: "chip", hidden: true });
    this.model = h("span", { class: "model" });
    this.body = h("div", { class: "said", dir: "auto" });
    this.wayUp = button(say.message.wayUp, () => app.readOlder(), {
      class: "button small quiet",
      hidden: true,
    });
    this.unfold = h("button", {
      type: "button",
      class: "button small quiet unfold",
      "aria-expanded": "false",
      hidden: true,
      on: { click: () => this.fold(!this.isFolded) },
    });
    this.isFolded = false;
    this.isHidden = false; // by this user
    this.wasEdited = false;
    this.beneath = h("div", { class: "beneath" });
    this.pencil = iconButton("pencil", say.message.edit, () => app.setUi({ editing: this.id }), {
      hidden: true,
    });
    this.hide = iconButton("hide", say.message.hide, () =>
      hideMessage(app, this.id, !this.isHidden),
    );
    this.actions = h(
      "div",
      { class: "message-actions" },
      this.pencil,
      iconButton("copy", say.message.copy, () => this.copy()),
      this.hide,
      iconButton("machine", say.message.showMachines, () => this.select()),
    );
    this.main = h(
      "div",
      { class: "message-main" },
      h(
        "header",
        { class: "message-head" },
        this.author,
        this.time,
        this.model,
        this.status,
        this.actions,
      ),
      this.wayUp,
      this.unfold,
      this.body,
      this.beneath,
    );
    this.element = h(
      "article",
      { class: "message", id: `message-${id}`, tabindex: "-1" },
      this.main,
    );
  }

  /**
   * @param {MessageView | null} answer that belongs to this prompt
   * @param {boolean} isEditable whether the user may write it anew
   */
  update(answer, isEditable) {
    const { state, ui } = this.app;
    const message = state.thread?.messages.get(this.id);
    if (!state.thread || !message) return;
    this.wayUp.hidden = true;
    this.pencil.hidden = !isEditable;
    const isSelected = ui.selected === this.id;
    if (isSelected !== this.isSelected) this.element.classList.toggle("selected", isSelected);
    this.isSelected = isSelected;
    if (message !== this.message || state.names !== this.names) this.draw(message);
    this.drawHidden(state.thread.hidden.has(this.id));
    if (message.role === "user" && message.run_id) this.drawRun(state.thread, message, answer);
    else this.dropRun();
    if (this.approval) this.approval.update(message);
  }

  /** An answer that stands by itself leads to its prompt, which is further up. */
  standAlone() {
    const isOrphan = this.message?.role === "chorus" && this.message.run_id !== null;
    this.wayUp.hidden = !isOrphan || !this.app.state.thread?.hasMore;
  }

  /** @param {Message} message */
  draw(message) {
    const { state } = this.app;
    const isFirst = !this.message;
    const contentChanged = message.content !== this.message?.content;
    this.message = message;
    this.names = state.names;
    const name = nameOf(state, message.author);
    if (isFirst) {
      this.element.dataset.role = message.role;
      this.time.dateTime = message.created_at;
      this.time.title = whenLong(message.created_at);
      setText(this.time, clockTime(message.created_at));
    }
    this.author.replaceChildren(
      h("bdi", {}, name),
      message.author && state.names.has(message.author)
        ? h("code", { class: "short-key", title: message.author }, shortKey(message.author))
        : "",
    );
    this.drawAvatar(message, name);
    this.element.setAttribute("aria-label", `${name}, ${clockTime(message.created_at)}`);
    this.element.dataset.status = message.status;
    const wasEdited = message.superseded_by !== undefined;
    if (wasEdited && !this.wasEdited) this.fold(true);
    this.wasEdited = wasEdited;
    this.unfold.hidden = !wasEdited && !this.isHidden;
    const anew = message.role === "chorus" ? say.message.replaced : say.message.edited;
    const words = wasEdited ? anew : STATUS_WORDS[message.status];
    this.status.hidden = !words;
    setText(this.status, words ?? "");
    if (message.role === "chorus") this.drawAnswerFacts(message);
    if (contentChanged || isFirst) this.drawContent(message);
    if (!this.approval && (message.electors.length > 0 || !COUNTS.has(message.status))) {
      this.approval = new ApprovalView(this.app, message);
      this.beneath.prepend(this.approval.element);
    }
  }

  /**
   * @param {Message} message
   * @param {string} name
   */
  drawAvatar({ author }, name) {
    if (!this.avatar) {
      this.avatar = avatar(author, name);
      this.element.prepend(this.avatar);
    }
    if (author !== null) setText(this.avatar, initialOf(name));
  }

  /** @param {Message} message */
  drawContent(message) {
    if (message.content === null) {
      this.body.className = "said hidden-content";
      this.body.textContent = say.message.hidden;
    } else if (message.html !== null) {
      this.body.className = "said prose";
      this.body.replaceChildren(fromHtml(message.html, (label) => this.citation(message, label)));
      if (message.model?.startsWith("offline")) withoutNotice(this.body);
      dressCode(this.body);
    } else {
      this.body.className = "said plain";
      this.body.replaceChildren(...withMentions(message, this.app.state.user?.public_key));
    }
  }

  /** @param {Message} message */
  drawAnswerFacts({ model, cut, forked_from: fork, run_id: runId }) {
    setText(this.model, model ?? "");
    this.beneath.replaceChildren(
      cut ? h("p", { class: "note warn" }, say.common.cut) : "",
      fork && runId ? adopted(this.app, fork.run_id, runId) : "",
    );
  }

  /**
   * A label like `[P1]` as a way to the prior; null where the answer names no such prior.
   *
   * @param {Message} message
   * @param {string} label
   */
  citation(message, label) {
    const citation = message.citations.find((each) => each.label === label);
    if (!citation) return null;
    return h(
      "button",
      {
        type: "button",
        class: "citation",
        "aria-haspopup": "dialog",
        "aria-label": say.common.source(label),
        on: {
          click: (event) => openCitation(this.app, event.currentTarget, citation, message),
        },
      },
      label,
    );
  }

  /**
   * @param {Thread} thread
   * @param {Message} message
   * @param {MessageView | null} answer
   */
  drawRun(thread, message, answer) {
    const { state } = this.app;
    const { isItsOwn: isTold } = toldRun(state, message);
    const run = thread.runs.get(message.run_id ?? "") ?? null;
    const before = run?.status === "queued" ? runsBefore(state, run) : 0;
    const rights = [isCoAuthor(state), mayFork(state)];
    const drawn = [
      message,
      run,
      answer,
      before,
      isTold,
      state.names,
      thread.waitsBecause,
      ...rights,
    ];
    const last = this.drawn;
    if (last && drawn.every((part, place) => part === last[place])) return;
    this.drawn = drawn;
    if (!this.run) {
      this.run = new RunView(this.app, message);
      this.beneath.append(this.run.element);
    }
    this.run.update({ message, run, answer, before, isTold });
    if (!run && !answer && isTold && !this.hasAsked) {
      this.hasAsked = true; // it failed, was stopped, or its answer is on a later page: the journal knows
      readRun(this.app, message);
    }
    if (run && FINAL.has(run.status)) this.element.dataset.run = run.status;
  }

  /** At an earlier moment of the thread there may be no run yet. */
  dropRun() {
    if (!this.run) return;
    this.run.element.remove();
    this.run = this.drawn = null;
    this.hasAsked = false;
  }

  /** @param {boolean} isHidden whether the user hid it */
  drawHidden(isHidden) {
    if (isHidden === this.isHidden) return;
    this.isHidden = isHidden;
    const label = isHidden ? say.message.showAgain : say.message.hide;
    this.hide.setAttribute("aria-label", label);
    this.hide.title = label;
    this.unfold.hidden = !isHidden && !this.wasEdited;
    this.fold(isHidden || this.wasEdited);
  }

  /**
   * A message that was written anew, or that the user hid, is folded, and its answer with it.
   *
   * @param {boolean} isFolded
   */
  fold(isFolded) {
    this.isFolded = isFolded;
    this.element.classList.toggle("folded", isFolded);
    this.unfold.setAttribute("aria-expanded", String(!isFolded));
    const { showHidden, foldHidden, showEarlier, hideEarlier } = say.message;
    const [show, hide] = this.isHidden ? [showHidden, foldHidden] : [showEarlier, hideEarlier];
    setText(this.unfold, isFolded ? show : hide);
  }

  copy() {
    copyText(this.message?.content ?? "", say.message.copied);
  }

  select() {
    const { thread } = this.app.state;
    const runId = this.message?.run_id;
    const prompt =
      thread && runId
        ? messagesOf(thread).find(({ role, run_id: id }) => role === "user" && id === runId)
        : null;
    const drawing = runId ? "chorus" : "message";
    this.app.setUi({ selected: prompt?.id ?? this.id, drawing, machines: true, replay: null });
  }
}

/**
 * The text of a user's message, with the names in it that mention somebody.
 *
 * @param {Message} message
 * @param {string | undefined} ownKey of who reads
 */
function withMentions({ content, mentions = [] }, ownKey) {
  const text = [...(content ?? "")]; // code points, in which mentions are counted
  /** @type {(string | Node)[]} */
  const parts = [];
  let at = 0;
  for (const { start, end } of mentions) {
    if (start < at) continue; // another co-author of the same name
    const isOwn = mentions.some((each) => each.start === start && each.public_key === ownKey);
    const name = text.slice(start, end).join("");
    parts.push(
      text.slice(at, start).join(""),
      h("mark", { class: isOwn ? "mention own" : "mention" }, name),
    );
    at = end;
  }
  return [...parts, text.slice(at).join("")];
}

/**
 * That an answer was adopted, and the way to what it was held against.
 *
 * @param {App} app
 * @param {string} origin id of the run that was forked
 * @param {string} own
 */
function adopted(app, origin, own) {
  return h(
    "p",
    { class: "row muted small adopted" },
    say.branches.adopted,
    isCoAuthor(app.state) &&
      button(say.branches.compare, () => openComparison(app, origin, own), {
        class: "button small quiet",
      }),
  );
}

/**
 * That no model is connected is said once, above the conversation, and not by each answer again.
 *
 * @param {Element} answer
 */
function withoutNotice(answer) {
  for (const part of answer.querySelectorAll(":scope > p")) {
    const [, rest] = NOTICE.exec(part.textContent ?? "") ?? [];
    if (rest) part.textContent = rest.charAt(0).toUpperCase() + rest.slice(1);
    else if (HOW_TO.test(part.textContent ?? "")) part.remove();
  }
}
