// The protocol client: one signed-in session that outlives its sockets.
//
// What is promised to a caller survives the loss of a socket: requests wait and are sent again
// (changing ones under their own id, so that the server carries them out once), and the followed
// thread is caught up from the last `seq` that was told. What happens is told in order through
// `tell(event)`; nothing here draws, and nothing here folds.

import { whyNotSign } from "./statement.js";

const PROTOCOL = 1;
const SUBPROTOCOL = "chorus.v1";
const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 15_000;
const STEADY_MS = 5_000; // a socket that lived this long ends a row of failures
const SIGN_IN_MS = 20_000;
const SILENCE_MS = 10_000; // without an answer to a ping, the line is taken for dead
const PROBE_EACH_MS = 45_000;
const REOPEN_MS = 5_000; // a thread that cannot be read is not asked for without end
const CLOSE_REPLACED = 4009;

const CHANGING = new Set([
  "create_thread",
  "submit_prompt",
  "cancel_run",
  "retry_run",
  "approve_message",
  "reject_message",
  "withdraw_message",
  "invite_co_author",
  "leave_co_authorship",
  "rename_thread",
  "archive_thread",
  "set_name",
]);

/** The server's refusal of a request; `message` is for people. */
export class Refused extends Error {
  constructor({
    code,
    message,
    retryable = false,
    retry_after_ms: retryAfterMs = null,
    details = null,
  }) {
    super(message);
    this.code = code;
    this.retryable = retryable;
    this.retryAfterMs = retryAfterMs;
    this.details = details;
  }
}

export class ChorusClient {
  #socket = null;
  #open = false; // signed in on this socket
  #identity = null;
  #limits = { max_frame_bytes: 65_536 };
  #epoch = null;
  #pending = new Map(); // id -> {id, type, data, resolve, reject, opening}
  #following = null; // {threadId, seq, epoch, snapshot}
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
   * @param {(event: object) => void} outside.tell
   * @param {{get: () => string | null, set: (token: string | null) => void}} outside.token
   */
  constructor({ url, host, tell, token }) {
    this.outside = { url, host, tell, token };
  }

  /** Sign in with this identity and stay online until `stop`. */
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
    const refusal = new Refused({ code: "signed_out", message: "You are signed out." });
    for (const pending of this.#pending.values()) pending.reject?.(refusal);
    this.#pending.clear();
    this.#hangUp();
  }

  /** End the session on the server, then stay offline. */
  async signOut() {
    if (this.#open) {
      const soon = new Promise((resolve) => setTimeout(resolve, 1500));
      await Promise.race([this.request("sign_out").catch(() => null), soon]);
    }
    this.outside.token.set(null);
    this.stop();
  }

  /**
   * Ask the server; gives the reply's `data`, or throws Refused. A request that meets no socket
   * waits for the next one.
   */
  request(type, data = {}, { id = crypto.randomUUID() } = {}) {
    return new Promise((resolve, reject) => this.#ask({ id, type, data, resolve, reject }));
  }

  /** Open a thread and follow it in place of the one before; gives its snapshot. */
  open(threadId, { limit = 50 } = {}) {
    const data = { thread_id: threadId, limit };
    this.#following = null;
    return new Promise((resolve, reject) => {
      this.#ask({
        id: crypto.randomUUID(),
        type: "get_thread",
        data,
        resolve,
        reject,
        opening: true,
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

  /** Try at once: the network came back, or the person asked. */
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
    this.#state("connecting");
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
    this.#state("waiting", { reason, retryAt: Date.now() + wait, failures: this.#failures });
    this.#retry = setTimeout(() => this.#dial(), wait);
  }

  /** End for good: trying again would change nothing. */
  #giveUp(reason) {
    this.stop();
    this.#state("ended", { reason });
  }

  /** The server is asked whether it is there; a line without an answer is dead. */
  #probe() {
    const socket = this.#socket;
    const silence = setTimeout(() => {
      if (socket === this.#socket) this.#lost("the server fell silent");
    }, SILENCE_MS);
    this.request("ping").then(
      () => clearTimeout(silence),
      () => clearTimeout(silence),
    );
  }

  // --- What goes out -------------------------------------------------------------------------

  #ask(pending) {
    if (this.#ended) {
      pending.reject(new Refused({ code: "signed_out", message: "You are signed out." }));
      return;
    }
    const text = encode(pending);
    if (new TextEncoder().encode(text).length > this.#limits.max_frame_bytes) {
      const message = "That is more than the server takes at once; shorten it.";
      pending.reject(new Refused({ code: "too_large", message }));
      return;
    }
    this.#pending.set(pending.id, pending);
    if (this.#open) this.#write(pending, text);
  }

  #write(pending, text = encode(pending)) {
    this.#socket.send(text);
    this.#tell({ kind: "sent", type: pending.type, follows: follows(pending) });
  }

  /** Send something that belongs to this socket alone. */
  #say(type, data) {
    const pending = { id: crypto.randomUUID(), type, data };
    this.#pending.set(pending.id, { ...pending, handshake: true });
    this.#write(pending);
  }

  /** After a new sign-in: what was followed first, then all that waits for an answer. */
  #sendAgain() {
    const waiting = [...this.#pending.values()].filter((pending) => !pending.handshake);
    this.#pending.clear();
    if (this.#following) this.#catchUp();
    for (const pending of waiting) {
      if (pending.catchingUp || pending.type === "ping") continue;
      const id = CHANGING.has(pending.type) ? pending.id : crypto.randomUUID();
      this.#ask({ ...pending, id });
    }
  }

  #catchUp() {
    const { threadId, seq, epoch } = this.#following;
    this.#following.snapshot = null;
    const data = { thread_id: threadId, after_seq: seq, epoch };
    this.#ask({ id: crypto.randomUUID(), type: "get_thread", data, catchingUp: true });
  }

  #reopen(threadId) {
    this.#following = null;
    const data = { thread_id: threadId };
    this.#ask({ id: crypto.randomUUID(), type: "get_thread", data, opening: true, again: true });
  }

  // --- What comes in -------------------------------------------------------------------------

  #take(text) {
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

  /** What is not understood is told and skipped; the thread is read anew, so nothing is lost. */
  #unreadable(error = null) {
    if (error) console.warn("a frame was not understood", error);
    this.#tell({ kind: "unreadable" });
    const now = performance.now();
    if (!this.#following || !this.#open || now - this.#reopenedAt < REOPEN_MS) return;
    this.#reopenedAt = now;
    this.#reopen(this.#following.threadId);
  }

  #read(frame) {
    if (frame.type === "hello") this.#greeted(frame.data);
    else if (frame.re !== null && frame.re !== undefined) this.#answered(frame);
    else if (frame.type === "error") this.#tell({ kind: "fault", error: new Refused(frame.data) });
    else if (frame.type === "notice") this.#tell({ kind: "notice", ...noticed(frame) });
    else this.#live(frame);
  }

  #greeted(hello) {
    if (hello.protocol !== PROTOCOL) {
      this.#giveUp(
        `The server speaks version ${hello.protocol} of the protocol and this page version ` +
          `${PROTOCOL}. Reload the page; if that does not help, the two are not made for each other.`,
      );
      return;
    }
    this.#limits = hello.limits;
    this.#epoch = hello.epoch;
    this.#tell({ kind: "hello", hello });
    this.#state("signing_in");
    const token = this.outside.token.get();
    if (token) this.#say("resume", { token });
    else this.#say("connect", { public_key: this.#identity.publicKey });
  }

  #answered(frame) {
    const pending = this.#pending.get(frame.re);
    if (!pending) return;
    this.#pending.delete(frame.re);
    const refused = frame.type === "error" ? new Refused(frame.data) : null;
    this.#tell({ kind: "answered", type: pending.type, follows: follows(pending), refused });
    if (pending.handshake) this.#shakeHands(pending, frame, refused);
    else if (pending.catchingUp) this.#catchingUp(pending, frame, refused);
    else {
      if (pending.opening && !refused) this.#opened(frame.data);
      if (pending.again && refused) this.#gone(pending.data.thread_id, refused);
      if (refused) pending.reject?.(refused);
      else pending.resolve?.(frame.data);
    }
  }

  async #shakeHands(pending, frame, refused) {
    if (refused && pending.type === "resume" && refused.code === "auth_failed") {
      this.outside.token.set(null);
      this.#say("connect", { public_key: this.#identity.publicKey });
    } else if (refused && refused.code === "auth_failed") {
      this.#giveUp(`The server refused your key. ${refused.message}`);
    } else if (refused) {
      this.#lost(refused.message);
    } else if (frame.type === "challenge") {
      await this.#signChallenge(frame.data);
    } else if (frame.type === "init") {
      this.#signedIn(frame.data);
    }
  }

  async #signChallenge({ statement, nonce }) {
    const publicKey = this.#identity.publicKey;
    const why = whyNotSign(statement, { host: this.outside.host, publicKey, nonce });
    if (why) {
      this.#giveUp(why);
      return;
    }
    const socket = this.#socket;
    const signature = await this.#identity.sign(statement);
    if (socket === this.#socket) this.#say("authenticate", { signature });
  }

  #signedIn(init) {
    clearTimeout(this.#watch);
    this.#open = true;
    this.#openedAt = performance.now();
    this.outside.token.set(init.session.token);
    this.#watch = setInterval(() => this.#probe(), PROBE_EACH_MS);
    this.#tell({ kind: "init", init });
    this.#state("connected");
    this.#sendAgain();
  }

  #opened(snapshot) {
    const following = { threadId: snapshot.thread.id, seq: snapshot.head_seq, epoch: this.#epoch };
    this.#following = following;
    this.#tell({ kind: "opened", snapshot, epoch: this.#epoch });
  }

  #catchingUp(pending, frame, refused) {
    const following = this.#following;
    if (following === null || following.threadId !== pending.data.thread_id) return;
    if (!refused) {
      following.snapshot = frame.data;
      this.#tellIfCaughtUp();
    } else if (refused.code === "conflict" || refused.code === "invalid_field") {
      this.#reopen(following.threadId); // another epoch, or too much to catch up
    } else if (refused.retryable) {
      this.#lost(refused.message);
    } else {
      this.#gone(following.threadId, refused);
    }
  }

  #gone(threadId, refused) {
    this.#following = null;
    this.#tell({ kind: "gone", threadId, message: refused.message });
  }

  #live(frame) {
    const following = this.#following;
    if (following === null || frame.thread_id !== following.threadId) return;
    if (Number.isInteger(frame.seq)) {
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

  #tellIfCaughtUp() {
    const following = this.#following;
    if (!following?.snapshot || following.seq < following.snapshot.head_seq) return;
    const { snapshot } = following;
    following.snapshot = null;
    this.#tell({ kind: "caught_up", snapshot, epoch: this.#epoch });
  }

  #state(phase, rest = {}) {
    this.#tell({ kind: "connection", connection: { phase, ...rest } });
  }

  #tell(event) {
    this.outside.tell(event);
  }
}

function encode({ type, id, data }) {
  return JSON.stringify({ type, id, data });
}

/** Whether a request is to follow a thread, and not only to read in it. */
function follows(pending) {
  return Boolean(pending.opening || pending.catchingUp);
}

function noticed(frame) {
  return {
    threadId: frame.data.thread_id ?? frame.thread_id,
    headSeq: frame.data.head_seq,
    what: frame.data.kind,
  };
}
