"""The floor: statistics of log-mel bands, the same for a clip alone and in any batch."""

from __future__ import annotations

import pytest
import torch

from models.encoder import Encoder
from models.external.baselines.logmel import LogMelStatistics


def test_values_are_mean_and_deviation_over_the_frames_of_each_clip() -> None:
    encoder = LogMelStatistics(bands=32)
    audio = torch.randn(3, 48_000, generator=torch.Generator().manual_seed(0)) * 0.1
    lengths = torch.tensor([48_000, 25_680, 700])
    frames = encoder.encode(audio, lengths)["logmel"]
    assert frames.values.shape == (3, 1, 64)
    assert frames.lengths.tolist() == [1, 1, 1]
    for i, n in enumerate(lengths.tolist()):
        mel = encoder.frontend(audio[i : i + 1, :n])[0]
        expected = torch.cat([mel.mean(0), mel.std(0, correction=0)])
        torch.testing.assert_close(frames.values[i, 0], expected, atol=1e-4, rtol=1e-4)


def test_what_stands_behind_a_clip_does_not_matter() -> None:
    encoder = LogMelStatistics(bands=16)
    audio = torch.randn(2, 24_000, generator=torch.Generator().manual_seed(1)) * 0.1
    lengths = torch.tensor([24_000, 8_000])
    noisy = audio.clone()
    noisy[1, 8_000:] = 0.7
    quiet = audio.clone()
    quiet[1, 8_000:] = 0
    assert torch.equal(
        encoder.encode(noisy, lengths)["logmel"].values,
        encoder.encode(quiet, lengths)["logmel"].values,
    )


@pytest.mark.parametrize("samples", [1, 100, 637])
def test_a_clip_shorter_than_a_window_has_features(samples: int) -> None:
    frames = LogMelStatistics(bands=16).encode(torch.rand(1, samples), torch.tensor([samples]))
    assert torch.isfinite(frames["logmel"].values).all()


def test_it_is_an_encoder_without_anything_to_train() -> None:
    encoder = LogMelStatistics()
    assert isinstance(encoder, Encoder)
    assert (encoder.name, encoder.layers, encoder.sample_rate) == ("logmel", ("logmel",), 24_000)
    assert not list(encoder.parameters())
