"""Alignment by words: against literal loops, and on words whose response is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.stats import spearmanr
from torch import Tensor

from alignment.series.metrics import METRICS
from datamodules.sentences import Words
from evaluation.rows import Score
from evaluation.time.frame_alignment import FrameAlignment
from evaluation.time.pieces import Draws, Series
from evaluation.time.words import COMPONENTS, by_words
from tests.evaluation.people import RATE, SECONDS, N, codes, layers_of, one, people

DIM = 6


def words(seed: int) -> tuple[Words, ...]:
    """About ten words in four seconds, every second one a content word."""
    draw = np.random.default_rng(seed)
    found = []
    for _ in range(N):
        onsets = 0.1 + np.cumsum(draw.uniform(0.25, 0.5, 30))
        onsets = torch.from_numpy(onsets[onsets < SECONDS - 0.2])
        found.append(Words(onsets, torch.arange(len(onsets)) % 2 == 0))
    return tuple(found)


def spoken(kinds: tuple[bool, ...], strength: float, at: float = 0.4) -> tuple:
    """Words with a vector each: frames that hold it, and a response that follows its onset."""
    known = words(0)
    draw = np.random.default_rng(1)
    frames, heard = np.zeros((N, SECONDS * 100, DIM)), people(0.0)
    values = []
    for i, own in enumerate(known):
        evoked = np.zeros((heard.values[i].shape[1], DIM))
        time = np.arange(len(evoked)) / RATE + heard.start
        ends = [*own.onsets[1:].tolist(), SECONDS]
        for onset, end, content in zip(own.onsets.tolist(), ends, own.content, strict=True):
            vector = draw.standard_normal(DIM)
            frames[i, round(onset * 100) : round(end * 100)] = vector
            if bool(content) in kinds:
                evoked += np.exp(-0.5 * ((time - onset - at) / 0.05) ** 2)[:, None] * vector
        mixing = np.random.default_rng(2).standard_normal((DIM, heard.values[i].shape[2]))
        values.append(heard.values[i] + strength * torch.from_numpy(evoked @ mixing).float())
    features = layers_of(other=codes(5), planted=frames + 0.2 * codes(6))
    return features, replace(heard, values=tuple(values), words=known)


def scores_of(features: dict, responses: object) -> list[Score]:
    only = {"word": ["rsa_spearman"]}
    pieces, surrogates = {"word_seconds": 4.0}, {"draws": 199}
    found = FrameAlignment("eeg/x", responses, only, pieces=pieces, surrogates=surrogates)
    return found.score(features)


@pytest.mark.long
def test_the_layer_and_the_component_of_content_words_are_found() -> None:
    rows = scores_of(*spoken((True,), 0.5))
    for kind, found in (("content", True), ("word", True), ("function", False)):
        metric = f"{kind}_rsa_spearman"
        curve = {(r.layer, r.window): r for r in rows if r.metric == metric and r.window}
        assert len(curve) == 2 * len(COMPONENTS)
        best = max(curve.values(), key=lambda row: row.value)
        chosen = one(rows, metric=metric, layer="selected", subject="")
        if found:
            assert (best.layer, best.window) == ("planted", "N400")
            assert best.p == 1 / 200
            assert chosen.p == 1 / 200
        assert all(r.p > 0.05 for r in curve.values() if r.layer == "other")
    function = [r for r in rows if r.metric == "function_rsa_spearman" and r.window == "N400"]
    content = one(rows, metric="content_rsa_spearman", window="N400", layer="planted")
    assert max(r.value for r in function) < 0.3 * content.value


def unrelated(seed: int, memory: float) -> list[float]:
    """p of each kind of words, of vectors that resemble those before and slow noise as response."""
    known, heard = words(seed), people(0.0, 1, seed=seed + 10)
    draw = np.random.default_rng(seed)
    frames = np.zeros((N, SECONDS * 100, DIM))
    for i, own in enumerate(known):
        vector = np.zeros(DIM)
        for onset in own.onsets.tolist():
            vector = memory * vector + draw.standard_normal(DIM)
            frames[i, round(onset * 100) :] = vector
    rows = scores_of(layers_of(context=frames), replace(heard, words=known))
    found = []
    for kind in ("word", "content", "function"):
        mine = [row for row in rows if row.metric == f"{kind}_rsa_spearman"]
        assert len([row for row in mine if row.window and row.p is not None]) == len(COMPONENTS)
        p = one(mine, layer="selected").p
        assert p is not None
        found.append(p)
    return found


@pytest.mark.long
def test_nothing_is_found_in_noise() -> None:
    p = np.array([unrelated(seed, memory=0.0) for seed in range(10)])
    # Of 30 independent p at .05 more than five lie below in one of 300 such sets.
    assert (p <= 0.05).sum() <= 5


@pytest.mark.slow
@pytest.mark.parametrize("memory", [0.0, 0.8])
def test_words_that_are_like_the_ones_before_do_not_deceive(memory: float) -> None:
    """Slow noise and words in context: what follows closely is alike on both sides."""
    p = np.array([unrelated(seed, memory) for seed in range(200)])
    assert (np.mean(p <= 0.05, 0) <= 0.07).all()


def literal(frames: Tensor, response: Tensor, onsets: Tensor, zero: int, span: tuple) -> float:
    """Spearman of 1 - Pearson between words, one word after another."""
    before, after = [], []
    for onset, end in onsets.tolist():
        inside = [t for t in range(len(frames)) if onset <= t / RATE < end]
        nearest = min(round(onset * RATE), len(frames) - 1)
        before.append(frames[sorted({*inside, nearest})].mean(0))
        samples = [k for k in range(-40, 40) if span[0] - 1e-6 <= k / RATE <= span[1] + 1e-6]
        base = [k for k in range(-40, 1) if k / RATE >= -0.2 - 1e-6]
        here = zero + nearest
        mean = [response[[here + k for k in part]].mean(0) for part in (samples, base)]
        after.append(mean[0] - mean[1])
    pairs = np.triu_indices(len(before), 1)
    rdms = [1 - np.corrcoef(np.stack(part))[pairs] for part in (before, after)]
    return float(spearmanr(*rdms).statistic)


def test_statistics_are_those_of_a_loop_over_words() -> None:
    draw = np.random.default_rng(3)
    pieces, length, zero = 6, 100, 10
    x = [[torch.from_numpy(draw.standard_normal((length, 4)))] for _ in range(pieces)]
    y = [torch.from_numpy(draw.standard_normal((2, 150, 5))) for _ in range(pieces)]
    index = torch.arange(pieces)
    series = Series(x, y, zero, index // 3, index, torch.zeros_like(index))
    onsets = []
    for _ in range(pieces):
        start = 0.45 * np.arange(8) + draw.uniform(0, 0.3, 8)
        ends = np.minimum(np.append(start[1:], 9), start + 0.5)
        onsets.append(torch.from_numpy(np.stack([start, ends], 1)))
    found = by_words(METRICS["rsa_spearman"], series, onsets, float(RATE), Draws(50, 1, 0))
    for k, span in enumerate(COMPONENTS.values()):
        for i in range(pieces):
            for s in range(2):
                expected = [literal(x[i][0], y[j][s], onsets[i], zero, span) for j in range(pieces)]
                assert float(found.observed[i, 0, s, k]) == pytest.approx(expected[i], abs=1e-9)
                above = expected[i] - np.delete(expected, i).mean()
                assert float(found.excess[i, 0, s, k]) == pytest.approx(above, abs=1e-9)
    partner = series.partners(Draws(50, 1, 0))
    null = [
        np.mean([
            literal(x[i][0], y[j][s], onsets[i], zero, COMPONENTS["P2"])
            for i, j in enumerate(draw_partner.tolist())
            for s in range(2)
        ])
        for draw_partner in partner[:3]
    ]  # fmt: skip
    assert found.null_means()[:3, 0, 1].tolist() == pytest.approx(null, abs=1e-9)


@pytest.mark.long
def test_sentences_too_short_for_words_leave_the_rest(caplog: pytest.LogCaptureFixture) -> None:
    features, heard = spoken((True,), 0.5)
    pieces, surrogates = {"word_seconds": 9.0}, {"draws": 9}
    quick = FrameAlignment("eeg/x", heard, ["cka"], pieces=pieces, surrogates=surrogates)
    rows = quick.in_full().score(features)
    assert {"cka", "map_cka_debiased"} <= {row.metric for row in rows}
    assert not any(row.metric.startswith("word_") for row in rows)
    assert "words are left out" in caplog.text


@pytest.mark.long
def test_a_baseline_must_have_been_recorded() -> None:
    features, heard = spoken((True,), 0.5)
    late = replace(heard, values=tuple(v[:, 10:] for v in heard.values), start=0.0)
    with pytest.raises(ValueError, match=r"begin 0 s before the onset.*baseline of 0\.2 s"):
        scores_of(features, late)
    with pytest.raises(ValueError, match="the words of the sounds are not"):
        scores_of(features, replace(heard, words=None))
