"""The baseline features: scipy's spectrogram, clip by clip, whatever stands beside a clip."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.signal import stft

from models.external.baselines.logmel64 import LogMel64


def triangles() -> np.ndarray:
    frequencies = np.fft.rfftfreq(512, 1 / 16000)
    low, high = (2595 * np.log10(1 + f / 700) for f in (30, 8000))
    edges = 700 * (10 ** (np.linspace(low, high, 66) / 2595) - 1)
    rows = [np.interp(frequencies, edges[i : i + 3], [0, 1, 0]) for i in range(64)]
    return np.array(rows)


def literal(wave: np.ndarray) -> np.ndarray:
    wave = np.pad(wave[:80000], (0, max(0, 1024 - len(wave))))
    _, _, z = stft(wave, 16000, nperseg=512, noverlap=352, boundary=None, padded=False)
    x = np.log(triangles() @ np.abs(z) ** 2 + 1e-8)
    return np.r_[x.mean(1), x.std(1)]


@pytest.mark.parametrize("lengths", [[16000, 7001, 300], [90000, 80000], [1]])
def test_features_are_scipys(lengths: list[int]) -> None:
    draw = torch.Generator().manual_seed(0)
    waves = [torch.rand(n, generator=draw) - 0.5 for n in lengths]
    audio = torch.nn.utils.rnn.pad_sequence(waves, batch_first=True)
    found = LogMel64().encode(audio, torch.tensor(lengths))["logmel"]
    assert found.values.shape == (len(lengths), 1, 128)
    for row, wave in zip(found.values[:, 0], waves, strict=True):
        np.testing.assert_allclose(row, literal(wave.double().numpy()), atol=2e-5)
