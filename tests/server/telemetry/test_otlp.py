"""What the SDK makes of spans, as the variables say."""

import random
from uuid import UUID

import pytest

from server.telemetry.otlp import Otlp
from server.telemetry.span import trace_id_of

RUNS = 2_000


@pytest.mark.parametrize("share", [0.25, 0.75])
def test_a_ratio_is_one_of_runs_whose_ids_are_uuids(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", str(share))
    dice = random.Random(7)
    ids = [str(UUID(int=dice.getrandbits(128), version=4)) for _ in range(RUNS)]
    here, there = Otlp(), Otlp()
    sampled = [here.samples(trace_id_of(each)) for each in ids]
    assert abs(sum(sampled) / RUNS - share) < 0.05
    assert sampled == [there.samples(trace_id_of(each)) for each in ids], "all servers say the same"
