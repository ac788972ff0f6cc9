"""Prosody of tones, vowels and noise whose features are known."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from alignment.series.prosody import (
    SentenceProsody,
    affect_proxies,
    match_duration,
    sentence_prosody,
    terciles,
)
from alignment.series.prosody_frames import pitch, prosody_frames
from datamodules.simulated.synthesis.formants import render
from datamodules.simulated.synthesis.sound import coloured_noise, make_generator
from datamodules.simulated.synthesis.speech import speech
from datamodules.simulated.synthesis.syllables import VOWELS, Speaker, Syllable

INNER = slice(6, -6)  # frames that do not reach beyond the ends
SENTENCE = SentenceProsody(30.0, 3.0, -1.0, 5.0, 2.0, 0.3, 4.0, 0.5, 2.0)


def harmonics(f0: np.ndarray | float, rate: int, seconds: float = 1.0) -> np.ndarray:
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(f0, round(seconds * rate))) / rate
    count = int(0.4 * rate / np.max(f0))
    return 0.1 * sum(np.sin(k * phase) / k for k in range(1, min(count, 20) + 1))


def vowel(name: str, f0: float, rate: int = 16_000) -> np.ndarray:
    voice = Speaker("voice", f0, 1 + 0.16 * float(np.log2(f0 / 110)), -4.0, 0.05, 4.0)
    syllables = (Syllable(0.0, "none", 0.0, name, 0.9, 0.0),)
    return render(make_generator(0, round(f0)), voice, syllables, 0.8, rate)[0]


@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100])
@pytest.mark.parametrize("f0", [60.0, 97.0, 220.0, 333.0, 400.0])
def test_the_pitch_of_tones_is_right(f0: float, rate: int) -> None:
    time = np.arange(rate) / rate
    for tone in (np.sin(2 * np.pi * f0 * time), harmonics(f0, rate)):
        assert (pitch(tone, rate)[INNER] / f0 - 1).abs().max() < 0.003


@pytest.mark.parametrize("name", VOWELS)
def test_the_pitch_of_vowels_is_right(name: str) -> None:
    for f0 in (75.0, 110.0, 160.0, 230.0, 300.0):
        found = pitch(vowel(name, f0), 16_000)[8:64]
        assert (~found.isnan()).double().mean() > 0.97
        assert found.nanmedian().item() == pytest.approx(f0, rel=0.01)
        assert ((found / f0 - 1).abs() < 0.03).double().mean() > 0.95


def test_a_glide_is_followed_on_time() -> None:
    f0 = np.geomspace(100, 200, 32_000)
    found = pitch(torch.from_numpy(harmonics(f0, 16_000, 2.0)).float(), 16_000)
    at = torch.from_numpy(f0[::160])
    assert (found[:-1] / at - 1)[INNER].abs().max() < 0.02


def test_pitch_out_of_range_is_unvoiced_rather_than_an_octave_off() -> None:
    for f0 in (30.0, 450.0, 1000.0):
        assert pitch(harmonics(f0, 16_000), 16_000)[INNER].isnan().all()
    assert not pitch(harmonics(450.0, 16_000), 16_000, high=500.0)[INNER].isnan().any()


@pytest.mark.parametrize("slope", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("band", [(20.0, 20_000.0), (20.0, 1500.0), (3000.0, 8000.0)])
def test_noise_and_silence_are_unvoiced(slope: float, band: tuple[float, float]) -> None:
    noise = coloured_noise(make_generator(0), 32_000, 16_000, slope, *band)
    assert (~pitch(noise, 16_000).isnan()).double().mean() < 0.02
    assert pitch(0 * noise, 16_000).isnan().all()


@pytest.mark.long
def test_speech_has_the_speakers_pitch_and_pauses_have_none() -> None:
    off = []
    for seed in range(12):
        sound, labels = speech(make_generator(seed, 3), 4.0, 16_000)
        off.append(float(pitch(sound, 16_000).nanmedian()) / labels.f0 - 1)
        assert 0.3 < sentence_prosody(sound, 16_000).voiced < 0.7
    # The label and the estimate do not call the same frames voiced.
    assert np.abs(off).max() < 0.08
    assert np.median(np.abs(off)) < 0.02


def test_a_tone_has_its_spectrum() -> None:
    time = np.arange(16_000) / 16_000
    frames = prosody_frames(0.5 * np.sin(2 * np.pi * 1000 * time), 16_000)
    assert len(frames.time) == 101
    torch.testing.assert_close(frames.time[-1].item(), 1.0)
    for values, expected in (
        (frames.centroid, 1000),
        (frames.rolloff, 1015),  # between the bins at 1000 and 1031 Hz
        (frames.zero_crossings, 2000),
        (frames.rms, 0.5 / math.sqrt(2)),
        (frames.loudness, (0.125 / 1e-6) ** 0.3),
    ):
        assert (values[INNER] / expected - 1).abs().max() < 0.03
    assert frames.bandwidth[INNER].max() < 50
    assert frames.flux[INNER].max() < 0.01


def test_noise_has_its_spectrum() -> None:
    noise = coloured_noise(make_generator(1), 64_000, 16_000)
    frames = prosody_frames(noise, 16_000)
    assert frames.centroid.mean().item() == pytest.approx(4000, rel=0.03)
    assert frames.rolloff.mean().item() == pytest.approx(0.85 * 8000, rel=0.03)
    assert frames.bandwidth.mean().item() == pytest.approx(8000 / math.sqrt(12), rel=0.03)
    assert frames.zero_crossings.mean().item() == pytest.approx(8000, rel=0.03)
    assert 0.3 < frames.flux[1:].mean() < 1.5
    # Brown noise has its energy at low frequencies.
    brown = prosody_frames(coloured_noise(make_generator(1), 64_000, 16_000, 2.0), 16_000)
    assert brown.mfcc1.mean() > frames.mfcc1.mean() + 5


def test_only_loudness_knows_the_level() -> None:
    sound, _ = speech(make_generator(2), 2.0, 16_000)
    one, other = prosody_frames(sound, 16_000), prosody_frames(0.1 * sound, 16_000)
    torch.testing.assert_close(other.rms, 0.1 * one.rms, rtol=1e-5, atol=1e-9)
    torch.testing.assert_close(other.loudness, 0.1**0.6 * one.loudness, rtol=1e-5, atol=1e-9)
    for name in ("centroid", "rolloff", "bandwidth", "flux"):
        torch.testing.assert_close(getattr(other, name), getattr(one, name), rtol=1e-4, atol=1e-4)
    known, again = sentence_prosody(sound, 16_000), sentence_prosody(0.1 * sound, 16_000)
    assert again.f0_mean == pytest.approx(known.f0_mean, abs=0.01)


def test_functionals_are_those_of_the_glide() -> None:
    rate = 16_000
    found = sentence_prosody(harmonics(np.geomspace(110, 220, 2 * rate), rate, 2.0), rate)
    assert found.f0_mean == pytest.approx(24 + 6, abs=0.1)
    assert found.f0_slope == pytest.approx(6, rel=0.02)  # an octave in two seconds
    assert found.f0_sd == pytest.approx(12 / math.sqrt(12), rel=0.05)
    assert found.duration == 2.0
    assert found.voiced > 0.95
    noise = sentence_prosody(coloured_noise(make_generator(0), rate, rate), rate)
    assert math.isnan(noise.f0_mean)
    assert math.isnan(noise.f0_slope)
    assert noise.voiced == 0.0


def test_proxies_are_means_of_z() -> None:
    rng = np.random.default_rng(0)
    sentences = [SentenceProsody(*row) for row in rng.uniform(1, 2, size=(20, 9))]
    table = np.array(sentences)
    z = (table - table.mean(0)) / table.std(0)
    variation = table[:, 1] / table[:, 0]
    variation = (variation - variation.mean()) / variation.std()
    found = affect_proxies(sentences)
    np.testing.assert_allclose(found.arousal, (z[:, 0] + z[:, 3] + variation) / 3)
    np.testing.assert_allclose(found.valence, (variation + z[:, 5] + z[:, 6]) / 3)
    # A sentence without F0 has no proxy, and leaves the F0 of the others alone.
    silent = SENTENCE._replace(f0_mean=math.nan, f0_sd=math.nan)
    more = affect_proxies([*sentences, silent])
    assert more.valence.isnan().tolist() == [False] * 20 + [True]


def test_terciles_leave_out_what_is_not_known() -> None:
    values = torch.tensor([5.0, 1.0, math.nan, 3.0, 2.0, 6.0, 4.0])
    assert terciles(values).tolist() == [2, 0, -1, 1, 0, 2, 1]
    assert terciles(torch.full((3,), math.nan)).tolist() == [-1, -1, -1]


def test_pairs_are_as_many_and_as_close_as_can_be() -> None:
    negative, neutral = torch.tensor([1.0, 2.0, 9.0]), torch.tensor([2.1, 1.15, 1.9, 5.0])
    pairs = match_duration(negative, neutral)
    assert sorted(map(tuple, pairs.tolist())) in ([(0, 1), (1, 0)], [(0, 1), (1, 2)])
    # The closest pair, 1.2 and 1.2, would leave the others alone.
    pairs = match_duration(torch.tensor([1.2, 1.4]), torch.tensor([1.2, 1.0]))
    assert sorted(map(tuple, pairs.tolist())) == [(0, 1), (1, 0)]
    assert match_duration(negative, neutral[:0]).shape == (0, 2)
    assert match_duration(negative, neutral + 50).shape == (0, 2)


def test_a_waveform_that_says_nothing_is_named() -> None:
    with pytest.raises(ValueError, match="0 samples"):
        pitch(np.zeros(0), 16_000)
    with pytest.raises(ValueError, match="finite"):
        prosody_frames(torch.full((100,), math.nan), 16_000)
