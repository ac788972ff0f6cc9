"""The benchmark of large probes: lengths as they should be, every stage measured."""

from __future__ import annotations

import threading
from argparse import Namespace
from pathlib import Path

import pytest
import torch

from bench import probe_memory
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


def test_most_memory_of_a_stage_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = iter([(1.0, 0.5), (3.0, 2.5)])
    seen = threading.Event()

    def memory() -> tuple[float, float]:
        reading = next(readings, None)
        if reading is None:
            seen.set()
        return reading or (2.0, 0.25)

    monkeypatch.setattr(probe_memory, "_memory", memory)
    stage = staged("64 MB", lambda: seen.wait(20))
    assert (stage.resident, stage.own) == (3.0, 2.5)


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="needs Linux")
def test_memory_of_this_process_is_read() -> None:
    resident, own = probe_memory._memory()
    assert 0.02 < resident < 1000
    assert 0 <= own <= resident
