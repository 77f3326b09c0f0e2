// English: every text of the interface, by the view that shows it. Each other language has the same keys.
//
// `{name}` in a text is a place for an element, put there by `filled` of dom.js. What the server says,
// and the names of states, events and guards as they stand in the drawings, are English everywhere.

const COUNT = new Intl.NumberFormat("en");

/**
 * @param {number} count
 * @param {string} one
 * @param {string} other
 */
const many = (count, one, other = `${one}s`) =>
  `${COUNT.format(count)} ${count === 1 ? one : other}`;

/** @param {string | null} whose null: the user's own */
const owned = (whose) => (whose === null ? "your" : `${whose}’s`);

/** @param {string | null} by null: the user */
const actor = (by) => (by === null ? "you" : by);

export const en = {
  common: {
    close: "Close",
    dismiss: "Dismiss",
    machines: "Machines",
    aMessage: "a message",
    saveRecoveryFile: "Save a recovery file",
    goToMessage: "Go to this message",
    newThread: "New thread",
    name: "Name",
    withdraw: "Withdraw",
    you: " (you)",
    visibility: { private: "private", public: "public" },
    archived: "archived",
    /** @param {string} moment */
    until: (moment) => `Until ${moment}`,
    /** @param {string} label */
    source: (label) => `Source ${label}`,
    /** @param {string} name of a thread */
    inThread: (name) => `in ${name}`,
    voteNotCounted: "Your vote was not counted",
    cut: "Cut at the length limit: the model had more to say.",
  },

  time: {
    over: "over",
    lessThanAMinute: "less than a minute",
    /** @param {number} count */
    minutes: (count) => many(count, "minute"),
    /** @param {number} count */
    hours: (count) => many(count, "hour"),
    /** @param {number} count */
    days: (count) => many(count, "day"),
    /** @param {string} time */
    left: (time) => `${time} left`,
  },

  steps: {
    action: { name: "Action", does: "a first answer, without memory" },
    experience: { name: "Experience", does: "what memory adds" },
    intention: { name: "Intention", does: "what is really asked" },
    observation: { name: "Observation", does: "patterns and gaps" },
    update: { name: "Update", does: "enough, or another loop?" },
    yield: { name: "Yield", does: "the final answer" },
  },

  effects: {
    AICall: "a call of the model",
    CancelTimer: "an end of the timer",
    DBOperation: "a write to memory",
    RecallPriors: "a search of memory",
    ScheduleTimer: "a timer",
    StopAttempt: "an end of the model's call",
  },

  trouble: {
    ai_unavailable: "the model could not be reached",
    ai_rejected: "the model refused: its key, quota or name needs an operator",
    ai_invalid_output: "the model gave nothing usable",
    chart_changed: "the server was upgraded while it worked on it",
    storage_unavailable: "the server could not write to its disk",
    internal: "the server failed",
  },

  problems: {
    /**
     * What the server refused, in a sentence.
     *
     * @param {import("../wire.d.ts").ErrorCode | "signed_out"} _code
     * @param {string} message of the server
     */
    refused: (_code, message) => message,
    /** @param {number} seconds */
    tryAgainIn: (seconds) => ` Try again in ${seconds} s.`,
    cannotWrite:
      "The server cannot write: its disk may be full. Nothing of yours is lost; it stays here.",
    shuttingDown: "The server is going down; the page goes on when it is back.",
    /** @param {string} what */
    pageFailed: (what) => `${what}: the page itself failed. Reload it if this happens again.`,
    notTaken: "Your prompt was not taken; it is back in its box",
    notOpened: "That thread cannot be opened",
    notHidden: "That was neither hidden nor shown",
    olderMissing: "The older messages did not come",
    notInThread: "That message is not in this thread.",
    listMissing: "The list of threads did not come",
    invitationsMissing: "Your invitations did not come",
    notJoined: "You did not join",
    invitationStands: "The invitation stands",
    nameNotTaken: "The name was not taken",
    notMade: "The thread was not made",
    notStopped: "The run was not stopped",
    notStartedAgain: "The run was not started again",
    journalNotRead: "The journal was not read",
    unreadable:
      "Something from the server could not be read; the page reads the thread anew and goes on.",
    readingServer: "reading the server",
    serverFailed: "The server says that something failed",
    /** @param {string} message */
    threadClosed: (message) => `The thread is closed to you now. ${message}`,
    followingThread: "following the thread",
    notCopied: "The browser did not let the page copy.",
    signedOut: "You are signed out.",
    /** @param {number} server @param {number} page */
    otherVersion: (server, page) =>
      `The server speaks version ${server} of the protocol and this page version ${page}. Reload the page; if that does not help, the two are not made for each other.`,
    /** @param {string} message */
    keyRefused: (message) => `The server refused your key. ${message}`,
    tooMuch: "That is more than the server takes at once; shorten it.",
  },

  said: {
    invited: "You are invited into a thread.",
    pending: "A message waits for approval.",
    proposed: "Another answer waits for a vote.",
    answered: "An answer is there.",
    /** @param {string} message */
    failed: (message) => `The run failed. ${message}`,
    /** @param {string} name */
    stopped: (name) => `${name} stopped the run.`,
    lost: "The connection is lost; trying again.",
    connected: "Connected again.",
  },

  connection: {
    connected: "Connected",
    connecting: "Connecting…",
    signingIn: "Signing in…",
    /** @param {number} seconds */
    reconnecting: (seconds) => `Reconnecting in ${seconds} s`,
    /** @param {number} seconds */
    offlineRetry: (seconds) => `Offline; trying again in ${seconds} s`,
    offline: "Offline",
    tryNow: "Try now",
  },

  statement: {
    notPlain: "Not signed: the server's statement is not plain text.",
    notChorus: "Not signed: the server's statement is not a Chorus sign-in.",
    /** @param {string} named @param {string} host */
    otherHost: (named, host) => `Not signed: the statement is for ${named}, and this is ${host}.`,
    otherKey: "Not signed: the statement names another key than yours.",
    /** @param {string} host */
    otherAddress: (host) => `Not signed: the statement's URI is not ${host}.`,
    otherChallenge: "Not signed: the statement is not the one of this challenge.",
  },

  keys: {
    notSecure:
      "This page was not opened over https or from this machine itself, so the browser hides its cryptography. Open it at an https address, or at http://127.0.0.1.",
    noDatabase: "This browser keeps no data for this page (IndexedDB is off).",
    noAlgorithm:
      "This browser knows no Ed25519 keys. Chrome and Edge from 137, Firefox from 129 and Safari from 17.5 do.",
    noSeed: "This key was made by an older page, and its seed was not kept.",
    notARecoveryFile: "That is no recovery file of Chorus: its line begins otherwise.",
    badCharacter: "The recovery file is damaged: it holds a character that no key has.",
    badCheck: "The recovery file is damaged: its check does not match its key.",
    notAllowed: "This browser lets the page keep no key.",
    notKept: "This browser could not keep the key; is its disk full?",
    unusable: "The key could not be used in this browser.",
    fileNotMade: "The recovery file was not made",
  },

  gate: {
    lead: "Conversations with a language model, written together, with every step in the open.",
    start: "Start",
    whatName: "What should others call you? ",
    optional: "(optional)",
    fileWhy: "With it you are the same person in another browser. It can be saved later, too.",
    invited: "You were given a link into a thread. Begin, and see who invites you.",
    noAccount: "No account: your browser makes a key, keeps it to itself, and signs with it.",
    signIn: "Sign in",
    forget: "Forget this key",
    confirmForget:
      "Without a recovery file this key is gone for good, and what you wrote stays under it. Forget it?",
    youAre: "You are {key} in this browser.",
    useFile: "Use a recovery file",
  },

  shell: {
    skip: "Skip to the prompt",
    areas: "Areas of the page",
    threads: "Threads",
    conversation: "Conversation",
    youAre: "You are ",
    settings: "Settings",
  },

  threads: {
    which: "Which threads",
    mine: "Mine",
    public: "Public",
    more: "More threads",
    none: "No thread yet. Write a prompt, and one is made for it.",
    nonePublic: "Nobody has made a public thread yet.",
    noneHidden: "No thread is hidden.",
    showHidden: "Show hidden threads",
    showMine: "Show my threads",
    /** @param {number} count */
    people: (count) => many(count, "person", "people"),
    unread: "new",
  },

  search: {
    placeholder: "Search all you may read",
    label: "Search messages",
    results: "Search results",
    searching: "Searching…",
    failed: "The search failed.",
    nothing: "Nothing was found.",
    /** @param {number} count @param {boolean} byMeaning */
    found: (count, byMeaning) =>
      `${COUNT.format(count)} found, ${byMeaning ? "nearest in meaning first" : "by words"}`,
  },

  inbox: {
    title: "Inbox",
    /** @param {string} count */
    label: (count) => `Inbox: ${count} for you`,
    sections: { votes: "Needs your vote", invitations: "Invitations", mentions: "Mentions" },
    wants: {
      /** @param {string} who */
      vote: (who) => `${who} asks for approval`,
      /** @param {string} who @param {string} whom */
      removal: (who, whom) => `${who} proposes to remove ${whom}`,
      /** @param {string} who */
      branch: (who) => `${who} proposes another answer`,
      /** @param {string} who */
      invitation: (who) => `${who} invites you`,
      /** @param {string} who */
      mention: (who) => `${who} mentions you`,
    },
    unread: "new",
    empty: "Nothing waits for you.",
    reading: "Reading…",
    more: "More",
    missing: "Your inbox did not come",
    moreMissing: "More of your inbox did not come",
    notMarked: "The mention stays unread",
  },

  mentions: {
    list: "Co-authors to mention",
    /** @param {string} names @param {number} count */
    offered: (names, count) => `${many(count, "name")}: ${names}. Arrows choose, Enter takes.`,
  },

  presence: {
    title: "Presence",
    /** @param {string} names */
    here: (names) => `here: ${names}`,
    /** @param {string} names @param {number} count */
    typing: (names, count) => `${names} ${count === 1 ? "is" : "are"} typing…`,
    /** @param {number} count */
    more: (count) => `${COUNT.format(count)} more`,
    show: "Show co-authors that I am here and when I type, and see it of them",
    notSet: "Your presence stays as it is",
  },

  notifications: {
    title: "Notifications",
    turnOn: "Turn notifications on",
    turnOff: "Turn notifications off",
    blocked: "This browser does not let the page notify you; its own settings may.",
    on: "While you do not look, the browser tells you what is new in your inbox: who, and in which thread.",
    off: "The browser says nothing while you do not look.",
    /** @param {number} count */
    several: (count) => `${many(count, "thing")} new in your inbox`,
  },

  invitations: {
    title: "Invitations",
    invites: "{who} invites you into {thread}",
    accept: "Accept",
    decline: "Decline",
  },

  branches: {
    title: "Branches",
    fork: "What if…",
    /** @param {string} step */
    whatIf: (step) => `What if, after ${step}?`,
    /** @param {string} step */
    means: (step) =>
      `The run goes on from here once more, with one thing changed. All up to ${step} stays as it is and is not asked again. Nothing of it is part of the thread until all co-authors agree.`,
    changed: "What is changed",
    changes: {
      /** @param {string} step */
      step_text: (step) => `What ${step} said`,
      prompt: () => "The prompt",
      instructions: () => "The instructions",
      model: () => "The model",
    },
    goOn: "Go on",
    wentOn: "It goes on as a branch, above the conversation.",
    notForked: "It did not go on",
    goesOn: {
      step_text: "{who} changed what {step} said.",
      prompt: "{who} changed the prompt behind {step}.",
      model: "{who} chose another model behind {step}.",
      instructions: "{who} changed the instructions behind {step}.",
    },
    /** @param {number} count */
    forks: (count) => `Fork ${count} in a row`,
    /** @param {string} step */
    growing: (step) => (step ? `Under way: ${step}` : "Waits for its turn"),
    /** @param {string} left */
    ready: (left) => `Its answer is there, and not proposed yet; ${left}.`,
    /** @param {number} agreed @param {number} electors @param {string} left */
    agreed: (agreed, electors, left) => `${agreed} of ${electors} want to adopt it; ${left}.`,
    compare: "Compare",
    propose: "Propose it",
    adopt: "Adopt it",
    reject: "Reject it",
    discard: "Discard",
    notProposed: "It was not proposed",
    notDiscarded: "It was not discarded",
    adopted: "Adopted in place of the first answer.",
  },
  comparison: {
    title: "Two ways",
    one: "As it was",
    other: "The branch",
    status: {
      queued: "waits",
      running: "under way",
      recovering: "recovering",
      finished: "finished",
      failed: "failed",
      cancelled: "stopped",
    },
    changed: {
      step_text: "Changed text:",
      prompt: "Changed prompt:",
      model: "Another model:",
      instructions: "Changed instructions:",
    },
    none: "none",
    answers: "Answers",
    kept: "kept, not asked again",
    same: "the same",
    differs: "differs",
    onlyOne: "in one alone",
    ways: "Both ways on the machine",
    waysAlt: "The run's machine with both ways marked",
    notRead: "The runs were not read",
  },
  removals: {
    title: "Removals",
    proposes:
      "{who} proposes to remove {whom}. All the others must agree; one vote to keep ends it.",
    proposesAlone:
      "{who} proposes to remove {whom}. It comes about unless {whom} does something in this thread.",
    /** @param {string} left */
    silence: (left) => `${left}.`,
    /** @param {number} votes @param {number} electors @param {string} left */
    agreed: (votes, electors, left) => `${votes} of ${electors} agreed; ${left}.`,
    remove: "Remove",
    keep: "Keep",
    stay: "I am here",
    goesOn: "The vote goes on",
  },

  approval: {
    title: "Approval",
    approve: "Approve",
    reject: "Reject",
    reason: "Reason (optional)",
    reasonLabel: "Reason for rejecting",
    notVoted: "has not voted",
    didNotVote: "did not vote",
    approved: "approved",
    rejected: "rejected",
    /** @param {number} votes @param {number} electors @param {string} left */
    voted: (votes, electors, left) =>
      `${votes} of ${electors} voted${left && `; ${left}`}. Everyone must approve; one rejection ends it.`,
    outcomes: {
      approved: "Every elector approved: it became part of the thread, and its author a co-author.",
      rejected: "One rejection is enough: it is not part of the thread.",
      expired: "The vote ended without an approval of everyone.",
      withdrawn: "Its author took it back.",
    },
  },

  composer: {
    editing: "You write your last prompt anew; the old one stays, folded, and its run stops.",
    stopEditing: "Leave it as it is",
    placeholder: "Write a prompt",
    label: "Prompt",
    send: "Send",
    sendKey: "Send (Enter)",
    stopKey: "Escape",
    hint: "Enter sends · Shift+Enter breaks the line",
    archived: "This thread is archived: it is only read.",
    /** @param {number} coAuthors */
    outside: (coAuthors) =>
      `You are no co-author here: what you send waits until ${coAuthors === 1 ? "its co-author approves" : `all ${coAuthors} co-authors approve`}.`,
    /** @param {string | null} whose */
    takeBack: (whose) => `Take ${owned(whose)} prompt back`,
    /** @param {string | null} whose */
    stop: (whose) => `Stop ${owned(whose)} run`,
    /** @param {number} length @param {number} limit */
    length: (length, limit) => `${COUNT.format(length)} of ${COUNT.format(limit)} characters`,
  },

  conversation: {
    earlier: "Earlier messages",
    messages: "Messages",
    newest: "Newest",
    noModel:
      "No language model is connected. Answers are sentences picked from this thread and from memory, not written by a model.",
    coAuthors: "Co-authors",
    newConversation: "A new conversation",
    newHint: "Write a prompt; a private thread is made for it.",
    /** @param {number} count */
    authors: (count) => many(count, "co-author"),
    /** @param {number} tokens */
    balance: (tokens) => `balance ${COUNT.format(tokens)}`,
    rename: "Rename",
    archive: "Archive",
    copyLink: "Copy the link",
    copyPublic: "Copy a read-only link",
    linkCopied: "The link is copied.",
    exportMarkdown: "Export as Markdown",
    exportJson: "Export as JSON",
    close: "Close the thread",
    more: "More about this thread",
    hideSteps: "Hide the steps",
    showSteps: "Show the steps",
    hide: "Hide the thread",
    showAgain: "Show the thread in my list",
    threadHidden: "The thread is hidden from your list alone.",
    threadShown: "The thread is in your list again.",
    outgoing: "Your prompt, being sent",
    sending: "Sending…",
    recovery:
      "Your key is in this browser alone: without a recovery file it is lost with its data.",
    notNow: "Not now",
    ask: "Ask something",
    askHow:
      "Each prompt runs through six steps that you can watch: a first answer, what memory adds, what is really asked, patterns and gaps, whether to go round again, and the final answer with its sources.",
    ideas: [
      "What does this server remember, and who may see it?",
      "Explain what a state machine is with one everyday example.",
    ],
  },

  threadSettings: {
    title: "Thread settings",
    has: "with instructions",
    instructions: "Instructions",
    /** @param {boolean} isPublic */
    audience: (isPublic) =>
      `Every answer is asked to keep to them. ${isPublic ? "This thread is public: anyone signed in may read them." : "Its co-authors may read them."} A run that has begun keeps those that it began with.`,
    /**
     * @param {number} length
     * @param {number} limit
     */
    characters: (length, limit) => `${COUNT.format(length)} of ${COUNT.format(limit)} characters`,
    model: "Model",
    own: "The server’s own",
    /** @param {string} model */
    ownOf: (model) => `The server’s own (${model})`,
    /** @param {string} model */
    gone: (model) =>
      `${model} was chosen, and is not offered any more: the server’s own model answers.`,
    noOther: "This server offers no other.",
    none: "None.",
    whoSets: "Its co-authors set them while the thread is active.",
    save: "Save",
    notSaved: "The settings stay as they are",
    /**
     * @param {string} name
     * @param {import("../wire.d.ts").ThreadSettingsView} before
     * @param {import("../wire.d.ts").ThreadSettingsView} after
     */
    changed: (name, before, after) => {
      const done = [];
      if (before.instructions !== after.instructions)
        done.push(
          !before.instructions
            ? "gave instructions"
            : after.instructions
              ? "changed the instructions"
              : "took the instructions back",
        );
      if (before.model !== after.model)
        done.push(after.model ? `chose the model ${after.model}` : "chose the server’s own model");
      return `${name} ${done.join(" and ") || "left the settings as they are"}`;
    },
  },

  dialogs: {
    visibility: "Who may read it (fixed for good)",
    private: "Private",
    privateMeans: "Its co-authors alone know of it.",
    public: "Public",
    publicMeans: "Anyone signed in may read; what outsiders submit waits for approval.",
    create: "Create",
    renameTitle: "Rename this thread",
    rename: "Rename",
    keepsName: "The thread keeps its name",
    coAuthors: "Co-authors",
    invited: "Invited",
    inviteKey: "Invite by public key",
    keyLooks: "base58, 43 or 44 characters",
    invite: "Invite",
    nobodyInvited: "Nobody was invited",
    inviteHow:
      "They join once they accept. Somebody finds their key under their name at the bottom of the list of threads.",
    leave: "Leave this thread",
    confirmLeave: "Leave? Others go on; you come back only by an invitation.",
    stillIn: "You are still in",
    remove: "Remove",
    /** @param {string} name */
    confirmRemove: (name) => `Propose to remove ${name}? All the others must agree.`,
    nothingProposed: "Nothing was proposed",
    takeBack: "Take back",
    /** @param {string} name */
    invitedBy: (name) => ` — invited by ${name}`,
    confirmArchive:
      "Archive this thread? Its runs stop, what is pending expires, and from then on it is only read.",
    notArchived: "The thread was not archived",
  },

  acquaintances: {
    title: "Invite by name",
    search: "Somebody you share a thread with",
    /** @param {number} count */
    more: (count) => `and ${COUNT.format(count)} more: write a part of the name`,
    /** @param {string} name @param {string} stub of the key */
    confirm: (name, stub) =>
      `Invite ${name} (${stub})? Names are not unique: the key says who it is.`,
    /** @param {string} name */
    inviteWhom: (name) => `Invite ${name}`,
    /** @param {readonly string[]} threads @param {number} count of all that are shared */
    shared: (threads, count) =>
      `in ${threads.join(", ")}${count > threads.length ? ` and ${count - threads.length} more` : ""}`,
    notListed: "The people you know did not come",
  },

  links: {
    title: "Invite by a link",
    how: "Whoever opens it first becomes a co-author and reads everything said here.",
    validFor: "Valid for",
    make: "Make a link",
    notMade: "No link was made",
    address: "The link, shown only now",
    copy: "Copy the link",
    copied: "The invite link is copied.",
    /** @param {string} moment */
    once: (moment) => `For one person, until ${moment}.`,
    /** @param {string} name */
    madeBy: (name) => `An open link of ${name} — `,
    stands: "The link stands",
    invitation: "An invitation",
    joining: "Joining, you read all of the thread, and the others see your name and key.",
    join: "Join",
    over: "This link leads nowhere: it was used, taken back, or has expired.",
    notOpened: "What the link leads to did not come",
  },

  settings: {
    title: "Settings",
    name: "Your name",
    saveName: "Save the name",
    keys: "Keys",
    signOut: "Sign out",
    signOutForget: "Sign out and forget the key",
    confirmForget: "Without a recovery file this key is gone for good. Forget it?",
    looks: "Looks",
    theme: "Theme",
    themes: { system: "As the system", light: "Light", dark: "Dark" },
    language: "Language",
    languageOfBrowser: "As the browser",
    showSteps: "Show the steps of the run above the conversation",
    yourKey: "Your key",
    keyMeans: "It is your name everywhere. Give it to whom you want to be invited by.",
    copyKey: "Copy your key",
    keyCopied: "Your key is copied.",
    secret:
      "Its secret half is in this browser alone. With a recovery file you are the same person in another one; without it, what you may do is lost with this browser's data.",
    /** @type {readonly (readonly [keys: readonly string[], does: string])[]} */
    shortcuts: [
      [["Enter"], "sends the prompt"],
      [["Shift", "Enter"], "breaks the line"],
      [["\u2191"], "in the empty prompt box: edits your last prompt"],
      [["@"], "mentions a co-author: a list completes the name"],
      [["Escape"], "stops the run that the button above the prompt names"],
      [["Ctrl", "K"], "searches"],
      [["Ctrl", "I"], "opens the inbox"],
      [["Ctrl", "M"], "opens the machines"],
      [["?"], "shows these settings"],
      [["+", "\u2212", "0"], "in a drawing: larger, smaller, whole"],
      [["Arrows"], "in tabs, drawings and a replay: on and back"],
    ],
  },

  message: {
    edit: "Edit this prompt",
    edited: "edited",
    replaced: "another answer was adopted",
    showEarlier: "Show the earlier version",
    hideEarlier: "Hide the earlier version",
    hide: "Hide this message",
    showAgain: "Show this message again",
    showHidden: "Hidden by you. Show",
    foldHidden: "Hidden by you. Fold",
    statuses: {
      superseded: "answers an earlier version",
      submitted: "submitted",
      pending: "waits for approval",
      rejected: "rejected",
      expired: "expired",
      withdrawn: "withdrawn",
    },
    wayUp: "Answers an earlier prompt: show it",
    copy: "Copy this message",
    copied: "The message is copied.",
    showMachines: "Show its machines",
    hidden: "What this says is shown to the co-authors and its author alone.",
  },

  citation: {
    looking: "Looking it up…",
    unreadable: "What is cited could not be read.",
  },

  run: {
    title: "How this is answered",
    stop: "Stop",
    retry: "Retry",
    replay: "Replay",
    reading: "Reading the journal…",
    /** @param {string} trouble @param {string} message */
    failed: (trouble, message) => `The run failed: ${trouble}. ${message}`,
    /** @param {string} why */
    waits: (why) => `${why} The run waits.`,
    howAnswered: "How this was answered",
    whatBecame: "What became of this",
    /** @param {number} before @param {boolean} isAll whether there may be no others, of branches */
    queued: (before, isAll) => {
      if (before === 0) return isAll ? "Waits: next in turn" : "Waits for its turn";
      return `Waits: ${isAll ? "" : "at least "}${many(before, "run")} before it`;
    },
    /** @param {number} iteration */
    loop: (iteration) => `loop ${iteration}`,
    /** @param {string} step @param {number} attempt */
    recovering: (step, attempt) => `Recovering: ${step}, attempt ${attempt}`,
    /** @param {number} count */
    steps: (count) => many(count, "step"),
    /** @param {number} count */
    loops: (count) => many(count, "loop"),
    /** @param {number} count */
    sources: (count) => many(count, "source"),
    /** @param {number} count */
    tokens: (count) => many(count, "token"),
    /** @param {string} step */
    failedAt: (step) => `Failed at ${step}`,
    takenBack: "Taken back before it began",
    /** @param {string | null} by */
    takenBackBy: (by) => `Taken back by ${actor(by)} before it began`,
    /** @param {string} step */
    stoppedAt: (step) => `Stopped at ${step}`,
    /** @param {string | null} by @param {string} step */
    stoppedBy: (by, step) => `Stopped by ${actor(by)} at ${step}`,
  },

  strip: {
    title: "The run, step by step",
    /** @param {string} excerpt */
    about: (excerpt) => `The run of “${excerpt}”`,
    states: {
      running: "at work",
      recovering: "recovering",
      completed: "done",
      skipped: "skipped",
      kept: "kept",
      stopped: "stopped",
      failed: "failed",
    },
    health: {
      queued: "waits",
      running: "stable",
      recovering: "recovering",
      finished: "finished",
      failed: "failed",
      cancelled: "stopped",
    },
    /** @param {number} attempt */
    attempt: (attempt) => `attempt ${attempt}`,
  },

  step: {
    skipped: "skipped",
    kept: "kept, not asked again",
    /** @param {number} count */
    found: (count) => `${COUNT.format(count)} found`,
    /** @param {number} iteration */
    loopTitle: (iteration) => `Loop ${iteration}`,
    /** @param {number} characters */
    thinking: (characters) => `Thinking, ${many(characters, "character")}`,
    /** @param {number} characters */
    thought: (characters) => `Thought, ${many(characters, "character")}`,
    /** @param {number} attempt @param {string} why */
    attempt: (attempt, why) => `Attempt ${attempt}: ${why}`,
    /** @param {string} seconds */
    triedAgain: (seconds) => ` Tried again after ${seconds} s.`,
    hadWritten: "What it had written",
    enough: "Enough: this is the answer.",
    insights: "Insights",
    askedFor: "Asked for",
    beneath: "Beneath it",
    patterns: "Patterns",
    gaps: "Gaps",
    chosen: "Chosen: ",
    /** @param {string | null} query */
    loopsAgain: (query) => `Goes round again${query ? `, searching for “${query}”` : ""}.`,
    goesOn: "Enough: on to the answer.",
    /** @param {string} value in per cent */
    confidence: (value) => `Confidence ${value}`,
    noMemory: "Memory could not be searched; the run went on without it.",
    nothingNear: "Memory holds nothing near this.",
    priors: "What memory holds",
    used: "used",
    usedWhy: "drawn on by experience",
    selected: "selected",
    selectedWhy: "chosen by intention",
    citedWhy: "cited in the answer",
    /** @param {string} label */
    cited: (label) => `cited ${label}`,
    /** @param {number} count */
    read: (count) => `${COUNT.format(count)} read`,
    /** @param {number} count */
    written: (count) => `${COUNT.format(count)} written`,
  },

  machines: {
    which: "Which machine",
    tabs: {
      chorus: "Run",
      message: "Message",
      thread: "Thread",
      invitation: "Invitation",
      invite_link: "Invite link",
      removal: "Removal",
      branch: "Branch",
      connection: "Connection",
    },
    whole: "Whole",
    replay: "Replay",
    smaller: "Smaller",
    larger: "Larger",
    close: "Close the machines",
    /** @param {string} about */
    replayOf: (about) => `Replay: ${about}`,
    missing: "The drawing did not come.",
    now: "Now ",
    nothingYet: "nothing yet",
    /** @param {number} count */
    path: (count) => `The path in words (${COUNT.format(count)})`,
    /** @param {string} state */
    within: (state) => `in ${state}`,
    /** @param {string} source @param {string} target */
    fromTo: (source, target) => `from ${source} to ${target}`,
    noTransition: "No transition yet.",
    because: ", because ",
    and: " and ",
    askedFor: " It asked for: ",
    did: " It did: ",
    wasFalse: ", because it was false that ",
    noEdge: ", since no edge leads on from there",
    /** @param {string} state */
    refusedIn: (state) => ` was refused in ${state}`,
    /** @param {string} events */
    possible: (events) => ` Possible now: ${events}.`,
    /** @param {string} machine */
    drawing: (machine) => `Drawing of the ${machine} machine; drag to move it, plus and minus zoom`,
    ownConnection: "This page's own connection",
    noThread: "No thread is open.",
    nothingSaid: "Nothing was said yet.",
    thisThread: "This thread, since the page opened it",
    none: {
      invitation: "There was no invitation since the page opened this thread.",
      invite_link: "There was no invite link since the page opened this thread.",
      removal: "There was no removal since the page opened this thread.",
      branch: "No run was forked since the page opened this thread.",
    },
    last: {
      invitation: "The last invitation in this thread",
      invite_link: "The last invite link into this thread",
      removal: "The last removal in this thread",
      branch: "The last branch in this thread",
    },
    /** @param {string | null} excerpt */
    theMessage: (excerpt) => `The message ${excerpt === null ? "a message" : `“${excerpt}”`}`,
    /** @param {string | null} status */
    noRun: (status) => `This message has no run${status ? ` (${status})` : ""}.`,
    ofThisPrompt: "Of this prompt",
    /** @param {number} number @param {boolean} isFork @param {string | null} status */
    whichRun: (number, isFork, status) =>
      `${number}: ${isFork ? "branch" : "run"}${status ? `, ${status}` : ""}`,
    /** @param {string} excerpt */
    theRun: (excerpt) => `The run of “${excerpt}”`,
    /** @param {string} excerpt */
    theRunBefore: (excerpt) =>
      `The run of “${excerpt}” before another answer was adopted; how that one came about is told to the co-authors alone`,
  },

  why: {
    title: "Why",
    /** @param {number} count @param {string} took */
    summary: (count, took) =>
      `${many(count, "transition")} in ${took}. Up and down go from one to the next; Escape goes back to now.`,
    now: "Back to now",
    kept: "Kept, not asked again. What if, after",
    notRead: "Why that came about could not be read.",
    judged: {
      executed: "Given to today’s machine again, with the same result.",
      recorded: "By the machine’s declaration then, and the guards that were recorded.",
      declared: "By the machine’s declaration then; what the guards said was not recorded.",
      unknown: "The declaration of the machine as it was then is not known.",
      contradicted: "Today’s machine, given this again, comes to something else.",
    },
    isTrue: "true",
    isFalse: "false",
    /** @param {string} about @param {number} count */
    asItWas: (about, count) => `As it was after ${many(count, "transition")}: ${about}`,
    /** @param {number} seq @param {string} at */
    entry: (seq, at) => `Entry ${COUNT.format(seq)}, ${at}`,
    verdicts: {
      /** @param {string} target */
      taken: (target) => `Taken: to ${target}`,
      /** @param {string} target */
      passed_over: (target) => `Not taken: to ${target}`,
      /** @param {string} target */
      not_tried: (target) => `Not asked, since an edge before it was taken: to ${target}`,
      /** @param {string} target */
      not_recorded: (target) =>
        `Not taken, and an earlier version did not record why: to ${target}`,
    },
    /** @param {string} effect @param {string} event @param {number} seq @param {string} after */
    brought: (effect, event, seq, after) =>
      `${effect}: brought “${event}” in entry ${COUNT.format(seq)}, after ${after}`,
  },

  heat: {
    title: "Heat",
    period: "Period",
    periods: { hour: "Last hour", day: "Last day", week: "Last week", all: "All" },
    how: "Of this thread. Wider edges of a stronger colour were taken more often, states of a stronger colour held longer (p95).",
    /** @param {string | null} from @param {string | null} to */
    counted: (from, to) =>
      `Counted from ${from ?? "the beginning"} to ${to ?? "now"}, by whole hours.`,
    scale: "Scale",
    scaleOfEdges: "An edge: how often it was taken",
    scaleOfStates: "A state: how long it was held, p95",
    /** @param {string} what */
    logarithmic: (what) => `${what}, logarithmic scale, from`,
    never: "never taken",
    /** @param {string} guard @param {number} count */
    refusedAt: (guard, count) => `refused ×${COUNT.format(count)} by ${guard}`,
    /** @param {number} count */
    uncounted: (count) => `${COUNT.format(count)} entries are not counted yet.`,
    nothing: "Nothing was done.",
    states: "Held: how often, p50, p95",
    edges: "Taken",
    refused: "Refused by",
    passedOver: "Kept an earlier edge closed",
    noEdge: "no edge",
    notRead: "What the machine did could not be read",
    /** @param {string} p50 @param {string} p95 */
    held: (p50, p95) => `p50 ${p50}, p95 ${p95}`,
    /** @param {number} asked @param {number} answered */
    tokens: (asked, answered) => `${COUNT.format(asked)} + ${COUNT.format(answered)} tokens`,
  },

  past: {
    open: "As it was…",
    title: "The thread as it was",
    position: "Entry of the journal",
    time: "Time",
    back: "One entry back",
    on: "One entry on",
    now: "Back to now",
    notRead: "The past of the thread could not be read.",
    readOnly: "This is the past, and is only read; Escape goes back to now.",
    tooEarly: "There was nothing of the thread yet.",
    /** @param {number} gathered @param {number} of */
    gathering: (gathered, of) =>
      `The past is read for the first time: ${COUNT.format(gathered)} of ${COUNT.format(of)} entries.`,
    /** @param {number} seq @param {number} head @param {string} at @param {string} what */
    words: (seq, head, at, what) =>
      `As it was after entry ${COUNT.format(seq)} of ${COUNT.format(head)}, ${at}: ${what}. Only read; Escape goes back to now.`,
  },

  replay: {
    title: "Replay",
    position: "Position in the journal",
    back: "One step back",
    on: "One step on",
    end: "End the replay",
    play: "Play",
    pause: "Pause",
    empty: "The journal holds nothing of it that you may read.",
    before: "before the beginning",
    /** @param {number} position @param {number} length @param {string} what */
    at: (position, length, what) => `${position} of ${length}: ${what}`,
    /** @param {string} event @param {string} name */
    by: (event, name) => `${event} by ${name}`,
  },

  code: { copy: "Copy this code", copied: "The code is copied." },
  markup: { table: "Table" },

  export: {
    /** @param {"private" | "public"} visibility */
    threadOf: (visibility) => `A ${visibility} thread of`,
    notShown: "(not shown to you)",
    /** @param {string} id */
    message: (id) => `message ${id}`,
    thread: "thread",
  },
};
