"""Responses over time: planted delay, onset and layer are found; frames meet their times."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from datamodules.stimuli import Provenance, TimedResponseSet
from evaluation.features import Features
from evaluation.rows import Score
from evaluation.time.ecog import TimedAlignment, resample_frames, time_mean
from tests.evaluation.fmri.test_response_alignment import normal
from tests.evaluation.toys import sounds

N, FRAMES, TIMES, DIM, RATE = 60, 50, 75, 6, 25.0
MADE = Provenance(source="made here", licence="CC0-1.0", simulated=True)


def responses(values: Tensor) -> TimedResponseSet:
    times = torch.arange(TIMES, dtype=torch.float64) / RATE
    targets = tuple(f"unit{i}" for i in range(values.shape[-1]))
    return TimedResponseSet(
        sounds("made", [10] * N), values, times, targets, torch.arange(N) % 5, MADE
    )


def frames(values: Tensor, rate: float = RATE, offset: float = 0.0) -> Features:
    return Features(values, torch.full((len(values),), values.shape[1]), rate, offset)


def curve(rows: list[Score], metric: str, layer: str) -> dict[str, float]:
    return {r.window: r.value for r in rows if r.metric == metric and r.layer == layer}


@pytest.fixture(scope="module")
def rows() -> list[Score]:
    """Units follow the planted layer 0.12 s later and fall silent after two seconds."""
    x = normal(0, N, FRAMES, DIM) + 2 * normal(1, N, 1, DIM)
    y = 0.3 * normal(2, N, TIMES, 4)
    y[:, 3 : 3 + FRAMES] += x @ normal(3, DIM, 4)
    features = {"other": frames(normal(4, N, FRAMES, DIM)), "planted": frames(x)}
    return TimedAlignment("ecog/x", responses(y), bin_seconds=0.2).score(features)


def test_the_planted_delay_and_layer_are_found(rows: list[Score]) -> None:
    planted = curve(rows, "lag_r2", "planted")
    assert list(planted) == [f"{k / RATE:.2f}" for k in range(11)]
    assert max(planted, key=lambda w: planted[w]) == "0.12"
    assert planted["0.12"] > 0.9
    assert max(curve(rows, "lag_r2", "other").values()) < 0.02


def test_time_bins_follow_the_response(rows: list[Score]) -> None:
    for metric in ("r2", "rsa"):
        timed = {w: v for w, v in curve(rows, metric, "planted").items() if w}
        during = [v for w, v in timed.items() if 0.4 < float(w) < 1.9]
        after = [v for w, v in timed.items() if float(w) > 2.3]
        assert min(during) > 0.3
        assert max(after) < 0.15


def test_rows_without_a_window_score_the_mean(rows: list[Score]) -> None:
    whole = [r for r in rows if not r.window and r.layer == "planted"]
    assert [r.target for r in whole if r.metric == "r2"] == [f"unit{i}" for i in range(4)]
    assert min(r.value for r in whole if r.metric == "r2") > 0.9
    (rsa,) = [r.value for r in whole if r.metric == "rsa"]
    assert rsa > 0.4
    assert {r.n for r in rows} == {N}
    assert {r.simulated for r in rows} == {True}


def test_frames_are_brought_to_the_times_of_the_response() -> None:
    times = torch.arange(TIMES, dtype=torch.float64) / RATE
    clock = (torch.arange(200) / 100 + 0.005).double()
    fast = frames(clock[None, :, None].expand(2, -1, 1), 100.0, 0.005)
    found = resample_frames(fast, times)
    assert found.shape == (2, 51, 1)
    torch.testing.assert_close(found[0, 1:-1, 0], times[1:50], atol=1e-6, rtol=0)
    slow = frames(torch.arange(20.0)[None, :, None], 10.0, 0.05)
    sparse = resample_frames(slow, times)[0, :, 0]
    assert sparse[:8].tolist() == [0, 0, 0, 1, 1, 1, 2, 2]
    short = Features(fast.values, torch.tensor([200, 100]), 100.0, 0.005)
    assert resample_frames(short, times).shape[1] == 26


def test_means_are_over_valid_frames() -> None:
    values = torch.stack([torch.arange(4.0), torch.tensor([1.0, 3.0, 99.0, 99.0])])[..., None]
    found = time_mean(Features(values, torch.tensor([4, 2]), 10.0, 0.0))
    assert found.flatten().tolist() == [1.5, 2.0]


def test_the_planted_layer_is_selected_in_every_bin(rows: list[Score]) -> None:
    for metric in ("r2", "rsa"):
        planted, own = curve(rows, metric, "planted"), curve(rows, metric, "selected")
        assert list(own) == list(planted)
        for window in planted:
            if window and 0.4 < float(window) < 1.9:
                assert own[window] == pytest.approx(planted[window], abs=1e-12)
    chosen = [row for row in rows if (row.metric, row.layer, row.window) == ("r2", "selected", "")]
    assert [row.target for row in chosen] == [f"unit{i}" for i in range(4)]
