"""Metrics by name: those that are known, and functions of one's own."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from alignment.cka import linear_cka
from alignment.procrustes import angular_distance
from alignment.rsa import zscore
from alignment.series.metrics import BY_NAME, METRICS, shift_products
from datamodules.simulated.brain import simulated_brain
from datamodules.stimuli import TimedResponseSet
from evaluation.features import Features
from evaluation.fmri.response_alignment import ResponseAlignment
from evaluation.metrics import METRICS as FACTS
from evaluation.metrics import MetricFacts
from evaluation.rows import Score
from evaluation.similarities import (
    OF_STIMULI,
    compare_all,
    compare_selected,
    load_function,
    of_series,
    of_stimuli,
    rsa,
)
from evaluation.time.ecog import TimedAlignment
from tests.evaluation.people import benchmark, codes, layers_of, people


def overlap(x: Tensor, y: Tensor) -> Tensor:
    """Linear CKA under another name."""
    return linear_cka(x, y, debiased=True)


@pytest.fixture(autouse=True)
def mine() -> Iterator[None]:
    module = ModuleType("alignment.mine")
    module.overlap = overlap
    module.cka = overlap
    module.flat = lambda x, y: torch.zeros(3)
    module.broken = lambda x, y: 1 / 0
    sys.modules["alignment.mine"] = module
    yield
    del sys.modules["alignment.mine"]


def test_stimuli_are_compared_by_every_known_metric() -> None:
    responses = simulated_brain(n_sounds=30)
    x = torch.randn(30, 7, generator=torch.Generator().manual_seed(0))
    rows = ResponseAlignment("fmri/x", responses, metrics=list(OF_STIMULI)).score(
        {"layer": Features(x)}
    )
    values = {row.metric: row.value for row in rows}
    assert list(values) == list(OF_STIMULI)
    a, b = zscore(x.double()), zscore(responses.values)
    assert values["cka_debiased"] == pytest.approx(float(linear_cka(a, b)), abs=1e-9)
    nearness = 1 - float(angular_distance(a, b)) / (torch.pi / 2)
    assert values["procrustes"] == pytest.approx(nearness, abs=1e-9)
    own = ResponseAlignment("fmri/x", responses, metrics=list(OF_STIMULI)).score(
        {"layer": Features(responses.values)}
    )
    highest = {row.metric: row.value for row in own}
    for name in ("rsa", "cka", "cka_debiased", "dcor", "procrustes", "kendall", "rv2"):
        assert highest[name] == pytest.approx(1.0, abs=1e-6), name


def test_ones_own_function_scores_stimuli_and_times() -> None:
    responses = simulated_brain(n_sounds=30)
    x = torch.randn(30, 7, generator=torch.Generator().manual_seed(0))
    metrics = ["r2", "rsa", "alignment.mine.overlap"]
    rows = ResponseAlignment("fmri/x", responses, metrics=metrics).score({"layer": Features(x)})
    (row,) = [row for row in rows if row.metric == "overlap"]
    expected = float(linear_cka(zscore(x.double()), zscore(responses.values)))
    assert row.value == pytest.approx(expected, abs=1e-12)
    assert (row.kind, row.of, row.target) == ("score", "overlap", "")


def test_ones_own_function_is_tested_in_time_like_a_known_one() -> None:
    """The same function by both ways: statistics, surrogates, p and held-out choices agree."""
    y, features = people(0.5), layers_of(shallow=codes(2), planted=codes(1))
    for kind in ("mismatch", "circular"):
        rows: list[Score] = []
        for name in ("cka_debiased", "alignment.mine.overlap"):
            only = {"plain": [name], "lag": [name]}
            tested = {"kind": kind, "draws": 19}
            found = benchmark(y, metrics=only, surrogates=tested, lags=(0.0, 0.12))
            rows += [row for row in found.score(features) if row.kind in ("score", "lag", "null")]
        known = [row for row in rows if row.of == "cka_debiased"]
        mine = [row for row in rows if row.of == "overlap"]
        assert len(known) == len(mine) > 20
        for a, b in zip(known, mine, strict=True):
            assert b.value == pytest.approx(a.value, abs=1e-6)
            assert b.p == a.p


def test_shifts_of_ones_own_function_are_exact() -> None:
    x, y = (torch.randn(2, 12, size, dtype=torch.float64) for size in (4, 3))
    metrics = of_series("eeg/x", ["alignment.mine.overlap"])
    metric, plain = metrics["overlap"], metrics["cka_debiased"]
    known = shift_products(plain, plain.signature(x), plain.signature(y))
    assert torch.allclose(shift_products(metric, x, y), known)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("numpy.dot", r"metric 'numpy.dot': expected alignment\.MODULE\.FUNCTION"),
        ("alignment.cka._x", r"expected alignment\.MODULE\.FUNCTION"),
        ("alignment.nowhere.f", "No module named 'alignment.nowhere'"),
        ("alignment.mine.nothing", "has no attribute 'nothing'"),
        ("alignment.mine.cka", "would have the rows of 'cka', which is known already"),
        ("alignment.mine.broken", r"fails on \(1, 12, 5\) and \(2, 12, 3\): division by zero"),
        ("alignment.mine.flat", r"gives shapes \[torch.Size\(\[3\]\), torch.Size\(\[3\]\)\]"),
    ],
)
def test_what_is_no_metric_says_why(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=f"fmri/x: .*{said}"):
        load_function("fmri/x", name)


def test_an_unknown_name_is_answered_with_those_known() -> None:
    with pytest.raises(ValueError, match="fmri/x: no metric 'ckaa': choose from r2, rsa, kendall"):
        of_stimuli("fmri/x", ["ckaa"], also=("r2",))
    with pytest.raises(ValueError, match="eeg/x: no metric 'rsa': choose from rsa_spearman"):
        of_series("eeg/x", ["rsa"])
    assert set(of_series("eeg/x", [])) == {*METRICS, *BY_NAME}


def test_rsa_of_several_responses_at_once() -> None:
    x, y = torch.randn(1, 20, 6), torch.randn(5, 20, 4)
    assert torch.allclose(rsa(x, y), torch.stack([rsa(x[0], one) for one in y]))


def test_metrics_of_responses_over_time() -> None:
    made = simulated_brain(n_sounds=30)
    times = torch.arange(60) / 25
    moving = made.values[:, None] + 0.1 * torch.randn(30, 60, made.values.shape[1]).double()
    timed = TimedResponseSet(made.stimuli, moving, times, made.targets, made.folds, made.provenance)
    names = ["rsa", "cka_debiased", "alignment.mine.overlap"]
    frames = torch.randn(30, 10, 6)
    feature = Features(frames, torch.full((30,), 10), 5.0, 0.0)
    rows = TimedAlignment("ecog/x", timed, max_lag=0, metrics=names).score({"layer": feature})
    assert {row.metric for row in rows} == {"rsa", "cka_debiased", "overlap"}
    same = {(r.window, r.value) for r in rows if r.metric == "cka_debiased"}
    for row in (row for row in rows if row.metric == "overlap"):
        assert any(w == row.window and v == pytest.approx(row.value, abs=1e-9) for w, v in same)


def planted(seed: int = 0) -> tuple[list[Tensor], Tensor, Tensor]:
    """Three layers, of which the second holds the responses; five folds of twelve stimuli."""
    generator = torch.Generator().manual_seed(seed)
    layers = [torch.randn(60, 6, generator=generator, dtype=torch.float64) for _ in range(3)]
    mixing, noise = (
        torch.randn(*shape, generator=generator, dtype=torch.float64)
        for shape in ((6, 4), (1, 60, 4))
    )
    return layers, layers[1] @ mixing + 0.3 * noise, torch.arange(60) % 5


def test_the_planted_layer_is_selected_and_scored_on_other_stimuli() -> None:
    layers, responses, folds = planted()
    chosen = of_stimuli("fmri/x", ["rsa", "cka_debiased", "alignment.mine.overlap"])
    found = compare_selected(chosen, layers, responses, folds)
    whole = compare_all(chosen, layers[1], responses)
    assert found["rsa"].item() == pytest.approx(whole["rsa"].item(), abs=1e-12)
    inside = [
        compare_all(chosen, layers[1][folds == f], responses[:, folds == f])["overlap"].item()
        for f in range(5)
    ]
    assert found["overlap"].item() == pytest.approx(sum(inside) / 5, abs=1e-12)
    assert found["cka_debiased"].item() == pytest.approx(sum(inside) / 5, abs=1e-9)


def test_of_a_distance_the_smallest_is_selected(monkeypatch: pytest.MonkeyPatch) -> None:
    known = MetricFacts("a distance", "geometry", lower_is_better=True)
    monkeypatch.setitem(FACTS, "angular_distance", known)
    layers, responses, folds = planted()
    chosen = of_stimuli("fmri/x", ["alignment.procrustes.angular_distance"])
    (value,) = compare_selected(chosen, layers, responses, folds).values()
    others = [compare_selected(chosen, [one, one], responses, folds) for one in layers]
    assert value.item() == min(one["angular_distance"].item() for one in others)


def test_one_layer_or_two_folds_select_nothing() -> None:
    layers, responses, folds = planted()
    chosen = of_stimuli("fmri/x", ["rsa"])
    assert compare_selected(chosen, layers[:1], responses, folds) == {}
    assert compare_selected(chosen, layers, responses, folds % 2) == {}


@pytest.mark.long
def test_the_maximum_of_unrelated_layers_is_above_zero_and_the_choice_is_not() -> None:
    chosen, highest, selected = of_stimuli("fmri/x", ["rsa", "cka_debiased"]), {}, {}
    for seed in range(30):
        generator = torch.Generator().manual_seed(seed)
        layers = [torch.randn(60, 6, generator=generator, dtype=torch.float64) for _ in range(12)]
        responses = torch.randn(1, 60, 4, generator=generator, dtype=torch.float64)
        folds = torch.arange(60) % 5
        for name, value in compare_selected(chosen, layers, responses, folds).items():
            selected.setdefault(name, []).append(value.item())
        for name in chosen:
            every = [compare_all(chosen, one, responses)[name].item() for one in layers]
            highest.setdefault(name, []).append(max(every))
    for name in chosen:
        error = np.std(selected[name]) / 30**0.5
        assert abs(np.mean(selected[name])) < 3 * error
        assert np.mean(highest[name]) > 3 * np.std(highest[name]) / 30**0.5
