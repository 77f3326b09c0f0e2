"""The local embedder's weights, checked and loaded once for a process of tests.

Each server in a process checks 91 MB and loads them for itself, as an operator's server must; hundreds of
them in one process of tests would take minutes and gigabytes. That they are checked, and how, is asked in
`tests/server/memory/test_embeddings.py`.
"""

from functools import cache

import pytest

from server.memory.embedders import minilm
from server.memory.embedders.rules import EmbedderUnavailable


def share_weights(patch: pytest.MonkeyPatch) -> None:
    """Let all embedders of this process have one model; nothing is loaded yet."""
    patch.setattr(minilm, "verified_files", cache(minilm.verified_files))
    patch.setattr(minilm, "_load", cache(minilm._load))


def load_weights() -> None:
    """Load them now, for processes that are forked from this one; without the package there are none."""
    try:
        minilm._load(minilm.verified_files(minilm.installed_folder()))
    except EmbedderUnavailable:
        return
