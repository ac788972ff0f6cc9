"""Chunks put together give the frames of the whole clip."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.chunks import encode_in_chunks
from models.frontend import LogMel


def sound(samples: int, batch: int = 1) -> Tensor:
    return 0.1 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("frames", [1, 9, 10, 11, 20, 37])
def test_frames_are_those_of_the_unbroken_clip(mel: LogMel, frames: int) -> None:
    audio = sound(mel.samples(frames) + 50)
    lengths = torch.tensor([audio.shape[1]])
    (got,), count = encode_in_chunks(lambda x, _: [mel(x)], mel, audio, lengths, 10)
    assert count.tolist() == [frames]
    torch.testing.assert_close(got, mel(audio), atol=1e-5, rtol=0)


def test_frames_past_a_clips_end_are_zero_and_were_hidden(mel: LogMel) -> None:
    audio = sound(mel.samples(25), batch=3)
    lengths = torch.tensor([mel.samples(25), mel.samples(12), 100])
    seen: list[Tensor] = []

    def encode(pieces: Tensor, valid: Tensor) -> list[Tensor]:
        seen.append(valid)
        return [mel(pieces) + 100]

    (got,), count = encode_in_chunks(encode, mel, audio, lengths, 10)
    assert count.tolist() == [25, 12, 1]
    for clip, frames in zip(got, count.tolist(), strict=True):
        assert (clip[:frames] > 50).all()
        assert not clip[frames:].any()
    assert sorted(seen[0].sum(1).tolist()) == [1, 2, 5, 10, 10, 10]


@pytest.mark.parametrize("length", [700, 100])
def test_samples_past_a_clips_end_are_not_read(mel: LogMel, length: int) -> None:
    audio = sound(2000, batch=2)
    loud = audio.clone()
    loud[1, length:] = 1.0
    results = [
        encode_in_chunks(lambda x, _: [mel(x)], mel, clip, torch.tensor([2000, length]), 4)[0][0]
        for clip in (audio, loud)
    ]
    assert torch.equal(*results)


def test_every_layer_is_put_together(mel: LogMel) -> None:
    audio, lengths = sound(mel.samples(25)), torch.tensor([mel.samples(25)])
    layers, _ = encode_in_chunks(
        lambda x, _: [mel(x), 2 * mel(x)[..., :3]], mel, audio, lengths, 10
    )
    assert [tuple(layer.shape) for layer in layers] == [(1, 25, 24), (1, 25, 3)]
    torch.testing.assert_close(layers[1], 2 * layers[0][..., :3])
