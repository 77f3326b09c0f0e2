// What the drawings show: the run, the message, the thread or this connection, each with the trace of
// its machine.

/** @import { App, Ui } from "./app.js" */
/** @import { Message, State, Thread } from "./state.js" */
/** @import { MachineName, Trace } from "./trace.js" */

import { say } from "./language.js";
import { FINAL } from "./runs.js";
import { messagesOf, toldRun } from "./selectors.js";
import { newTrace, statesOfRun, traceOf } from "./trace.js";
import { readEntries, runRead } from "./run_requests.js";

/** @type {Partial<Record<Message["status"], string>>} */
const STATUS_WORDS = say.message.statuses;

/**
 * @typedef {object} Subject what is drawn
 * @property {MachineName} machine
 * @property {string | null} id of its instance; null where there is none
 * @property {string} about
 * @property {Trace} trace
 * @property {Message} [message]
 * @property {readonly {id: string, words: string}[]} [runs] of the message, that one may choose from
 * @property {boolean} [isOver] whether it may be replayed
 */

export class Subjects {
  /** @param {App} app */
  constructor(app) {
    this.app = app;
    /** @type {Set<string>} ids of the runs and messages whose entries were asked for */
    this.asked = new Set();
    /** Which opening of the journal that was. */
    this.opening = 0;
  }

  /**
   * What is drawn.
   *
   * @returns {Subject}
   */
  now() {
    const { state, ui } = this.app;
    const machine = ui.drawing;
    if (machine === "connection") {
      return {
        machine,
        id: "this",
        about: say.machines.ownConnection,
        trace: this.app.connection.trace,
      };
    }
    if (!state.thread)
      return { machine, id: null, about: say.machines.noThread, trace: newTrace(machine) };
    if (machine === "thread") return this.threadSubject(state.thread);
    if (isOfThread(machine)) return this.lastSubject(machine, state.thread);
    const message = messageShown(state.thread, ui);
    if (!message)
      return { machine, id: null, about: say.machines.nothingSaid, trace: newTrace(machine) };
    if (machine === "message") return this.messageSubject(message);
    return this.runSubject(state, state.thread, message);
  }

  /**
   * @param {Thread} thread
   * @returns {Subject}
   */
  threadSubject(thread) {
    const entries = this.app.journal.entries(thread.id);
    const known = traceOf("thread", thread.id, entries);
    const trace = { ...known, current: new Set([thread.view.status]) };
    return {
      machine: "thread",
      id: thread.id,
      about: say.machines.thisThread,
      trace,
    };
  }

  /**
   * The invitation, link, removal or branch of the thread that something happened to last.
   *
   * @param {OfThread} machine
   * @param {Thread} thread
   * @returns {Subject}
   */
  lastSubject(machine, thread) {
    const entries = this.app.journal.entries(thread.id);
    const last = entries
      .flatMap(({ data }) => data.transitions)
      .findLast((transition) => transition.machine === machine);
    if (!last) {
      const about = say.machines.none[machine];
      return { machine, id: null, about, trace: newTrace(machine) };
    }
    const trace = traceOf(machine, last.instance, entries);
    return { machine, id: last.instance, about: say.machines.last[machine], trace };
  }

  /**
   * @param {Message} message
   * @returns {Subject}
   */
  messageSubject(message) {
    const trace = this.journalled("message", message.id, message.index, [message.status]);
    const excerpt = message.content === null ? null : [...message.content].slice(0, 40).join("");
    return {
      machine: "message",
      id: message.id,
      about: say.machines.theMessage(excerpt),
      trace,
      message,
      isOver: message.status !== "pending",
    };
  }

  /**
   * @param {State} state
   * @param {Thread} thread
   * @param {Message} message
   * @returns {Subject}
   */
  runSubject(state, thread, message) {
    const told = toldRun(state, message);
    if (!told.id) {
      return {
        machine: "chorus",
        id: null,
        about: say.machines.noRun(STATUS_WORDS[message.status] ?? null),
        trace: newTrace("chorus"),
        message,
      };
    }
    const runs = this.runsOf(thread, message, told.id);
    const { run: chosen } = this.app.ui;
    const id = runs.some((each) => each.id === chosen) && chosen ? chosen : told.id;
    const run = thread.runs.get(id);
    const trace = this.journalled("chorus", id, message.index, run ? statesOfRun(run) : []);
    const isItsOwn = told.isItsOwn || id !== told.id;
    const words = isItsOwn ? say.machines.theRun : say.machines.theRunBefore;
    const about = words([...(message.content ?? say.common.aMessage)].slice(0, 40).join(""));
    return {
      machine: "chorus",
      id,
      about,
      trace,
      message,
      runs,
      isOver: !run || FINAL.has(run.status),
    };
  }

  /**
   * The runs of a prompt, as far as they were met, with what is said of each.
   *
   * @param {Thread} thread
   * @param {Message} message
   * @param {string} shown id of the run that is shown unless another is chosen
   */
  runsOf({ branches, runs }, { id: promptId }, shown) {
    const known = this.app.journal.runsOf(promptId).filter(({ seq }) => seq <= this.app.until);
    const forks = branches.flatMap(({ message_id: id, run_id: runId }) =>
      id === promptId ? [{ id: runId, isFork: true }] : [],
    );
    const all = [...known, ...forks, { id: shown, isFork: false }];
    const met = [
      ...new Map(all.map((run) => [run.id, known.find(({ id }) => id === run.id) ?? run])),
    ];
    return met.map(([id, { isFork }], place) => {
      const status = (runs.get(id) ?? runRead(this.app, id))?.status;
      const words = status ? say.comparison.status[status] : null;
      return { id, words: say.machines.whichRun(place + 1, isFork, words) };
    });
  }

  /**
   * The trace out of the journal; until that is read, only where the machine stands.
   *
   * @param {MachineName} machine
   * @param {string} id
   * @param {number} index of the message
   * @param {readonly string[]} current where it stands
   */
  journalled(machine, id, index, current) {
    const { journal } = this.app;
    if (journal.opening !== this.opening) {
      this.opening = journal.opening;
      this.asked.clear();
    }
    if (!journal.isWhole(id) && !this.asked.has(id)) {
      this.asked.add(id);
      readEntries(this.app, machine, id, index).then(() => this.app.schedule());
    }
    const entries = journal.entries(id).filter(({ seq }) => (seq ?? 0) <= this.app.until);
    const trace = traceOf(machine, id, entries);
    return trace.path.length > 0 ? trace : { ...trace, current: new Set(current) };
  }
}

/**
 * The message that the drawings and the strip are about: the chosen one, else the one whose run is at
 * work, else the newest that has one.
 *
 * @param {Thread} thread
 * @param {Pick<Ui, "selected" | "drawing">} ui
 */
export function messageShown(thread, { selected, drawing }) {
  const chosen = selected === null ? undefined : thread.messages.get(selected);
  if (chosen) return chosen;
  const all = messagesOf(thread);
  if (drawing === "message")
    return (
      all.findLast(({ status }) => status === "pending") ??
      all.findLast(({ role }) => role === "user")
    );
  const live = all.find(({ run_id: id, role }) => {
    const run = role === "user" && id !== null ? thread.runs.get(id) : undefined;
    return run && !FINAL.has(run.status) && run.status !== "queued";
  });
  return live ?? all.findLast(({ role, run_id: id }) => role === "user" && id) ?? all.at(-1);
}

/** @typedef {"invitation" | "invite_link" | "removal" | "branch"} OfThread */

/**
 * Whether a machine has many instances in a thread, none of which is a message's.
 *
 * @param {MachineName} machine
 * @returns {machine is OfThread}
 */
function isOfThread(machine) {
  return ["invitation", "invite_link", "removal", "branch"].includes(machine);
}
