"""How long starting takes: the server until it is ready, and the command until it says its help."""

from typing import Final

from benchmarks.figures import Contestant, Figure, Question, Target

_FRESH: Final = "chorus serve, a new folder"
_KNOWN: Final = "chorus serve, a known folder"
_EMPTY: Final = "an empty aiohttp server, the same imports"

START = Question(
    name="start",
    title="The server's start",
    work=(
        "From the command to the first 200 of `/readyz`, each in a process of its own, with warm"
        " files. The empty server imports every module that a ready `chorus serve` has imported,"
        " and serves nothing else; ours also makes or opens its journal and its embedded memory,"
        " checks the weights of its embedder and takes up what was left."
    ),
    figures=(
        Figure("wall", "time to ready", "s"),
        Figure("cpu", "CPU until ready", "s"),
        Figure("memory", "memory when ready", "MiB"),
    ),
    contestants=(
        Contestant(_FRESH, "start_ready", ("fresh",)),
        Contestant(_KNOWN, "start_ready", ("known",)),
        Contestant(_EMPTY, "start_ready", ("empty",)),
    ),
    targets=tuple(
        Target(
            sentence=f"{ours}: ready in under 1.5 times what the empty server takes",
            figure="wall",
            ours=ours,
            against=(_EMPTY,),
            at_most=1.5,
        )
        for ours in (_FRESH, _KNOWN)
    ),
)

HELP = Question(
    name="help",
    title="The command's help",
    work="`chorus --help` as a whole process, against an interpreter that does nothing.",
    figures=(
        Figure("cpu", "CPU", "s"),
        Figure("wall", "time", "s"),
    ),
    contestants=(
        Contestant("chorus --help", "start_help", ("chorus",)),
        Contestant("python -c pass", "start_help", ("python",)),
    ),
    targets=(
        Target(
            sentence="help takes less than 0.3 s of CPU",
            figure="cpu",
            ours="chorus --help",
            at_most=0.3,
        ),
    ),
)

QUESTIONS: Final = (START, HELP)
