"""Names of attributes: those of OpenTelemetry's semantic conventions for generative AI, and ours.

The conventions' names are written out here, so that a server without an exporter loads nothing of
OpenTelemetry; a test holds them against the package that defines them.
"""

from typing import Final

from machines.models.journal import MachineTransition

# --- OpenTelemetry's -----------------------------------------------------------------------------

OPERATION: Final = "gen_ai.operation.name"
PROVIDER: Final = "gen_ai.provider.name"
AGENT: Final = "gen_ai.agent.name"
CONVERSATION: Final = "gen_ai.conversation.id"
REQUEST_MODEL: Final = "gen_ai.request.model"
RESPONSE_MODEL: Final = "gen_ai.response.model"
OUTPUT_TYPE: Final = "gen_ai.output.type"
FINISH_REASONS: Final = "gen_ai.response.finish_reasons"
INPUT_TOKENS: Final = "gen_ai.usage.input_tokens"
OUTPUT_TOKENS: Final = "gen_ai.usage.output_tokens"
INPUT_MESSAGES: Final = "gen_ai.input.messages"
OUTPUT_MESSAGES: Final = "gen_ai.output.messages"
QUERY: Final = "gen_ai.retrieval.query.text"
DOCUMENTS: Final = "gen_ai.retrieval.documents"
ERROR_TYPE: Final = "error.type"

INVOKE_AGENT: Final = "invoke_agent"
CHAT: Final = "chat"
RETRIEVAL: Final = "retrieval"
"""Values of `OPERATION`."""

OPENAI: Final = "openai"
"""Value of `PROVIDER` for every endpoint that speaks OpenAI's API, whoever runs it, as the conventions
say."""

TEXT: Final = "text"
JSON: Final = "json"
"""Values of `OUTPUT_TYPE`."""

# --- Those of Chorus -----------------------------------------------------------------------------

CHORUS: Final = "chorus"
"""The agent's name, and the provider of answers that no model gave."""

RUN: Final = "chorus.run.id"
RUN_STATUS: Final = "chorus.run.status"
ITERATIONS: Final = "chorus.run.iterations"
REBUILDS: Final = "chorus.run.rebuilds"
"""How often the run went on after the server that carried it was lost."""
BRANCH: Final = "chorus.branch.id"
"""Of a branch, and of the forked run whose answer it is of."""
MESSAGE: Final = "chorus.message.id"
INVITATION: Final = "chorus.invitation.id"
INVITE_LINK: Final = "chorus.invite_link.id"
REMOVAL: Final = "chorus.removal.id"
OUTCOME: Final = "chorus.outcome"
"""What became of a value that waited for a decision: the state that ended its wait."""
ELECTORS: Final = "chorus.electors"
VOTES: Final = "chorus.votes"
"""How many there were, of what is voted on."""
DECISION: Final = "chorus.vote.decision"
STEP: Final = "chorus.step"
ITERATION: Final = "chorus.iteration"
ATTEMPT: Final = "chorus.attempt"
EVENT: Final = "chorus.event"
"""The event of the machine that ended the span, or that a span's event tells of."""
EDGE: Final = "chorus.edge"
"""The edge that this event took, by its id in the machine's drawing and declaration."""
PASSED_OVER: Final = "chorus.passed_over"
"""The guards that kept the event from edges before it, one for each."""
SEQ: Final = "chorus.seq"
"""The number of that entry in the thread's stream."""
CHARACTERS: Final = "chorus.text.characters"
WAITS_FOR: Final = "chorus.wait.cause"
"""The code of the failure, or what was lost, that the next attempt waits after."""
PRIORS: Final = "chorus.priors"
"""How many messages a search of the memory found."""
REQUEST: Final = "chorus.request.type"
"""The type of the request that was refused."""
MACHINE: Final = "chorus.machine"
STATE: Final = "chorus.state"
"""The machine that refused an event, and where it stood."""
GUARDS: Final = "chorus.guards"
"""The guards that were false, as the drawing spells them; left out where the state has no edge for the
event."""
FIELD: Final = "chorus.field"
"""The field of a request that was refused for it."""
UNFINISHED: Final = "chorus.unfinished"
"""True where the journal does not hold the end of a span's work yet."""


def ended_by(taken: MachineTransition, seq: int) -> dict[str, str | int | tuple[str, ...]]:
    """What names the transition that ended a span, in the entry of this number."""
    by: dict[str, str | int | tuple[str, ...]] = {EVENT: taken.event, EDGE: taken.edge, SEQ: seq}
    if taken.passed_over:
        by[PASSED_OVER] = taken.passed_over
    return by
