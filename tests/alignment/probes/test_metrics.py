"""Metrics of tasks: those of scikit-learn and mir_eval, and cases that are counted by hand."""

from __future__ import annotations

import math

import mir_eval
import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score, roc_auc_score

from alignment.probes.metrics import (
    accuracy,
    average_precision,
    chroma_accuracy,
    d_prime,
    macro_auc,
    matched_f1,
    mean_average_precision,
    segment_error_rate,
)

Clips = dict[str, list[tuple[str, float, float]]]


def onset_f1(
    predicted: Clips, reference: Clips, tolerance: float = 0.2, offset_share: float | None = None
) -> float:
    """``matched_f1`` of events by clip, each clip and label a kind of its own."""
    kinds: dict[tuple[str, str], int] = {}
    tables = [
        np.array(
            [
                (kinds.setdefault((clip, label), len(kinds)), onset, offset)
                for clip, events in side.items()
                for label, onset, offset in events
            ],
            dtype=np.float64,
        ).reshape(-1, 3)
        for side in (predicted, reference)
    ]
    return matched_f1(tables[0], tables[1], tolerance, offset_share)


def labelled(n: int = 80, classes: int = 5, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    draw = torch.Generator().manual_seed(seed)
    targets = torch.rand(n, classes, generator=draw) < 0.3
    scores = torch.randn(n, classes, generator=draw) + targets
    return (scores * 4).round() / 4, targets  # with ties


def test_pitch_and_chroma_are_counted() -> None:
    labels = torch.tensor([60, 62, 64, 65])
    predicted = torch.tensor([60, 74, 52, 66])
    assert accuracy(predicted, labels) == 0.25
    assert chroma_accuracy(predicted, labels) == 0.75


def test_macro_means_are_scikit_learns() -> None:
    scores, targets = labelled()
    s, t = scores.numpy(), targets.numpy()
    precision = mean_average_precision(scores, targets)
    assert precision.value == pytest.approx(average_precision_score(t, s, average="macro"))
    auc = macro_auc(scores, targets)
    assert auc.value == pytest.approx(roc_auc_score(t, s, average="macro"))
    assert auc.left_out == precision.left_out == 0
    assert precision.per_class.shape == (5,)


@pytest.mark.parametrize("distance", [0.5, 1.0, 2.0])
def test_d_prime_is_the_distance_of_two_normal_distributions(distance: float) -> None:
    draw = torch.Generator().manual_seed(0)
    targets = (torch.arange(40_000) % 2 == 0)[:, None]
    scores = torch.randn(40_000, 1, generator=draw) + distance * targets
    assert d_prime(scores, targets).value == pytest.approx(distance, abs=0.03)


def test_d_prime_of_a_class_without_an_error_is_infinite() -> None:
    targets = torch.tensor([[True], [False]])
    assert d_prime(targets.float(), targets).value == math.inf


def test_classes_that_cannot_be_scored_are_left_out_and_counted() -> None:
    scores, targets = labelled()
    targets[:, 1], targets[:, 3] = False, True
    precision, auc, prime = (
        metric(scores, targets) for metric in (mean_average_precision, macro_auc, d_prime)
    )
    assert (precision.left_out, auc.left_out, prime.left_out) == (1, 2, 2)
    assert precision.per_class.isnan().tolist() == [False, True, False, False, False]
    assert prime.per_class.isnan().tolist() == [False, True, False, True, False]
    rest = average_precision_score(targets[:, [0, 2, 3, 4]], scores[:, [0, 2, 3, 4]])
    assert precision.value == pytest.approx(rest)
    none = mean_average_precision(scores, torch.zeros_like(targets))
    assert math.isnan(none.value)
    assert none.left_out == 5


def test_scores_without_information_are_at_chance() -> None:
    draw = torch.Generator().manual_seed(1)
    targets = torch.rand(20_000, 3, generator=draw) < 0.2
    scores = torch.randn(20_000, 3, generator=draw)
    assert mean_average_precision(scores, targets).value == pytest.approx(0.2, abs=0.02)
    assert macro_auc(scores, targets).value == pytest.approx(0.5, abs=0.02)
    assert d_prime(scores, targets).value == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("seed", range(4))
def test_batched_precision_is_scikit_learns_with_ties(seed: int) -> None:
    scores, targets = labelled(seed=seed)
    got = average_precision(scores.T.expand(2, 5, 80), targets.T.float().expand(2, 5, 80))
    assert got.shape == (2, 5)
    for c in range(5):
        expected = average_precision_score(targets[:, c], scores[:, c])
        assert got[1, c].item() == pytest.approx(expected)
    assert average_precision(scores.T, torch.zeros(5, 80)).isnan().all()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("tolerance", [0.05, 0.2])
def test_onset_f1_is_mir_evals(seed: int, tolerance: float) -> None:
    draw = np.random.default_rng(seed)
    true, guessed = (np.sort(draw.uniform(0, 5, n)) for n in (30, 24))
    events = [{"a": [("dog", t, t + 1) for t in onsets]} for onsets in (guessed, true)]
    expected = mir_eval.onset.f_measure(true, guessed, window=tolerance)[0]
    assert onset_f1(events[0], events[1], tolerance) == pytest.approx(expected)


@pytest.mark.parametrize("seed", range(4))
def test_onset_and_offset_f1_is_mir_evals(seed: int) -> None:
    draw = np.random.default_rng(seed)
    starts = np.sort(draw.uniform(0, 5, 30))
    true = np.stack([starts, starts + draw.uniform(0.1, 1, 30)], 1)
    guessed = true[4:] + draw.uniform(-0.1, 0.1, (26, 2))
    guessed[:, 1] = np.maximum(guessed[:, 1], guessed[:, 0] + 0.01)
    pitches = np.full(30, 440.0)
    expected = mir_eval.transcription.precision_recall_f1_overlap(
        true, pitches, guessed, pitches[4:], onset_tolerance=0.05
    )[2]
    events = [{"a": [("dog", a, b) for a, b in table]} for table in (guessed, true)]
    got = onset_f1(events[0], events[1], 0.05, offset_share=0.2)
    assert got == pytest.approx(expected)
    assert got < onset_f1(events[0], events[1], 0.05)


@pytest.mark.parametrize("seed", range(3))
def test_matches_are_those_of_every_clip_and_label_by_itself(seed: int) -> None:
    draw = np.random.default_rng(seed)
    sides = []
    for count in (40, 25):
        side = {}
        for clip in "abcd":
            onsets = draw.uniform(0, 4, count)
            side[clip] = [(str(draw.choice(["dog", "cat", "cow"])), t, t + 0.3) for t in onsets]
        sides.append(side)
    sides[0]["c"], sides[1]["d"] = [], []
    hits = 0
    for clip in "abcd":
        for label in ("dog", "cat", "cow"):
            a, b = ([e[1] for e in side[clip] if e[0] == label] for side in sides)
            hits += len(mir_eval.util.match_events(np.array(b), np.array(a), 0.1))
    total = sum(len(events) for side in sides for events in side.values())
    assert hits > 20
    assert onset_f1(sides[0], sides[1], 0.1) == pytest.approx(2 * hits / total)


def test_onsets_of_other_labels_and_clips_do_not_count() -> None:
    reference = {"a": [("dog", 1.0, 2.0), ("cat", 1.0, 2.0)], "b": [("dog", 3.0, 4.0)], "c": []}
    predicted = {"a": [("dog", 1.2, 5.0), ("dog", 1.1, 5.0)], "b": [("cat", 3.0, 4.0)]}
    assert onset_f1(predicted, reference, 0.2) == pytest.approx(2 * 1 / 6)
    assert onset_f1({}, reference) == 0
    assert onset_f1(reference, reference) == 1
    assert math.isnan(onset_f1({}, {"a": []}))


def test_segment_errors_are_counted() -> None:
    reference = {"a": [("dog", 0.0, 2.0), ("cat", 1.5, 2.5)], "b": []}
    # segments of a: {dog}, {dog, cat}, {cat}: four labels to be found
    swapped = {"a": [("cat", 0.2, 0.7), ("dog", 1.0, 2.0), ("cat", 1.5, 2.5)]}
    assert segment_error_rate(swapped, reference) == pytest.approx(1 / 4)
    missed = {"a": [("dog", 0.0, 2.0)]}
    assert segment_error_rate(missed, reference) == pytest.approx(2 / 4)
    invented = {**reference, "b": [("dog", 0.0, 5.5)]}
    assert segment_error_rate(invented, reference) == pytest.approx(6 / 4)
    assert segment_error_rate({}, reference) == 1
    assert segment_error_rate(reference, reference) == 0
    assert segment_error_rate(missed, reference, seconds=2.0) == pytest.approx(2 / 3)
    assert math.isnan(segment_error_rate({}, {"a": []}))


def test_unknown_clips_are_named() -> None:
    with pytest.raises(ValueError, match="1 clips that the reference does not know, 'x'"):
        segment_error_rate({"x": [("dog", 0.0, 1.0)]}, {"a": []})
