"""What may be typed behind `chorus`, by what it is for; `server.cli` puts the command line together.

    conversing    serve, ask, chat
    looking       trace, replay, export, heat: what happened, and why
    keeping       verify, credit, debit, migrate, copy
    drawing       diagrams
    options       options that several commands have, and their checks
    performing    settings, and how a command is run

Nothing is done here: each function checks what was typed, and imports its command from
`server.commands` when it is called, so that `chorus --help` costs the command line alone.
"""

__all__ = ["conversing", "drawing", "keeping", "looking", "options", "performing"]
