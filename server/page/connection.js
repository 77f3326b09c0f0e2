// This connection's own machine, as its drawing names it: driven by what the client does, since a
// connection's transitions are in no thread's journal.

/** @import { Answered, ClientEvent, Refused, Sent } from "./protocol.js" */

import { foldTransition, newTrace } from "./trace.js";

const KEPT = 200; // transitions of the path; the counts go on

export class ConnectionTracker {
  trace = newTrace("connection", ["connecting"]);
  #state = "connecting";

  /**
   * Take an event of the client.
   *
   * @param {ClientEvent} event
   */
  take(event) {
    switch (event.kind) {
      case "connection":
        if (event.connection.phase === "connecting") this.#dialled();
        return;
      case "sent":
        this.#sent(event);
        return;
      case "answered":
        this.#answered(event);
        return;
      case "line_lost":
        this.#lost();
        return;
      case "gone":
        if (this.#state === "in_thread") this.#fire("thread_lost", "ready");
        return;
      default:
    }
  }

  #dialled() {
    // Once signed in, the server keeps the session of a lost line: it is interrupted, and resumes.
    if (this.#state === "closed") this.#begin();
  }

  #begin() {
    this.#state = "connecting";
    this.trace = { ...this.trace, current: new Set(["connecting"]) };
  }

  /** @param {Sent} sent */
  #sent({ type, follows }) {
    switch (type) {
      case "connect":
        if (this.#state === "interrupted") this.#begin();
        this.#fire("connect", "authenticating");
        return;
      case "resume":
        this.#fire("resume", this.#state);
        return;
      case "authenticate":
        this.#fire("authenticate", "authenticating");
        return;
      case "get_thread":
        this.#fire(follows ? "open_thread" : "request", this.#state);
        return;
      case "leave_thread":
      case "sign_out":
      case "ping":
        return;
      default:
        this.#fire("request", this.#state);
    }
  }

  /** @param {Answered} answered */
  #answered({ type, follows, refused }) {
    switch (type) {
      case "connect":
        if (refused) this.#begin();
        else this.#fire("challenge_issued", "authenticating");
        return;
      case "authenticate":
        this.#fire("signature_checked", refused ? "connecting" : "ready");
        return;
      case "resume":
        if (!refused) this.#fire("session_looked_up", "ready");
        else if (this.#state === "interrupted") this.#fire("session_looked_up", "closed");
        else this.#fire("session_looked_up", "connecting");
        if (this.#state === "closed") this.#begin();
        return;
      case "get_thread":
        if (follows) this.#accessChecked(refused);
        return;
      case "leave_thread":
        if (this.#state === "in_thread" && !refused) this.#fire("leave_thread", "ready");
        return;
      case "sign_out":
        this.#fire("sign_out", "closed", { from: "signed_in" });
        return;
      default:
    }
  }

  /** @param {Refused | null} refused */
  #accessChecked(refused) {
    // Two edges lead back into in_thread; the drawing names the second one, of a refusal, by _2.
    const isSecond = refused && this.#state === "in_thread";
    const suffix = isSecond ? "_2" : "";
    this.#fire("access_checked", refused ? this.#state : "in_thread", { suffix });
  }

  #lost() {
    const kept = this.#state === "ready" || this.#state === "in_thread";
    if (this.#state === "closed" || this.#state === "interrupted") return;
    if (kept) this.#fire("network_lost", "interrupted", { from: "signed_in" });
    else this.#fire("network_lost", "closed", { from: "signing_in" });
  }

  /**
   * @param {string} event
   * @param {string} target
   * @param {{from?: string, suffix?: string}} [edge] where the edge begins, if not in the innermost
   *   state, and the number that its id ends in
   */
  #fire(event, target, { from: source = this.#state, suffix = "" } = {}) {
    const edge = `edge_connection_${event}_${source}_${target}${suffix}`;
    this.#state = target;
    const next = foldTransition(this.trace, {
      machine: "connection",
      instance: "this",
      event,
      source,
      target,
      edge,
      effects: [],
    });
    this.trace = { ...next, path: next.path.slice(-KEPT) };
  }
}
