// German: the same keys as en.js.

/** @import { ErrorCode } from "../wire.d.ts" */

const COUNT = new Intl.NumberFormat("de");

/**
 * @param {number} count
 * @param {string} one
 * @param {string} other
 */
const many = (count, one, other) => `${COUNT.format(count)} ${count === 1 ? one : other}`;

/** @type {Record<ErrorCode | "signed_out", string>} */
const REFUSALS = {
  bad_json: "Der Server konnte die Anfrage nicht lesen.",
  bad_frame: "Der Server konnte die Anfrage nicht lesen.",
  unknown_type: "Der Server kennt diese Anfrage nicht.",
  invalid_field: "Eine Angabe ist ungültig.",
  too_large: "Das ist mehr, als der Server zulässt.",
  not_authenticated: "Du bist nicht angemeldet.",
  auth_failed: "Die Anmeldung ist gescheitert.",
  forbidden: "Das darfst du nicht.",
  not_found: "Das gibt es hier nicht.",
  conflict: "Das ist schon anders entschieden.",
  invalid_transition: "Das geht in diesem Zustand nicht.",
  rate_limited: "Das war zu viel auf einmal.",
  thread_busy: "In diesem Gespräch warten schon zu viele Fragen.",
  ai_unavailable: "Das Modell war nicht zu erreichen.",
  ai_rejected: "Das Modell hat abgelehnt.",
  ai_invalid_output: "Das Modell hat nichts Brauchbares geliefert.",
  chart_changed: "Der Server wurde erneuert.",
  storage_unavailable: "Der Server kann nicht speichern.",
  shutting_down: "Der Server fährt herunter.",
  internal: "Der Server hat versagt.",
  signed_out: "Du bist abgemeldet.",
};

/** @type {typeof import("./en.js").en} */
export const de = {
  common: {
    close: "Schließen",
    dismiss: "Ausblenden",
    machines: "Automaten",
    aMessage: "einer Nachricht",
    saveRecoveryFile: "Sicherungsdatei speichern",
    goToMessage: "Zu dieser Nachricht",
    newThread: "Neues Gespräch",
    name: "Name",
    withdraw: "Zurückziehen",
    you: " (du)",
    visibility: { private: "privat", public: "öffentlich" },
    archived: "archiviert",
    until: (moment) => `Bis ${moment}`,
    source: (label) => `Quelle ${label}`,
    inThread: (name) => `in ${name}`,
    voteNotCounted: "Deine Stimme wurde nicht gezählt",
    cut: "An der Längengrenze abgeschnitten: Das Modell hatte mehr zu sagen.",
  },

  time: {
    over: "vorbei",
    lessThanAMinute: "weniger als eine Minute",
    minutes: (count) => many(count, "Minute", "Minuten"),
    hours: (count) => many(count, "Stunde", "Stunden"),
    days: (count) => many(count, "Tag", "Tage"),
    left: (time) => `noch ${time}`,
  },

  steps: {
    action: { name: "Action", does: "eine erste Antwort, ohne Gedächtnis" },
    experience: { name: "Experience", does: "was das Gedächtnis beiträgt" },
    intention: { name: "Intention", does: "was wirklich gefragt ist" },
    observation: { name: "Observation", does: "Muster und Lücken" },
    update: { name: "Update", does: "genug, oder noch eine Runde?" },
    yield: { name: "Yield", does: "die endgültige Antwort" },
  },

  effects: {
    AICall: "einen Aufruf des Modells",
    CancelTimer: "ein Ende des Zeitgebers",
    DBOperation: "einen Eintrag ins Gedächtnis",
    RecallPriors: "eine Suche im Gedächtnis",
    ScheduleTimer: "einen Zeitgeber",
    StopAttempt: "ein Ende des Modellaufrufs",
  },

  trouble: {
    ai_unavailable: "Das Modell war nicht zu erreichen",
    ai_rejected: "Das Modell hat abgelehnt: Schlüssel, Kontingent oder Name braucht den Betreiber",
    ai_invalid_output: "Das Modell hat nichts Brauchbares geliefert",
    chart_changed: "Der Server wurde erneuert, während er daran arbeitete",
    storage_unavailable: "Der Server konnte nicht auf seine Platte schreiben",
    internal: "Der Server hat versagt",
  },

  problems: {
    refused: (code, message) => `${REFUSALS[code] ?? ""} („${message}“)`.trim(),
    tryAgainIn: (seconds) => ` Versuche es in ${seconds} s noch einmal.`,
    cannotWrite:
      "Der Server kann nicht schreiben: Seine Platte ist vielleicht voll. Von dir geht nichts verloren; es bleibt hier.",
    shuttingDown: "Der Server fährt herunter; die Seite macht weiter, wenn er zurück ist.",
    pageFailed: (what) =>
      `${what}: Die Seite selbst hat versagt. Lade sie neu, wenn das noch einmal geschieht.`,
    notTaken: "Deine Frage wurde nicht angenommen; sie steht wieder im Feld",
    notOpened: "Dieses Gespräch lässt sich nicht öffnen",
    notHidden: "Das wurde weder aus- noch eingeblendet",
    olderMissing: "Die älteren Nachrichten kamen nicht an",
    notInThread: "Diese Nachricht steht nicht in diesem Gespräch.",
    listMissing: "Die Liste der Gespräche kam nicht an",
    invitationsMissing: "Deine Einladungen kamen nicht an",
    notJoined: "Du bist nicht beigetreten",
    invitationStands: "Die Einladung besteht weiter",
    nameNotTaken: "Der Name wurde nicht angenommen",
    notMade: "Das Gespräch wurde nicht angelegt",
    notStopped: "Der Lauf wurde nicht angehalten",
    notStartedAgain: "Der Lauf wurde nicht neu begonnen",
    journalNotRead: "Das Journal wurde nicht gelesen",
    unreadable:
      "Etwas vom Server war nicht zu lesen; die Seite liest das Gespräch neu und macht weiter.",
    readingServer: "Lesen des Servers",
    serverFailed: "Der Server meldet, dass etwas gescheitert ist",
    threadClosed: (message) => `Das Gespräch ist dir jetzt verschlossen. („${message}“)`,
    followingThread: "Folgen des Gesprächs",
    notCopied: "Der Browser hat der Seite das Kopieren nicht erlaubt.",
    signedOut: "Du bist abgemeldet.",
    otherVersion: (server, page) =>
      `Der Server spricht Version ${server} des Protokolls und diese Seite Version ${page}. Lade die Seite neu; wenn das nicht hilft, passen die beiden nicht zusammen.`,
    keyRefused: (message) => `Der Server hat deinen Schlüssel abgelehnt. („${message}“)`,
    tooMuch: "Das ist mehr, als der Server auf einmal nimmt; kürze es.",
  },

  said: {
    invited: "Du bist in ein Gespräch eingeladen.",
    pending: "Eine Nachricht wartet auf Zustimmung.",
    proposed: "Eine andere Antwort wartet auf Stimmen.",
    answered: "Eine Antwort ist da.",
    failed: (message) => `Der Lauf ist gescheitert. („${message}“)`,
    stopped: (name) => `${name} hat den Lauf angehalten.`,
    lost: "Die Verbindung ist weg; neuer Versuch läuft.",
    connected: "Wieder verbunden.",
  },

  connection: {
    connected: "Verbunden",
    connecting: "Verbindet…",
    signingIn: "Meldet an…",
    reconnecting: (seconds) => `Neue Verbindung in ${seconds} s`,
    offlineRetry: (seconds) => `Offline; neuer Versuch in ${seconds} s`,
    offline: "Offline",
    tryNow: "Jetzt versuchen",
  },

  statement: {
    notPlain: "Nicht unterschrieben: Die Erklärung des Servers ist kein reiner Text.",
    notChorus: "Nicht unterschrieben: Die Erklärung des Servers ist keine Anmeldung bei Chorus.",
    otherHost: (named, host) =>
      `Nicht unterschrieben: Die Erklärung gilt für ${named}, und dies ist ${host}.`,
    otherKey: "Nicht unterschrieben: Die Erklärung nennt einen anderen Schlüssel als deinen.",
    otherAddress: (host) => `Nicht unterschrieben: Die URI der Erklärung ist nicht ${host}.`,
    otherChallenge: "Nicht unterschrieben: Die Erklärung gehört nicht zu dieser Anmeldung.",
  },

  keys: {
    notSecure:
      "Diese Seite wurde weder über https noch von diesem Rechner selbst geöffnet; deshalb verbirgt der Browser seine Kryptographie. Öffne sie unter einer https-Adresse oder unter http://127.0.0.1.",
    noDatabase: "Dieser Browser bewahrt für diese Seite keine Daten auf (IndexedDB ist aus).",
    noAlgorithm:
      "Dieser Browser kennt keine Ed25519-Schlüssel. Chrome und Edge kennen sie ab 137, Firefox ab 129 und Safari ab 17.5.",
    noSeed: "Diesen Schlüssel hat eine ältere Seite gemacht, und sein Keim wurde nicht aufbewahrt.",
    notARecoveryFile: "Das ist keine Sicherungsdatei von Chorus: Ihre Zeile beginnt anders.",
    badCharacter:
      "Die Sicherungsdatei ist beschädigt: Sie enthält ein Zeichen, das kein Schlüssel hat.",
    badCheck: "Die Sicherungsdatei ist beschädigt: Ihre Prüfsumme passt nicht zum Schlüssel.",
    notAllowed: "Dieser Browser lässt die Seite keinen Schlüssel aufbewahren.",
    notKept: "Dieser Browser konnte den Schlüssel nicht aufbewahren; ist seine Platte voll?",
    unusable: "Der Schlüssel ließ sich in diesem Browser nicht verwenden.",
    fileNotMade: "Die Sicherungsdatei wurde nicht gemacht",
  },

  gate: {
    lead: "Gespräche mit einem Sprachmodell, gemeinsam geschrieben, mit jedem Schritt vor aller Augen.",
    start: "Beginnen",
    whatName: "Wie sollen andere dich nennen? ",
    optional: "(freiwillig)",
    fileWhy:
      "Mit ihr bist du in einem anderen Browser dieselbe Person. Sie lässt sich auch später speichern.",
    invited: "Du hast einen Link in ein Gespräch bekommen. Beginne, und sieh, wer dich einlädt.",
    noAccount:
      "Kein Konto: Dein Browser macht einen Schlüssel, behält ihn für sich und unterschreibt damit.",
    signIn: "Anmelden",
    forget: "Diesen Schlüssel vergessen",
    confirmForget:
      "Ohne Sicherungsdatei ist dieser Schlüssel für immer weg, und was du geschrieben hast, bleibt unter ihm stehen. Vergessen?",
    youAre: "In diesem Browser bist du {key}.",
    useFile: "Eine Sicherungsdatei verwenden",
  },

  shell: {
    skip: "Zur Eingabe springen",
    areas: "Bereiche der Seite",
    threads: "Gespräche",
    conversation: "Gespräch",
    youAre: "Du bist ",
    settings: "Einstellungen",
  },

  threads: {
    which: "Welche Gespräche",
    mine: "Meine",
    public: "Öffentliche",
    more: "Weitere Gespräche",
    none: "Noch kein Gespräch. Schreibe eine Frage, und es entsteht eines dafür.",
    nonePublic: "Noch niemand hat ein öffentliches Gespräch angelegt.",
    noneHidden: "Kein Gespräch ist ausgeblendet.",
    showHidden: "Ausgeblendete Gespräche zeigen",
    showMine: "Meine Gespräche zeigen",
    people: (count) => many(count, "Person", "Personen"),
    unread: "neu",
  },

  search: {
    placeholder: "Alles durchsuchen, was du lesen darfst",
    label: "Nachrichten durchsuchen",
    results: "Suchergebnisse",
    searching: "Sucht…",
    failed: "Die Suche ist gescheitert.",
    nothing: "Nichts gefunden.",
    found: (count, byMeaning) =>
      `${COUNT.format(count)} gefunden, ${byMeaning ? "dem Sinn nach Nächstes zuerst" : "nach Wörtern"}`,
  },

  inbox: {
    title: "Eingang",
    label: (count) => `Eingang: ${count} für dich`,
    sections: {
      votes: "Braucht deine Stimme",
      invitations: "Einladungen",
      mentions: "Erwähnungen",
    },
    wants: {
      vote: (who) => `${who} bittet um Zustimmung`,
      removal: (who, whom) => `${who} schlägt vor, ${whom} auszuschließen`,
      branch: (who) => `${who} schlägt eine andere Antwort vor`,
      invitation: (who) => `${who} lädt dich ein`,
      mention: (who) => `${who} erwähnt dich`,
    },
    unread: "neu",
    empty: "Nichts wartet auf dich.",
    reading: "Liest…",
    more: "Mehr",
    missing: "Dein Eingang kam nicht an",
    moreMissing: "Mehr von deinem Eingang kam nicht an",
    notMarked: "Die Erwähnung bleibt ungelesen",
  },

  mentions: {
    list: "Mitschreibende zum Erwähnen",
    offered: (names, count) =>
      `${many(count, "Name", "Namen")}: ${names}. Pfeile wählen, Enter übernimmt.`,
  },

  presence: {
    title: "Anwesenheit",
    here: (names) => `hier: ${names}`,
    typing: (names, count) => `${names} ${count === 1 ? "schreibt" : "schreiben"}…`,
    more: (count) => `${COUNT.format(count)} weitere`,
    show: "Mitschreibenden zeigen, dass ich hier bin und wann ich schreibe, und es von ihnen sehen",
    notSet: "Deine Anwesenheit bleibt, wie sie ist",
  },

  notifications: {
    title: "Benachrichtigungen",
    turnOn: "Benachrichtigungen einschalten",
    turnOff: "Benachrichtigungen ausschalten",
    blocked: "Dieser Browser lässt keine Benachrichtigungen zu; seine Einstellungen ändern das.",
    on: "Während du nicht hinsiehst, sagt dir der Browser, was in deinem Eingang neu ist: von wem, und in welchem Gespräch.",
    off: "Der Browser sagt nichts, während du nicht hinsiehst.",
    several: (count) => `${COUNT.format(count)} Neues in deinem Eingang`,
  },

  invitations: {
    title: "Einladungen",
    invites: "{who} lädt dich zu {thread} ein",
    accept: "Annehmen",
    decline: "Ablehnen",
  },

  branches: {
    title: "Zweige",
    fork: "Was, wenn …",
    whatIf: (step) => `Was, wenn nach ${step} …?`,
    means: (step) =>
      `Der Lauf geht von hier noch einmal weiter, und eines ist anders. Alles bis ${step} bleibt, wie es ist, und wird nicht noch einmal gefragt. Nichts davon gehört zum Gespräch, bevor alle Mitschreibenden zustimmen.`,
    changed: "Was anders ist",
    changes: {
      step_text: (step) => `Was ${step} sagte`,
      prompt: () => "Die Frage",
      instructions: () => "Die Vorgaben",
      model: () => "Das Modell",
    },
    goOn: "Weiter",
    wentOn: "Es geht als Zweig weiter, über dem Gespräch.",
    notForked: "Es ging nicht weiter",
    goesOn: {
      step_text: "{who} hat geändert, was {step} sagte.",
      prompt: "{who} hat hinter {step} die Frage geändert.",
      model: "{who} hat hinter {step} ein anderes Modell gewählt.",
      instructions: "{who} hat hinter {step} die Vorgaben geändert.",
    },
    forks: (count) => `${count}. Verzweigung in Folge`,
    growing: (step) => (step ? `Unterwegs: ${step}` : "Wartet, bis es an der Reihe ist"),
    ready: (left) => `Die Antwort ist da und noch nicht vorgeschlagen; ${left}.`,
    agreed: (agreed, electors, left) => `${agreed} von ${electors} wollen sie übernehmen; ${left}.`,
    compare: "Vergleichen",
    propose: "Vorschlagen",
    adopt: "Übernehmen",
    reject: "Ablehnen",
    discard: "Verwerfen",
    notProposed: "Es wurde nicht vorgeschlagen",
    notDiscarded: "Es wurde nicht verworfen",
    adopted: "An Stelle der ersten Antwort übernommen.",
  },
  comparison: {
    title: "Zwei Wege",
    one: "Wie es war",
    other: "Der Zweig",
    status: {
      queued: "wartet",
      running: "unterwegs",
      recovering: "erholt sich",
      finished: "beendet",
      failed: "gescheitert",
      cancelled: "angehalten",
    },
    changed: {
      step_text: "Geänderter Text:",
      prompt: "Geänderte Frage:",
      model: "Anderes Modell:",
      instructions: "Geänderte Vorgaben:",
    },
    none: "keine",
    answers: "Antworten",
    kept: "behalten, nicht noch einmal gefragt",
    same: "gleich",
    differs: "anders",
    onlyOne: "nur auf einem Weg",
    ways: "Beide Wege im Automaten",
    waysAlt: "Der Automat des Laufs, beide Wege markiert",
    notRead: "Die Läufe wurden nicht gelesen",
  },
  removals: {
    title: "Ausschlüsse",
    proposes:
      "{who} schlägt vor, {whom} auszuschließen. Alle anderen müssen zustimmen; eine Stimme fürs Bleiben beendet es.",
    proposesAlone:
      "{who} schlägt vor, {whom} auszuschließen. Dazu kommt es, wenn {whom} in diesem Gespräch nichts tut.",
    silence: (left) => `${left}.`,
    agreed: (votes, electors, left) => `${votes} von ${electors} haben zugestimmt; ${left}.`,
    remove: "Ausschließen",
    keep: "Behalten",
    stay: "Ich bin da",
    goesOn: "Die Abstimmung geht weiter",
  },

  approval: {
    title: "Zustimmung",
    approve: "Zustimmen",
    reject: "Ablehnen",
    reason: "Grund (freiwillig)",
    reasonLabel: "Grund der Ablehnung",
    notVoted: "hat noch nicht abgestimmt",
    didNotVote: "hat nicht abgestimmt",
    approved: "hat zugestimmt",
    rejected: "hat abgelehnt",
    voted: (votes, electors, left) =>
      `${votes} von ${electors} haben abgestimmt${left && `; ${left}`}. Alle müssen zustimmen; eine Ablehnung beendet es.`,
    outcomes: {
      approved:
        "Alle haben zugestimmt: Die Nachricht gehört nun zum Gespräch, und wer sie schrieb, schreibt mit.",
      rejected: "Eine Ablehnung genügt: Die Nachricht gehört nicht zum Gespräch.",
      expired: "Die Abstimmung endete, ohne dass alle zugestimmt hatten.",
      withdrawn: "Wer sie schrieb, hat sie zurückgezogen.",
    },
  },

  composer: {
    editing:
      "Du schreibst deine letzte Frage neu; die alte bleibt eingeklappt stehen, und ihr Lauf endet.",
    stopEditing: "So lassen, wie sie ist",
    placeholder: "Schreibe eine Frage",
    label: "Frage",
    send: "Senden",
    sendKey: "Senden (Enter)",
    stopKey: "Escape",
    hint: "Enter sendet · Umschalt+Enter bricht die Zeile um",
    archived: "Dieses Gespräch ist archiviert: Es wird nur noch gelesen.",
    outside: (coAuthors) =>
      `Du schreibst hier nicht mit: Was du sendest, wartet, bis ${coAuthors === 1 ? "die Person zustimmt, die hier schreibt" : `alle ${coAuthors} zustimmen, die hier schreiben`}.`,
    takeBack: (whose) =>
      whose === null ? "Deine Frage zurücknehmen" : `Frage von ${whose} zurücknehmen`,
    stop: (whose) => (whose === null ? "Deinen Lauf anhalten" : `Lauf von ${whose} anhalten`),
    length: (length, limit) => `${COUNT.format(length)} von ${COUNT.format(limit)} Zeichen`,
  },

  conversation: {
    earlier: "Frühere Nachrichten",
    messages: "Nachrichten",
    newest: "Neueste",
    noModel:
      "Kein Sprachmodell ist angeschlossen. Antworten sind Sätze, die aus diesem Gespräch und dem Gedächtnis herausgesucht sind, nicht von einem Modell geschrieben.",
    coAuthors: "Mitschreibende",
    newConversation: "Ein neues Gespräch",
    newHint: "Schreibe eine Frage; dafür entsteht ein privates Gespräch.",
    authors: (count) => many(count, "schreibt mit", "schreiben mit"),
    balance: (tokens) => `Guthaben ${COUNT.format(tokens)}`,
    rename: "Umbenennen",
    archive: "Archivieren",
    copyLink: "Adresse kopieren",
    copyPublic: "Link zum Lesen kopieren",
    linkCopied: "Die Adresse ist kopiert.",
    exportMarkdown: "Als Markdown ausgeben",
    exportJson: "Als JSON ausgeben",
    close: "Gespräch schließen",
    more: "Mehr zu diesem Gespräch",
    hideSteps: "Schritte verbergen",
    showSteps: "Schritte zeigen",
    hide: "Gespräch ausblenden",
    showAgain: "Gespräch wieder in meiner Liste zeigen",
    threadHidden: "Das Gespräch ist nur in deiner Liste ausgeblendet.",
    threadShown: "Das Gespräch ist wieder in deiner Liste.",
    outgoing: "Deine Frage, wird gesendet",
    sending: "Wird gesendet…",
    recovery:
      "Dein Schlüssel ist nur in diesem Browser: Ohne Sicherungsdatei geht er mit dessen Daten verloren.",
    notNow: "Nicht jetzt",
    ask: "Frage etwas",
    askHow:
      "Jede Frage durchläuft sechs Schritte, denen du zusehen kannst: eine erste Antwort, was das Gedächtnis beiträgt, was wirklich gefragt ist, Muster und Lücken, ob noch eine Runde nötig ist, und die endgültige Antwort mit ihren Quellen.",
    ideas: [
      "Was merkt sich dieser Server, und wer darf es sehen?",
      "Erkläre mit einem Beispiel aus dem Alltag, was ein Zustandsautomat ist.",
    ],
  },

  threadSettings: {
    title: "Einstellungen des Threads",
    has: "mit Anweisungen",
    instructions: "Anweisungen",
    audience: (isPublic) =>
      `Jede Antwort soll sich an sie halten. ${isPublic ? "Dieser Thread ist öffentlich: wer angemeldet ist, kann sie lesen." : "Seine Mitautoren können sie lesen."} Ein begonnener Lauf behält die, mit denen er begann.`,
    characters: (length, limit) => `${COUNT.format(length)} von ${COUNT.format(limit)} Zeichen`,
    model: "Modell",
    own: "Das des Servers",
    ownOf: (model) => `Das des Servers (${model})`,
    gone: (model) =>
      `${model} war gewählt und wird nicht mehr angeboten: Es antwortet das Modell des Servers.`,
    noOther: "Dieser Server bietet kein anderes an.",
    none: "Keine.",
    whoSets: "Seine Mitautoren legen sie fest, solange der Thread aktiv ist.",
    save: "Speichern",
    notSaved: "Die Einstellungen bleiben, wie sie sind",
    changed: (name, before, after) => {
      const done = [];
      if (before.instructions !== after.instructions)
        done.push(
          !before.instructions
            ? "hat Anweisungen gegeben"
            : after.instructions
              ? "hat die Anweisungen geändert"
              : "hat die Anweisungen zurückgenommen",
        );
      if (before.model !== after.model)
        done.push(
          after.model
            ? `hat das Modell ${after.model} gewählt`
            : "hat das Modell des Servers gewählt",
        );
      return `${name} ${done.join(" und ") || "hat die Einstellungen gelassen, wie sie sind"}`;
    },
  },

  dialogs: {
    visibility: "Wer es lesen darf (für immer festgelegt)",
    private: "Privat",
    privateMeans: "Nur die Mitschreibenden wissen davon.",
    public: "Öffentlich",
    publicMeans:
      "Alle Angemeldeten dürfen lesen; was Außenstehende einreichen, wartet auf Zustimmung.",
    create: "Anlegen",
    renameTitle: "Dieses Gespräch umbenennen",
    rename: "Umbenennen",
    keepsName: "Das Gespräch behält seinen Namen",
    coAuthors: "Mitschreibende",
    invited: "Eingeladen",
    inviteKey: "Mit öffentlichem Schlüssel einladen",
    keyLooks: "base58, 43 oder 44 Zeichen",
    invite: "Einladen",
    nobodyInvited: "Niemand wurde eingeladen",
    inviteHow:
      "Dabei ist, wer annimmt. Jeder findet den eigenen Schlüssel unter dem eigenen Namen, am Ende der Liste der Gespräche.",
    leave: "Dieses Gespräch verlassen",
    confirmLeave: "Verlassen? Die anderen machen weiter; zurück kommst du nur mit einer Einladung.",
    stillIn: "Du bist noch dabei",
    remove: "Ausschließen",
    confirmRemove: (name) => `Vorschlagen, ${name} auszuschließen? Alle anderen müssen zustimmen.`,
    nothingProposed: "Nichts wurde vorgeschlagen",
    takeBack: "Zurücknehmen",
    invitedBy: (name) => ` — eingeladen von ${name}`,
    confirmArchive:
      "Dieses Gespräch archivieren? Seine Läufe enden, Wartendes verfällt, und danach wird es nur noch gelesen.",
    notArchived: "Das Gespräch wurde nicht archiviert",
  },

  acquaintances: {
    title: "Mit Namen einladen",
    search: "Jemand, mit dem du ein Gespräch teilst",
    more: (count) => `und ${COUNT.format(count)} weitere: Schreib einen Teil des Namens`,
    confirm: (name, stub) =>
      `${name} (${stub}) einladen? Namen sind nicht eindeutig: Der Schlüssel sagt, wer es ist.`,
    inviteWhom: (name) => `${name} einladen`,
    shared: (threads, count) =>
      `in ${threads.join(", ")}${count > threads.length ? ` und ${count - threads.length} weiteren` : ""}`,
    notListed: "Wen du kennst, war nicht zu erfahren",
  },

  links: {
    title: "Mit einem Link einladen",
    how: "Wer ihn als Erstes öffnet, schreibt mit und liest alles, was hier gesagt wurde.",
    validFor: "Gültig für",
    make: "Link erzeugen",
    notMade: "Kein Link wurde erzeugt",
    address: "Der Link, nur jetzt zu sehen",
    copy: "Link kopieren",
    copied: "Der Einladungslink ist kopiert.",
    once: (moment) => `Für eine Person, bis ${moment}.`,
    madeBy: (name) => `Ein offener Link von ${name} — `,
    stands: "Der Link bleibt offen",
    invitation: "Eine Einladung",
    joining: "Wer dabei ist, liest das ganze Gespräch, und die anderen sehen Namen und Schlüssel.",
    join: "Mitschreiben",
    over: "Dieser Link führt nirgendwohin: Er wurde benutzt, zurückgenommen oder ist abgelaufen.",
    notOpened: "Wohin der Link führt, war nicht zu erfahren",
  },

  settings: {
    title: "Einstellungen",
    name: "Dein Name",
    saveName: "Namen speichern",
    keys: "Tasten",
    signOut: "Abmelden",
    signOutForget: "Abmelden und Schlüssel vergessen",
    confirmForget: "Ohne Sicherungsdatei ist dieser Schlüssel für immer weg. Vergessen?",
    looks: "Aussehen",
    theme: "Farben",
    themes: { system: "Wie das System", light: "Hell", dark: "Dunkel" },
    language: "Sprache",
    languageOfBrowser: "Wie der Browser",
    showSteps: "Die Schritte des Laufs über dem Gespräch zeigen",
    yourKey: "Dein Schlüssel",
    keyMeans: "Er ist überall dein Name. Gib ihn, wem du eine Einladung zutraust.",
    copyKey: "Deinen Schlüssel kopieren",
    keyCopied: "Dein Schlüssel ist kopiert.",
    secret:
      "Seine geheime Hälfte ist nur in diesem Browser. Mit einer Sicherungsdatei bist du in einem anderen dieselbe Person; ohne sie geht mit den Daten dieses Browsers verloren, was du darfst.",
    shortcuts: [
      [["Enter"], "sendet die Frage"],
      [["Umschalt", "Enter"], "bricht die Zeile um"],
      [["\u2191"], "im leeren Feld: bearbeitet deine letzte Frage"],
      [["@"], "erwähnt, wer mitschreibt: Eine Liste ergänzt den Namen"],
      [["Escape"], "hält den Lauf an, den die Taste über der Eingabe nennt"],
      [["Strg", "K"], "sucht"],
      [["Strg", "I"], "öffnet den Eingang"],
      [["Strg", "M"], "öffnet die Automaten"],
      [["?"], "zeigt diese Einstellungen"],
      [["+", "\u2212", "0"], "in einer Zeichnung: größer, kleiner, ganz"],
      [["Pfeile"], "in Reitern, Zeichnungen und im Abspielen: weiter und zurück"],
    ],
  },

  message: {
    edit: "Diese Frage bearbeiten",
    edited: "bearbeitet",
    replaced: "eine andere Antwort wurde übernommen",
    showEarlier: "Frühere Fassung zeigen",
    hideEarlier: "Frühere Fassung ausblenden",
    hide: "Diese Nachricht ausblenden",
    showAgain: "Diese Nachricht wieder einblenden",
    showHidden: "Von dir ausgeblendet. Zeigen",
    foldHidden: "Von dir ausgeblendet. Zuklappen",
    statuses: {
      superseded: "antwortet auf eine frühere Fassung",
      submitted: "eingereicht",
      pending: "wartet auf Zustimmung",
      rejected: "abgelehnt",
      expired: "verfallen",
      withdrawn: "zurückgezogen",
    },
    wayUp: "Antwort auf eine frühere Frage: zeige sie",
    copy: "Diese Nachricht kopieren",
    copied: "Die Nachricht ist kopiert.",
    showMachines: "Ihre Automaten zeigen",
    hidden: "Was hier steht, sehen nur die Mitschreibenden und wer es schrieb.",
  },

  citation: {
    looking: "Wird nachgeschlagen…",
    unreadable: "Was hier angeführt ist, war nicht zu lesen.",
  },

  run: {
    title: "Wie dies beantwortet wird",
    stop: "Anhalten",
    retry: "Noch einmal",
    replay: "Abspielen",
    reading: "Liest das Journal…",
    failed: (trouble, message) =>
      `Der Lauf ist gescheitert. ${trouble}.${message && ` („${message}“)`}`,
    waits: (why) => `Der Lauf wartet. („${why}“)`,
    howAnswered: "Wie dies beantwortet wurde",
    whatBecame: "Was daraus wurde",
    queued: (before, isAll) => {
      if (before === 0) return isAll ? "Wartet: kommt als Nächstes" : "Wartet, bis er dran ist";
      return `Wartet: ${isAll ? "" : "mindestens "}${many(before, "Lauf", "Läufe")} davor`;
    },
    loop: (iteration) => `Runde ${iteration}`,
    recovering: (step, attempt) => `Erholt sich: ${step}, Versuch ${attempt}`,
    steps: (count) => many(count, "Schritt", "Schritte"),
    loops: (count) => many(count, "Runde", "Runden"),
    sources: (count) => many(count, "Quelle", "Quellen"),
    tokens: (count) => many(count, "Token", "Tokens"),
    failedAt: (step) => `Gescheitert bei ${step}`,
    takenBack: "Zurückgenommen, bevor es begann",
    takenBackBy: (by) => `Von ${by ?? "dir"} zurückgenommen, bevor es begann`,
    stoppedAt: (step) => `Angehalten bei ${step}`,
    stoppedBy: (by, step) => `Von ${by ?? "dir"} angehalten bei ${step}`,
  },

  strip: {
    title: "Der Lauf, Schritt für Schritt",
    about: (excerpt) => `Der Lauf von „${excerpt}“`,
    states: {
      running: "läuft",
      recovering: "erholt sich",
      completed: "fertig",
      skipped: "übersprungen",
      kept: "behalten",
      stopped: "angehalten",
      failed: "gescheitert",
    },
    health: {
      queued: "wartet",
      running: "stabil",
      recovering: "erholt sich",
      finished: "fertig",
      failed: "gescheitert",
      cancelled: "angehalten",
    },
    attempt: (attempt) => `Versuch ${attempt}`,
  },

  step: {
    skipped: "übersprungen",
    kept: "behalten, nicht noch einmal gefragt",
    found: (count) => `${COUNT.format(count)} gefunden`,
    loopTitle: (iteration) => `Runde ${iteration}`,
    thinking: (characters) => `Denkt, ${COUNT.format(characters)} Zeichen`,
    thought: (characters) => `Gedacht, ${COUNT.format(characters)} Zeichen`,
    attempt: (attempt, why) => `Versuch ${attempt}: ${why}`,
    triedAgain: (seconds) => ` Neuer Versuch nach ${seconds} s.`,
    hadWritten: "Was es geschrieben hatte",
    enough: "Genug: Das ist die Antwort.",
    insights: "Einsichten",
    askedFor: "Gefragt",
    beneath: "Dahinter",
    patterns: "Muster",
    gaps: "Lücken",
    chosen: "Gewählt: ",
    loopsAgain: (query) => `Noch eine Runde${query ? `, mit der Suche nach „${query}“` : ""}.`,
    goesOn: "Genug: weiter zur Antwort.",
    confidence: (value) => `Zuversicht ${value}`,
    noMemory: "Das Gedächtnis war nicht zu durchsuchen; der Lauf ging ohne es weiter.",
    nothingNear: "Das Gedächtnis hat nichts, was dem nahe ist.",
    priors: "Was das Gedächtnis hat",
    used: "verwendet",
    usedWhy: "von Experience herangezogen",
    selected: "gewählt",
    selectedWhy: "von Intention gewählt",
    citedWhy: "in der Antwort angeführt",
    cited: (label) => `angeführt als ${label}`,
    read: (count) => `${COUNT.format(count)} gelesen`,
    written: (count) => `${COUNT.format(count)} geschrieben`,
  },

  machines: {
    which: "Welcher Automat",
    tabs: {
      chorus: "Lauf",
      message: "Nachricht",
      thread: "Gespräch",
      invitation: "Einladung",
      invite_link: "Einladungslink",
      removal: "Ausschluss",
      branch: "Zweig",
      connection: "Verbindung",
    },
    whole: "Ganz",
    replay: "Abspielen",
    smaller: "Kleiner",
    larger: "Größer",
    close: "Automaten schließen",
    replayOf: (about) => `Abspielen: ${about}`,
    missing: "Die Zeichnung kam nicht an.",
    now: "Jetzt ",
    nothingYet: "noch nichts",
    path: (count) => `Der Weg in Worten (${COUNT.format(count)})`,
    within: (state) => `in ${state}`,
    fromTo: (source, target) => `von ${source} nach ${target}`,
    noTransition: "Noch kein Übergang.",
    because: ", denn ",
    and: " und ",
    askedFor: " Verlangt wurde: ",
    did: " Getan wurde: ",
    wasFalse: ", denn es stimmte nicht: ",
    noEdge: ", denn von dort führt keine Kante weiter",
    refusedIn: (state) => ` wurde abgelehnt in ${state}`,
    possible: (events) => ` Jetzt möglich: ${events}.`,
    drawing: (machine) =>
      `Zeichnung des Automaten ${machine}; ziehen verschiebt sie, Plus und Minus ändern die Größe`,
    ownConnection: "Die Verbindung dieser Seite",
    noThread: "Kein Gespräch ist offen.",
    nothingSaid: "Noch nichts wurde gesagt.",
    thisThread: "Dieses Gespräch, seit die Seite es geöffnet hat",
    none: {
      invitation: "Keine Einladung, seit die Seite dieses Gespräch geöffnet hat.",
      invite_link: "Kein Einladungslink, seit die Seite dieses Gespräch geöffnet hat.",
      removal: "Kein Ausschluss, seit die Seite dieses Gespräch geöffnet hat.",
      branch: "Kein Lauf hat sich verzweigt, seit die Seite dieses Gespräch geöffnet hat.",
    },
    last: {
      invitation: "Die letzte Einladung in diesem Gespräch",
      invite_link: "Der letzte Einladungslink in dieses Gespräch",
      removal: "Der letzte Ausschluss in diesem Gespräch",
      branch: "Der letzte Zweig in diesem Gespräch",
    },
    theMessage: (excerpt) => (excerpt === null ? "Eine Nachricht" : `Die Nachricht „${excerpt}“`),
    noRun: (status) => `Diese Nachricht hat keinen Lauf${status ? ` (${status})` : ""}.`,
    ofThisPrompt: "Zu dieser Frage",
    whichRun: (number, isFork, status) =>
      `${number}: ${isFork ? "Zweig" : "Lauf"}${status ? `, ${status}` : ""}`,
    theRun: (excerpt) => `Der Lauf von „${excerpt}“`,
    theRunBefore: (excerpt) =>
      `Der Lauf von „${excerpt}“, bevor eine andere Antwort übernommen wurde; wie diese entstand, erfahren nur die Mitschreibenden`,
  },

  why: {
    title: "Warum",
    summary: (count, took) =>
      `${many(count, "Übergang", "Übergänge")} in ${took}. Auf und ab führen von einem zum nächsten; Escape führt zurück zu jetzt.`,
    now: "Zurück zu jetzt",
    kept: "Behalten, nicht noch einmal gefragt. Was wäre, nach",
    notRead: "Warum es so kam, ließ sich nicht lesen.",
    judged: {
      executed: "Dem heutigen Automaten noch einmal gegeben, mit demselben Ergebnis.",
      recorded:
        "Nach der Beschreibung des Automaten von damals und den Bedingungen, die festgehalten sind.",
      declared:
        "Nach der Beschreibung des Automaten von damals; was die Bedingungen ergaben, ist nicht festgehalten.",
      unknown: "Wie der Automat damals beschrieben war, ist nicht bekannt.",
      contradicted: "Der heutige Automat kommt damit zu etwas anderem.",
    },
    isTrue: "wahr",
    isFalse: "falsch",
    asItWas: (about, count) => `Wie es nach ${many(count, "Übergang", "Übergängen")} war: ${about}`,
    entry: (seq, at) => `Eintrag ${COUNT.format(seq)}, ${at}`,
    verdicts: {
      taken: (target) => `Genommen: nach ${target}`,
      passed_over: (target) => `Nicht genommen: nach ${target}`,
      not_tried: (target) => `Nicht gefragt, denn eine Kante davor wurde genommen: nach ${target}`,
      not_recorded: (target) =>
        `Nicht genommen, und eine frühere Version hielt nicht fest, warum: nach ${target}`,
    },
    brought: (effect, event, seq, after) =>
      `${effect}: brachte „${event}“ in Eintrag ${COUNT.format(seq)}, nach ${after}`,
  },

  heat: {
    title: "Wärme",
    period: "Zeitraum",
    periods: { hour: "Letzte Stunde", day: "Letzter Tag", week: "Letzte Woche", all: "Alles" },
    how: "In diesem Thread. Breitere Kanten von stärkerer Farbe wurden öfter genommen, Zustände von stärkerer Farbe länger gehalten (p95).",
    counted: (from, to) =>
      `Gezählt von ${from ?? "Anfang an"} bis ${to ?? "jetzt"}, nach ganzen Stunden.`,
    scale: "Skala",
    scaleOfEdges: "Eine Kante: wie oft sie genommen wurde",
    scaleOfStates: "Ein Zustand: wie lange er gehalten wurde, p95",
    logarithmic: (what) => `${what}, logarithmische Skala, ab`,
    never: "nie genommen",
    refusedAt: (guard, count) => `abgelehnt ×${COUNT.format(count)} von ${guard}`,
    uncounted: (count) => `${COUNT.format(count)} Einträge sind noch nicht gezählt.`,
    nothing: "Es geschah nichts.",
    states: "Gehalten: wie oft, p50, p95",
    edges: "Genommen",
    refused: "Abgelehnt von",
    passedOver: "Hielt eine frühere Kante zu",
    noEdge: "keine Kante",
    notRead: "Was der Automat tat, ließ sich nicht lesen",
    held: (p50, p95) => `p50 ${p50}, p95 ${p95}`,
    tokens: (asked, answered) => `${COUNT.format(asked)} + ${COUNT.format(answered)} Tokens`,
  },

  past: {
    open: "Wie es war …",
    title: "Das Gespräch, wie es war",
    position: "Eintrag des Journals",
    time: "Zeit",
    back: "Einen Eintrag zurück",
    on: "Einen Eintrag weiter",
    now: "Zurück zu jetzt",
    notRead: "Die Vergangenheit des Gesprächs ließ sich nicht lesen.",
    readOnly: "Das ist die Vergangenheit und nur zu lesen; Escape führt zurück zu jetzt.",
    tooEarly: "Da gab es das Gespräch noch nicht.",
    gathering: (gathered, of) =>
      `Die Vergangenheit wird zum ersten Mal gelesen: ${COUNT.format(gathered)} von ${COUNT.format(of)} Einträgen.`,
    words: (seq, head, at, what) =>
      `Wie es nach Eintrag ${COUNT.format(seq)} von ${COUNT.format(head)} war, ${at}: ${what}. Nur zu lesen; Escape führt zurück zu jetzt.`,
  },

  replay: {
    title: "Abspielen",
    position: "Stelle im Journal",
    back: "Einen Schritt zurück",
    on: "Einen Schritt weiter",
    end: "Abspielen beenden",
    play: "Abspielen",
    pause: "Pause",
    empty: "Das Journal enthält davon nichts, was du lesen darfst.",
    before: "vor dem Anfang",
    at: (position, length, what) => `${position} von ${length}: ${what}`,
    by: (event, name) => `${event} von ${name}`,
  },

  code: { copy: "Diesen Code kopieren", copied: "Der Code ist kopiert." },
  markup: { table: "Tabelle" },

  export: {
    threadOf: (visibility) =>
      `Ein ${visibility === "public" ? "öffentliches" : "privates"} Gespräch von`,
    notShown: "(dir nicht gezeigt)",
    message: (id) => `Nachricht ${id}`,
    thread: "gespraech",
  },
};
