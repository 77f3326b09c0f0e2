// What the page knows, as values: the user, the lists of threads, the thread that is open. How it becomes of
// what the client tells is in store.js.

/**
 * @import {
 *   BranchView, HelloData, InboxData, InvitationSummary, InvitationView, InviteLinkView, ListThreadsData,
 *   MessageView, RemovalView, ThreadSettingsView, ThreadSummary, ThreadView, UserView
 * } from "./wire.d.ts"
 */
/** @import { Connection } from "./protocol.js" */
/** @import { Run } from "./runs.js" */

/** @typedef {MessageView & {fresh?: boolean}} Message `fresh` came live, and was not read */

/**
 * @typedef {object} Prompt
 * @property {string} id that of its request
 * @property {string} threadId
 * @property {string} text
 * @property {string} [supersedes] the message that it is written anew from
 */

/** @typedef {Exclude<ListThreadsData["scope"], "invited"> | "hidden"} Scope of a list of threads */

/**
 * @typedef {object} SettingsChange told live: a co-author changed what the thread's runs keep to
 * @property {number} seq
 * @property {string | null} by
 * @property {string} at
 * @property {number} place index of the message that came next
 * @property {ThreadSettingsView} before
 * @property {ThreadSettingsView} after
 */

/**
 * @typedef {object} Thread the thread that is open
 * @property {string} id
 * @property {ThreadView} view
 * @property {ReadonlyMap<string, Message>} messages by id
 * @property {readonly string[]} order ids of the messages, oldest first
 * @property {boolean} hasMore whether there are older messages
 * @property {number} headSeq
 * @property {string | null} epoch
 * @property {ReadonlyMap<string, Run>} runs by id, in the order in which they came; those of branches too
 * @property {readonly InvitationView[]} invitations that wait for an answer
 * @property {readonly InviteLinkView[]} links into it that are open
 * @property {readonly BranchView[]} branches that are open
 * @property {readonly RemovalView[]} removals votes on whether a co-author stays
 * @property {readonly SettingsChange[]} changes of its settings that were seen, oldest first
 * @property {ReadonlySet<string>} hidden messages that the user hid
 * @property {readonly string[]} present co-authors who look at it now, this user too
 * @property {readonly string[]} typing those of them who type
 * @property {string | null} waitsBecause why a run of it cannot go on now, since its last entry
 */

/**
 * @typedef {object} ThreadList
 * @property {readonly string[]} ids
 * @property {string | null} next what to ask for after these; null at the end
 */

/**
 * @typedef {object} State
 * @property {Connection} connection
 * @property {HelloData | null} hello
 * @property {UserView | null} user
 * @property {ReadonlyMap<string, ThreadSummary>} summaries by thread, for all lists
 * @property {Record<Scope, ThreadList>} lists
 * @property {ReadonlySet<string>} hidden threads that the user hid, as far as they were met
 * @property {readonly InvitationSummary[]} invitations that wait for this user's answer
 * @property {InboxData | null} inbox what waits for this user and mentions them; null before it was read
 * @property {ReadonlyMap<string, number>} seen by thread: the seq up to which the user has seen it
 * @property {ReadonlyMap<string, string>} names by public key, of those who gave one and were met
 * @property {Thread | null} thread the one that is open
 * @property {readonly Prompt[]} outgoing prompts that the server has not acknowledged yet
 * @property {number} unreadable frames that could not be read, for the notice about them
 * @property {boolean} [isPast] whether the open thread is shown as it was, and is only read
 */

/** @returns {State} */
export function newState() {
  return {
    connection: { phase: "offline" },
    hello: null,
    user: null,
    summaries: new Map(),
    lists: {
      mine: { ids: [], next: null },
      public: { ids: [], next: null },
      hidden: { ids: [], next: null },
    },
    hidden: new Set(),
    invitations: [],
    inbox: null,
    seen: new Map(),
    names: new Map(),
    thread: null,
    outgoing: [],
    unreadable: 0,
  };
}
