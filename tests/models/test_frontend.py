"""The front end is Kaldi's filter bank as EnCodecMAE calls it, one clip or many."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torchaudio.compliance.kaldi import fbank

from models.frontend import LogMel


@pytest.fixture(scope="module")
def published() -> LogMel:
    return LogMel()


def noise(samples: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def chirp(samples: int) -> Tensor:
    time = torch.arange(samples, dtype=torch.float64) / 24000
    return (0.5 * torch.sin(2 * torch.pi * (100 + 1500 * time) * time)).float()


def kaldi(audio: Tensor) -> Tensor:
    energy = fbank(
        audio[None],
        num_mel_bins=256,
        frame_length=26.56,
        frame_shift=13.28,
        dither=0.0,
        window_type="hanning",
        low_freq=20.0,
        high_freq=0.0,
        use_energy=False,
        sample_frequency=24000.0,
    )
    return (energy + 6.12) / 4.82


@pytest.mark.parametrize(("samples", "frames"), [(96000, 300), (48000, 149), (637, 1), (955, 2)])
def test_frame_counts_are_those_of_the_published_front_end(
    published: LogMel, samples: int, frames: int
) -> None:
    assert published(noise(samples)[None]).shape == (1, frames, 256)
    assert published.frames(torch.tensor([samples])).tolist() == [frames]


def test_frames_counts_what_forward_returns(published: LogMel) -> None:
    for samples in (1, 636, 637, 638, 954, 955, 956, 5000):
        counted = published.frames(torch.tensor([samples])).item()
        assert published(torch.zeros(1, samples)).shape[1] == counted


def test_samples_is_the_fewest_that_hold_so_many_frames(published: LogMel) -> None:
    for frames in (1, 2, 300):
        needed = published.samples(frames)
        around = published.frames(torch.tensor([needed, needed + 317, needed + 318]))
        assert around.tolist() == [frames, frames, frames + 1]
    assert published.samples(1) == 637


def test_frame_centres_follow_from_rate_and_offset(published: LogMel) -> None:
    assert published.rate == pytest.approx(24000 / 318)
    click = torch.zeros(1, 24000)
    frame = 40
    click[0, round((published.offset + frame / published.rate) * 24000)] = 1.0
    assert published(click)[0].mean(1).argmax() == frame


@pytest.mark.parametrize("signal", [noise, chirp])
def test_values_are_kaldis(published: LogMel, signal: Callable[[int], Tensor]) -> None:
    audio = signal(48000)
    error = (published(audio[None])[0] - kaldi(audio)).abs()
    assert error.max() < 3e-4  # torchaudio's own single precision costs up to 2e-4 of it
    assert error.mean() < 2e-6


def test_values_are_those_of_double_precision(published: LogMel) -> None:
    frames = noise(48000).double().unfold(0, 637, 318)
    frames = frames - frames.mean(-1, keepdim=True)
    frames = frames - 0.97 * torch.cat([frames[:, :1], frames[:, :-1]], 1)
    taper = 0.5 - 0.5 * torch.cos(2 * torch.pi * torch.arange(637, dtype=torch.float64) / 636)
    power = torch.fft.rfft(frames * taper, n=1024).abs().square()
    energy = power @ published.filters.double()
    expected = (energy.clamp_min(1.1920928955078125e-07).log() + 6.12) / 4.82
    got = published(noise(48000)[None])[0].double()
    torch.testing.assert_close(got, expected, atol=1e-4, rtol=0)


def test_the_five_bands_without_a_bin_are_constant_and_no_others(published: LogMel) -> None:
    frames = published(noise(24000)[None])[0]
    floor = torch.tensor(LogMel.FLOOR).log().add(6.12).div(4.82)
    assert floor.item() == pytest.approx(-2.038, abs=5e-4)
    at_floor = ((frames - floor).abs() < 1e-6).all(0)
    assert at_floor.sum() == 5
    assert torch.equal(frames.std(0) == 0, at_floor)


def test_silence_is_at_the_floor_everywhere(published: LogMel) -> None:
    frames = published(torch.zeros(1, 2000))
    assert torch.allclose(frames, torch.tensor(-2.038), atol=5e-4)


def test_a_short_clip_is_padded_to_one_frame(published: LogMel) -> None:
    short = noise(100)
    padded = torch.nn.functional.pad(short, (0, 537))
    assert torch.equal(published(short[None]), published(padded[None]))


def test_clips_of_a_batch_do_not_touch_each_other(published: LogMel) -> None:
    batch = torch.stack([noise(5000, seed) for seed in range(3)])
    for clip, frames in zip(batch, published(batch), strict=True):
        torch.testing.assert_close(frames, published(clip[None])[0], atol=1e-5, rtol=0)


def test_nothing_of_it_is_trained_or_saved(published: LogMel) -> None:
    assert not list(published.parameters())
    assert not published.state_dict()
