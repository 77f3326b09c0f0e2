// The wire protocol, generated from machines/models by `make types`; not to be edited.

/** Become a co-author of the thread that one is invited into. */
export interface AcceptInvitationRequest {
  id: string;
  type: "accept_invitation";
  data: ThreadRef;
}

/** Become a co-author by a link. */
export interface AcceptInviteLinkRequest {
  id: string;
  type: "accept_invite_link";
  data: InviteLinkRef;
}

export interface AcceptedData {
  thread_id: string | null;
  /** Of the last journal entry that carried it out. */
  seq: number | null;
  message_id: string | null;
  /** null where no run belongs to the request, or the message waits for approval. */
  run_id: string | null;
  /** With `fork_run` alone: the branch that `run_id` grows. */
  branch_id?: string;
  /** With `create_invite_link` alone. */
  link?: NewInviteLink;
}

/** The request is carried out, durably. */
export interface AcceptedFrame {
  type: "accepted";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: AcceptedData;
}

/** The first answer without priors: text alone. */
export interface ActionOutput {
  step: "action";
  /** Whether the text is the answer already, so that no other step is needed. */
  enough?: boolean;
}

/** One elector's vote. */
export interface ApprovalView {
  co_author: string;
  decision: Decision;
  /** null also for those who may not see it. */
  reason: string | null;
  at: string;
}

/** Vote for a pending message. */
export interface ApproveMessageRequest {
  id: string;
  type: "approve_message";
  data: MessageRef;
}

/** End a thread: from then on it is only read. */
export interface ArchiveThreadRequest {
  id: string;
  type: "archive_thread";
  data: ThreadRef;
}

/** What a run was asked with: its prompt, and the instructions and the model that its thread had then. */
export interface AskedWith {
  prompt: string;
  instructions?: string;
  /** The model that it asks, where that is not the server's own. */
  model?: string;
}

export interface AuthenticateData {
  /** Of the UTF-8 bytes of the challenge's statement. */
  signature: string;
}

/** Prove the key that `ConnectRequest` named. */
export interface AuthenticateRequest {
  id: string;
  type: "authenticate";
  data: AuthenticateData;
}

/** A request about a branch of a thread. */
export interface BranchRef {
  thread_id: string;
  branch_id: string;
}

/** States of the branch chart; `FORKED` lasts only inside the transaction that forks. */
export type BranchStatus =
  | "forked"
  | "growing"
  | "ready"
  | "proposed"
  | "adopted"
  | "rejected"
  | "expired"
  | "failed"
  | "discarded";

/** What becomes of a forked run, for co-authors alone; its texts are those of the run. */
export interface BranchView {
  id: string;
  /** The prompt that its run answers. */
  message_id: string;
  /** The forked run. */
  run_id: string;
  /** The run that it left, after `step` of `iteration`. */
  origin_run_id: string;
  /** How many forks its run descends from, itself counted; at most `MAX_GENERATIONS`. */
  generation?: number;
  step: StepEnum;
  iteration: number;
  change: ChangeKind;
  made_by: string;
  status: BranchStatus;
  proposed_by?: string;
  electors: readonly string[];
  votes: readonly BranchVoteView[];
  created_at: string;
  /** When it ends undecided, once its answer is there; a proposal begins the time anew. */
  expires_at: string;
}

/** One elector's vote on a branch. */
export interface BranchVoteView {
  co_author: string;
  decision: Decision;
  at: string;
}

/** Stop a run. */
export interface CancelRunRequest {
  id: string;
  type: "cancel_run";
  data: RunRef;
}

export interface ChallengeData {
  /** The exact UTF-8 text to sign. */
  statement: string;
  nonce: string;
  expires_at: string;
}

/** What to sign, if it names the host that was dialled and one's own key. */
export interface ChallengeFrame {
  type: "challenge";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: ChallengeData;
}

/** What a fork changes; the rest stays as it was in the run that it leaves. */
export type ChangeKind = "step_text" | "prompt" | "model" | "instructions";

/** What a fork changed. */
export interface ChangeView {
  kind: ChangeKind;
  /** The new text; empty for no instructions. */
  text?: string;
  /** In place of `text`, where the model was changed. */
  model?: string;
}

export type ChorusResponseData =
  | RunQueuedData
  | StepStartedData
  | StepDeltaData
  | StepThinkingData
  | StepCompletedData
  | StepRecoveringData
  | RunFinishedData
  | RunFailedData
  | RunCancelledData;

/** A run goes on. With `seq` it is a journal entry, without it is a passing delta. */
export interface ChorusResponseFrame {
  type: "chorus_response";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: ChorusResponseData;
}

/** A label in an answer's text, resolved to the prior that was supplied under it. */
export interface Citation {
  /** As it stands between brackets in the text, e.g. `P3`. */
  label: string;
  message_id: string;
  thread_id: string;
}

/** A request about a co-author of a thread. */
export interface CoAuthorRef {
  thread_id: string;
  /** Canonical base58 of the 32 bytes of an ed25519 public key. */
  public_key: string;
}

export interface CompareRunsData {
  thread_id: string;
  run_id: string;
  other_run_id: string;
}

/** Read two runs of a thread side by side. */
export interface CompareRunsRequest {
  id: string;
  type: "compare_runs";
  data: CompareRunsData;
}

export interface ComparisonData {
  one: RunPath;
  other: RunPath;
  /** So many edges at the beginning of both ways are of the one same run. */
  common_edges: number;
  /** Of the steps that both completed, in order. */
  steps: readonly StepDifference[];
  /** Of the texts of the last steps, where both runs have their answers. */
  answers?: readonly Span[];
}

/** Two runs of a thread side by side. Where it is `shortened`, spans may reach beyond a text's end. */
export interface ComparisonFrame {
  type: "comparison";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: ComparisonData;
}

export interface ConfigureThreadData {
  thread_id: string;
  /** What every answer is to keep to; blank for nothing. */
  instructions: string;
  /** One of `models` of `hello`; null is the server's own. */
  model: string | null;
}

/** Say what the thread's answers are to keep to, and which model gives them. */
export interface ConfigureThreadRequest {
  id: string;
  type: "configure_thread";
  data: ConfigureThreadData;
}

export interface ConnectData {
  /** Canonical base58 of the 32 bytes of an ed25519 public key. */
  public_key: string;
}

/** Name the key to sign in with; next comes `AuthenticateRequest`. */
export interface ConnectRequest {
  id: string;
  type: "connect";
  data: ConnectData;
}

export interface CreateInviteLinkData {
  thread_id: string;
  expires_in_hours?: number;
}

/** Make an address that lets one user in, whoever it is given to. */
export interface CreateInviteLinkRequest {
  id: string;
  type: "create_invite_link";
  data: CreateInviteLinkData;
}

export interface CreateThreadData {
  /** 1 to 80 characters once stripped, none a control character */
  name: string;
  visibility?: Visibility;
  /** The caller's own, where it is given; another's is `forbidden`. */
  user_id?: string | null;
}

/** Open a thread with the caller as its first co-author. */
export interface CreateThreadRequest {
  id: string;
  type: "create_thread";
  data: CreateThreadData;
}

/** How an elector voted. */
export type Decision = "approve" | "reject";

/** Stay outside of the thread that one is invited into. */
export interface DeclineInvitationRequest {
  id: string;
  type: "decline_invitation";
  data: ThreadRef;
}

/** Give one's own branch up. */
export interface DiscardBranchRequest {
  id: string;
  type: "discard_branch";
  data: BranchRef;
}

/** An effect that a transition emitted. */
export interface EffectView {
  effect: string;
  /** The event that it came back as, in the entry `seq`, after so many milliseconds. */
  brought?: string;
  seq?: number;
  after_ms?: number;
}

/** What the memory is searched with. */
export interface EmbedderInfo {
  name: string;
  /** false for keyword search. */
  semantic: boolean;
}

/** The codes of PROTOCOL; names are final. */
export type ErrorCode =
  | "bad_json"
  | "bad_frame"
  | "unknown_type"
  | "invalid_field"
  | "too_large"
  | "not_authenticated"
  | "auth_failed"
  | "forbidden"
  | "not_found"
  | "conflict"
  | "invalid_transition"
  | "rate_limited"
  | "thread_busy"
  | "ai_unavailable"
  | "ai_rejected"
  | "ai_invalid_output"
  | "chart_changed"
  | "storage_unavailable"
  | "shutting_down"
  | "internal";

export interface ErrorData {
  code: ErrorCode;
  /** One sentence for a person: no stack trace, path, key or upstream text. */
  message: string;
  retryable: boolean;
  retry_after_ms?: number;
  /** JSON values. */
  details?: Record<string, unknown>;
}

/** A request is refused, or (`re: null`) something failed that no valid id belongs to. */
export interface ErrorFrame {
  type: "error";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: ErrorData;
}

export interface EventsData {
  /** Consecutive entries, each the frame in its live form. */
  entries: readonly LiveFrame[];
  head_seq: number;
  has_more: boolean;
}

/** A page of a thread's journal. */
export interface EventsFrame {
  type: "events";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: EventsData;
}

/** What the priors add. */
export interface ExperienceOutput {
  step: "experience";
  key_insights: readonly string[];
  /** Priors that the synthesis drew on, a subset of those supplied. */
  used: readonly string[];
}

export interface ExplainRunData {
  thread_id: string;
  run_id: string;
  /** Of the last transition that was told, where one frame did not hold all. */
  after_seq?: number;
}

/** Ask why a run did what it did. */
export interface ExplainRunRequest {
  id: string;
  type: "explain_run";
  data: ExplainRunData;
}

export interface ExplainValueData {
  thread_id: string;
  /** Of a message, invitation, link, removal, branch or run. */
  value_id: string;
  /** As in `ExplainRunData`. */
  after_seq?: number;
}

/** Ask why a message, invitation, link, removal, branch or run became what it is. */
export interface ExplainValueRequest {
  id: string;
  type: "explain_value";
  data: ExplainValueData;
}

/** Why one transition was taken, and what came of it. */
export interface ExplainedTransition {
  seq: number;
  at: string;
  /** Since the transition before it, or since the run came to be. */
  after_ms: number;
  transition: TransitionView;
  /** What matters of the event: its short fields, tokens, and how many there are of what it lists. */
  facts: Record<string, boolean | number | number | string>;
  /** false where no declaration of the machine as it was is known: then `edges` is empty. */
  is_declared: boolean;
  judged: "executed" | "recorded" | "declared" | "unknown" | "contradicted";
  /** In the order in which they are tried. */
  edges: readonly TriedEdgeView[];
  effects: readonly EffectView[];
}

/** Of an answer that was adopted: where it comes from. */
export interface ForkMark {
  branch_id: string;
  /** The run that it left. */
  run_id: string;
  step: StepEnum;
  iteration: number;
  change: ChangeKind;
}

export interface ForkRunData {
  thread_id: string;
  run_id: string;
  /** A completed one. */
  step: StepEnum;
  iteration?: number;
  change: TextChange | InstructionsChange | ModelChange;
}

/** Go on from a completed step of a run with one change, as a run of its own. */
export interface ForkRunRequest {
  id: string;
  type: "fork_run";
  data: ForkRunData;
}

export interface GetEventsData {
  thread_id: string;
  after_seq: number;
  limit?: number;
}

/** Read a thread's journal. */
export interface GetEventsRequest {
  id: string;
  type: "get_events";
  data: GetEventsData;
}

export interface GetHeatData {
  thread_id: string;
  machine: "chorus" | "message" | "thread" | "invitation" | "invite_link" | "removal" | "branch";
  /** Widened to a whole hour, as `until` is; null is the beginning. */
  since?: string | null;
  /** null is now. */
  until?: string | null;
}

/** Ask how often a machine took each edge in a thread, and how long it stayed in each state. */
export interface GetHeatRequest {
  id: string;
  type: "get_heat";
  data: GetHeatData;
}

export interface GetInboxData {
  /** The `next` of the page before. */
  after?: string | null;
  limit?: number;
}

/** What awaits one's answer, and where one is mentioned. */
export interface GetInboxRequest {
  id: string;
  type: "get_inbox";
  data: GetInboxData;
}

/** Which moment is meant says one of `at_seq` and `at`. */
export interface GetPastData {
  thread_id: string;
  at_seq?: number | null;
  /** The last entry that was not made later. */
  at?: string | null;
  limit?: number;
  /** Page back from this index. */
  before_index?: number | null;
}

/** Read a thread as it was after an earlier entry; changes nothing of what is followed. */
export interface GetPastRequest {
  id: string;
  type: "get_past";
  data: GetPastData;
}

export interface GetThreadData {
  thread_id: string;
  limit?: number;
  /** Page back from this index; then nothing is followed. */
  before_index?: number | null;
  /** Catch up from here before the live frames. */
  after_seq?: number | null;
  /** The epoch that `after_seq` was learnt in. */
  epoch?: string | null;
}

/** Read a thread and follow it, or page back in it. */
export interface GetThreadRequest {
  id: string;
  type: "get_thread";
  data: GetThreadData;
}

/** How often a guard was false for an event. */
export interface GuardCount {
  event: string;
  /** With `not ` before it where it had to be false; empty where the state has no edge for the event. */
  guard: string;
  count: number;
}

/** A guard of an edge. */
export interface GuardView {
  name: string;
  /** What it must say for the edge to be taken. */
  expected: boolean;
  /** What it said; null where it was not asked, or that is not recorded. */
  value: boolean | null;
}

export interface HeatData {
  thread_id: string;
  /** A whole hour, included; null is the beginning. */
  since: string | null;
  /** A whole hour, not included; null is now. */
  until: string | null;
  heat: MachineHeat;
  /**
   * The scale of its edges' counts: with which count each of five classes begins, by logarithms. One where
   * all counts are alike; none where there are none. Of classes that begin alike the last is meant.
   */
  edge_steps: readonly number[];
  /** Likewise of its states' p95. */
  state_steps_ms: readonly number[];
  /** Entries of the newest, of all threads, that are not counted yet and may be missing; almost always 0. */
  uncounted: number;
}

/** The reply to `get_heat`. */
export interface HeatFrame {
  type: "heat";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: HeatData;
}

/** How long values stood in a state, from entering it to leaving it. */
export interface HeldTimes {
  /** How many left it. */
  count: number;
  p50_ms: number;
  p95_ms: number;
}

export interface HelloData {
  protocol: number;
  server_time: string;
  /** Changes when the store was restored or rebuilt: a remembered `seq` is then void. */
  epoch: string;
  limits: LimitsView;
  model: ModelInfo;
  /** Names that a thread's model may have, the server's own first; none of the offline responder. */
  models: readonly string[];
  embedder: EmbedderInfo;
  heartbeat_seconds: number;
}

/** The first frame of a connection. */
export interface HelloFrame {
  type: "hello";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: HelloData;
}

export interface HideMessageData {
  thread_id: string;
  message_id: string;
  /** false shows it again. */
  hidden: boolean;
}

/** Fold a message away for oneself, or show it again; nobody else is told. */
export interface HideMessageRequest {
  id: string;
  type: "hide_message";
  data: HideMessageData;
}

export interface HideThreadData {
  thread_id: string;
  /** false shows it again. */
  hidden: boolean;
}

/** Leave a thread out of one's own list, or list it again; nobody else is told. */
export interface HideThreadRequest {
  id: string;
  type: "hide_thread";
  data: HideThreadData;
}

export interface InboxData {
  /** What awaits an answer, the newest first; then mentions, the newest first. */
  items: readonly InboxItem[];
  /** What waits, and mentions that are not read, on all pages; 100 where there are more. */
  count: number;
  /** What to ask `after` for; null at the end. */
  next: string | null;
}

/** A page of what awaits the user's answer, and of where they are mentioned. */
export interface InboxFrame {
  type: "inbox";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: InboxData;
}

/** Something that awaits the user's answer, or mentions them. */
export interface InboxItem {
  kind: "vote" | "removal" | "branch" | "invitation" | "mention";
  thread_id: string;
  thread_name: string;
  /** Who asks, invites, or mentions the user. */
  by: string | null;
  by_name: string | null;
  at: string;
  /** Of what awaits an answer: until when. */
  expires_at?: string;
  /** With `vote` and `mention`; with `branch` the prompt. */
  message_id?: string;
  /** With `branch`. */
  branch_id?: string;
  /** With `vote` and `mention`: the beginning of the message, and `…` where it goes on. */
  excerpt?: string;
  /** With `removal`: the co-author who is named. */
  public_key?: string;
  /** What that co-author is called. */
  name?: string;
  /** With `mention`: what `mark_read` must reach, so that it is read. */
  seq?: number;
  /** With `mention`. */
  unread?: boolean;
}

export interface InitData {
  user: UserView;
  threads: readonly ThreadSummary[];
  /** The newest that wait for the user's answer; `list_threads` has all. */
  invitations: readonly InvitationSummary[];
  session: SessionView;
  resumed: boolean;
  /** What the session followed last. */
  thread_id: string | null;
  /** Of `threads`: what to ask `list_threads` of one's own `after` for; null at the end. */
  next: string | null;
}

/** The person is signed in. */
export interface InitFrame {
  type: "init";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: InitData;
}

/** Other instructions than those of the thread's co-authors. */
export interface InstructionsChange {
  kind: "instructions";
  /** Blank for none. */
  text: string;
}

/** What the person is after, in words and beneath them. */
export interface IntentionOutput {
  step: "intention";
  explicit_intent: string;
  implicit_intent: string;
  confidence: number;
  /** A subset of the priors supplied. */
  selected_priors: readonly SelectedPrior[];
}

/** States of the invitation chart; `NAMED` lasts only inside the transaction that invites. */
export type InvitationStatus =
  "named" | "invited" | "accepted" | "declined" | "revoked" | "expired";

/** An invitation as the invited user sees it: this, and nothing else of the thread. */
export interface InvitationSummary {
  thread_id: string;
  thread_name: string;
  invited_by: string;
  invited_by_name: string | null;
  created_at: string;
  expires_at: string;
}

/** An invitation as the thread's readers see it. */
export interface InvitationView {
  id: string;
  /** Who is invited. */
  public_key: string;
  invited_by: string;
  status: InvitationStatus;
  created_at: string;
  expires_at: string;
}

export interface InviteCoAuthorData {
  thread_id: string;
  /** Canonical base58 of the 32 bytes of an ed25519 public key. */
  public_key: string;
}

/** Ask a key in: it is a co-author once it accepts. */
export interface InviteCoAuthorRequest {
  id: string;
  type: "invite_co_author";
  data: InviteCoAuthorData;
}

/** What a link says before it is used: this, and nothing else of the thread. */
export interface InviteLinkData {
  thread_name: string;
  invited_by: string;
  invited_by_name: string | null;
  expires_at: string;
  /** For who is a co-author already. */
  thread_id?: string;
}

/** What an invite link leads to. */
export interface InviteLinkFrame {
  type: "invite_link";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: InviteLinkData;
}

/** A request about a link that one was given. */
export interface InviteLinkRef {
  secret: string;
}

/** States of the link chart; `DRAFTED` lasts only inside the transaction that makes the link. */
export type InviteLinkStatus = "drafted" | "open" | "used" | "revoked" | "expired";

/** A link into a thread as the thread's readers see it; nothing of its secret. */
export interface InviteLinkView {
  id: string;
  made_by: string;
  status: InviteLinkStatus;
  created_at: string;
  expires_at: string;
}

/** Be a co-author no more. */
export interface LeaveCoAuthorshipRequest {
  id: string;
  type: "leave_co_authorship";
  data: ThreadRef;
}

/** Stop following a thread; rights stay as they are. */
export interface LeaveThreadRequest {
  id: string;
  type: "leave_thread";
  data: ThreadRef;
}

/** The bounds that a client should keep by itself; 0 is no limit for the rates. */
export interface LimitsView {
  max_frame_bytes: number;
  max_prompt_chars: number;
  max_name_chars: number;
  max_instructions_chars: number;
  prompts_per_minute: number;
  frames_per_second: number;
}

/** List the users with whom the caller shares a thread. */
export interface ListPeopleRequest {
  id: string;
  type: "list_people";
  data: NoData;
}

export interface ListThreadsData {
  scope: "mine" | "public" | "invited";
  /** The `next` of the page before. */
  after?: string | null;
  limit?: number;
  /** With `mine`: those alone that the caller hid, which are left out else. */
  hidden?: boolean;
}

/** List one's own or the public threads, the last changed first, or one's open invitations. */
export interface ListThreadsRequest {
  id: string;
  type: "list_threads";
  data: ListThreadsData;
}

export type LiveFrame = ChorusResponseFrame | ThreadEventFrame;

/** What one machine did in a period. */
export interface MachineHeat {
  machine: string;
  /** By the id of an edge, as the drawing names it: how often it was taken. */
  edges: Record<string, number>;
  /** By the name of a state: of those in which a value waits for something. */
  states: Record<string, HeldTimes>;
  /** By the name of the state of a step; of runs alone. */
  steps: Record<string, StepTokens>;
  /** Guards that refused an event, the most frequent first. */
  refused: readonly GuardCount[];
  /** Guards that closed an edge before the one that an event took; likewise. */
  passed_over: readonly GuardCount[];
}

export interface MarkReadData {
  thread_id: string;
  /** Number of the last entry that was read. */
  seq: number;
}

/** Say how far one has read a thread: mentions up to there are read. */
export interface MarkReadRequest {
  id: string;
  type: "mark_read";
  data: MarkReadData;
}

/** One co-author who is named; who share a name are named together, each by a mention. */
export interface Mention {
  public_key: string;
  /** Code points of the content before the `@`. */
  start: number;
  /** Code points of the content up to the end of the name. */
  end: number;
}

/** A request about a message of a thread. */
export interface MessageRef {
  thread_id: string;
  message_id: string;
}

/** States of the message chart; `SUBMITTED` lasts only inside the transaction that submits. */
export type MessageStatus =
  "submitted" | "pending" | "approved" | "rejected" | "expired" | "withdrawn" | "superseded";

/** A message as one audience may see it. */
export interface MessageView {
  id: string;
  thread_id: string;
  index: number;
  role: Role;
  /** null for the chorus. */
  author: string | null;
  /** null where the reader may not see content that is not approved. */
  content: string | null;
  /** Sanitised Markdown of an answer; null for what users wrote. */
  html: string | null;
  status: MessageStatus;
  approvals: readonly ApprovalView[];
  electors: readonly string[];
  expires_at: string | null;
  run_id: string | null;
  /** The message that its author wrote anew as this one, or the answer whose place it takes. */
  supersedes?: string;
  /** The message that it was written anew as, or the answer that was adopted in its place. */
  superseded_by?: string;
  /** Of an answer that was adopted: the fork that gave it. */
  forked_from?: ForkMark;
  model: string | null;
  citations: readonly Citation[];
  usage: Usage | null;
  /** true where an answer ended at its length limit. */
  cut?: boolean;
  /** Co-authors whom a user's message names; left out where the content is not shown. */
  mentions?: readonly Mention[];
  version: number;
  created_at: string;
  updated_at: string;
}

/** Another model. */
export interface ModelChange {
  kind: "model";
  /** One of `models` of `hello`. */
  model: string;
}

/** The language model that answers. */
export interface ModelInfo {
  name: string;
  /** true for the offline responder, which is no language model. */
  offline: boolean;
}

/** Requests that may be sent again with the same id. */
export type MutatingType =
  | "accept_invitation"
  | "accept_invite_link"
  | "approve_message"
  | "archive_thread"
  | "cancel_run"
  | "configure_thread"
  | "create_invite_link"
  | "create_thread"
  | "decline_invitation"
  | "discard_branch"
  | "fork_run"
  | "hide_message"
  | "hide_thread"
  | "invite_co_author"
  | "leave_co_authorship"
  | "mark_read"
  | "propose_adoption"
  | "propose_removal"
  | "reject_message"
  | "rename_thread"
  | "retry_run"
  | "revoke_invitation"
  | "revoke_invite_link"
  | "set_name"
  | "set_presence"
  | "submit_prompt"
  | "vote_on_branch"
  | "vote_on_removal"
  | "withdraw_message"
  | "withdraw_removal";

/** A link as its maker alone is told of it, once. */
export interface NewInviteLink {
  id: string;
  /** The page's address with `#join=` and this is the link. */
  secret: string;
  expires_at: string;
}

/** A request that says everything by its type. */
export interface NoData {}

export interface NoticeData {
  thread_id: string;
  /** 0 for who is invited, as nothing of the thread is told, and with `hidden`, which is no entry of it. */
  head_seq: number;
  /**
   * `storage_unavailable`: a run of the followed thread waits until the journal takes entries.
   * `invited` and `invitation_ended` are for the invited user alone. `read`: the user has read the
   * thread up to `head_seq`, on whichever connection. `hidden`: the user hid the thread, or a message of
   * it, or shows it again.
   */
  kind:
    | ThreadEventKind
    | "chorus_response"
    | "storage_unavailable"
    | "invited"
    | "invitation_ended"
    | "read"
    | "hidden";
  /** true where what is told of may have changed the user's inbox. */
  inbox?: boolean;
  /** With `storage_unavailable`: why, in a sentence. */
  message?: string;
  /** With `hidden`: whether it is hidden now. */
  hidden?: boolean;
  /** With `hidden`: the message; left out where it is the thread. */
  message_id?: string;
}

/**
 * Something happened in a thread of the user's that this connection does not follow, or to an
 * invitation of theirs, or a run of the thread that it follows waits for the journal.
 */
export interface NoticeFrame {
  type: "notice";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: NoticeData;
}

/** What shows across prompt, priors and insights, and what is missing. */
export interface ObservationOutput {
  step: "observation";
  patterns: readonly string[];
  gaps: readonly string[];
  confidence: number;
}

/** Where a run was forked. */
export interface OriginView {
  run_id: string;
  step: StepEnum;
  iteration: number;
  change: ChangeView;
}

export interface PeopleData {
  /** Those of the thread that changed last first. */
  people: readonly PersonView[];
}

/** The users with whom one shares a thread. */
export interface PeopleFrame {
  type: "people";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: PeopleData;
}

/** A user with whom the reader shares threads. */
export interface PersonView {
  public_key: string;
  /** Not unique: the key says who it is. */
  name: string | null;
  /** Names of threads that both co-author, the last changed first; some of them. */
  threads: readonly string[];
  /** How many they share, of those that were looked at. */
  thread_count: number;
}

/** Ask whether the server is there. */
export interface PingRequest {
  id: string;
  type: "ping";
  data: NoData;
}

/** Nothing: the frame says it. */
export interface PongData {}

/** The server is there. */
export interface PongFrame {
  type: "pong";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: PongData;
}

export interface PresenceData {
  /** Co-authors who follow the thread now, in the order of joining it. */
  present: readonly string[];
  /** Those who type. */
  typing: readonly string[];
}

/** Who of a thread's co-authors looks at it, and who types; passing, never in the journal. */
export interface PresenceFrame {
  type: "presence";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: PresenceData;
}

/** An approved message that vector search found. */
export interface Prior {
  message_id: string;
  thread_id: string;
  content: string;
  /** null for an answer of Chorus itself. */
  author: string | null;
  /** How close the message itself is to the query, the higher the closer. */
  score: number;
  created_at: string;
}

/** Let the co-authors vote on whether the answer of a branch stands in the thread. */
export interface ProposeAdoptionRequest {
  id: string;
  type: "propose_adoption";
  data: BranchRef;
}

/** Let all the others vote on whether a co-author stays; it is one's own vote too. */
export interface ProposeRemovalRequest {
  id: string;
  type: "propose_removal";
  data: CoAuthorRef;
}

export type ProtocolVersion = 1;

export interface RejectMessageData {
  thread_id: string;
  message_id: string;
  reason?: string | null;
}

/** Vote against a pending message. */
export interface RejectMessageRequest {
  id: string;
  type: "reject_message";
  data: RejectMessageData;
}

/** How an elector voted. */
export type RemovalDecision = "remove" | "keep";

/** States of the removal chart; `RAISED` lasts only inside the transaction that proposes. */
export type RemovalStatus = "raised" | "proposed" | "removed" | "kept" | "withdrawn" | "expired";

/** A vote on whether a co-author stays. */
export interface RemovalView {
  id: string;
  /** The co-author who is named. */
  public_key: string;
  proposed_by: string;
  status: RemovalStatus;
  electors: readonly string[];
  votes: readonly RemovalVoteView[];
  created_at: string;
  expires_at: string;
}

/** One elector's vote on a removal. */
export interface RemovalVoteView {
  co_author: string;
  decision: RemovalDecision;
  at: string;
}

export interface RenameThreadData {
  thread_id: string;
  /** 1 to 80 characters once stripped, none a control character */
  name: string;
}

/** Give a thread another name. */
export interface RenameThreadRequest {
  id: string;
  type: "rename_thread";
  data: RenameThreadData;
}

/** A part of a text that is not whole yet, as HTML; offsets count code points of the text. */
export interface RenderedText {
  start: number;
  end: number;
  /** Sanitised. */
  html: string;
}

/** The frame that answers each request, where it is not an error. */
export interface Replies {
  accept_invitation: AcceptedFrame;
  accept_invite_link: AcceptedFrame;
  approve_message: AcceptedFrame;
  archive_thread: AcceptedFrame;
  authenticate: InitFrame;
  cancel_run: AcceptedFrame;
  compare_runs: ComparisonFrame;
  configure_thread: AcceptedFrame;
  connect: ChallengeFrame;
  create_invite_link: AcceptedFrame;
  create_thread: AcceptedFrame;
  decline_invitation: AcceptedFrame;
  discard_branch: AcceptedFrame;
  explain_run: RunExplanationFrame;
  explain_value: ValueExplanationFrame;
  fork_run: AcceptedFrame;
  get_events: EventsFrame;
  get_heat: HeatFrame;
  get_inbox: InboxFrame;
  get_past: ThreadPastFrame;
  get_thread: ThreadMessagesFrame;
  hide_message: AcceptedFrame;
  hide_thread: AcceptedFrame;
  invite_co_author: AcceptedFrame;
  leave_co_authorship: AcceptedFrame;
  leave_thread: AcceptedFrame;
  list_people: PeopleFrame;
  list_threads: ThreadsFrame;
  mark_read: AcceptedFrame;
  ping: PongFrame;
  propose_adoption: AcceptedFrame;
  propose_removal: AcceptedFrame;
  reject_message: AcceptedFrame;
  rename_thread: AcceptedFrame;
  resume: InitFrame;
  retry_run: AcceptedFrame;
  revoke_invitation: AcceptedFrame;
  revoke_invite_link: AcceptedFrame;
  search: SearchResultsFrame;
  set_name: AcceptedFrame;
  set_presence: AcceptedFrame;
  sign_out: AcceptedFrame;
  submit_prompt: AcceptedFrame;
  typing: AcceptedFrame;
  view_invite_link: InviteLinkFrame;
  vote_on_branch: AcceptedFrame;
  vote_on_removal: AcceptedFrame;
  withdraw_message: AcceptedFrame;
  withdraw_removal: AcceptedFrame;
}

/** Each request by its type. */
export interface Requests {
  accept_invitation: AcceptInvitationRequest;
  accept_invite_link: AcceptInviteLinkRequest;
  approve_message: ApproveMessageRequest;
  archive_thread: ArchiveThreadRequest;
  authenticate: AuthenticateRequest;
  cancel_run: CancelRunRequest;
  compare_runs: CompareRunsRequest;
  configure_thread: ConfigureThreadRequest;
  connect: ConnectRequest;
  create_invite_link: CreateInviteLinkRequest;
  create_thread: CreateThreadRequest;
  decline_invitation: DeclineInvitationRequest;
  discard_branch: DiscardBranchRequest;
  explain_run: ExplainRunRequest;
  explain_value: ExplainValueRequest;
  fork_run: ForkRunRequest;
  get_events: GetEventsRequest;
  get_heat: GetHeatRequest;
  get_inbox: GetInboxRequest;
  get_past: GetPastRequest;
  get_thread: GetThreadRequest;
  hide_message: HideMessageRequest;
  hide_thread: HideThreadRequest;
  invite_co_author: InviteCoAuthorRequest;
  leave_co_authorship: LeaveCoAuthorshipRequest;
  leave_thread: LeaveThreadRequest;
  list_people: ListPeopleRequest;
  list_threads: ListThreadsRequest;
  mark_read: MarkReadRequest;
  ping: PingRequest;
  propose_adoption: ProposeAdoptionRequest;
  propose_removal: ProposeRemovalRequest;
  reject_message: RejectMessageRequest;
  rename_thread: RenameThreadRequest;
  resume: ResumeRequest;
  retry_run: RetryRunRequest;
  revoke_invitation: RevokeInvitationRequest;
  revoke_invite_link: RevokeInviteLinkRequest;
  search: SearchRequest;
  set_name: SetNameRequest;
  set_presence: SetPresenceRequest;
  sign_out: SignOutRequest;
  submit_prompt: SubmitPromptRequest;
  typing: TypingRequest;
  view_invite_link: ViewInviteLinkRequest;
  vote_on_branch: VoteOnBranchRequest;
  vote_on_removal: VoteOnRemovalRequest;
  withdraw_message: WithdrawMessageRequest;
  withdraw_removal: WithdrawRemovalRequest;
}

export interface ResumeData {
  token: string;
}

/** Take up a session, in place of `ConnectRequest`. */
export interface ResumeRequest {
  id: string;
  type: "resume";
  data: ResumeData;
}

/** Run a message again whose run failed or was cancelled. */
export interface RetryRunRequest {
  id: string;
  type: "retry_run";
  data: RunRef;
}

export interface RevokeInvitationData {
  thread_id: string;
  /** Canonical base58 of the 32 bytes of an ed25519 public key. */
  public_key: string;
}

/** Take the open invitation of a key back. */
export interface RevokeInvitationRequest {
  id: string;
  type: "revoke_invitation";
  data: RevokeInvitationData;
}

export interface RevokeInviteLinkData {
  thread_id: string;
  link_id: string;
}

/** Take an open link back. */
export interface RevokeInviteLinkRequest {
  id: string;
  type: "revoke_invite_link";
  data: RevokeInviteLinkData;
}

/** Who speaks. */
export type Role = "user" | "chorus";

/** The run was stopped. */
export interface RunCancelledData {
  run_id: string;
  /** The prompt that the run answers. */
  message_id: string;
  /** Of a forked run: its frames are for co-authors alone, and its answer is no message yet. */
  branch_id?: string;
  step: StepEnum;
  iteration: number;
  attempt: number;
  /** When it happened; left out of what passes. */
  at?: string;
  transitions: readonly TransitionView[];
  status: "cancelled";
  /** null for the system, e.g. when the thread is archived. */
  by: string | null;
  /** Text of the attempt that was under way; it is no answer. */
  partial?: string;
}

export interface RunExplanationData {
  created_seq: number;
  created_at: string;
  /** In their order; of a run also those of what it moved with it. */
  transitions: readonly ExplainedTransition[];
  /** By name: when each guard holds. */
  meanings: Record<string, string>;
  /** Whether more follow than one frame holds; ask again with the last `seq` as `after_seq`. */
  has_more?: boolean;
  run_id: string;
  /** For co-authors alone, and once it has started. */
  asked_with?: AskedWith;
}

/** The reply to `explain_run`. */
export interface RunExplanationFrame {
  type: "run_explanation";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: RunExplanationData;
}

/** The run ended without an answer; `retry_run` begins another. */
export interface RunFailedData {
  run_id: string;
  /** The prompt that the run answers. */
  message_id: string;
  /** Of a forked run: its frames are for co-authors alone, and its answer is no message yet. */
  branch_id?: string;
  step: StepEnum;
  iteration: number;
  attempt: number;
  /** When it happened; left out of what passes. */
  at?: string;
  transitions: readonly TransitionView[];
  status: "failed";
  code: ErrorCode;
  message: string;
  partial?: string;
}

/** The run has its answer. */
export interface RunFinishedData {
  run_id: string;
  /** The prompt that the run answers. */
  message_id: string;
  /** Of a forked run: its frames are for co-authors alone, and its answer is no message yet. */
  branch_id?: string;
  step: StepEnum;
  iteration: number;
  attempt: number;
  /** When it happened; left out of what passes. */
  at?: string;
  transitions: readonly TransitionView[];
  status: "finished";
  message_id_of_answer: string;
  message: MessageView;
}

/** One of two runs: what it was asked, what it gave, and the way that it took. */
export interface RunPath {
  run_id: string;
  /** The prompt. */
  message_id: string;
  status: "queued" | "running" | "finished" | "failed" | "cancelled";
  /** Of a forked run. */
  branch?: BranchView;
  /** Likewise. */
  origin?: OriginView;
  prompt: string;
  instructions?: string;
  /** The model that it asks, where that is not the server's own. */
  model?: string;
  /**
   * Completed ones of all iterations, in order; a forked run's begin with those that it kept. The
   * last of them where the frame does not hold all.
   */
  steps: readonly StepView[];
  /**
   * What it took of `/diagrams/chorus.svg`, in order, with its origin's up to the fork; the first
   * `MAX_WAY`.
   */
  edges: readonly string[];
}

/** The run waits for its thread to be free. */
export interface RunQueuedData {
  run_id: string;
  /** The prompt that the run answers. */
  message_id: string;
  /** Of a forked run: its frames are for co-authors alone, and its answer is no message yet. */
  branch_id?: string;
  step: StepEnum;
  iteration: number;
  attempt: number;
  /** When it happened; left out of what passes. */
  at?: string;
  transitions: readonly TransitionView[];
  status: "queued";
}

/** A request about a run of a thread. */
export interface RunRef {
  thread_id: string;
  run_id: string;
}

/** A run that is not in a final state, for who comes in the middle of it. */
export interface RunView {
  run_id: string;
  message_id: string;
  /** Of a forked run, which co-authors alone are shown. */
  branch_id?: string;
  status: "queued" | "running" | "recovering";
  step: StepEnum;
  iteration: number;
  attempt: number;
  /** What this attempt has streamed so far; the next delta's `offset` is its length. */
  text: string;
  /** With yield alone: the text as far as it is rendered, in order. */
  rendered?: readonly RenderedText[];
  /** What this attempt has thought aloud so far; the `offset` of what follows is its length. */
  thinking?: string;
  /** Completed steps of all iterations, in order. */
  outputs: readonly StepView[];
}

export interface SearchData {
  query: string;
  limit?: number;
  /** Search in this thread alone. */
  thread_id?: string | null;
}

/** Search the approved messages that the caller may read. */
export interface SearchRequest {
  id: string;
  type: "search";
  data: SearchData;
}

export interface SearchResultsData {
  /** Best first. */
  results: readonly Prior[];
}

/** What memory holds on a query. */
export interface SearchResultsFrame {
  type: "search_results";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: SearchResultsData;
}

/** A prior that the intention step chose, and its reason. */
export interface SelectedPrior {
  message_id: string;
  why: string;
}

export type ServerMessage =
  | HelloFrame
  | ChallengeFrame
  | InitFrame
  | AcceptedFrame
  | ThreadMessagesFrame
  | InviteLinkFrame
  | EventsFrame
  | ThreadPastFrame
  | RunExplanationFrame
  | ValueExplanationFrame
  | HeatFrame
  | ThreadsFrame
  | InboxFrame
  | PeopleFrame
  | SearchResultsFrame
  | PongFrame
  | ComparisonFrame
  | ErrorFrame
  | NoticeFrame
  | PresenceFrame
  | ChorusResponseFrame
  | ThreadEventFrame;

/** What a client needs to resume. */
export interface SessionView {
  token: string;
  expires_at: string;
}

export interface SetNameData {
  /** 1 to 80 characters once stripped, none a control character */
  name: string;
}

/** Say how one wants to be called. */
export interface SetNameRequest {
  id: string;
  type: "set_name";
  data: SetNameData;
}

export interface SetPresenceData {
  shown: boolean;
}

/** Show to co-authors that one is there and types, and see it of them; or neither. */
export interface SetPresenceRequest {
  id: string;
  type: "set_presence";
  data: SetPresenceData;
}

/** End the session; the socket closes after the reply. */
export interface SignOutRequest {
  id: string;
  type: "sign_out";
  data: NoData;
}

/** A part of two texts. */
export interface Span {
  /** `same` in both, `removed` in the one alone, `added` in the other alone. */
  kind: "same" | "removed" | "added";
  /** Code points. */
  length: number;
}

/** A step has its output. */
export interface StepCompletedData {
  run_id: string;
  /** The prompt that the run answers. */
  message_id: string;
  /** Of a forked run: its frames are for co-authors alone, and its answer is no message yet. */
  branch_id?: string;
  step: StepEnum;
  iteration: number;
  attempt: number;
  /** When it happened; left out of what passes. */
  at?: string;
  transitions: readonly TransitionView[];
  status: "completed";
  /** What a person reads; for action and yield exactly the deltas of this attempt. */
  text: string;
  output: StepOutput;
  /** With the step that searched the memory alone: experience, or yield in a short loop. */
  priors?: readonly Prior[];
  /** With the same step alone: false where memory could not be searched. */
  memory_available?: boolean;
  /** null is unknown, which is not zero. */
  usage: Usage | null;
  /** true where the text ended at its length limit; with action and yield alone. */
  cut?: boolean;
}

/** Partial text; passing, never in the journal. */
export interface StepDeltaData {
  run_id: string;
  /** The prompt that the run answers. */
  message_id: string;
  /** Of a forked run: its frames are for co-authors alone, and its answer is no message yet. */
  branch_id?: string;
  step: StepEnum;
  iteration: number;
  attempt: number;
  /** When it happened; left out of what passes. */
  at?: string;
  transitions: readonly TransitionView[];
  status: "delta";
  /** Code points of the attempt's text before this. */
  offset: number;
  text: string;
  /**
   * With yield alone, and then `text` is empty: the end of the text so far as HTML. It takes the
   * place of every part rendered before that does not end before its first.
   */
  rendered?: readonly RenderedText[];
}

/** A step that both runs completed, of one iteration. */
export interface StepDifference {
  step: StepEnum;
  iteration: number;
  /** Whether it is one step, which the fork kept or both kept of a third run. */
  kept: boolean;
  /** Both texts, from their beginnings; one `same` where they do not differ. */
  spans: readonly Span[];
}

/** The steps of one iteration, in their order; only update may lead back to action. */
export type StepEnum = "action" | "experience" | "intention" | "observation" | "update" | "yield";

export type StepOutput =
  | ActionOutput
  | ExperienceOutput
  | IntentionOutput
  | ObservationOutput
  | UpdateOutput
  | YieldOutput;

/** An attempt failed and another follows; nothing of it feeds a later step. */
export interface StepRecoveringData {
  run_id: string;
  /** The prompt that the run answers. */
  message_id: string;
  /** Of a forked run: its frames are for co-authors alone, and its answer is no message yet. */
  branch_id?: string;
  step: StepEnum;
  iteration: number;
  attempt: number;
  /** When it happened; left out of what passes. */
  at?: string;
  transitions: readonly TransitionView[];
  status: "recovering";
  code: ErrorCode;
  message?: string;
  retry_in_ms: number;
  partial?: string;
}

/** A step, or a new attempt of it, began. Experience says it again once its priors are in. */
export interface StepStartedData {
  run_id: string;
  /** The prompt that the run answers. */
  message_id: string;
  /** Of a forked run: its frames are for co-authors alone, and its answer is no message yet. */
  branch_id?: string;
  step: StepEnum;
  iteration: number;
  attempt: number;
  /** When it happened; left out of what passes. */
  at?: string;
  transitions: readonly TransitionView[];
  status: "started";
  /** With experience, once the search has answered. */
  priors?: readonly Prior[];
  /** With `priors`; false where they could not be searched. */
  memory_available?: boolean;
}

/** What the model thinks aloud before it answers; passing, never in the journal or in an answer. */
export interface StepThinkingData {
  run_id: string;
  /** The prompt that the run answers. */
  message_id: string;
  /** Of a forked run: its frames are for co-authors alone, and its answer is no message yet. */
  branch_id?: string;
  step: StepEnum;
  iteration: number;
  attempt: number;
  /** When it happened; left out of what passes. */
  at?: string;
  transitions: readonly TransitionView[];
  status: "thinking";
  /** Code points of the attempt's thoughts before this. */
  offset: number;
  text: string;
}

/** Tokens of the completed calls of a step, as the endpoint counted them. */
export interface StepTokens {
  /** Calls that completed the step. */
  answers: number;
  /** Those of them whose tokens the endpoint told; the sums are of these alone. */
  counted: number;
  prompt_tokens: number;
  completion_tokens: number;
}

/** A completed step of a run that still goes on. */
export interface StepView {
  step: StepEnum;
  iteration: number;
  attempt: number;
  text: string;
  output: StepOutput;
  priors?: readonly Prior[];
  usage: Usage | null;
  /** true where the text ended at its length limit. */
  cut?: boolean;
}

export interface SubmitPromptData {
  thread_id: string;
  prompt: string;
  /**
   * The caller's own newest message, which this one takes the place of. Left out of the fingerprint
   * where it is not given, as before there was such a field.
   */
  supersedes?: string | null;
}

/** Say something in a thread: it runs at once or waits for approval. */
export interface SubmitPromptRequest {
  id: string;
  type: "submit_prompt";
  data: SubmitPromptData;
}

export type Subprotocol = "chorus.v1";

/** Another text of the step, or another prompt. */
export interface TextChange {
  kind: "step_text" | "prompt";
  text: string;
}

export interface ThreadEventData {
  kind: ThreadEventKind;
  at: string;
  /** null for the system itself. */
  by: string | null;
  message_id?: string;
  /** The run that a message starts, or that answers its prompt from an adoption on. */
  run_id?: string;
  /** With `branch_adopted` alone: the prompt, whose run is `run_id` from then on. */
  prompt_id?: string;
  /** Who joined or left. */
  public_key?: string;
  /** Of who is asked in, answered, or joined by accepting. */
  invitation?: InvitationView;
  /** Which was made, ended, or let in who joined. */
  link?: InviteLinkView;
  /** Of who is named, voted on, kept or removed. */
  removal?: RemovalView;
  /** Which was forked, went on, was voted on or ended; for co-authors alone. */
  branch?: BranchView;
  message?: MessageView;
  thread?: ThreadView;
  /** With `thread_configured` alone: what `thread` said until then. */
  before?: ThreadSettingsView;
  /** With `token_balance_changed` alone. */
  cause?: string;
  transitions: readonly TransitionView[];
}

/** Something happened in a thread; always a journal entry. */
export interface ThreadEventFrame {
  type: "thread_event";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: ThreadEventData;
}

/** What can happen in a thread beside runs. */
export type ThreadEventKind =
  | "thread_created"
  | "thread_renamed"
  | "thread_configured"
  | "thread_archived"
  | "co_author_invited"
  | "invitation_declined"
  | "invitation_revoked"
  | "invitation_expired"
  | "invite_link_made"
  | "invite_link_revoked"
  | "invite_link_expired"
  | "co_author_joined"
  | "co_author_left"
  | "removal_proposed"
  | "removal_vote_cast"
  | "removal_withdrawn"
  | "removal_expired"
  | "co_author_kept"
  | "co_author_removed"
  | "message_submitted"
  | "vote_cast"
  | "message_approved"
  | "message_rejected"
  | "message_expired"
  | "message_withdrawn"
  | "message_superseded"
  | "branch_forked"
  | "branch_ready"
  | "branch_failed"
  | "branch_proposed"
  | "branch_vote_cast"
  | "branch_adopted"
  | "branch_rejected"
  | "branch_expired"
  | "branch_discarded"
  | "entry_withheld"
  | "token_balance_changed";

export interface ThreadMessagesData {
  thread: ThreadView;
  /** Of those co-authors and authors who gave one. */
  names: Record<string, string>;
  /** Oldest first. */
  messages: readonly MessageView[];
  head_seq: number;
  /** Whether there are older messages: page back with `before_index`. */
  has_more: boolean;
  runs: readonly RunView[];
  /** Those that wait for an answer, oldest first. */
  invitations: readonly InvitationView[];
  /** Invite links that are open, oldest first. */
  links: readonly InviteLinkView[];
  /** Those that are voted on, oldest first. */
  removals: readonly RemovalView[];
  /** Those that are open, oldest first; for co-authors alone. */
  branches: readonly BranchView[];
  /** Whether the reader hid the thread. */
  hidden?: boolean;
  /** Those of `messages` that the reader hid. */
  hidden_messages: readonly string[];
}

/** A snapshot of a thread at `head_seq`. */
export interface ThreadMessagesFrame {
  type: "thread_messages";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: ThreadMessagesData;
}

/** A snapshot of the thread as it was; what its reader may see is what they may see today. */
export interface ThreadPastData {
  thread: ThreadView;
  /** Of those co-authors and authors who gave one. */
  names: Record<string, string>;
  /** Oldest first. */
  messages: readonly MessageView[];
  head_seq: number;
  /** Whether there are older messages: page back with `before_index`. */
  has_more: boolean;
  runs: readonly RunView[];
  /** Those that wait for an answer, oldest first. */
  invitations: readonly InvitationView[];
  /** Invite links that are open, oldest first. */
  links: readonly InviteLinkView[];
  /** Those that are voted on, oldest first. */
  removals: readonly RemovalView[];
  /** Those that are open, oldest first; for co-authors alone. */
  branches: readonly BranchView[];
  /** Whether the reader hid the thread. */
  hidden?: boolean;
  /** Those of `messages` that the reader hid. */
  hidden_messages: readonly string[];
  /** When the entry `head_seq` was made. */
  at: string;
  /** The last entry that there is now. */
  last_seq: number;
}

/** A thread as it was after its entry `head_seq`. */
export interface ThreadPastFrame {
  type: "thread_past";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: ThreadPastData;
}

/** A request about a thread. */
export interface ThreadRef {
  thread_id: string;
}

/** What the co-authors of a thread set for its runs. */
export interface ThreadSettingsView {
  instructions?: string;
  model?: string;
}

/** States of the thread chart. */
export type ThreadStatus = "active" | "archived";

/** A thread in a list. */
export interface ThreadSummary {
  id: string;
  name: string;
  visibility: Visibility;
  status: ThreadStatus;
  co_authors: readonly string[];
  message_count: number;
  head_seq: number;
  updated_at: string;
}

/** A thread that is looked at. */
export interface ThreadView {
  id: string;
  name: string;
  visibility: Visibility;
  status: ThreadStatus;
  co_authors: readonly string[];
  token_balance: number;
  /** What its co-authors want of every answer; left out where they want nothing. */
  instructions?: string;
  /** The model that they chose; left out where it is the server's own. */
  model?: string;
  version: number;
  message_count: number;
  created_at: string;
  updated_at: string;
}

export interface ThreadsData {
  threads: readonly ThreadSummary[];
  /** With the scope `invited` alone, in place of threads; the newest first. */
  invitations?: readonly InvitationSummary[];
  /** What to ask `after` for; null at the end. */
  next: string | null;
}

/** A page of threads, the last changed first. */
export interface ThreadsFrame {
  type: "threads";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: ThreadsData;
}

/** One accepted transition of a machine, as the drawing names it. */
export interface TransitionView {
  machine:
    | "chorus"
    | "message"
    | "connection"
    | "thread"
    | "invitation"
    | "invite_link"
    | "removal"
    | "branch";
  /** Id of the run, message, session, thread, invitation, link, removal or branch. */
  instance: string;
  event: string;
  source: string;
  target: string;
  /** The `id` of the edge's element in `/diagrams/{machine}.svg`. */
  edge: string;
  /** Names of the effects that it emitted. */
  effects: readonly string[];
  /** Of each edge of the event that was tried before it: the first guard that did not hold. */
  passed_over?: readonly string[];
}

/** An edge that the event could have taken. */
export interface TriedEdgeView {
  /** The `id` of its element in `/diagrams/{machine}.svg`. */
  edge: string;
  target: string;
  /**
   * Of those that are not taken: a guard did not hold, an edge before it was taken, or it was passed
   * over by an earlier version, which did not record why.
   */
  verdict: "taken" | "passed_over" | "not_tried" | "not_recorded";
  guards: readonly GuardView[];
}

/** Say that one types in a thread; passing. */
export interface TypingRequest {
  id: string;
  type: "typing";
  data: ThreadRef;
}

/** Whether another iteration is worth it. */
export interface UpdateOutput {
  step: "update";
  reasoning: string;
  loop: boolean;
  /** What to search for next; null where `loop` is false. */
  next_query: string | null;
  confidence: number;
  key_insights: readonly string[];
}

/**
 * Tokens that one call cost, as the endpoint counted them.
 *
 * null is unknown, which is not 0; where the total is unknown there is no `Usage` at all.
 */
export interface Usage {
  prompt_tokens: number | null;
  completion_tokens: number | null;
  total_tokens: number;
}

/** The user who is signed in. */
export interface UserView {
  id: string;
  public_key: string;
  name: string | null;
  /** Whether `set_presence` hides that they are there and type, and hides it of others from them. */
  hides_presence?: boolean;
  created_at: string;
}

export interface ValueExplanationData {
  created_seq: number;
  created_at: string;
  /** In their order; of a run also those of what it moved with it. */
  transitions: readonly ExplainedTransition[];
  /** By name: when each guard holds. */
  meanings: Record<string, string>;
  /** Whether more follow than one frame holds; ask again with the last `seq` as `after_seq`. */
  has_more?: boolean;
  /** Of the message, invitation, link, removal, branch or run. */
  value_id: string;
}

/** The reply to `explain_value`. */
export interface ValueExplanationFrame {
  type: "value_explanation";
  /** The request that this answers; null where it answers none. */
  re: string | null;
  thread_id?: string;
  /** Number in the thread's journal; null for what is no journal entry. */
  seq?: number;
  /** true where the frame's longest texts are cut, since it would be too large. */
  shortened?: boolean;
  data: ValueExplanationData;
}

/** Ask what a link leads to, and who invites. */
export interface ViewInviteLinkRequest {
  id: string;
  type: "view_invite_link";
  data: InviteLinkRef;
}

/** Who may read a thread; fixed when the thread is created. */
export type Visibility = "private" | "public";

export interface VoteOnBranchData {
  thread_id: string;
  branch_id: string;
  decision: "approve" | "reject";
}

/** Agree to a branch that is proposed, or not. */
export interface VoteOnBranchRequest {
  id: string;
  type: "vote_on_branch";
  data: VoteOnBranchData;
}

export interface VoteOnRemovalData {
  thread_id: string;
  /** Canonical base58 of the 32 bytes of an ed25519 public key. */
  public_key: string;
  decision: "remove" | "keep";
}

/** Let a co-author go, or keep them. */
export interface VoteOnRemovalRequest {
  id: string;
  type: "vote_on_removal";
  data: VoteOnRemovalData;
}

/** Take one's own pending message back. */
export interface WithdrawMessageRequest {
  id: string;
  type: "withdraw_message";
  data: MessageRef;
}

/** Take one's own proposal back. */
export interface WithdrawRemovalRequest {
  id: string;
  type: "withdraw_removal";
  data: CoAuthorRef;
}

/** The final answer's citations; the answer is the step's text. */
export interface YieldOutput {
  step: "yield";
  /** A subset of the priors selected; where none was, of those that experience used. */
  citations: readonly Citation[];
}
