"""The acoustic model against published figures and plain definitions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from scipy.signal import resample_poly
from torch import Tensor

from models.external.baselines.spectrotemporal import (
    SAMPLES,
    Cochleagram,
    SpectroTemporal,
    cochlear_filters,
    spectral_filters,
    temporal_filters,
)

FRAMES = 390


@pytest.fixture(scope="module")
def model() -> SpectroTemporal:
    return SpectroTemporal()


def noise(seed: int = 0, samples: int = SAMPLES) -> Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def test_squared_filters_sum_to_one() -> None:
    """Over positive frequencies; a half amplitude each, as the negative ones are not doubled."""
    filters = cochlear_filters(SAMPLES)
    assert filters.shape == (211, 20_001)
    torch.testing.assert_close(4 * filters.square().sum(0), torch.full((20_001,), 4.0))


@pytest.mark.long
def test_a_tone_is_strongest_at_its_place() -> None:
    time = torch.arange(SAMPLES) / 20_000
    found = Cochleagram().cochleagram(torch.sin(2 * torch.pi * 1000 * time)[None])[0]
    assert found.shape == (211, FRAMES)
    best = int(found.mean(1)[4:-4].argmax())
    centres = torch.linspace(0, 10_000, 20_001)[cochlear_filters(SAMPLES)[4:-4].argmax(1)]
    assert float(centres[best]) == pytest.approx(1000, rel=0.03)


@pytest.mark.long
def test_filters_are_the_definition_of_a_full_fourier_transform(model: SpectroTemporal) -> None:
    """Against complex two-dimensional transforms with explicit quadrants, filter by filter."""
    cochleagram = model.cochleagram(noise()[None])
    fast = model._describe(cochleagram)[0].view(111, 211).double()
    padded = np.zeros((422, 3 * FRAMES))
    padded[:211, :FRAMES] = 100 * cochleagram[0].double().numpy()
    spectrum = np.fft.fft2(padded)
    half = temporal_filters(FRAMES).numpy().astype(complex)
    temporal = np.concatenate([half, half[:, 1:-1][:, ::-1].conj()], 1)
    spectral = spectral_filters(211).numpy().astype(float)
    f, t = np.sign(np.fft.fftfreq(422)), np.sign(np.fft.fftfreq(3 * FRAMES))
    f[211] = t[3 * FRAMES // 2] = 0
    direction = f[:, None] * t
    bank = [(s, r, -1) for s in range(7) for r in range(9)]
    bank += [(s, r, 1) for s in range(1, 7) for r in range(1, 9)]
    assert len(bank) == 111
    for number in (0, 1, 8, 9, 30, 62, 63, 80, 110):
        s, r, sign = bank[number]
        kept = (direction == 0) | (direction == sign)
        filtered = np.fft.ifft2(spectrum * spectral[s][:, None] * temporal[r] * kept).real
        expected = np.maximum(filtered[:211, :FRAMES] ** 2, 1e-8).mean(1)
        np.testing.assert_allclose(fast[number], expected, rtol=2e-3, atol=1e-5)


@pytest.mark.long
def test_the_first_filter_is_the_mean(model: SpectroTemporal) -> None:
    cochleagram = model.cochleagram(noise()[None])
    first = model._describe(cochleagram)[0].view(111, 211)[0]
    expected = (100 * float(cochleagram.mean()) / 6) ** 2
    torch.testing.assert_close(first, torch.full((211,), expected), rtol=1e-4, atol=0)


@pytest.mark.data("brain/natsound165")
@pytest.mark.parametrize(
    ("name", "mean", "channels", "filters"),
    [
        (
            "stim5_alarm_clock",
            0.08527,
            (0.0466, 0.0643, 0.0137),
            {0: 2.0195, 1: 2.479, 9: 0.2638, 63: 0.1665, 110: 0.0460},
        ),
        ("stim527_ringtone", 0.08976, None, {0: 2.238}),
    ],
)
def test_known_sounds_give_the_published_figures(
    data: Path,
    model: SpectroTemporal,
    name: str,
    mean: float,
    channels: tuple[float, ...] | None,
    filters: dict[int, float],
) -> None:
    samples, _ = soundfile.read(data / "brain" / "natsound165" / "wav" / f"{name}.wav")
    audio = torch.from_numpy(resample_poly(samples, 200, 441)).float()[None]
    cochleagram = model.cochleagram(audio)[0]
    assert float(cochleagram.mean()) == pytest.approx(mean, abs=6e-6)
    if channels is not None:
        found = cochleagram.mean(1)[[0, 105, 210]].tolist()
        assert found == pytest.approx(channels, abs=6e-5)
    features = model.encode(audio, torch.tensor([SAMPLES]))["spectrotemporal"].values
    assert features.shape == (1, 1, 23_421)
    by_filter = features.view(111, 211).mean(1)
    for number, expected in filters.items():
        assert float(by_filter[number]) == pytest.approx(expected, rel=1e-3)


@pytest.mark.long
def test_longer_clips_are_described_in_pieces(model: SpectroTemporal) -> None:
    long = torch.stack([noise(1, 2 * SAMPLES + 500), noise(2, 2 * SAMPLES + 500)])
    frames = model.encode(long, torch.tensor([2 * SAMPLES + 500, 700]))["spectrotemporal"]
    assert frames.lengths.tolist() == [2, 1]
    assert frames.rate == 0.5
    alone = model.encode(long[:1, SAMPLES : 2 * SAMPLES], torch.tensor([SAMPLES]))
    torch.testing.assert_close(frames.values[0, 1], alone["spectrotemporal"].values[0, 0])
    assert bool(torch.isfinite(frames.values).all())
