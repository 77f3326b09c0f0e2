"""How every way of searching is measured: on an event loop, on which runs stream meanwhile.

A contestant brings one coroutine, from a vector as an embedder gives it to the best 80 of what the
searcher may read. All of them run on uvloop, as the server does, one search at a time, the next one
as soon as the last is done: a harder life than a server's, whose searches have an embedding between
them. Twenty runs stream fifty deltas a second each on the same loop; how late each delta is made
tells what a search does to it.

Each answer is held against the exact one afterwards, so no speed is bought with a wrong answer.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, NamedTuple, TypeVar

import numpy as np

from benchmarks.contestants.search_population import LIMIT, Population, message_id
from benchmarks.measure import measured, percentile, tell
from machines.models.ids import MessageId

R = TypeVar("R")

Vector = tuple[float, ...]

_RUNS: Final = 20
_INTERVAL: Final = 0.02
"""Seconds between two deltas of a run."""

_WARM_UP: Final = 3
_ALONE: Final = 2.0
"""Seconds for which the runs stream without searches: once before them and once after."""
_TOGETHER: Final = 2.0
"""Seconds for which they stream with searches, at least."""

_TIE: Final = 1e-5
"""Scores nearer than this are equal: that much float32 and float64 differ."""


class Answer(NamedTuple):
    """What a search found, best first."""

    ids: tuple[MessageId, ...]
    scores: tuple[float, ...]


class WrongAnswer(Exception):
    """A search did not find what an exact search finds."""


class StreamBroken(Exception):
    """A run stopped streaming before it was told to."""


async def compete(
    population: Population,
    search: Callable[[Vector], Awaitable[R]],
    read: Callable[[R], Answer],
    *,
    searches: int,
    unfiltered: bool = False,
    exact: bool = True,
) -> None:
    """Search alone, stream alone, search while runs stream; check the answers, tell the figures.

    Args:
        population: what is searched.
        search: the contestant.
        read: what it found, as it is checked; its time does not count.
        searches: how many of them at least, alone and again while runs stream.
        unfiltered: whether it searches what the searcher may not read, too.
        exact: whether the vectors alone decide; else only the rights are checked.

    Raises:
        WrongAnswer: an answer is not the exact one.
    """
    queries = population.queries(searches)
    for query in queries[:_WARM_UP]:
        await search(query)

    answers: list[tuple[Vector, Answer]] = []
    cpu = 0.0
    with measured():  # collects garbage first
        for query in queries:
            began = time.process_time()
            found = await search(query)
            cpu += time.process_time() - began
            answers.append((query, read(found)))

    before = await _streaming(asyncio.sleep(_ALONE))
    took: list[float] = []

    async def search_on() -> None:
        end = time.perf_counter() + _TOGETHER
        while len(took) < searches or time.perf_counter() < end:
            query = queries[len(took) % searches]
            began = time.perf_counter()
            found = await search(query)
            took.append(time.perf_counter() - began)
            answers.append((query, read(found)))
            await asyncio.sleep(0)  # the runs' turn, also where a search never waits

    together = await _streaming(search_on())
    after = await _streaming(asyncio.sleep(_ALONE))

    if exact:
        _check(population, answers, unfiltered=unfiltered)
    else:
        _check_rights(population, [answer for _, answer in answers])
    alone = [*before, *after]
    tell(
        p50=percentile(took, 0.50) * 1000,
        p99=percentile(took, 0.99) * 1000,
        cpu=cpu / searches * 1000,
        delay_p99=_caused(percentile(together, 0.99), percentile(alone, 0.99)),
        delay_most=_caused(max(together), max(alone)),
    )


def _caused(with_searches: float, without: float) -> float:
    """Milliseconds that searches added; chance may have it that they added none."""
    return max(0.0, with_searches - without) * 1000


# ----------------------------------------------------------------------------------- the streaming


async def _streaming(meanwhile: Awaitable[object]) -> list[float]:
    """Seconds that each delta was late while runs streamed, until `meanwhile` is done."""
    late: list[float] = []
    runs = [asyncio.create_task(_run(number, late)) for number in range(_RUNS)]
    await meanwhile
    for run in runs:
        run.cancel()
    for ended in await asyncio.gather(*runs, return_exceptions=True):
        if not isinstance(ended, asyncio.CancelledError):
            raise StreamBroken("a run ended by itself") from ended
    return late


async def _run(number: int, late: list[float]) -> None:
    """A run that streams until it is cancelled, each delta at its moment, none left out."""
    due = time.perf_counter() + _INTERVAL * (1 + number / _RUNS)
    count = 0
    while True:
        await asyncio.sleep(max(0.0, due - time.perf_counter()))
        late.append(time.perf_counter() - due)
        count += 1
        json.dumps({"type": "delta", "run_id": f"run-{number}", "index": count, "text": " token"})
        due += _INTERVAL


# ------------------------------------------------------------------------------------- the answers


def _check(
    population: Population, answers: Sequence[tuple[Vector, Answer]], *, unfiltered: bool
) -> None:
    searched = np.ones(population.count, dtype=np.bool_) if unfiltered else population.readable()
    rows = np.flatnonzero(searched)
    vectors = population.vectors[rows]
    expected: dict[Vector, Answer] = {}
    for query, answer in answers:
        if query not in expected:
            scores = vectors @ np.asarray(query, dtype=np.float32)
            best = np.argsort(-scores, kind="stable")[: LIMIT + 1]
            expected[query] = Answer(
                tuple(message_id(int(rows[row])) for row in best), tuple(scores[best].tolist())
            )
        _compare(answer, expected[query])


def _check_rights(population: Population, answers: Sequence[Answer]) -> None:
    readable = {message_id(int(row)) for row in np.flatnonzero(population.readable())}
    for answer in answers:
        found = set(answer.ids)
        if len(found) != LIMIT or len(answer.ids) != LIMIT or not found <= readable:
            raise WrongAnswer(f"{len(found)} found, {len(found - readable)} may not be read")


def _compare(answer: Answer, expected: Answer) -> None:
    """The same best ones; of equals at the end, any."""
    least = expected.scores[LIMIT - 1]
    surely = {id_ for id_, score in zip(*expected, strict=True) if score > least + _TIE}
    perhaps = {id_ for id_, score in zip(*expected, strict=True) if score > least - _TIE}
    found = set(answer.ids)
    apart = np.abs(np.subtract(answer.scores, expected.scores[:LIMIT])) if found else np.ones(1)
    if len(found) != LIMIT or not surely <= found <= perhaps or apart.max() > _TIE:
        raise WrongAnswer(
            f"{len(found)} found, {len(surely - found)} are missing, "
            f"{len(found - perhaps)} do not belong there, scores differ by up to {apart.max()}"
        )
