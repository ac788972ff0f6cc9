"""Features that know only the time since onset score zero in every benchmark in time."""

from __future__ import annotations

import pytest
import torch

from datamodules.simulated.eeg import simulated_eeg
from datamodules.stimuli import TimedResponseSet
from evaluation.evaluate import evaluate
from evaluation.time.ecog import TimedAlignment
from evaluation.time.frame_alignment import FrameAlignment
from models.external.baselines.clock import Clock
from tests.datasets import benchmark_or_skip
from tests.evaluation.people import MADE, people

RATE = 25


@pytest.mark.long
def test_a_clock_is_not_found_in_sentences() -> None:
    responses = simulated_eeg(n_sentences=16, n_subjects=2, snr=2.0)
    benchmark = FrameAlignment(
        "eeg/made", responses, surrogates={"draws": 99}, pieces={"word_seconds": 3.0}
    )
    found = evaluate(Clock(), [benchmark.in_full()])
    assert not found.failures
    tested = [row.p for row in found.scores if row.p is not None and row.layer == "clock"]
    assert len(tested) > 50
    assert min(tested) > 0.01


def test_a_clock_explains_no_evoked_course(caplog: pytest.LogCaptureFixture) -> None:
    """Responses with a course that all sounds share, as those to onsets have."""
    stimuli = people(0.5, subjects=1).stimuli
    n, times = len(stimuli), torch.arange(3 * RATE) / RATE
    generator = torch.Generator().manual_seed(0)
    course = torch.randn(1, len(times), 4, generator=generator, dtype=torch.float64)
    noise = torch.randn(n, len(times), 4, generator=generator, dtype=torch.float64)
    folds = torch.arange(n) % 5
    targets = ("a", "b", "c", "d")
    responses = TimedResponseSet(stimuli, 5 * course + noise, times, targets, folds, MADE)
    found = evaluate(Clock(), [TimedAlignment("ecog/made", responses)])
    assert not found.failures
    assert {row.metric for row in found.scores} == {"r2", "lag_r2"}
    assert max(row.value for row in found.scores) == 0
    assert "no rsa of layer clock: its features are the same for all sounds" in caplog.text


@pytest.mark.long
@pytest.mark.data("brain/song_ecog2022", "brain/natsound165")
@pytest.mark.parametrize("name", ["ecog/nh2022_components", "ecog/nh2022_time"])
def test_a_clock_is_not_found_in_recorded_responses(name: str) -> None:
    found = evaluate(Clock(), [benchmark_or_skip(name)])
    assert not found.failures
    for row in found.scores:
        if row.kind == "excess":
            assert row.value < 0.001
        if row.p is not None and row.layer == "clock":
            assert row.p > 0.01
        if row.benchmark == "ecog/nh2022_components":
            assert row.value == 0
