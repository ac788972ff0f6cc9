"""Place and prosody effect of the simulator, found by the benchmark as it is used."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from datamodules.simulated.eeg import CODE_RATE, simulated_eeg, spectral_code, topography
from evaluation.features import Features
from evaluation.rows import Score
from evaluation.time.frame_alignment import FrameAlignment
from tests.evaluation.people import one


def planted_scores(snr: float, gain: float, sentences: int = 40, seed: int = 0) -> list[Score]:
    """One layer, the code of the sounds; one metric in time, on the scalp and for prosody."""
    responses = simulated_eeg(
        sentences, 6, snr, centre="Cz", prosody=1.5, prosody_gain=gain, seed=seed
    )
    codes = [
        torch.from_numpy(spectral_code(responses.stimuli.waveform(i, 24_000), 24_000)).float()
        for i in range(sentences)
    ]
    lengths = torch.tensor([len(code) for code in codes])
    padded = torch.nn.utils.rnn.pad_sequence(codes, batch_first=True)
    features = {"code": Features(padded, lengths, CODE_RATE, 0.0)}
    only = {key: ["cka_debiased"] for key in ("lag", "map", "prosody")}
    benchmark = FrameAlignment(
        "eeg/planted", responses, only, lags=(0.0, 0.32), surrogates={"draws": 199}
    )
    return benchmark.score(features)


@pytest.fixture(scope="module")
def rows() -> list[Score]:
    """As many sentences as Alice's first chapter has, at -10 dB."""
    return planted_scores(snr=0.1, gain=0.3, sentences=84)


def test_the_place_is_that_planted(rows: list[Score]) -> None:
    found = [row for row in rows if row.metric == "excess_map_cka_debiased"]
    truth = topography("Cz").numpy()
    value, p = (np.array([getattr(row, name) for row in found]) for name in ("value", "p"))
    assert np.corrcoef(value, truth)[0, 1] > 0.8
    assert truth[int(value.argmax())] > 0.3
    assert p[int(truth.argmax())] < 0.05
    corrected = np.array([row.p for row in rows if row.metric == "map_cka_debiased"])
    assert (corrected[truth == 0] > 0.05).all()


def test_the_effect_of_prosody_is_that_planted(rows: list[Score]) -> None:
    difference = one(rows, metric="prosody_cka_debiased", target="difference")
    assert difference.p is not None
    assert difference.p < 0.05
    assert difference.ci_high is not None
    assert difference.ci_high < 0
    assert one(rows, metric="prosody_cka_debiased", target="neutral").value > 0


@pytest.mark.long
def test_without_a_response_nothing_is_found() -> None:
    rows = planted_scores(snr=0.0, gain=0.3)
    kinds = ("map_cka", "excess_map_cka", "prosody_cka", "tnc", "lag_cka")
    for kind in kinds:
        tested = [r.p for r in rows if r.metric.startswith(kind) and r.p is not None]
        assert tested
        assert min(tested) > 0.01, kind


@pytest.mark.slow
def test_without_an_effect_of_prosody_none_is_found() -> None:
    p = []
    for seed in range(40):
        rows = planted_scores(snr=0.5, gain=1.0, seed=seed)
        p.append(one(rows, metric="prosody_cka_debiased", target="difference").p)
    assert np.mean(np.array(p) <= 0.05) <= 0.125  # 5 of 40: the binomial's 97.5 %
