// The page's controller: it joins the client, the store and the views, and holds every action that
// a person can take. Views read `app.state` and `app.ui` and call these actions; nothing else
// speaks to the server.

import { exportJson, exportMarkdown } from "./export.js";
import { ConnectionTracker } from "./connection.js";
import { Journal } from "./journal.js";
import { forgetIdentity, loadIdentity } from "./keys.js";
import { download } from "./files.js";
import { Memory } from "./memory.js";
import { announceConnection, announceFrame, toast } from "./notices.js";
import { Prompts } from "./prompts.js";
import { ChorusClient, Refused } from "./protocol.js";
import { FINAL, foldRun } from "./runs.js";
import { fold, isCoAuthor, liveRuns, newState } from "./store.js";
import { advice, fileName, threadNameFor } from "./words.js";

const PAGE_MESSAGES = 50;
const SEEK_MESSAGES = 200;

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
  #opening = null; // the thread that was asked for and is not here yet
  #met = new Set(); // keys that were asked for a name

  constructor() {
    this.memory = new Memory();
    this.client = new ChorusClient({
      url: `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ws`,
      host: location.host,
      tell: (event) => this.#told(event),
      token: this.memory.token,
    });
    this.prompts = new Prompts(this.client, this.memory, (event) => this.#fold(event));
    this.journal = new Journal((type, data) => this.client.request(type, data));
    addEventListener("online", () => this.client.retryNow());
    addEventListener("hashchange", () => this.#followAddress());
    addEventListener("storage", (event) => {
      // Signing out in one tab is meant for the browser.
      const isSignOut = this.memory.isSignOut(event);
      if (isSignOut && this.state.user) this.signOut();
    });
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
    this.memory.signedOut = true;
    await this.client.signOut();
    if (forget) {
      await forgetIdentity();
      this.memory.forget(this.identity.publicKey);
    }
    this.#views.clear();
    this.prompts.forget();
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

  // --- Threads -------------------------------------------------------------------------------

  async openThread(threadId, messageId = null) {
    const address = `#/t/${threadId}${messageId ? `/m/${messageId}` : ""}`;
    if (location.hash !== address) history.pushState(null, "", address);
    if (this.state.thread?.id !== threadId) {
      this.journal.open(threadId);
      this.refusal = null;
      this.#opening = threadId;
      this.setUi({ selected: null, replay: null, area: "conversation" });
      try {
        await this.client.open(threadId, { limit: PAGE_MESSAGES });
      } catch (error) {
        this.explain(error, "That thread cannot be opened");
        return;
      } finally {
        if (this.#opening === threadId) this.#opening = null;
      }
    } else {
      this.setUi({ area: "conversation" });
    }
    if (messageId) await this.seek(messageId);
  }

  /** The thread that a prompt goes to now; null where one is to be made for it. */
  target() {
    return this.#opening ?? this.state.thread?.id ?? null;
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
      toast("That message is not in this thread.");
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
    const { thread_id: threadId } = await this.client.request("create_thread", {
      name,
      visibility,
    });
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
    let threadId = this.target();
    if (threadId === null) {
      try {
        threadId = await this.createThread(threadNameFor(text), "private");
      } catch (error) {
        this.explain(error, "The thread was not made");
        return false;
      }
    }
    this.setUi({ selected: null });
    return this.#send({ id: crypto.randomUUID(), threadId, text });
  }

  /** Gives whether the server took it. */
  async #send(prompt) {
    try {
      await this.prompts.send(this.identity.publicKey, prompt);
      return true;
    } catch (error) {
      this.#refused(error, prompt.threadId);
      this.explain(error, "Your prompt was not taken; it is back in its box");
      return false;
    }
  }

  /** The run that Escape and the stop button end: the newest that is under way. */
  stoppableRun() {
    if (!isCoAuthor(this.state)) return null;
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
    const entries = await this.readEntries(message.run_id, message.index);
    const own = entries.filter(({ data }) => data.run_id === message.run_id);
    if (own.length === 0) return null;
    const run = own.reduce(
      (before, { data }) => (data.status ? foldRun(before, data) : before),
      null,
    );
    if (run) this.#fold({ kind: "run_read", threadId, run });
    return run;
  }

  /** All journal entries about a run or a message, read once. */
  async readEntries(id, index) {
    try {
      return await this.journal.load(id, index, (entries) =>
        entries.some(({ data }) => endsRun(data, id) || endsVote(data, id)),
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
    download(fileName(this.state.thread.view.name, form), text);
  }

  /** Say why something was refused. */
  explain(error, what) {
    if (error instanceof Refused) {
      if (error.code !== "signed_out") toast(`${what}. ${advice(error)}`, "error");
      return;
    }
    console.error(error);
    toast(`${what}: the page itself failed. Reload it if this happens again.`, "error");
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
        announceFrame(event.frame);
        this.#meet(event.frame.data);
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
      case "unreadable":
        if (this.state.unreadable === 0) {
          toast(
            "Something from the server could not be read; the page reads the thread anew and goes on.",
            "error",
          );
        }
        this.#fold(event);
        return;
      case "fault":
        this.explain(event.error, "The server says that something failed");
        return;
      case "gone":
        toast(`The thread is closed to you now. ${event.message}`, "error");
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
    for (const prompt of this.prompts.kept(this.identity.publicKey)) this.#send(prompt);
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
    announceConnection(this.state.connection.phase, connection, this.wasConnected);
    this.wasConnected ||= connection.phase === "connected";
  }

  /** Somebody new in the thread: frames carry keys only, so ask what they are called. */
  #meet({ message, public_key: joined }) {
    const key = joined ?? message?.author;
    if (!key || this.state.names.has(key) || this.#met.has(key)) return;
    this.#met.add(key);
    const data = {
      thread_id: this.state.thread.id,
      limit: 1,
      before_index: (message?.index ?? 0) + 1,
    };
    this.client.request("get_thread", data).then(
      ({ names }) => this.#fold({ kind: "names", names }),
      () => this.#met.delete(key),
    );
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

function endsRun(data, id) {
  return data.run_id === id && FINAL.has(data.status);
}

function endsVote(data, id) {
  return (data.transitions ?? []).some(
    ({ machine, instance, target }) =>
      machine === "message" && instance === id && target !== "pending",
  );
}
