"""Encoding models as a benchmark: what was planted is found, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from alignment.series.encoding import nested_encoding
from datamodules.sentences import SentenceResponses
from datamodules.simulated.eeg import CODE_RATE, respond, simulated_eeg
from evaluation.evaluate import evaluate
from evaluation.features import Features
from evaluation.rows import SELECTED, Score
from evaluation.time.encoding import FrameEncoding
from evaluation.time.held_out import HeldOut
from evaluation.time.pieces import Draws, TooShort
from models.external.baselines.clock import Clock
from tests.evaluation.people import LAG, LAYERS, RATE, N, codes, layers_of, one, people


def encoding(responses: SentenceResponses, **changes: Any) -> FrameEncoding:
    quick: dict[str, Any] = {"lags": (-0.08, 0.4), "components": 6, "seconds": 1.5, "draws": 99}
    return FrameEncoding("eeg/x", responses, **(quick | changes))


@pytest.fixture(scope="module")
def features() -> dict[str, Features]:
    return layers_of(shallow=codes(2), planted=codes(1), deep=codes(3))


@pytest.fixture(scope="module")
def rows(features: dict[str, Features]) -> list[Score]:
    return encoding(people(0.3, subjects=3)).score(features)


def test_the_planted_layer_and_delay_are_found(rows: list[Score]) -> None:
    value = {name: one(rows, metric="r", layer=name, subject="") for name in (*LAYERS, SELECTED)}
    assert value[SELECTED].value == value["planted"].value
    assert value["planted"].value > 0.2
    assert value["planted"].p == pytest.approx(0.03)  # three layers, and one of a hundred draws
    for other in ("shallow", "deep"):
        assert value[other].value < 0.05
        assert value[other].p is not None
        assert value[other].p > 0.05
    excess = one(rows, metric="excess_r", subject="")
    assert excess.layer == SELECTED
    assert excess.p == 0.01
    assert excess.ci_low is not None
    assert 0 < excess.ci_low < excess.value < value[SELECTED].value + 0.05
    # The kernel falls more slowly than it rises: its middle is a sample later than its peak.
    assert LAG <= one(rows, metric="r_delay").value <= LAG + 1 / RATE


def test_rows_say_what_they_are(rows: list[Score]) -> None:
    assert {row.n for row in rows} == {N}
    assert {row.metric for row in rows} == {"r", "excess_r", "null_r", "ceiling_r", "r_delay"}
    lower, upper = (one(rows, metric="ceiling_r", target=t).value for t in ("lower", "upper"))
    assert 0 < lower < upper
    for row in rows:
        if row.metric == "r":
            assert row.ceiling == upper
    people_of = [r.subject for r in rows if r.metric == "r" and r.layer == SELECTED]
    assert people_of == ["s0", "s1", "s2", ""]


def test_more_signal_more_correlation(features: dict[str, Features], rows: list[Score]) -> None:
    strong = encoding(people(3.0, subjects=3)).score(features)
    for metric in ("r", "excess_r"):
        wanted = {"metric": metric, "layer": SELECTED, "subject": ""}
        assert one(strong, **wanted).value > one(rows, **wanted).value + 0.1


def test_without_a_response_nothing_is_found(features: dict[str, Features]) -> None:
    rows = encoding(people(0.0, subjects=3)).score(features)
    assert min(row.p for row in rows if row.p is not None) > 0.05
    assert abs(one(rows, metric="excess_r", subject="").value) < 0.02


def test_reversing_the_response_in_time_destroys_the_effect(features: dict[str, Features]) -> None:
    responses = people(0.3, subjects=3)
    turned = tuple(values.flip(1) for values in responses.values)
    rows = encoding(replace(responses, values=turned)).score(features)
    assert abs(one(rows, metric="excess_r", subject="").value) < 0.03


def test_the_order_of_the_sentences_does_not_matter_within_folds(
    features: dict[str, Features], rows: list[Score]
) -> None:
    order = torch.arange(N).view(5, -1).flip(1).flatten()
    responses = people(0.3, subjects=3)
    moved = replace(responses, values=tuple(responses.values[i] for i in order.tolist()))
    other = {name: replace(f, values=f.values[order]) for name, f in features.items()}
    again = encoding(moved).score(other)
    wanted = {"metric": "excess_r", "subject": ""}
    assert one(again, **wanted).value == pytest.approx(one(rows, **wanted).value, abs=1e-9)


def test_one_person_has_an_interval_over_sentences_and_no_ceiling(
    features: dict[str, Features],
) -> None:
    rows = encoding(people(0.3, subjects=1)).score(features)
    assert all(row.ceiling is None for row in rows)
    assert not [row for row in rows if row.kind == "ceiling" or row.subject]
    excess = one(rows, metric="excess_r")
    assert excess.ci_low is not None
    assert excess.ci_low > 0
    assert excess.p == 0.01


def test_predictions_are_those_of_ridge_regression_on_delayed_frames() -> None:
    """One penalty, sentences of one length: by scikit-learn, from the time courses themselves."""
    responses = people(1.0, subjects=2)
    x = [torch.from_numpy(c[::4]).double() for c in codes(1)]
    lags, length = [-1, 0, 3], 30
    draws = Draws(19, 1, 0)
    held = HeldOut("eeg/x", responses, lags, torch.tensor([len(a) for a in x]), length, draws)
    rows = len(x[0]) - 3 - 1
    assert held.rows.tolist() == [rows] * N

    models = nested_encoding(held.sums(x), torch.tensor([0.5]))
    found = held.score(x, models)
    zero = 10  # .4 s at 25 Hz
    design = np.stack([np.stack([a[3 - k : 3 - k + rows] for k in lags], 1) for a in x])
    design = design.reshape(N, rows, -1)
    brain = np.stack([v[:, zero + 3 : zero + 3 + rows].double() for v in responses.values])
    fold = np.arange(N) * 5 // N
    for f in (0, 3):
        train = fold != f
        a, b = design - design[train].mean(0), brain - brain[train].mean(0)
        for s, c in ((0, 0), (1, 31)):
            scale = a[train].reshape(-1, a.shape[2]).std(0)
            flat = a[train].reshape(-1, a.shape[2]) / scale
            ridge = Ridge(alpha=0.5 * len(flat), fit_intercept=False)
            ridge.fit(flat, b[train][:, s, :, c].reshape(-1))
            for i, k in ((0, 0), (2, 1)):
                sentence = int(fold.searchsorted(f)) + i
                part = slice(k * length, (k + 1) * length)
                guess = ridge.predict(a[sentence, part] / scale)
                r = np.corrcoef(guess, b[sentence, s, part, c])[0, 1]
                piece = int(((held.sentence == sentence) & (held.position == k * length)).nonzero())
                assert float(found.observed[piece, 0, s, c].tanh()) == pytest.approx(r, abs=1e-9)


def test_partners_are_of_the_same_fold_and_position() -> None:
    responses = people(0.3, subjects=1)
    held = HeldOut("eeg/x", responses, [0, 5], torch.full((N,), 100), 30, Draws(50, 1, 0))
    own = torch.arange(len(held.sentence))
    for drawn in held.partner:
        assert torch.equal(held.piece_fold[drawn], held.piece_fold)
        assert torch.equal(held.position[drawn], held.position)
        assert not (drawn == own).any()
        assert torch.equal(drawn.sort().values, own)


# ---- sounds --------------------------------------------------------------------------------------


def series_of(responses: SentenceResponses, seed: int) -> Features:
    """Frames that know nothing of the sounds."""
    values = torch.from_numpy(codes(seed)[: len(responses.stimuli)]).float()
    return Features(values, torch.full((len(values),), values.shape[1]), CODE_RATE, 0.0)


def test_in_full_adds_electrodes_and_acoustics_and_changes_nothing_else() -> None:
    responses = simulated_eeg(n_sentences=20, n_subjects=6, snr=1.0)
    quick = encoding(responses, lags=(0.0, 0.24), components=4, acoustic_components=10)
    features = {"other": series_of(responses, 2)}
    before, after = quick.score(features), quick.in_full().score(features)
    assert [row for row in after if row.metric in {r.metric for r in before}] == before
    assert quick.metrics == ("r",)
    maps = [row for row in after if row.metric == "map_r"]
    assert [row.target for row in maps] == list(responses.channels)
    selected = one(after, metric="r", layer=SELECTED, subject="")
    mean = np.tanh(np.mean(np.arctanh([row.value for row in maps])))
    assert mean == pytest.approx(selected.value, abs=1e-9)
    alone = one(after, metric="r_acoustics", subject="")
    assert alone.layer == "acoustics"
    assert alone.value > 0.3
    beyond = one(after, metric="r_beyond_acoustics", layer=SELECTED, subject="")
    # The layer knows nothing of what the people follow.
    assert -0.02 < beyond.value < 0.005
    assert beyond.p is not None
    assert beyond.p > 0.05
    assert beyond.ci_low is not None
    assert beyond.ci_low < beyond.value < beyond.ci_high  # type: ignore[operator]


def test_what_the_layer_knows_beyond_acoustics_is_found() -> None:
    responses = simulated_eeg(n_sentences=20, n_subjects=4, snr=0.5)
    added = following(responses, codes(1)[:20])
    heard = tuple(a + b for a, b in zip(responses.values, added, strict=True))
    settings = {"lags": (0.0, 0.24), "acoustic_components": 4, "metrics": ["r_beyond_acoustics"]}
    responses = replace(responses, values=heard)
    rows = encoding(responses, **settings).score({"other": series_of(responses, 1)})
    beyond = one(rows, metric="r_beyond_acoustics", layer=SELECTED, subject="")
    assert beyond.value > 0.1
    assert beyond.p is not None
    assert beyond.p < 0.05


def following(responses: SentenceResponses, code: np.ndarray) -> list[torch.Tensor]:
    """What these people answer to another code, as long as their recordings."""
    people_of = len(responses.subjects)
    values, _, _ = respond([*code], CODE_RATE, people_of, 1.0, LAG, RATE, 0.4, 1.0, 7)
    lengths = [v.shape[1] for v in responses.values]
    return [
        torch.nn.functional.pad(v, (0, 0, 0, max(0, n - v.shape[1])))[:, :n]
        for v, n in zip(values, lengths, strict=True)
    ]


@pytest.mark.parametrize("evoked", [0.0, 20.0])
def test_a_clock_scores_zero(evoked: float) -> None:
    """Also where every sentence is followed by the same large response."""
    responses = simulated_eeg(n_sentences=20, n_subjects=2, snr=1.0)
    time = torch.arange(200)[:, None] / RATE
    course = evoked * torch.exp(-time) * torch.sin(torch.arange(1, 33) * time)
    heard = tuple(v + course[: v.shape[1]].float() for v in responses.values)
    found = evaluate(Clock(), [encoding(replace(responses, values=heard))])
    assert not found.failures
    assert one(found.scores, metric="excess_r", subject="").value == 0
    assert {row.p for row in found.scores} == {None, 1.0}
    assert not [row for row in found.scores if row.metric == "r_delay"]


# ---- errors --------------------------------------------------------------------------------------


def test_errors_say_what_to_give(features: dict[str, Features]) -> None:
    responses = people(0.3, subjects=1)
    with pytest.raises(ValueError, match="no metric 'r2': choose from r, map_r"):
        encoding(responses, metrics=["r2"])
    with pytest.raises(ValueError, match="metrics has map_r, but electrodes have no positions"):
        encoding(replace(responses, positions=None), metrics=["map_r"])
    with pytest.raises(ValueError, match=r"lags from 0\.4 to 0 s"):
        encoding(responses, lags=(0.4, 0.0))
    with pytest.raises(TooShort, match=r"0 sentences of 4\.48 s or more"):
        encoding(responses, seconds=4.0).score(features)
    with pytest.raises(ValueError, match="one frame for a whole sound"):
        encoding(responses).score({"mean": Features(torch.randn(N, 1, 4), None, 1.0, 0.0)})
    two = replace(responses, folds=torch.arange(N) * 2 // N)
    with pytest.raises(ValueError, match="2 folds, expected at least 3"):
        encoding(two).score(features)
