"""Alignment in time on simulated people: layer, lag and nothing at all are found as planted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from datamodules.sentences import as_sentences
from datamodules.simulated.eeg import simulated_eeg
from datamodules.stimuli import TimedResponseSet
from evaluation.benchmark import Extensible
from evaluation.features import Features
from evaluation.rows import Score
from evaluation.time.frame_alignment import BOTH
from evaluation.time.settings import IN_WINDOWS, PAPER
from tests.evaluation.people import (
    LAG,
    LAYERS,
    MADE,
    RATE,
    N,
    benchmark,
    codes,
    layers_of,
    one,
    people,
)


@pytest.fixture(scope="module")
def features() -> dict[str, Features]:
    """A layer of another series, that of the code, and the code in as much noise again."""
    planted, other = codes(1), codes(2)
    return layers_of(shallow=other, planted=planted, deep=planted + 1.5 * codes(3))


@pytest.fixture(scope="module")
def rows(features: dict[str, Features]) -> list[Score]:
    return benchmark(people(0.5), metrics={"plain": BOTH, "lag": BOTH, "window": BOTH}).score(
        features
    )


@pytest.mark.parametrize("metric", BOTH)
def test_layer_and_lag_are_found(rows: list[Score], metric: str) -> None:
    curve = [r for r in rows if r.metric == f"lag_{metric}" and r.window]
    best = max(curve, key=lambda row: row.value)
    assert best.layer == "planted"
    assert float(best.window) == pytest.approx(LAG, abs=1.01 / RATE)
    assert best.p == 1 / 100
    chosen = one(rows, metric=f"lag_{metric}", layer="selected", subject="")
    assert chosen.value == pytest.approx(best.value, abs=0.02)
    assert chosen.p == 1 / 100
    assert chosen.ci_low is not None
    assert chosen.ci_low < chosen.value
    excess = one(rows, metric=f"excess_lag_{metric}", layer="selected", subject="")
    level = one(rows, metric=f"null_lag_{metric}", layer="planted", window=best.window)
    assert excess.value == pytest.approx(chosen.value - level.value, abs=0.03)
    assert excess.value > 0.1
    for row in curve:
        if row.layer == "shallow":
            assert row.p is not None
            assert row.p > 0.05


def test_every_subject_has_a_row(rows: list[Score]) -> None:
    for layer in (*LAYERS, "selected"):
        group = one(rows, metric="cka_debiased", layer=layer, subject="")
        own = [
            one(rows, metric="cka_debiased", layer=layer, subject=f"s{i}").value for i in range(2)
        ]
        assert group.value == pytest.approx(np.mean(own))
    assert {row.n for row in rows} == {N}


def test_every_tested_value_has_the_band_of_its_surrogates(rows: list[Score]) -> None:
    for row in rows:
        if row.layer not in LAYERS or row.subject or row.metric.startswith("null_"):
            continue
        same = {"layer": row.layer, "window": row.window, "subject": ""}
        band = one(rows, metric=f"null_{row.metric}", **same)
        assert band.ci_low is not None
        assert band.ci_high is not None
        assert band.ci_low <= band.value <= band.ci_high
        if row.p == 1 / 100 and not row.window:
            assert row.value > band.ci_high


@pytest.mark.long
def test_nothing_is_found_in_noise(features: dict[str, Features]) -> None:
    rows = benchmark(people(0.0)).score(features)
    tested = [row.p for row in rows if row.p is not None]
    assert len(tested) > 100
    assert min(tested) > 0.02


@pytest.mark.long
def test_reversing_the_response_in_time_destroys_the_effect(features: dict[str, Features]) -> None:
    forward = people(2.0)
    backward = replace(forward, values=tuple(v.flip(1) for v in forward.values))
    only = {"metrics": {"lag": ["cka_debiased"]}}
    largest = []
    for y in (forward, backward):
        rows = benchmark(y, **only).score({"planted": features["planted"]})
        level = {r.window: r.value for r in rows if r.metric.startswith("null_")}
        largest.append(max(r.value - level[r.window] for r in rows if r.window in level))
    assert largest[0] > 0.2
    assert largest[1] < 0.1 * largest[0]


@pytest.mark.long
def test_order_of_sentences_and_subjects_does_not_matter(features: dict[str, Features]) -> None:
    y = people(0.5)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(0))
    other = replace(
        y,
        values=tuple(y.values[i].flip(0) for i in order.tolist()),
        folds=y.folds[order],
        subjects=y.subjects[::-1],
    )
    moved = {
        name: Features(f.values[order], f.lengths, f.rate, f.offset) for name, f in features.items()
    }
    only = {"metrics": {"plain": BOTH}}
    a, b = benchmark(y, **only).score(features), benchmark(other, **only).score(moved)
    for row in a:
        if row.p is None and not row.metric.startswith(("null_", "excess_")):
            fields = ("metric", "layer", "window", "subject", "target")
            twin = one(b, **{name: getattr(row, name) for name in fields})
            assert row.value == pytest.approx(twin.value, abs=1e-6)


@pytest.mark.long
def test_sounds_of_one_length_are_sentences_too(features: dict[str, Features]) -> None:
    y = people(0.5, subjects=1)
    timed = TimedResponseSet(
        y.stimuli,
        torch.stack([v[0, 10:110].double() for v in y.values]),
        torch.arange(100) / RATE,
        y.channels,
        y.folds,
        MADE,
    )
    rows = benchmark(as_sentences(timed), lags=(0.0, 0.4)).score(features)
    curve = [r for r in rows if r.metric == "lag_rsa_spearman" and r.window]
    best = max(curve, key=lambda row: row.value)
    assert (best.layer, best.p) == ("planted", 1 / 100)
    assert float(best.window) == pytest.approx(LAG, abs=1.01 / RATE)
    deaf = [r for r in rows if r.metric == "lag_rsa_spearman" and r.layer == "shallow"]
    assert min(r.p for r in deaf if r.p is not None) > 0.05


@pytest.mark.long
def test_the_full_form_says_the_same_and_more(features: dict[str, Features]) -> None:
    quick = benchmark(people(0.5), surrogates={"draws": 19})
    assert isinstance(quick, Extensible)
    rows, more = quick.score(features), quick.in_full().score(features)
    values = {_place(row): row.value for row in more}
    assert len(values) == len(more) > 2 * len(rows)
    for row in rows:
        assert values[_place(row)] == row.value
    kinds = {row.metric.split("_")[0] for row in more}
    assert {"map", "window", "tnc", "mediation", "peak", "ceiling", "gaussian"} <= kinds
    assert "word" not in kinds
    # The quick one is what it was.
    assert [_place(row) for row in quick.score(features)] == [_place(row) for row in rows]


def test_the_full_form_keeps_what_was_asked_for() -> None:
    only = {"plain": ["cka"], "lag": ["dcor"], "window": ["mutual_knn"]}
    quick = benchmark(people(0.5), metrics=only)
    whole = quick.in_full().analyses
    assert set(whole.lag) == {*BOTH, "dcor"}
    assert set(whole.window) == {*IN_WINDOWS, "mutual_knn"}
    assert set(PAPER) <= set(whole.erp)
    assert whole.prosody[0] == "cka_debiased"
    assert "cka" in whole.plain
    assert benchmark(people(0.5), metrics="cka").analyses.plain == ("cka",)


def _place(row: Score) -> tuple[str, ...]:
    return row.metric, row.layer, row.target, row.window, row.subject


@pytest.mark.long
def test_windows_begin_with_the_sentence(features: dict[str, Features]) -> None:
    """Later pieces of a sentence say nothing about the time from its onset."""
    y = people(0.5, subjects=1)
    only = {"window": ["rsa_pearson"]}
    short = benchmark(y, metrics=only)
    longer = benchmark(y, metrics=only, pieces={"seconds": 1.5})
    first, second = ({_place(r): r.value for r in b.score(features)} for b in (short, longer))
    raw = [place for place in first if place[0] == "window_rsa_pearson" and place[3]]
    assert len(raw) > 40
    for place in raw:
        assert second[place] == pytest.approx(first[place], abs=1e-9)


@pytest.mark.long
def test_what_cannot_be_scored_says_why(features: dict[str, Features]) -> None:
    y = people(0.5, subjects=1)
    still = {"mean": Features(torch.zeros(N, 1, 4), torch.ones(N), 1.0, 0.5)}
    with pytest.raises(ValueError, match=r"one frame for a whole sound.*encoder=logmel_frames"):
        benchmark(y).score(still)
    with pytest.raises(ValueError, match="no metric 'spearman': choose from rsa_spearman, rsa_"):
        benchmark(y, metrics=["spearman"])
    with pytest.raises(ValueError, match="metrics has no lags: expected any of plain, people"):
        benchmark(y, metrics={"lags": ["cka"]})
    with pytest.raises(ValueError, match="eeg/x: surrogates is 'circular', expected any of kind"):
        benchmark(y, surrogates="circular")
    with pytest.raises(ValueError, match=r"surrogates\.kind 'circle', expected mismatch or circ"):
        benchmark(y, surrogates={"kind": "circle"})
    with pytest.raises(ValueError, match=r"lags from -1\.0 s, but responses begin 0\.4 s before"):
        benchmark(y, lags=(-1.0, 0.5))
    with pytest.raises(ValueError, match=r"0 sentences of 9\.00 s or more"):
        benchmark(y, pieces={"seconds": 9.0}).score(features)
    flat = replace(y, values=tuple(torch.zeros_like(v) for v in y.values))
    with pytest.raises(ValueError, match="not a number: frames or responses are constant"):
        benchmark(flat).score(features)


def test_the_simulator_keeps_its_signal_to_noise_ratio() -> None:
    signal = people(1e8).values[3].double()
    both, noise = people(0.5).values[3].double(), people(0.0).values[3].double()
    ratio = (both - noise).square().mean() / noise.square().mean()
    assert float(ratio) == pytest.approx(0.5, rel=0.35)
    assert (
        float(torch.corrcoef(torch.stack([(both - noise)[0, :, 4], signal[0, :, 4]]))[0, 1]) > 0.99
    )


def test_the_simulator_is_seeded_and_simulated() -> None:
    one, same, other = (simulated_eeg(4, 2, seed=s) for s in (0, 0, 1))
    assert all(map(torch.equal, one.values, same.values))
    assert not torch.equal(one.values[0][:, :50], other.values[0][:, :50])
    assert one.provenance.simulated
    for i, values in enumerate(one.values):
        heard = len(one.stimuli.waveform(i, 24_000)) / 24_000
        assert values.shape[1] / one.rate == pytest.approx(heard + 1.4, abs=0.1)


def late() -> dict[str, Features]:
    """Layers as late as the response, so that it is followed without delay."""
    planted, other = (np.roll(codes(seed), round(100 * LAG), axis=1) for seed in (1, 2))
    return layers_of(shallow=other, planted=planted, deep=planted + 1.5 * codes(3))


def test_hsic_and_rv_have_rows_where_they_are_asked_for() -> None:
    names = ["hsic", "hsic_rbf", "rv", "cka"]
    rows = benchmark(people(0.5), metrics={"plain": names}).score(late())
    for metric in names:
        assert one(rows, metric=metric, layer="selected", subject="").p == 1 / 100
        assert one(rows, metric=metric, layer="planted", subject="").p <= 0.03
    for row in rows:
        if row.of == "rv" and not row.p and row.kind != "peak":
            place = {"layer": row.layer, "subject": row.subject, "target": row.target}
            assert one(rows, of="cka", kind=row.kind, **place).value == row.value
    assert {row.metric for row in rows if row.kind == "ceiling"} == {"ceiling_rv", "ceiling_cka"}
    whole = benchmark(people(0.5)).in_full().analyses
    assert not {"hsic", "hsic_rbf", "rv"} & set(whole.plain)
    assert "rsa_partial_acoustic" in whole.plain


def test_layers_lie_above_surrogates_in_people() -> None:
    metrics = {"plain": ["cka_debiased"], "people": ["cka_debiased", "rsa_spearman"]}
    for count in (2, 7):
        rows = benchmark(people(1.0, count), metrics=metrics).score(late())
        for name in metrics["people"]:
            wanted = {"metric": f"excess_{name}", "subject": ""}
            found = {layer: one(rows, layer=layer, **wanted) for layer in LAYERS}
            own = [r for r in rows if r.metric == f"excess_{name}" and r.layer == "planted"]
            assert len(own) == count + 1
            mean = np.mean([row.value for row in own if row.subject])
            assert found["planted"].value == pytest.approx(mean)
            if count == 2:
                assert [row.p for row in found.values()] == [None] * 3
                continue
            assert found["planted"].p == 1 / 128
            assert found["shallow"].value < 0.1 * found["planted"].value
    level = one(rows, metric="null_cka_debiased", layer="planted")
    value = one(rows, metric="cka_debiased", layer="planted", subject="")
    excess = one(rows, metric="excess_cka_debiased", layer="planted", subject="")
    assert excess.value == pytest.approx(value.value - level.value, abs=0.01)
