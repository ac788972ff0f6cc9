"""Alignment given the sound: nothing is left of the spectrogram, what lies beyond it is found."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from datamodules.sentences import SentenceResponses
from datamodules.simulated.eeg import simulated_eeg
from evaluation.features import Features, extract
from evaluation.time.acoustics import SoundLayer
from evaluation.time.frame_alignment import FrameAlignment
from models.external.baselines.logmel import LogMelFrames
from tests.alignment.test_inference import noise
from tests.evaluation.people import one

NAME = "rsa_partial_acoustic"


@pytest.fixture(scope="module")
def heard() -> SentenceResponses:
    """Two people who follow the spectrum of speech without delay."""
    return simulated_eeg(16, 2, snr=2.0, lag=0.02)


@pytest.fixture(scope="module")
def spectrum(heard: SentenceResponses) -> Features:
    return extract(LogMelFrames(), heard.stimuli, ["frames"])["frames"]["logmel"]


def hidden(heard: SentenceResponses) -> tuple[Features, SentenceResponses]:
    """A layer that no sound holds, and people who follow it beside the spectrum."""
    lengths = [v.shape[1] - 35 for v in heard.values]
    series = [noise(n + 35, 6, seed=i) for i, n in enumerate(lengths)]
    mixing = noise(6, 32, seed=99)
    values = tuple(
        v + 0.4 * (s @ mixing).float() for v, s in zip(heard.values, series, strict=True)
    )
    own = [s[10 : 10 + n] for s, n in zip(series, lengths, strict=True)]
    padded = torch.nn.utils.rnn.pad_sequence(own, batch_first=True)
    layer = Features(padded, torch.tensor(lengths), heard.rate, 0.0)
    return layer, replace(heard, values=values)


@pytest.mark.long
@pytest.mark.parametrize("kind", ["mismatch", "circular"])
def test_a_copy_of_the_sound_scores_nothing(
    heard: SentenceResponses, spectrum: Features, kind: str
) -> None:
    tests = {"draws": 99, "kind": kind}
    known = FrameAlignment(
        "eeg/x", heard, {"plain": [NAME, "rsa_partial"]}, surrogates=tests, lags=(0, 0.2)
    )
    rows = known.score({"logmel": spectrum})
    assert one(rows, metric="excess_rsa_partial", subject="").value > 0.03
    assert one(rows, metric=f"excess_{NAME}", subject="").value == pytest.approx(0, abs=1e-4)
    assert one(rows, metric=NAME, layer="logmel", subject="").p == 1


@pytest.mark.long
def test_what_lies_beyond_the_sound_is_found(heard: SentenceResponses, spectrum: Features) -> None:
    layer, responses = hidden(heard)
    metrics = {"plain": [NAME], "lag": [NAME], "erp": [NAME]}
    known = FrameAlignment("eeg/x", responses, metrics, surrogates={"draws": 99}, lags=(-0.2, 0.2))
    rows = known.score({"logmel": spectrum, "beyond": layer})
    assert one(rows, metric=NAME, layer="beyond", subject="").p == 2 / 100
    chosen = one(rows, metric=f"excess_{NAME}", layer="selected", subject="")
    assert chosen.value > 0.03
    assert chosen.p == 1 / 100
    curve = [row for row in rows if row.metric == f"lag_{NAME}" and row.window]
    best = max(curve, key=lambda row: row.value)
    assert (best.layer, best.window, best.p) == ("beyond", "0.00", 1 / 100)
    assert {row.window for row in rows if row.metric == f"erp_{NAME}"} >= {"P300", "N400", "P600"}


def test_the_sound_is_cut_as_layers_are(heard: SentenceResponses, spectrum: Features) -> None:
    known = FrameAlignment("eeg/x", heard, {"plain": ["cka"]})
    series = SoundLayer(heard, 20).beside(known.cutter.cut({"logmel": spectrum}))
    assert len(series.acoustics) == len(series.x)
    for layers, sound in zip(series.x, series.acoustics, strict=True):
        torch.testing.assert_close(sound.abs(), layers[0].abs(), rtol=0, atol=1e-3)
    some = series.keep(series.position == 0)
    assert torch.equal(some.acoustics[1], series.acoustics[some.sentence[1]])


def test_it_is_refused_where_frames_are_no_sentence(heard: SentenceResponses) -> None:
    for analysis in ("map", "word"):
        with pytest.raises(ValueError, match=r"rsa_partial_acoustic is a metric of the frames"):
            FrameAlignment("eeg/x", heard, {analysis: [NAME]})
