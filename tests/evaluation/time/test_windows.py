"""Windows of sentences: against loops, and on responses that follow in one window alone."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pytest
import torch

from alignment.series.metrics import BY_NAME, METRICS, similarity
from evaluation.rows import Score
from evaluation.time.pieces import Draws, Series
from evaluation.time.rows import TimeRows
from evaluation.time.windows import NAMED, named_windows, sliding_windows, window_rows
from tests.alignment.test_inference import noise
from tests.evaluation.people import N, codes, layers_of, one, people
from tests.evaluation.people import benchmark as made

RATE, FRAMES, DIM = 50, 60, 5
KNOWN = METRICS | BY_NAME


def series(strength: float, window: str = "N400", seed: int = 0) -> Series:
    """Two people who follow the second of two layers in one window of the sentence."""
    first, count = named_windows(RATE, FRAMES)[window]
    x, y = [], []
    for i in range(N):
        layers = [noise(FRAMES, DIM, seed=seed + 10 * i + j) for j in range(2)]
        response = noise(2 * FRAMES, DIM, seed=seed + 5000 + i).view(2, FRAMES, DIM)
        response[:, first : first + count] += strength * layers[1][first : first + count]
        x.append(layers)
        y.append(response)
    index = torch.arange(N)
    return Series(x, y, 0, index // 6, index, torch.zeros_like(index))


def rows_of(known: Series, name: str, draws: int = 199, analysis: str = "erp") -> list[Score]:
    rows = TimeRows("eeg/x", replace(people(0.0), rate=float(RATE)), known.sentence)
    stretches = named_windows(RATE, FRAMES)
    if analysis == "window":
        stretches = sliding_windows(RATE, 1.0, FRAMES)
    chosen = {name: KNOWN[name]}
    found = window_rows(
        rows, analysis, chosen, known, stretches, ["a", "b"], Draws(draws, 1, 0), {name: {}}
    )
    return [*found]


def test_frames_of_a_window_begin_in_it() -> None:
    for rate in (25.0, 50.0, 64.0, 100.0):
        found = named_windows(rate, 1000)
        assert [*found] == [*NAMED]
        for name, (first, count) in found.items():
            times = np.arange(1000) / rate
            low, high = NAMED[name]
            inside = np.flatnonzero((times >= low - 1e-9) & (times < high - 1e-9))
            assert [*range(first, first + count)] == inside.tolist()
    assert named_windows(50.0, 60)["N100"] == (4, 4)
    assert "P600" not in named_windows(50.0, 39)
    assert "P600" in named_windows(50.0, 40)


def test_sliding_windows_are_250_ms_long_and_50_ms_apart() -> None:
    assert [*sliding_windows(40.0, 1.0, 300).items()][:3] == [
        ("0.12", (0, 10)), ("0.17", (2, 10)), ("0.23", (4, 10)),
    ]  # fmt: skip
    assert [*sliding_windows(50.0, 1.0, 150).values()][-1] == (44, 12)
    assert max(float(middle) for middle in sliding_windows(50.0, 2.0, 60)) <= 1.2 - 0.12


@pytest.mark.parametrize("name", ["rsa_spearman", "cka_debiased", "dcor", "hsic_rbf"])
def test_values_are_those_of_a_loop_over_sentences(name: str) -> None:
    known = series(1.0)
    rows = rows_of(known, name, draws=9)
    for window, (first, count) in named_windows(RATE, FRAMES).items():
        part = slice(first, first + count)
        for j, layer in enumerate(("a", "b")):
            values = [
                similarity(name, x[j][None, part], y[:, part]).mean()
                for x, y in zip(known.x, known.y, strict=True)
            ]
            row = one(rows, metric=f"erp_{name}", layer=layer, window=window, subject="")
            assert row.value == pytest.approx(float(torch.stack(values).mean()), abs=1e-9)


@pytest.mark.parametrize("name", ["rsa_spearman", "kendall", "cka_debiased", "hsic_rbf"])
@pytest.mark.parametrize("window", ["N100", "P600"])
def test_the_window_that_is_followed_is_found(name: str, window: str) -> None:
    """Also a long one, whose values vary less than those of one with four frames."""
    rows = rows_of(series(1.5 if window == "N100" else 0.5, window), name)
    metric = f"erp_{name}"
    best = one(rows, metric=metric, layer="b", window=window)
    assert best.p == 1 / 200
    apart = [row for row in rows if row.metric == metric and row.p and row.window]
    assert all(row.p > 0.05 for row in apart if row.layer == "a")
    far = {"N100": ("P300", "N400", "P600"), "P600": ("N100", "P200", "N200")}[window]
    assert all(row.p > 0.05 for row in apart if row.window in far)
    chosen = one(rows, metric=metric, layer="selected", subject="")
    assert chosen.p == 1 / 200
    assert chosen.value == pytest.approx(best.value, abs=1e-9)
    excess = one(rows, metric=f"excess_{metric}", layer="selected", subject="")
    level = one(rows, metric=f"null_{metric}", layer="b", window=window)
    assert excess.value == pytest.approx(chosen.value - level.value, rel=0.1)


@pytest.mark.long
@pytest.mark.parametrize("analysis", ["erp", "window"])
def test_nothing_is_found_in_noise(analysis: str) -> None:
    found = []
    for seed in range(8):
        rows = rows_of(series(0.0, seed=10_000 * seed), "cka_debiased", 39, analysis)
        found.append(min(row.p for row in rows if row.p and row.window and row.layer == "a"))
    assert sum(p <= 0.05 for p in found) <= 2


def test_windows_with_too_few_frames_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    planted = layers_of(planted=codes(1))
    known = made(people(0.5), metrics={"erp": ["rsa_spearman", "gaussian_mi"]})
    with caplog.at_level(logging.INFO):
        rows = known.score(planted)
    assert {row.window for row in rows if row.metric == "erp_rsa_spearman"} == {
        "P300", "N400", "P600", "",
    }  # fmt: skip
    assert not [row for row in rows if row.metric.endswith("gaussian_mi")]
    assert "erp of rsa_spearman has no rows of N100, P200, N200: fewer than 4" in caplog.text
    assert "erp of gaussian_mi has no rows of N100, P200, N200, P300, N400, P600" in caplog.text


@pytest.mark.long
def test_one_word_takes_every_metric() -> None:
    planted = layers_of(planted=codes(1))
    known = made(people(0.5), metrics={"window": "all", "erp": "paper"}, surrogates={"draws": 9})
    found = {row.metric for row in known.score(planted) if row.kind == "score"}
    assert {f"window_{name}" for name in METRICS} - found == {"window_gaussian_mi"}
    eight = ("rsa_spearman", "rsa_pearson", "kendall", "cka", "cka_rbf", "dcor", "hsic_rbf", "rv")
    assert {f"erp_{name}" for name in eight} <= found
