// The protocol client: one signed-in session that outlives its sockets.
//
// What is promised to a caller survives the loss of a socket: requests wait and are sent again
// (changing ones under their own id, so that the server carries them out once), and the followed
// thread is caught up from the last `seq` that was told. What happens is told in order through
// `tell(event)`; nothing here draws, and nothing here folds.

import { say } from "./language.js";
import { whyNotSign } from "./statement.js";

/**
 * @import {
 *   ChallengeData, ErrorCode, ErrorData, HelloData, InitData, LimitsView, LiveFrame, MutatingType,
 *   NoticeData, NoticeFrame, PresenceFrame, ProtocolVersion, Replies, Requests, ServerMessage, Subprotocol,
 *   ThreadMessagesData
 * } from "./wire.d.ts"
 */
/** @import { Identity } from "./keys.js" */

/** @typedef {keyof Requests} RequestType */

/**
 * @template {RequestType} Type
 * @typedef {Requests[Type]["data"]} DataOf what a request of this type says
 */

/**
 * @template {RequestType} Type
 * @typedef {Replies[Type]["data"]} ReplyTo what its reply says
 */

/**
 * @typedef {{phase: "offline" | "connecting" | "signing_in" | "connected"}
 *   | {phase: "waiting", reason: string, retryAt: number, failures: number}
 *   | {phase: "ended", reason: string}
 * } Connection `retryAt` in ms since the epoch
 */

/**
 * What the client tells, in order.
 *
 * @typedef {{kind: "connection", connection: Connection}
 *   | {kind: "line_lost", wasOpen: boolean}
 *   | Sent
 *   | Answered
 *   | {kind: "hello", hello: HelloData}
 *   | {kind: "init", init: InitData}
 *   | {kind: "opened", snapshot: ThreadMessagesData, epoch: string | null}
 *   | {kind: "caught_up", snapshot: ThreadMessagesData, epoch: string | null}
 *   | {kind: "live", frame: LiveFrame}
 *   | Noticed
 *   | {kind: "presence", threadId: string, present: readonly string[], typing: readonly string[]}
 *   | {kind: "gone", threadId: string, message: string}
 *   | {kind: "fault", error: Refused}
 *   | {kind: "unreadable"}
 * } ClientEvent
 */

/**
 * @typedef {object} Noticed
 * @property {"notice"} kind
 * @property {string} threadId
 * @property {number} headSeq
 * @property {NoticeData["kind"]} what
 * @property {boolean} inbox whether the user's inbox may have changed
 * @property {string} message with `storage_unavailable`: why a run waits
 * @property {boolean} hidden with `hidden`: whether it is hidden now
 * @property {string | null} messageId with `hidden`: the message; null where it is the thread
 */

/** @typedef {{kind: "sent", type: RequestType, follows: boolean}} Sent */

/** @typedef {Omit<Sent, "kind"> & {kind: "answered", refused: Refused | null}} Answered */

/**
 * @typedef {object} Pending a request without an answer
 * @property {string} id
 * @property {RequestType} type
 * @property {Requests[RequestType]["data"]} data
 * @property {"ask" | "handshake" | "open" | "reopen" | "catch_up"} purpose
 * @property {string} [threadId] of the thread that is opened, opened again or caught up
 * @property {(frame: ServerMessage) => void} [resolve]
 * @property {(refused: Refused) => void} [reject]
 * @property {number} [attempt] of a read that was refused for a while; 1 unless said
 */

/**
 * @typedef {object} Following the thread that is followed
 * @property {string} threadId
 * @property {number} seq the last one that was told
 * @property {string | null} epoch
 * @property {ThreadMessagesData | null} snapshot told once `seq` has reached it
 */

/** @type {ProtocolVersion} */
const PROTOCOL = 1;
/** @type {Subprotocol} */
const SUBPROTOCOL = "chorus.v1";
const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 15_000;
const STEADY_MS = 5_000; // a socket that lived this long ends a row of failures
const SIGN_IN_MS = 20_000;
const SILENCE_MS = 10_000; // without an answer to a ping, the line is taken for dead
const PROBE_EACH_MS = 45_000;
const REOPEN_MS = 5_000; // a thread that cannot be read is not asked for without end
const CLOSE_REPLACED = 4009;

/** @type {Record<MutatingType, true>} */
const CHANGING = {
  create_thread: true,
  submit_prompt: true,
  cancel_run: true,
  retry_run: true,
  fork_run: true,
  propose_adoption: true,
  vote_on_branch: true,
  discard_branch: true,
  approve_message: true,
  reject_message: true,
  withdraw_message: true,
  invite_co_author: true,
  accept_invitation: true,
  decline_invitation: true,
  revoke_invitation: true,
  create_invite_link: true,
  revoke_invite_link: true,
  accept_invite_link: true,
  propose_removal: true,
  vote_on_removal: true,
  withdraw_removal: true,
  leave_co_authorship: true,
  rename_thread: true,
  configure_thread: true,
  archive_thread: true,
  mark_read: true,
  hide_thread: true,
  hide_message: true,
  set_presence: true,
  set_name: true,
};

/** @type {Partial<Record<RequestType, true>>} made again by themselves where they come too soon */
const READS = {
  get_thread: true,
  get_events: true,
  get_past: true,
  explain_run: true,
  explain_value: true,
  compare_runs: true,
  get_heat: true,
  list_threads: true,
  get_inbox: true,
  list_people: true,
  search: true,
};
const READ_ATTEMPTS = 5; // of one read, before its refusal is told

/**
 * Whether it is a read that the server refuses only for now.
 *
 * @param {Pending} pending
 * @param {Refused} refused
 */
function isDueLater(pending, refused) {
  const attempt = pending.attempt ?? 1;
  return refused.retryAfterMs !== null && pending.type in READS && attempt < READ_ATTEMPTS;
}

/** The server's refusal of a request; `message` is for users. */
export class Refused extends Error {
  /**
   * @param {Omit<ErrorData, "code" | "retryable"> & {
   *   code: ErrorCode | "signed_out",
   *   retryable?: boolean,
   * }} error `signed_out` is this page's own
   */
  constructor({ code, message, retryable = false, retry_after_ms: retryAfterMs, details }) {
    super(message);
    this.code = code;
    this.retryable = retryable;
    this.retryAfterMs = retryAfterMs ?? null;
    this.details = details ?? null;
  }
}

export class ChorusClient {
  /** @type {WebSocket | null} */
  #socket = null;
  #open = false; // signed in on this socket
  /** @type {Identity | null} */
  #identity = null;
  /** @type {Pick<LimitsView, "max_frame_bytes">} */
  #limits = { max_frame_bytes: 65_536 };
  /** @type {string | null} */
  #epoch = null;
  /** @type {Map<string, Pending>} by id */
  #pending = new Map();
  /** @type {Following | null} */
  #following = null;
  #failures = 0;
  #openedAt = 0;
  #retry = 0;
  #watch = 0;
  #reopenedAt = -Infinity;
  #ended = true;

  /**
   * @param {object} outside
   * @param {string} outside.url of the websocket
   * @param {string} outside.host as the statement must name it
   * @param {(event: ClientEvent) => void} outside.tell
   * @param {{get: () => string | null, set: (token: string | null) => void}} outside.token
   */
  constructor({ url, host, tell, token }) {
    this.outside = { url, host, tell, token };
  }

  /**
   * Sign in with this identity and stay online until `stop`.
   *
   * @param {Identity} identity
   */
  start(identity) {
    this.#identity = identity;
    this.#ended = false;
    this.#failures = 0;
    this.#dial();
  }

  /** Hang up and stay offline; requests under way are refused. */
  stop() {
    this.#ended = true;
    clearTimeout(this.#retry);
    this.#following = null;
    const refusal = new Refused({ code: "signed_out", message: say.problems.signedOut });
    for (const pending of this.#pending.values()) pending.reject?.(refusal);
    this.#pending.clear();
    this.#hangUp();
  }

  /** End the session on the server, then stay offline. */
  async signOut() {
    if (this.#open) {
      const soon = new Promise((resolve) => {
        setTimeout(resolve, 1500);
      });
      await Promise.race([this.request("sign_out", {}).catch(() => null), soon]);
    }
    this.outside.token.set(null);
    this.stop();
  }

  /**
   * Ask the server; gives the reply's `data`, or throws Refused. A request that meets no socket
   * waits for the next one.
   *
   * @template {RequestType} Type
   * @param {Type} type
   * @param {DataOf<Type>} data
   * @param {{id?: string}} options
   * @returns {Promise<ReplyTo<Type>>}
   */
  request(type, data, { id = crypto.randomUUID() } = {}) {
    return new Promise((resolve, reject) => {
      this.#ask({
        id,
        type,
        data,
        purpose: "ask",
        // `re` ties a reply to its request, and the type of the reply to that of the request.
        resolve: (frame) => resolve(/** @type {ReplyTo<Type>} */ (frame.data)),
        reject,
      });
    });
  }

  /**
   * Open a thread and follow it in place of the one before; gives its snapshot.
   *
   * @param {string} threadId
   * @returns {Promise<ThreadMessagesData>}
   */
  open(threadId, { limit = 50 } = {}) {
    /** @type {DataOf<"get_thread">} */
    const data = { thread_id: threadId, limit };
    this.#following = null;
    return new Promise((resolve, reject) => {
      this.#ask({
        id: crypto.randomUUID(),
        type: "get_thread",
        data,
        purpose: "open",
        threadId,
        resolve: (frame) => resolve(/** @type {ThreadMessagesData} */ (frame.data)),
        reject,
      });
    });
  }

  /** Follow no thread from here on. */
  unfollow() {
    const following = this.#following;
    this.#following = null;
    if (following)
      this.request("leave_thread", { thread_id: following.threadId }).catch(() => null);
  }

  /** Read anew what there is of the followed thread, without its entries: it may be more now, or less. */
  refresh() {
    if (this.#following && this.#open) this.#catchUp(this.#following);
  }

  /** Try at once: the network came back, or the user asked. */
  retryNow() {
    if (this.#ended) return;
    if (this.#socket === null) {
      clearTimeout(this.#retry);
      this.#dial();
    } else if (this.#open) {
      this.#probe();
    }
  }

  // --- The line ------------------------------------------------------------------------------

  #dial() {
    this.#state({ phase: "connecting" });
    const socket = new WebSocket(this.outside.url, [SUBPROTOCOL]);
    this.#socket = socket;
    this.#watch = setTimeout(() => this.#lost("the server did not answer in time"), SIGN_IN_MS);
    socket.onmessage = ({ data }) => socket === this.#socket && this.#take(data);
    socket.onclose = ({ code, reason }) => {
      if (socket === this.#socket) this.#lost(reason || `the line was cut (${code})`, code);
    };
  }

  #hangUp() {
    clearTimeout(this.#watch); // an interval at times: both are cleared alike
    const socket = this.#socket;
    this.#socket = null;
    this.#open = false;
    if (socket && socket.readyState <= WebSocket.OPEN) socket.close(1000);
  }

  /** @param {string} reason */
  #lost(reason, code = 0) {
    const wasOpen = this.#open;
    this.#hangUp();
    if (this.#ended) return;
    if (code === CLOSE_REPLACED) this.outside.token.set(null); // another tab has this session now
    if (wasOpen && performance.now() - this.#openedAt > STEADY_MS) this.#failures = 0;
    this.#failures += 1;
    const whole = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** (this.#failures - 1));
    const wait = whole * (0.5 + 0.5 * Math.random());
    this.#tell({ kind: "line_lost", wasOpen });
    const retryAt = Date.now() + wait;
    this.#state({ phase: "waiting", reason, retryAt, failures: this.#failures });
    this.#retry = setTimeout(() => this.#dial(), wait);
  }

  /**
   * End for good: trying again would change nothing.
   *
   * @param {string} reason
   */
  #giveUp(reason) {
    this.stop();
    this.#state({ phase: "ended", reason });
  }

  /** The server is asked whether it is there; a line without an answer is dead. */
  #probe() {
    const socket = this.#socket;
    const silence = setTimeout(() => {
      if (socket === this.#socket) this.#lost("the server fell silent");
    }, SILENCE_MS);
    this.request("ping", {}).then(
      () => clearTimeout(silence),
      () => clearTimeout(silence),
    );
  }

  // --- What goes out -------------------------------------------------------------------------

  /** @param {Pending} pending */
  #ask(pending) {
    if (this.#ended) {
      pending.reject?.(new Refused({ code: "signed_out", message: say.problems.signedOut }));
      return;
    }
    const text = encode(pending);
    if (new TextEncoder().encode(text).length > this.#limits.max_frame_bytes) {
      const message = say.problems.tooMuch;
      pending.reject?.(new Refused({ code: "too_large", message }));
      return;
    }
    this.#pending.set(pending.id, pending);
    if (this.#open) this.#write(pending, text);
  }

  /** @param {Pending} pending */
  #write(pending, text = encode(pending)) {
    this.#socket?.send(text);
    this.#tell({ kind: "sent", type: pending.type, follows: follows(pending) });
  }

  /**
   * Send something that belongs to this socket alone.
   *
   * @template {RequestType} Type
   * @param {Type} type
   * @param {DataOf<Type>} data
   */
  #say(type, data) {
    /** @type {Pending} */
    const pending = { id: crypto.randomUUID(), type, data, purpose: "handshake" };
    this.#pending.set(pending.id, pending);
    this.#write(pending);
  }

  /** After a new sign-in: what was followed first, then all that waits for an answer. */
  #sendAgain() {
    const waiting = [...this.#pending.values()];
    this.#pending.clear();
    if (this.#following) this.#catchUp(this.#following);
    for (const pending of waiting) {
      const isOfThatSocket = pending.purpose === "handshake" || pending.purpose === "catch_up";
      if (isOfThatSocket || pending.type === "ping") continue;
      const id = pending.type in CHANGING ? pending.id : crypto.randomUUID();
      this.#ask({ ...pending, id });
    }
  }

  /** @param {Following} following */
  #catchUp(following) {
    const { threadId, seq, epoch } = following;
    following.snapshot = null;
    /** @type {DataOf<"get_thread">} */
    const data = { thread_id: threadId, after_seq: seq, epoch };
    const id = crypto.randomUUID();
    this.#ask({ id, type: "get_thread", data, purpose: "catch_up", threadId });
  }

  /** @param {string} threadId */
  #reopen(threadId) {
    this.#following = null;
    /** @type {DataOf<"get_thread">} */
    const data = { thread_id: threadId };
    const id = crypto.randomUUID();
    this.#ask({ id, type: "get_thread", data, purpose: "reopen", threadId });
  }

  // --- What comes in -------------------------------------------------------------------------

  /** @param {string} text */
  #take(text) {
    /** @type {ServerMessage} what the server says is taken for what its models say */
    let frame;
    try {
      frame = JSON.parse(text);
      if (typeof frame.type !== "string" || frame.data === null || typeof frame.data !== "object") {
        throw new TypeError("no frame");
      }
    } catch {
      this.#unreadable();
      return;
    }
    try {
      this.#read(frame);
    } catch (error) {
      if (error instanceof TypeError || error instanceof RangeError) this.#unreadable(error);
      else throw error;
    }
  }

  /**
   * What is not understood is told and skipped; the thread is read anew, so nothing is lost.
   *
   * @param {Error} [error]
   */
  #unreadable(error) {
    if (error) console.warn("a frame was not understood", error);
    this.#tell({ kind: "unreadable" });
    const now = performance.now();
    if (!this.#following || !this.#open || now - this.#reopenedAt < REOPEN_MS) return;
    this.#reopenedAt = now;
    this.#reopen(this.#following.threadId);
  }

  /** @param {ServerMessage} frame */
  #read(frame) {
    if (frame.type === "hello") this.#greeted(frame.data);
    else if (typeof frame.re === "string") this.#answered(frame, frame.re);
    else if (frame.type === "error") this.#tell({ kind: "fault", error: new Refused(frame.data) });
    else if (frame.type === "notice") this.#tell(noticed(frame));
    else if (frame.type === "presence") this.#present(frame);
    // A newer server may know more types of live frames: they count as entries all the same.
    else this.#live(/** @type {LiveFrame} */ (frame));
  }

  /** @param {HelloData} hello */
  #greeted(hello) {
    if (hello.protocol !== PROTOCOL) {
      this.#giveUp(say.problems.otherVersion(hello.protocol, PROTOCOL));
      return;
    }
    this.#limits = hello.limits;
    this.#epoch = hello.epoch;
    this.#tell({ kind: "hello", hello });
    this.#state({ phase: "signing_in" });
    const token = this.outside.token.get();
    if (token) this.#say("resume", { token });
    else this.#sayWho();
  }

  #sayWho() {
    if (this.#identity) this.#say("connect", { public_key: this.#identity.publicKey });
  }

  /**
   * @param {ServerMessage} frame
   * @param {string} id of the request that it answers
   */
  #answered(frame, id) {
    const pending = this.#pending.get(id);
    if (!pending) return;
    this.#pending.delete(id);
    const refused = frame.type === "error" ? new Refused(frame.data) : null;
    if (refused && isDueLater(pending, refused)) {
      this.#askLater(pending, refused.retryAfterMs ?? 0);
      return;
    }
    this.#tell({ kind: "answered", type: pending.type, follows: follows(pending), refused });
    switch (pending.purpose) {
      case "handshake":
        this.#shakeHands(pending, frame, refused);
        return;
      case "catch_up":
        this.#catchingUp(pending, frame, refused);
        return;
      case "reopen":
        if (refused && pending.threadId) this.#gone(pending.threadId, refused);
        break;
      default:
    }
    if (follows(pending) && frame.type === "thread_messages") this.#opened(frame.data);
    if (refused) pending.reject?.(refused);
    else pending.resolve?.(frame);
  }

  /**
   * Make a read again, under a new id; a new socket does so sooner.
   *
   * @param {Pending} pending
   * @param {number} wait in ms
   */
  #askLater(pending, wait) {
    const again = { ...pending, id: crypto.randomUUID(), attempt: (pending.attempt ?? 1) + 1 };
    this.#pending.set(again.id, again);
    setTimeout(() => {
      if (this.#pending.get(again.id) === again) this.#ask(again);
    }, wait);
  }

  /**
   * @param {Pending} pending
   * @param {ServerMessage} frame
   * @param {Refused | null} refused
   */
  async #shakeHands(pending, frame, refused) {
    if (refused && pending.type === "resume" && refused.code === "auth_failed") {
      this.outside.token.set(null);
      this.#sayWho();
    } else if (refused && refused.code === "auth_failed") {
      this.#giveUp(say.problems.keyRefused(refused.message));
    } else if (refused) {
      this.#lost(refused.message);
    } else if (frame.type === "challenge") {
      await this.#signChallenge(frame.data);
    } else if (frame.type === "init") {
      this.#signedIn(frame.data);
    }
  }

  /** @param {ChallengeData} challenge */
  async #signChallenge({ statement, nonce }) {
    const identity = this.#identity;
    if (!identity) return;
    const { publicKey } = identity;
    const why = whyNotSign(statement, { host: this.outside.host, publicKey, nonce });
    if (why) {
      this.#giveUp(why);
      return;
    }
    const socket = this.#socket;
    const signature = await identity.sign(statement);
    if (socket === this.#socket) this.#say("authenticate", { signature });
  }

  /** @param {InitData} init */
  #signedIn(init) {
    clearTimeout(this.#watch);
    this.#open = true;
    this.#openedAt = performance.now();
    this.outside.token.set(init.session.token);
    this.#watch = setInterval(() => this.#probe(), PROBE_EACH_MS);
    this.#tell({ kind: "init", init });
    this.#state({ phase: "connected" });
    this.#sendAgain();
  }

  /** @param {ThreadMessagesData} snapshot */
  #opened(snapshot) {
    const threadId = snapshot.thread.id;
    const epoch = this.#epoch;
    this.#following = { threadId, seq: snapshot.head_seq, epoch, snapshot: null };
    this.#tell({ kind: "opened", snapshot, epoch });
  }

  /**
   * @param {Pending} pending
   * @param {ServerMessage} frame
   * @param {Refused | null} refused
   */
  #catchingUp(pending, frame, refused) {
    const following = this.#following;
    if (following === null || following.threadId !== pending.threadId) return;
    if (!refused) {
      if (frame.type === "thread_messages") following.snapshot = frame.data;
      this.#tellIfCaughtUp();
    } else if (refused.code === "conflict" || refused.code === "invalid_field") {
      this.#reopen(following.threadId); // another epoch, or too much to catch up
    } else if (refused.retryable) {
      this.#lost(refused.message);
    } else {
      this.#gone(following.threadId, refused);
    }
  }

  /**
   * @param {string} threadId
   * @param {Refused} refused
   */
  #gone(threadId, refused) {
    this.#following = null;
    this.#tell({ kind: "gone", threadId, message: refused.message });
  }

  /** @param {LiveFrame} frame */
  #live(frame) {
    const following = this.#following;
    if (following === null || frame.thread_id !== following.threadId) return;
    if (typeof frame.seq === "number") {
      if (frame.seq <= following.seq) return; // a repeat
      if (frame.seq !== following.seq + 1) {
        this.#lost(`entries ${following.seq + 1} to ${frame.seq - 1} are missing`);
        return;
      }
      following.seq = frame.seq;
    }
    this.#tell({ kind: "live", frame });
    this.#tellIfCaughtUp();
  }

  /** @param {PresenceFrame} frame */
  #present({ thread_id: threadId, data }) {
    if (threadId === undefined || threadId !== this.#following?.threadId) return;
    this.#tell({ kind: "presence", threadId, present: data.present, typing: data.typing });
  }

  #tellIfCaughtUp() {
    const following = this.#following;
    if (!following?.snapshot || following.seq < following.snapshot.head_seq) return;
    const { snapshot } = following;
    following.snapshot = null;
    this.#tell({ kind: "caught_up", snapshot, epoch: this.#epoch });
  }

  /** @param {Connection} connection */
  #state(connection) {
    this.#tell({ kind: "connection", connection });
  }

  /** @param {ClientEvent} event */
  #tell(event) {
    this.outside.tell(event);
  }
}

/** @param {Pending} pending */
function encode({ type, id, data }) {
  return JSON.stringify({ type, id, data });
}

/**
 * Whether a request is to follow a thread, and not only to read in it.
 *
 * @param {Pending} pending
 */
function follows({ purpose }) {
  return purpose === "open" || purpose === "reopen" || purpose === "catch_up";
}

/**
 * @param {NoticeFrame} frame
 * @returns {ClientEvent}
 */
function noticed({ data }) {
  return {
    kind: "notice",
    threadId: data.thread_id,
    headSeq: data.head_seq,
    what: data.kind,
    inbox: data.inbox ?? false,
    message: data.message ?? "",
    hidden: data.hidden ?? false,
    messageId: data.message_id ?? null,
  };
}
