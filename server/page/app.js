// The page's controller: it joins the client, the store and the views, and holds every action that
// a person can take. Views read `app.state` and `app.ui` and call these actions; nothing else
// speaks to the server.

import { exportJson, exportMarkdown } from "./export.js";
import { ConnectionTracker } from "./connection.js";
import { Journal } from "./journal.js";
import { forgetIdentity, loadIdentity } from "./keys.js";
import { Memory } from "./memory.js";
import { ChorusClient, Refused } from "./protocol.js";
import { FINAL, foldRun } from "./runs.js";
import { fold, liveRuns, newState } from "./store.js";
import { advice, fileName } from "./words.js";

const PAGE_MESSAGES = 50;
const SEEK_MESSAGES = 200;
const NAME_FROM_PROMPT = 60;

export class App {
  state = newState();
  ui = {
    area: "conversation",
    drawing: "chorus", // which machine is shown
    selected: null, // the message whose machines are shown; null follows what happens
    replay: null,
    target: null, // a message to scroll to once
  };
  identity = null;
  connection = new ConnectionTracker();
  refusal = null; // the last refused transition: {machine, instance, ...details}
  onSignedIn = () => {};
  onSignedOut = () => {};

  #views = new Set();
  #scheduled = false;
  #sentOnce = new Set();

  constructor() {
    this.memory = new Memory();
    this.client = new ChorusClient({
      url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`,
      host: location.host,
      tell: (event) => this.#told(event),
      token: this.memory.token,
    });
    this.journal = new Journal((type, data) => this.client.request(type, data));
    addEventListener("online", () => this.client.retryNow());
    addEventListener("hashchange", () => this.#followAddress());
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") {
        this.client.retryNow();
        this.#markSeen();
      }
    });
  }

  /** Sign in with the key of this browser, or ask the person to begin. */
  async begin() {
    const identity = await loadIdentity().catch(() => null);
    if (identity && !this.memory.signedOut) this.signIn(identity);
    else this.onSignedOut(null);
  }

  /** Sign in; `name` is given once the server knows the person. */
  signIn(identity, name = null) {
    this.identity = identity;
    this.memory.signedOut = false;
    this.state = fold(this.state, { kind: "seen", seen: this.memory.seen(identity.publicKey) });
    this.onSignedIn();
    this.client.start(identity);
    if (name) this.setName(name);
  }

  async signOut({ forget = false } = {}) {
    await this.client.signOut();
    this.memory.signedOut = true;
    if (forget) await forgetIdentity();
    this.#views.clear();
    this.#sentOnce.clear();
    this.state = fold(this.state, { kind: "signed_out" });
    this.connection = new ConnectionTracker();
    this.setUi({ selected: null, replay: null });
    history.replaceState(null, "", location.pathname);
    this.onSignedOut(null);
  }

  /** Draw a view whenever something changed; `update` is cheap where nothing did. */
  addView(view) {
    this.#views.add(view);
    view.update();
  }

  setUi(patch) {
    this.ui = { ...this.ui, ...patch };
    this.schedule();
  }

  /** Draw before the next frame, however many events come until then. */
  schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      for (const view of this.#views) view.update();
    });
  }

  /** Say something to a screen reader, once. */
  announce(text) {
    const announcer = document.getElementById("announcer");
    announcer.textContent = "";
    setTimeout(() => (announcer.textContent = text), 50);
  }

  /** A short message at the edge of the page. */
  toast(text, kind = "info") {
    const toast = document.createElement("p");
    toast.className = `toast ${kind}`;
    toast.textContent = text;
    document.getElementById("toasts").append(toast);
    setTimeout(() => toast.remove(), kind === "error" ? 9000 : 5000);
  }

  // --- Threads -------------------------------------------------------------------------------

  async openThread(threadId, messageId = null) {
    const address = `#/t/${threadId}${messageId ? `/m/${messageId}` : ""}`;
    if (location.hash !== address) history.pushState(null, "", address);
    if (this.state.thread?.id !== threadId) {
      this.journal.open(threadId);
      this.refusal = null;
      this.setUi({ selected: null, replay: null, area: "conversation" });
      try {
        await this.client.open(threadId, { limit: PAGE_MESSAGES });
      } catch (error) {
        this.explain(error, "That thread cannot be opened");
        return;
      }
    } else {
      this.setUi({ area: "conversation" });
    }
    if (messageId) await this.seek(messageId);
  }

  closeThread() {
    if (!this.state.thread) return;
    this.client.unfollow();
    history.pushState(null, "", location.pathname);
    this.#fold({ kind: "closed" });
    this.setUi({ selected: null, replay: null });
  }

  /** Read the messages before the oldest one that is shown. */
  async readOlder(limit = PAGE_MESSAGES) {
    const { thread } = this.state;
    if (!thread?.hasMore || this.reading) return;
    this.reading = true;
    try {
      const before = thread.messages.get(thread.order[0])?.index ?? 0;
      const data = { thread_id: thread.id, limit, before_index: before };
      const snapshot = await this.client.request("get_thread", data);
      this.#fold({ kind: "older", snapshot });
    } catch (error) {
      this.explain(error, "The older messages did not come");
    } finally {
      this.reading = false;
    }
  }

  /** Show a message of the open thread, paging back as far as it takes. */
  async seek(messageId) {
    while (this.state.thread?.hasMore && !this.state.thread.messages.has(messageId)) {
      const before = this.state.thread.order.length;
      await this.readOlder(SEEK_MESSAGES);
      if (this.state.thread?.order.length === before) break;
    }
    if (this.state.thread?.messages.has(messageId)) {
      this.setUi({ target: messageId, selected: messageId });
    } else {
      this.toast("That message is not in this thread.");
    }
  }

  async listThreads(scope, after = null) {
    try {
      const data = { scope, limit: 50, ...(after ? { after } : {}) };
      const page = await this.client.request("list_threads", data);
      this.#fold({ kind: "threads", scope, ...page, fresh: after === null });
    } catch (error) {
      this.explain(error, "The list of threads did not come");
    }
  }

  async createThread(name, visibility) {
    const { thread_id: threadId } = await this.client.request("create_thread", { name, visibility });
    await this.listThreads("mine");
    await this.openThread(threadId);
    return threadId;
  }

  /** A request about the open thread; gives whether it was accepted. */
  async act(type, data = {}, what = "That was not done") {
    const threadId = this.state.thread.id;
    try {
      await this.client.request(type, { thread_id: threadId, ...data });
      this.refusal = null;
      return true;
    } catch (error) {
      this.#refused(error, data.message_id ?? data.run_id ?? threadId);
      this.explain(error, what);
      return false;
    }
  }

  async setName(name) {
    try {
      await this.client.request("set_name", { name });
      this.#fold({ kind: "renamed_self", name: name.trim() });
      return true;
    } catch (error) {
      this.explain(error, "The name was not taken");
      return false;
    }
  }

  search(query) {
    return this.client.request("search", { query, limit: 30 });
  }

  // --- Prompts and runs ----------------------------------------------------------------------

  /** Submit a prompt; where no thread is open, a thread is made for it. */
  async submit(text) {
    if (!this.state.thread) {
      try {
        await this.createThread(threadNameFor(text), "private");
      } catch (error) {
        this.explain(error, "The thread was not made");
        return false;
      }
    }
    const prompt = { id: crypto.randomUUID(), threadId: this.state.thread.id, text };
    this.memory.keepOutgoing(this.identity.publicKey, prompt);
    this.#fold({ kind: "outgoing", prompt });
    this.setUi({ selected: null });
    return this.#sendPrompt(prompt);
  }

  async #sendPrompt(prompt) {
    this.#sentOnce.add(prompt.id);
    const data = { thread_id: prompt.threadId, prompt: prompt.text };
    try {
      await this.client.request("submit_prompt", data, { id: prompt.id });
    } catch (error) {
      if (error instanceof Refused && error.code === "signed_out") return false; // it stays kept
      this.#acknowledged(prompt.id);
      this.#refused(error, prompt.threadId);
      this.memory.giveBack(this.identity.publicKey, prompt);
      this.explain(error, "Your prompt was not taken; it is back in its box");
      this.schedule();
      return false;
    }
    this.#acknowledged(prompt.id);
    return true;
  }

  #acknowledged(id) {
    this.memory.dropOutgoing(this.identity.publicKey, id);
    this.#fold({ kind: "acknowledged", id });
  }

  /** The run that Escape and the stop button end: the newest that is under way. */
  stoppableRun() {
    return liveRuns(this.state).at(-1) ?? null;
  }

  stop(runId) {
    return this.act("cancel_run", { run_id: runId }, "The run was not stopped");
  }

  retry(runId) {
    return this.act("retry_run", { run_id: runId }, "The run was not started again");
  }

  /** Read a run's steps from the journal; gives the run, or null where that failed. */
  async readRun(message) {
    const threadId = this.state.thread.id;
    const entries = await this.readEntries(message.run_id, message.index, "chorus_response");
    const own = entries.filter(({ data }) => data.run_id === message.run_id);
    if (own.length === 0) return null;
    const run = own.reduce((before, { data }) => (data.status ? foldRun(before, data) : before), null);
    if (run) this.#fold({ kind: "run_read", threadId, run });
    return run;
  }

  /** All journal entries about a run or a message, read once. */
  async readEntries(id, index) {
    try {
      return await this.journal.load(id, index, (entries) =>
        entries.some(({ data }) => data.run_id === id && FINAL.has(data.status)),
      );
    } catch (error) {
      this.explain(error, "The journal was not read");
      return [];
    }
  }

  async exportThread(form) {
    while (this.state.thread?.hasMore) {
      const before = this.state.thread.order.length;
      await this.readOlder(SEEK_MESSAGES);
      if (this.state.thread.order.length === before) return;
    }
    const text = form === "md" ? exportMarkdown(this.state) : exportJson(this.state);
    download(fileName(this.state.thread.view.name, form), text, form);
  }

  /** Say why something was refused. */
  explain(error, what) {
    if (error instanceof Refused) {
      if (error.code !== "signed_out") this.toast(`${what}. ${advice(error)}`, "error");
      return;
    }
    console.error(error);
    this.toast(`${what}: the page itself failed. Reload it if this happens again.`, "error");
  }

  // --- What is told --------------------------------------------------------------------------

  #told(event) {
    this.connection.take(event);
    switch (event.kind) {
      case "init":
        this.#fold(event);
        this.#welcomed(event.init);
        return;
      case "live":
        this.journal.add(event.frame);
        this.#fold(event);
        this.#noteworthy(event.frame);
        this.#markSeen();
        return;
      case "notice":
        if (!this.state.summaries.has(event.threadId)) this.#listSoon();
        this.#fold(event);
        return;
      case "opened":
        this.journal.open(event.snapshot.thread.id);
        this.#fold(event);
        this.#markSeen();
        return;
      case "gone":
        this.toast(`The thread is closed to you now. ${event.message}`, "error");
        this.#fold(event);
        return;
      case "connection":
        this.#connectionChanged(event.connection);
        this.#fold(event);
        return;
      default:
        this.#fold(event);
    }
  }

  #welcomed(init) {
    this.#markSeenAtFirst(init.threads);
    if (!this.state.thread) this.#followAddress();
    for (const prompt of this.memory.outgoing(this.identity.publicKey)) {
      if (this.#sentOnce.has(prompt.id)) continue; // the client itself sends it again
      this.#fold({ kind: "outgoing", prompt });
      this.#sendPrompt(prompt);
    }
  }

  /** Threads that this browser sees for the first time are not all unread. */
  #markSeenAtFirst(threads) {
    const unknown = threads.filter(({ id }) => !this.state.seen.has(id));
    if (this.state.seen.size === 0) {
      this.#fold({ kind: "seen", seen: unknown.map(({ id, head_seq: seq }) => [id, seq]) });
      this.memory.keepSeen(this.identity.publicKey, this.state.seen);
    }
  }

  #markSeen() {
    const { thread, seen } = this.state;
    if (!thread || document.visibilityState !== "visible") return;
    if ((seen.get(thread.id) ?? 0) >= thread.headSeq) return;
    this.#fold({ kind: "seen", seen: [[thread.id, thread.headSeq]] });
    this.memory.keepSeen(this.identity.publicKey, this.state.seen);
  }

  #followAddress() {
    const [, threadId, messageId] = /^#\/t\/([\w-]+)(?:\/m\/([\w-]+))?$/.exec(location.hash) ?? [];
    if (threadId && this.identity) this.openThread(threadId, messageId ?? null);
  }

  #listSoon() {
    clearTimeout(this.listing);
    this.listing = setTimeout(() => this.listThreads("mine"), 300);
  }

  #connectionChanged(connection) {
    const before = this.state.connection.phase;
    if (connection.phase === "waiting" && before === "connected") {
      this.announce("The connection is lost; trying again.");
    } else if (connection.phase === "connected" && before !== "connected" && this.wasConnected) {
      this.announce("Connected again.");
    } else if (connection.phase === "ended") {
      this.announce(connection.reason);
    }
    this.wasConnected ||= connection.phase === "connected";
  }

  /** What a person who does not look should hear. */
  #noteworthy({ data }) {
    if (data.status === "finished") this.announce("An answer is there.");
    else if (data.status === "failed") this.announce(`The run failed. ${data.message}`);
    else if (data.kind === "message_submitted" && data.message.status === "pending") {
      this.announce("A message waits for approval.");
    }
  }

  #refused(error, instance) {
    if (error instanceof Refused && error.code === "invalid_transition" && error.details) {
      this.refusal = { ...error.details, instance, message: error.message, at: Date.now() };
      this.setUi({ drawing: error.details.machine, replay: null });
    }
  }

  #fold(event) {
    this.state = fold(this.state, event);
    this.schedule();
  }
}

/** The first words of a prompt, as the name of the thread that is made for it. */
function threadNameFor(text) {
  const line = text.trim().replace(/[\p{C}\s]+/gu, " ").trim();
  const characters = [...line];
  if (characters.length <= NAME_FROM_PROMPT) return line || "New thread";
  const cut = characters.slice(0, NAME_FROM_PROMPT).join("");
  return `${cut.slice(0, Math.max(cut.lastIndexOf(" "), 20)).trim()}…`;
}

/** Save a text as a file of the person's. */
export function download(name, text, form = "txt") {
  const types = { md: "text/markdown", json: "application/json", txt: "text/plain" };
  const address = URL.createObjectURL(new Blob([text], { type: types[form] }));
  const anchor = document.createElement("a");
  anchor.href = address;
  anchor.download = name;
  anchor.click();
  setTimeout(() => URL.revokeObjectURL(address), 10_000);
}
