"""Envelope and onsets: what is known of a sound stands in the right frame."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from models.encoder import Encoder, Frames
from models.external.baselines.envelope import HOP, WINDOW, Envelope

RATE = Envelope.sample_rate


def encoded(audio: Tensor) -> dict[str, Frames]:
    return Envelope().encode(audio[None], torch.tensor([len(audio)]))


def times(frames: Frames) -> Tensor:
    return torch.arange(int(frames.lengths[0])) / frames.rate + frames.offset


def test_it_is_an_encoder_with_two_layers_at_100_hz() -> None:
    encoder = Envelope()
    assert isinstance(encoder, Encoder)
    found = encoded(torch.randn(2 * RATE))
    assert tuple(found) == encoder.layers == ("envelope", "onsets")
    assert {frames.rate for frames in found.values()} == {100.0}
    assert float(times(found["envelope"])[-1]) <= 2 - WINDOW / 2 / RATE
    assert not encoder.state_dict()


def test_a_steady_tone_has_the_compressed_level_in_every_frame() -> None:
    tone = 0.5 * torch.sin(2 * torch.pi * 1000 * torch.arange(RATE) / RATE)
    values = encoded(tone)["envelope"].values
    torch.testing.assert_close(values, torch.full_like(values, (0.125**0.5) ** 0.6))
    assert encoded(tone)["onsets"].values.max() < 1e-5


def test_values_are_the_root_mean_square_under_the_window() -> None:
    audio = torch.randn(RATE, generator=torch.Generator().manual_seed(0)) * 0.1
    found = encoded(audio)["envelope"].values[0, :, 0]
    window = np.hanning(WINDOW + 1)[:-1]
    for k in (0, 1, 50, len(found) - 1):
        part = audio[HOP * k : HOP * k + WINDOW].numpy()
        expected = np.average(part**2, weights=window) ** 0.3
        assert float(found[k]) == pytest.approx(expected, rel=1e-4)
    plain = Envelope(exponent=1.0).encode(audio[None], torch.tensor([RATE]))["envelope"]
    torch.testing.assert_close(plain.values[0, :, 0] ** 0.6, found)


def test_a_click_peaks_in_the_frame_at_its_time_and_an_onset_where_sound_begins() -> None:
    click = torch.zeros(RATE)
    click[4800] = 1.0
    found = encoded(click)["envelope"]
    assert float(times(found)[found.values[0, :, 0].argmax()]) == pytest.approx(0.3, abs=0.005)
    step = torch.randn(RATE, generator=torch.Generator().manual_seed(0))
    step[:8000] = 0
    step[12_000:] = 0
    onsets = encoded(step)["onsets"]
    assert float(times(onsets)[onsets.values[0, :, 0].argmax()]) == pytest.approx(0.5, abs=0.011)
    late = times(onsets) > 0.72
    assert float(onsets.values[0, late].max()) < 0.1 * float(onsets.values.max())
    assert float(onsets.values.min()) == 0


def test_what_stands_behind_a_clip_does_not_matter() -> None:
    encoder = Envelope()
    audio = torch.randn(3, RATE, generator=torch.Generator().manual_seed(1))
    lengths = torch.tensor([RATE, 5000, 300])
    batch = encoder.encode(audio, lengths)
    for i, n in enumerate(lengths.tolist()):
        alone = encoder.encode(audio[i : i + 1, :n], lengths[i : i + 1])
        for layer, frames in batch.items():
            count = int(frames.lengths[i])
            assert count == int(alone[layer].lengths[0])
            torch.testing.assert_close(frames.values[i, :count], alone[layer].values[0, :count])
    assert batch["envelope"].lengths.tolist() == [98, 29, 1]
    assert batch["onsets"].lengths.tolist() == [97, 28, 1]


@pytest.mark.parametrize("samples", [1, 399, 400, 559, 560])
def test_a_clip_shorter_than_a_frame_has_features(samples: int) -> None:
    for frames in encoded(torch.rand(samples)).values():
        assert frames.lengths.tolist() == [1 + (samples == 560 and frames.offset == 0.0125)]
        assert torch.isfinite(frames.values[0, : int(frames.lengths[0])]).all()
