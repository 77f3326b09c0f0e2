"""Charts and pure functions: (state, event) in, (state, response, effects) out.

Each behaviour is a chart, declared in one module: `chorus` (a run), `message`, `thread`, `invitation`,
`invite_link`, `removal`, `connection` (whose guards and actions are `connection_rules`), `breaker` and
`lease` (of a server). `charts` lists them all, `declarations` writes down what each declares and reads
it back (`earlier` has those of released versions), `conformance` holds a journal's history against it,
`migrations` says what becomes of values whose chart changed, and `deadlines` has the guards that several share. Below them stand the steps of a run (`loop`) and what
the model is asked (`prompting`); above them the decisions that fire several charts at once
(`decisions`), and the rules that all of them keep (`properties`). All share the values of `models`.

No IO lives here, and no clock, ids or randomness: they come in with the event.
"""

__all__ = [
    "branch",
    "breaker",
    "charts",
    "chorus",
    "conformance",
    "connection",
    "connection_rules",
    "deadlines",
    "decisions",
    "declarations",
    "invitation",
    "invite_link",
    "lease",
    "loop",
    "message",
    "migrations",
    "models",
    "outcomes",
    "prompting",
    "properties",
    "removal",
    "statechart",
    "thread",
]
