"""The benchmark of large probes: lengths as they should be, every stage measured."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import pytest
import torch

from bench.probe_memory import LONGEST, MEAN, RATE, SHORTEST, measure, sounds, staged


def test_every_stage_is_measured(tmp_path: Path) -> None:
    stages, hours = measure(Namespace(clips=60, layers=2, dim=4), tmp_path)
    assert [stage.name.split(",")[0] for stage in stages[1:]] == [
        "hashing",
        "encoding and keeping",
        "reading what is kept",
        "nearest neighbours",
        "linear",
    ]
    assert all(stage.seconds > 0 for stage in stages)
    assert hours > 0
    assert len(list(tmp_path.glob("*/*.npy"))) == 2


def test_lengths_are_spread_as_those_of_the_real_set() -> None:
    seconds = torch.tensor([source.args[2] / RATE for source in sounds(20_000).sources])  # type: ignore[union-attr]
    assert float(seconds.mean()) == pytest.approx(MEAN, rel=0.05)
    assert float(seconds.min()) == pytest.approx(SHORTEST, abs=1e-3)
    assert float(seconds.max()) == pytest.approx(LONGEST, abs=1e-3)


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs Linux")
def test_memory_of_a_stage_is_seen() -> None:
    before = staged("nothing", lambda: None)
    after = staged("64 MB", lambda: [torch.ones(2**24).sum() for _ in range(20)])
    assert after.own - before.own > 0.04
