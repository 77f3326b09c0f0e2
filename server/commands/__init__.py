"""What each command of `chorus` does, one module each; `server.command_line` says how they are called.

A command takes settings and values that are checked already, prints, and gives an exit code. What
it cannot do it raises: `server.cli` turns that into one line, by `server.commands.errors`, whose
`CommandFailed` is for what no error of the tree says. Nothing imports a command but `server.command_line`.
"""

__all__ = [
    "ask",
    "balance",
    "compare_runs",
    "compared",
    "copy",
    "diagrams",
    "diagrams_diff",
    "errors",
    "export",
    "heat",
    "journal_file",
    "kept",
    "logs",
    "migrate",
    "moments",
    "printing",
    "properties",
    "replay",
    "serve",
    "standard_streams",
    "trace",
    "verify",
    "verify_history",
]
