// The page's controller: it joins the client, the store and the views, and holds the actions that change
// what is open and shown. Views read `app.state` and `app.ui` and call these; what else a user asks of the
// server is in thread_requests.js and run_requests.js.

/**
 * @import { InboxItem, InitData, LiveFrame, Prior, ThreadSummary } from "./wire.d.ts"
 * @import { Identity } from "./keys.js"
 * @import { ClientEvent, Connection, DataOf, RequestType } from "./protocol.js"
 * @import { StoreEvent } from "./store.js"
 * @import { Prompt, State, Thread } from "./state.js"
 * @import { MachineName, Refusal } from "./trace.js"
 * @import { Choices } from "./memory.js"
 */

import { ConnectionTracker } from "./connection.js";
import { changesInbox, Inbox } from "./inbox.js";
import { Journal } from "./journal.js";
import { forgetIdentity, loadIdentity } from "./keys.js";
import { Explanations } from "./explained.js";
import { LANGUAGES, say } from "./language.js";
import { Lifetimes } from "./lifetimes.js";
import { Memory } from "./memory.js";
import {
  announce,
  announceConnection,
  announceFrame,
  complain,
  settle,
  settleAll,
  toast,
} from "./notices.js";
import { Notifications } from "./notifications.js";
import { Past, withKnownRuns } from "./past.js";
import { Prompts } from "./prompts.js";
import { ChorusClient, Refused } from "./protocol.js";
import { messageOf } from "./runs.js";
import { isCoAuthor, messagesOf, othersThere, runToStop } from "./selectors.js";
import { fold } from "./store.js";
import { newState } from "./state.js";
import { advice, threadNameFor } from "./words.js";
import { createThread, listInvitations, listThreads } from "./thread_requests.js";

const PAGE_MESSAGES = 50;
const SEEK_MESSAGES = 200;
const TYPING_EACH_MS = 3_000; // the server counts no more

/**
 * @typedef {object} Ui
 * @property {"threads" | "conversation"} area that a narrow screen shows
 * @property {boolean} machines whether the machines lie over the page
 * @property {boolean} strip whether the strip of steps is shown
 * @property {MachineName} drawing which machine is shown
 * @property {string | null} selected the message whose machines are shown; null follows the runs
 * @property {string | null} run another run of that message, where one was chosen
 * @property {Wanted | null} replay
 * @property {string | null} target a message to scroll to once
 * @property {string | null} editing the message that is written anew in the prompt box
 * @property {boolean} sent whether a prompt was just sent, and is to be shown
 */

/**
 * @typedef {object} Wanted what is to be replayed
 * @property {"chorus" | "message"} machine
 * @property {string} id of the run or the message
 */

/** @typedef {{update: () => void}} View */

/** @typedef {(words: string) => void} Tell says to the user what went wrong */

/**
 * Requests about a thread.
 *
 * @typedef {{
 *   [Type in RequestType]: DataOf<Type> extends {thread_id: string} ? Type : never
 * }[RequestType]} ThreadRequest
 */

export class App {
  #now = newState();
  /** @type {{of: Thread, now: State, shown: State} | null} what is shown of the past, and made of what */
  #then = null;
  /** @type {Past | null} the open thread as it was; null is now */
  past = null;
  /** @type {Ui} */
  ui = {
    area: "conversation",
    machines: false,
    strip: true,
    drawing: "chorus",
    selected: null,
    run: null,
    replay: null,
    target: null,
    editing: null,
    sent: false,
  };
  /** @type {Identity | null} */
  identity = null;
  connection = new ConnectionTracker();
  lifetimes = new Lifetimes((span) => span === "thread" && this.#leftThread());
  /** @type {(Refusal & {message: string}) | null} the last refused transition */
  refusal = null;
  onInboxWanted = () => {};
  onSignedIn = () => {};
  onSignedOut = () => {};
  /** @param {string} _secret of an invite link that the user was given */
  onInviteLink = (_secret) => {};

  /** @type {Set<View>} */
  #views = new Set();
  #scheduled = false;
  #isReading = false;
  #wasConnected = false;
  #listing = 0;
  #typedAt = -TYPING_EACH_MS;
  /** @type {string | null} the thread that was asked for and is not here yet */
  #opening = null;
  /** @type {string | null} the secret of the link that is being shown */
  #link = null;
  /** @type {Set<string>} keys that were asked for a name */
  #met = new Set();
  /** @type {Set<string>} threads that were asked for their name and those of their authors */
  #metThreads = new Set();

  /** What is shown: how it is now, but for the open thread where its past is looked at. */
  get state() {
    const { past } = this;
    const now = this.#now;
    if (!past?.thread) return now;
    if (this.#then?.of !== past.thread || this.#then.now !== now) {
      const known = withKnownRuns(past.thread, now.thread);
      const thread = { ...known, hidden: now.thread?.hidden ?? known.hidden };
      const shown = { ...now, thread, outgoing: [], isPast: true };
      this.#then = { of: past.thread, now, shown };
    }
    return this.#then.shown;
  }

  constructor() {
    this.memory = new Memory();
    const { strip, drawing } = this.memory.choices;
    this.ui = { ...this.ui, strip, drawing };
    this.#drawTheme();
    this.client = new ChorusClient({
      url: new URL("ws", document.baseURI).href.replace(/^http/, "ws"),
      host: location.host,
      tell: (event) => this.#told(event),
      token: this.memory.token,
    });
    this.prompts = new Prompts(this.client, this.memory, (event) => this.take(event));
    this.inbox = new Inbox({
      read: (data) => this.client.request("get_inbox", data),
      mark: (data) => this.client.request("mark_read", data),
      show: (page, fresh) => {
        this.take({ kind: "inbox", page, fresh });
        this.#markSeen();
      },
      tell: (items) => this.notifications.tell(items),
      explain: (error, what) => this.explain(error, what),
    });
    this.notifications = new Notifications(this.memory, (item) =>
      item ? this.openInboxItem(item) : this.onInboxWanted(),
    );
    this.journal = new Journal((data) => this.client.request("get_events", data));
    this.explanations = new Explanations({
      run: (data) => this.client.request("explain_run", data),
      value: (data) => this.client.request("explain_value", data),
    });
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

  /** Sign in with the key of this browser, or ask the user to begin. */
  async begin() {
    const identity = await loadIdentity().catch(() => null);
    if (identity && !this.memory.signedOut) this.signIn(identity);
    else this.onSignedOut();
  }

  /**
   * Sign in; `name` is given once the server knows the user.
   *
   * @param {Identity} identity
   * @param {string} [name]
   */
  signIn(identity, name) {
    this.identity = identity;
    this.memory.signedOut = false;
    this.#now = fold(this.#now, { kind: "seen", seen: this.memory.seen(identity.publicKey) });
    this.onSignedIn();
    this.client.start(identity);
    if (name) this.setName(name);
  }

  async signOut({ forget = false } = {}) {
    this.lifetimes.end();
    this.draw();
    this.memory.signedOut = true;
    await this.client.signOut();
    if (forget) {
      await forgetIdentity();
      if (this.identity) this.memory.forget(this.identity.publicKey);
    }
    this.#views.clear();
    this.#met.clear();
    this.#metThreads.clear();
    this.prompts.forget();
    this.inbox.forget();
    this.#now = fold(this.#now, { kind: "signed_out" });
    this.connection = new ConnectionTracker();
    settleAll();
    history.replaceState(null, "", location.pathname);
    this.onSignedOut();
  }

  /**
   * Draw a view whenever something changed; `update` is cheap where nothing did.
   *
   * @param {View} view
   */
  addView(view) {
    this.#views.add(view);
    view.update();
  }

  /**
   * Draw a view no more.
   *
   * @param {View} view
   */
  dropView(view) {
    this.#views.delete(view);
  }

  /** @param {Partial<Ui>} patch another message that is selected shows the run of its answer, unless said */
  setUi(patch) {
    const run = "selected" in patch ? null : this.ui.run;
    this.ui = { ...this.ui, run, ...patch };
    this.schedule();
  }

  /** @param {boolean} strip whether the strip of steps is shown, now and at the next visit */
  showStrip(strip) {
    this.memory.choose({ strip });
    this.setUi({ strip });
  }

  /** @param {Choices["theme"]} theme of this browser, now and at the next visit */
  setTheme(theme) {
    this.memory.choose({ theme });
    this.#drawTheme();
  }

  /**
   * Load the page anew in another language; what was typed is kept.
   *
   * @param {string} choice
   */
  setLanguage(choice) {
    const known = LANGUAGES.find(([code]) => code === choice);
    this.memory.choose({ language: known ? known[0] : "system" });
    location.reload();
  }

  #drawTheme() {
    document.documentElement.dataset.theme = this.memory.choices.theme;
  }

  /** Draw before the next frame, however many events come until then. */
  schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => this.draw());
  }

  /** Draw now: what is focused next may only then be there. */
  draw() {
    this.#scheduled = false;
    for (const view of this.#views) view.update();
  }

  // --- Threads -------------------------------------------------------------------------------

  /**
   * Open a thread, and with `messageId` show that message of it.
   *
   * @param {string} threadId
   * @param {string} [messageId]
   */
  async openThread(threadId, messageId) {
    this.lookNow();
    const address = `#/t/${threadId}${messageId ? `/m/${messageId}` : ""}`;
    if (location.hash !== address) history.pushState(null, "", address);
    if (this.state.thread?.id !== threadId) {
      this.#opening = threadId;
      const target = messageId ?? null;
      this.setUi({ replay: null, area: "conversation", target });
      try {
        await this.client.open(threadId, { limit: PAGE_MESSAGES });
      } catch (error) {
        this.setUi({ target: null });
        this.explain(error, say.problems.notOpened);
        return;
      } finally {
        if (this.#opening === threadId) this.#opening = null;
      }
    } else {
      this.setUi({ area: "conversation" });
    }
    if (messageId) await this.seek(messageId);
  }

  /** Look at the open thread as it was; at first as it is. */
  async lookBack() {
    const { thread } = this.#now;
    if (!thread || this.past) return;
    const lasting = this.lifetimes.of("thread");
    const past = new Past(thread.id, thread.headSeq, {
      past: (data) => this.client.request("get_past", data),
      events: (data) => this.client.request("get_events", data),
    });
    try {
      await past.goTo(past.head);
    } catch (error) {
      if (!lasting.aborted) this.explain(error, say.past.notRead);
      return;
    }
    if (lasting.aborted || this.past) return;
    this.past = past;
    past.onChange = () => this.past === past && this.schedule();
    this.setUi({ replay: null, selected: null });
  }

  /** Back from the past. */
  lookNow() {
    if (!this.past) return;
    this.past = null;
    this.#then = null;
    this.schedule();
  }

  /** The thread that was shown is not open any more, or its store has another epoch. */
  #leftThread() {
    this.lookNow();
    this.refusal = null;
    this.explanations.forget();
    this.journal.open(this.#now.thread?.id ?? null);
    this.setUi({ machines: false, selected: null, replay: null, editing: null });
  }

  /** The last entry that is shown. */
  get until() {
    return this.past?.seq ?? Infinity;
  }

  /** The thread that a prompt goes to now; null where one is to be made for it. */
  target() {
    return this.#opening ?? this.state.thread?.id ?? null;
  }

  closeThread() {
    if (!this.state.thread) return;
    this.client.unfollow();
    history.pushState(null, "", location.pathname);
    this.take({ kind: "closed" });
  }

  /** Read the messages before the oldest one that is shown. */
  async readOlder(limit = PAGE_MESSAGES) {
    const { thread } = this.state;
    if (!thread?.hasMore || this.#isReading) return;
    this.#isReading = true;
    try {
      if (this.past) {
        await this.past.readOlder();
        return;
      }
      const snapshot = await this.client.request("get_thread", {
        thread_id: thread.id,
        limit,
        before_index: messagesOf(thread)[0]?.index ?? 0,
      });
      this.take({ kind: "older", snapshot });
    } catch (error) {
      this.explain(error, say.problems.olderMissing);
    } finally {
      this.#isReading = false;
    }
  }

  /**
   * Show a message of the open thread, paging back as far as it takes.
   *
   * @param {string} messageId
   */
  async seek(messageId) {
    const lasting = this.lifetimes.of("thread");
    while (this.state.thread?.hasMore && !this.state.thread.messages.has(messageId)) {
      const before = this.state.thread.order.length;
      await this.readOlder(SEEK_MESSAGES);
      if (lasting.aborted) return;
      if (this.state.thread?.order.length === before) break;
    }
    if (this.state.thread?.messages.has(messageId)) {
      this.setUi({ target: messageId, selected: messageId });
    } else {
      this.setUi({ target: null });
      toast(say.problems.notInThread);
    }
  }

  /**
   * Show the place that an item of the inbox is about.
   *
   * @param {InboxItem} item
   */
  async openInboxItem({ kind, thread_id: threadId, message_id: messageId }) {
    if (kind !== "invitation") {
      await this.openThread(threadId, messageId);
      return;
    }
    this.setUi({ area: "threads" });
    requestAnimationFrame(() => {
      const card = document.querySelector(`.invitation[data-thread="${threadId}"] button`);
      if (card instanceof HTMLElement) card.focus();
    });
  }

  /** The link in the address is done with, joined or not. */
  leaveLink() {
    if (this.#link === null) return;
    this.#link = null;
    if (location.hash.startsWith("#join=")) history.replaceState(null, "", location.pathname);
  }

  /**
   * A request about the open thread; gives whether it was accepted.
   *
   * @template {ThreadRequest} Type
   * @param {Type} type
   * @param {Omit<DataOf<Type>, "thread_id">} data
   * @param {string} what to say where it was not
   * @param {string} [about] id of the message or the run, where it is about one
   * @param {Tell} [tell] says it where the user looks; else it stands at the edge of the page
   */
  async act(type, data, what, about, tell) {
    if (this.past) {
      toast(say.past.readOnly);
      return false;
    }
    const threadId = this.state.thread?.id;
    if (!threadId) return false;
    const lasting = this.lifetimes.of("thread");
    try {
      // What is left out above is put back here, which the types of a generic do not follow.
      const whole = /** @type {DataOf<Type>} */ (
        /** @type {unknown} */ ({ ...data, thread_id: threadId })
      );
      await this.client.request(type, whole);
      this.refusal = null;
      settle(what);
      return true;
    } catch (error) {
      if (!lasting.aborted) this.#refused(error, about ?? threadId);
      this.explain(error, what, tell);
      return false;
    }
  }

  /**
   * @param {string} name
   * @param {Tell} [tell]
   */
  async setName(name, tell) {
    try {
      await this.client.request("set_name", { name });
      this.take({ kind: "renamed_self", name: name.trim() });
      return true;
    } catch (error) {
      this.explain(error, say.problems.nameNotTaken, tell);
      return false;
    }
  }

  /**
   * Show to co-authors where the user is, and see it of them; or neither.
   *
   * @param {boolean} shown
   */
  async setPresence(shown) {
    try {
      await this.client.request("set_presence", { shown });
      this.take({ kind: "set_presence", shown });
      return true;
    } catch (error) {
      this.explain(error, say.presence.notSet);
      return false;
    }
  }

  /** The user types; said to those who are there, and not too often. */
  types() {
    const { thread, user } = this.state;
    const now = performance.now();
    if (!thread || user?.hides_presence || now - this.#typedAt < TYPING_EACH_MS) return;
    if (othersThere(this.state).present.length === 0) return;
    this.#typedAt = now;
    // Nothing is lost where it does not come through: the next key says it again.
    this.client.request("typing", { thread_id: thread.id }).catch(() => {});
  }

  /** @param {string} query */
  search(query) {
    return this.client.request("search", { query, limit: 30 });
  }

  // --- Prompts and runs ----------------------------------------------------------------------

  /**
   * Submit a prompt; where no thread is open, a thread is made for it.
   *
   * @param {string} text
   * @param {string} [supersedes] the user's newest message, which this one takes the place of
   */
  async submit(text, supersedes) {
    let threadId = this.target();
    if (threadId === null) {
      try {
        threadId = await createThread(this, threadNameFor(text), "private");
      } catch (error) {
        this.explain(error, say.problems.notMade);
        return false;
      }
    }
    this.setUi({ selected: null, sent: true });
    return this.#send({ id: crypto.randomUUID(), threadId, text, supersedes });
  }

  /**
   * Gives whether the server took it.
   *
   * @param {Prompt} prompt
   */
  async #send(prompt) {
    if (!this.identity) return false;
    try {
      await this.prompts.send(this.identity.publicKey, prompt);
      settle(say.problems.notTaken);
      return true;
    } catch (error) {
      this.#refused(error, prompt.threadId);
      this.explain(error, say.problems.notTaken);
      return false;
    }
  }

  /** Stop the run that Escape and the stop button are about. */
  stopCurrent() {
    const run = runToStop(this.state);
    if (run) this.stop(run.id);
  }

  /** @param {string} runId */
  stop(runId) {
    return this.act("cancel_run", { run_id: runId }, say.problems.notStopped, runId);
  }

  /** @param {string} runId */
  retry(runId) {
    return this.act("retry_run", { run_id: runId }, say.problems.notStartedAgain, runId);
  }

  /**
   * Say why something was refused.
   *
   * @param {unknown} error
   * @param {string} what was not done
   * @param {Tell} [tell] says it where the user looks; else it stands at the edge of the page
   */
  explain(error, what, tell = (words) => complain(words, what)) {
    if (error instanceof Refused) {
      if (error.code !== "signed_out") tell(`${what}. ${advice(error)}`);
      return;
    }
    console.error(error);
    tell(say.problems.pageFailed(what));
  }

  // --- What is told --------------------------------------------------------------------------

  /** @param {ClientEvent} event */
  #told(event) {
    this.connection.take(event);
    switch (event.kind) {
      case "init":
        this.take(event);
        this.#welcomed(event.init);
        return;
      case "live":
        this.journal.add(event.frame);
        this.past?.add(event.frame);
        this.#takeLive(event);
        announceFrame(event.frame, this.#now);
        this.#meet(event.frame);
        if (changesInbox(event.frame)) this.inbox.soon();
        this.#markSeen();
        return;
      case "notice":
        if (event.inbox) this.inbox.soon();
        if (event.what === "read") return;
        if (event.what === "hidden") {
          this.take(event);
          if (event.messageId === null) listThreads(this, event.hidden ? "hidden" : "mine");
          return;
        }
        if (event.what === "invited" || event.what === "invitation_ended") {
          if (event.what === "invited") announce(say.said.invited);
          listInvitations(this);
          return;
        }
        if (!this.state.summaries.has(event.threadId)) this.#listSoon();
        this.take(event);
        return;
      case "opened":
        this.journal.open(event.snapshot.thread.id);
        this.take(event);
        this.#markSeen();
        return;
      case "unreadable":
        if (this.state.unreadable === 0) {
          complain(say.problems.unreadable, say.problems.readingServer);
        }
        this.take(event);
        return;
      case "fault":
        this.explain(event.error, say.problems.serverFailed);
        return;
      case "gone":
        complain(say.problems.threadClosed(event.message), say.problems.followingThread);
        this.take(event);
        return;
      case "connection":
        this.#connectionChanged(event.connection);
        this.take(event);
        return;
      default:
        this.take(event);
    }
  }

  /** @param {InitData} init */
  #welcomed(init) {
    this.#markSeenAtFirst(init.threads);
    this.inbox.read();
    if (!this.state.thread) this.#followAddress();
    if (!this.identity) return;
    for (const prompt of this.prompts.kept(this.identity.publicKey)) this.#send(prompt);
  }

  /**
   * Threads that this browser sees for the first time are not all unread.
   *
   * @param {readonly ThreadSummary[]} threads
   */
  #markSeenAtFirst(threads) {
    if (this.state.seen.size > 0) return;
    this.#keepSeen(new Map(threads.map(({ id, head_seq: seq }) => [id, seq])));
  }

  /** @param {ReadonlyMap<string, number>} seen by thread */
  #keepSeen(seen) {
    this.take({ kind: "seen", seen });
    if (this.identity) this.memory.keepSeen(this.identity.publicKey, this.state.seen);
  }

  #markSeen() {
    const { thread, seen } = this.#now;
    if (!thread || document.visibilityState !== "visible") return;
    this.inbox.markRead(thread);
    if ((seen.get(thread.id) ?? 0) >= thread.headSeq) return;
    this.#keepSeen(new Map([[thread.id, thread.headSeq]]));
  }

  #followAddress() {
    const [, secret] = /^#join=(.+)$/.exec(location.hash) ?? [];
    if (secret && this.identity && secret !== this.#link) {
      this.#link = secret;
      this.onInviteLink(secret);
    }
    const [, threadId, messageId] = /^#\/t\/([\w-]+)(?:\/m\/([\w-]+))?$/.exec(location.hash) ?? [];
    if (threadId && this.identity) this.openThread(threadId, messageId);
  }

  #listSoon() {
    clearTimeout(this.#listing);
    this.#listing = setTimeout(() => listThreads(this, "mine"), 300);
  }

  /** @param {Connection} connection */
  #connectionChanged(connection) {
    announceConnection(this.state.connection.phase, connection, this.#wasConnected);
    this.#wasConnected ||= connection.phase === "connected";
  }

  /**
   * A user who is new in the thread: frames carry keys only, so ask what they are called.
   *
   * @param {LiveFrame} frame
   */
  #meet(frame) {
    const message = messageOf(frame);
    const joined = frame.type === "thread_event" ? frame.data.public_key : null;
    const key = joined ?? message?.author;
    const threadId = this.state.thread?.id;
    if (!threadId || !key || this.state.names.has(key) || this.#met.has(key)) return;
    this.#met.add(key);
    const before = (message?.index ?? 0) + 1;
    this.client.request("get_thread", { thread_id: threadId, limit: 1, before_index: before }).then(
      ({ names }) => this.take({ kind: "names", names }),
      () => this.#met.delete(key),
    );
  }

  /**
   * Priors may come from threads that this page has not seen: ask once what such a thread and its
   * authors are called.
   *
   * @param {readonly Pick<Prior, "thread_id" | "author">[]} priors
   */
  async meetThreads(priors) {
    const { summaries, names } = this.state;
    const strange = priors.filter(
      ({ thread_id: id, author }) =>
        !this.#metThreads.has(id) && !(summaries.has(id) && (author === null || names.has(author))),
    );
    const ids = [...new Set(strange.map(({ thread_id: id }) => id))];
    await Promise.all(
      ids.map(async (id) => {
        this.#metThreads.add(id);
        try {
          // With `before_index` it is read, and not followed.
          const data = { thread_id: id, limit: 1, before_index: 1 };
          const snapshot = await this.client.request("get_thread", data);
          this.take({ kind: "met", snapshot });
        } catch (error) {
          console.warn("a thread was not met", error); // its priors stand under their keys
        }
      }),
    );
  }

  /**
   * @param {unknown} error
   * @param {string} instance id of what was asked about
   */
  #refused(error, instance) {
    const refusal = error instanceof Refused ? refusalOf(error, instance) : null;
    if (!refusal) return;
    this.refusal = refusal;
    this.setUi({ drawing: refusal.machine, replay: null });
  }

  /**
   * Who comes into the thread, or leaves it, may read more of it than before, or less, or nothing: it is
   * read anew.
   *
   * @param {Extract<ClientEvent, {kind: "live"}>} event
   */
  #takeLive(event) {
    const was = this.#now;
    this.take(event);
    if (isCoAuthor(this.#now) === isCoAuthor(was)) return;
    this.journal.open(this.#now.thread?.id ?? null);
    this.explanations.forget();
    this.client.refresh();
  }

  /**
   * Fold what happened into what is shown.
   *
   * @param {StoreEvent} event
   */
  take(event) {
    this.#now = fold(this.#now, event);
    this.lifetimes.update(this.#now);
    this.schedule();
  }
}

/**
 * The refusal of a machine, to be drawn; null where the error tells of none.
 *
 * @param {Refused} error
 * @param {string} instance
 */
function refusalOf({ code, message, details }, instance) {
  if (code !== "invalid_transition" || !details) return null;
  // With this code the details are those of a transition: PROTOCOL names them, no model does.
  const told = /** @type {Omit<Refusal, "instance" | "at">} */ (details);
  return { ...told, instance, message, at: Date.now() };
}
