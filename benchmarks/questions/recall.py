"""Whether what was said in earlier conversations is found when it is asked for."""

import os
from pathlib import Path
from typing import Final

from benchmarks.figures import Contestant, Figure, Question, Target

_OURS: Final = "chorus"
_VECTORS: Final = "vectors alone"

_SET: Final = os.environ.get(
    "RECALL_SET", str(Path(__file__).parents[2] / "tests" / "data" / "recall")
)
"""The committed set is small and ours; RECALL_SET names another, a file or a folder."""

QUESTIONS: Final = (
    Question(
        name="recall",
        title="Recalling what was said",
        work=(
            "Each dialogue of a set is put into an embedded memory of its own, a session as a thread,"
            " and each of its questions is asked. A run is sent 12 messages; threads are ranked by"
            " the first message of theirs that a search shows. Every figure is a mean over questions,"
            " and the same in every round. Vectors alone are those of the bare texts, ranked by their"
            " cosine. The set is tests/data/recall, which is written for these tests and no public"
            " one, unless RECALL_SET names another."
        ),
        figures=(
            Figure("sent", "evidence among the 12 messages that a run is sent", "%", "more"),
            Figure("first", "questions whose first thread has evidence", "%", "more"),
            Figure("five", "questions with evidence among the first five threads", "%", "more"),
            Figure("best", "questions whose first message is evidence", "%", "more"),
        ),
        contestants=(
            Contestant(_OURS, "recall_ours", (_SET, "hybrid")),
            Contestant(_VECTORS, "recall_ours", (_SET, "vectors")),
        ),
        targets=(
            Target("evidence among the 12 sent", "sent", _OURS, at_least=80.0),
            Target("the first thread is right", "first", _OURS, at_least=76.0),
            Target("a right thread among five", "five", _OURS, at_least=94.0),
        ),
        rounds=1,
        seconds=1_800.0,
    ),
)
