// How long what is shown may stay: a dialog, the past, a drawing or a pop-over ends with the sign-in, the
// thread or the co-authorship that it belongs to.
//
//     const lasting = app.lifetimes.of("thread");
//     lasting.addEventListener("abort", close, { once: true });
//
// A thread of another epoch of the store is another thread: its entries may be others.

/** @import { State } from "./state.js" */

/** @typedef {"signIn" | "thread" | "coAuthorship"} Span */

/**
 * What each span lasts as long as, in a text that stays the same; null where there is none. The longest comes
 * first: a shorter one never outlives it.
 *
 * @type {readonly [Span, (state: State) => string | null][]}
 */
const SPANS = [
  ["signIn", ({ user }) => user?.public_key ?? null],
  ["thread", ({ thread }) => thread && `${thread.id} ${thread.epoch}`],
  [
    "coAuthorship",
    ({ thread, user }) =>
      user && thread?.view.co_authors.includes(user.public_key) ? thread.id : null,
  ],
];

export class Lifetimes {
  #ended;
  /** @type {Map<Span, {name: string | null, controller: AbortController}>} */
  #current = new Map();

  /** @param {(span: Span) => void} ended is told after what belonged to a span was told */
  constructor(ended) {
    this.#ended = ended;
    for (const [span] of SPANS) this.#begin(span, null);
  }

  /**
   * Aborted when the span that goes on now ends. What is shown before there is a thread, or to an outsider
   * before they are a co-author, stays when that begins.
   *
   * @param {Span} span
   */
  of(span) {
    const current = this.#current.get(span);
    if (!current) throw new TypeError(`no span ${span}`);
    return current.controller.signal;
  }

  /**
   * End the spans that the state has left.
   *
   * @param {State} state
   */
  update(state) {
    let isOver = false;
    for (const [span, nameIn] of SPANS) {
      const name = nameIn(state);
      const current = this.#current.get(span);
      isOver ||= current !== undefined && current.name !== null && current.name !== name;
      if (isOver) this.#end(span, name);
      else if (current) current.name = name;
    }
  }

  /** End all spans: the user signs out. */
  end() {
    for (const [span] of SPANS) this.#end(span, null);
  }

  /**
   * @param {Span} span
   * @param {string | null} next
   */
  #end(span, next) {
    const current = this.#current.get(span);
    this.#begin(span, next);
    current?.controller.abort();
    this.#ended(span);
  }

  /**
   * @param {Span} span
   * @param {string | null} name
   */
  #begin(span, name) {
    this.#current.set(span, { name, controller: new AbortController() });
  }
}
