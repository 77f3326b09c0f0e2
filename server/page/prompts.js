// Prompts on their way: kept in this browser until the server acknowledges them, so that a reload
// or a crash loses none, and sent again under their own id, so that none is carried out twice.

/** @import { StoreEvent } from "./store.js" */
/** @import { Prompt } from "./state.js" */

import { Refused } from "./protocol.js";

export class Prompts {
  #client;
  #memory;
  #fold;
  /** @type {Set<string>} by this page; the client itself sends those again after a lost line */
  #sent = new Set();

  /**
   * @param {import("./protocol.js").ChorusClient} client
   * @param {import("./memory.js").Memory} memory
   * @param {(event: StoreEvent) => void} fold tells the store
   */
  constructor(client, memory, fold) {
    this.#client = client;
    this.#memory = memory;
    this.#fold = fold;
  }

  /**
   * Send a prompt. Throws Refused where it was not taken; its text is then the draft again.
   *
   * @param {string} publicKey of the user
   * @param {Prompt} prompt
   */
  async send(publicKey, prompt) {
    const { id, threadId, text, supersedes } = prompt;
    if (!this.#sent.has(id)) {
      this.#sent.add(id);
      this.#memory.keepOutgoing(publicKey, prompt);
      this.#fold({ kind: "outgoing", prompt });
    }
    try {
      const data = { thread_id: threadId, prompt: text, ...(supersedes ? { supersedes } : {}) };
      await this.#client.request("submit_prompt", data, { id });
    } catch (error) {
      // Signed out: it stays kept, and is sent when the user comes back.
      if (error instanceof Refused && error.code === "signed_out") throw error;
      this.#memory.giveBack(publicKey, prompt);
      this.#done(publicKey, id);
      throw error;
    }
    this.#done(publicKey, id);
  }

  /**
   * Prompts that an earlier page left without an acknowledgement.
   *
   * @param {string} publicKey
   */
  kept(publicKey) {
    return this.#memory.outgoing(publicKey).filter(({ id }) => !this.#sent.has(id));
  }

  /** The user signed out: what is kept is sent anew at the next sign-in. */
  forget() {
    this.#sent.clear();
  }

  /**
   * @param {string} publicKey
   * @param {string} id
   */
  #done(publicKey, id) {
    this.#memory.dropOutgoing(publicKey, id);
    this.#fold({ kind: "acknowledged", id });
  }
}
