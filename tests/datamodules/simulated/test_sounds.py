"""Generated sounds, the simulated brain and the simulated tasks hold what their labels say."""

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.simulated.brain import (
    TARGETS,
    brain_stimuli,
    simulated_brain,
    simulated_code,
)
from datamodules.simulated.sounds import (
    BRAIN,
    FAMILIES,
    SyntheticSounds,
    numbered_sound,
    synthesise,
)
from datamodules.simulated.synthesis.environment import RECIPES, modulated_noise
from datamodules.simulated.synthesis.formants import render
from datamodules.simulated.synthesis.music import INSTRUMENTS, midi_frequency, note
from datamodules.simulated.synthesis.sound import coloured_noise, make_generator
from datamodules.simulated.synthesis.syllables import VOWELS, draw_one_syllable, speaker
from datamodules.simulated.tasks import (
    MODULATION_RATES,
    instrument_task,
    modulation_task,
    vowel_task,
)
from datamodules.stimuli import ResponseSet
from datamodules.tasks.task import Task

RATE = 24_000


@pytest.fixture(scope="module")
def brain() -> ResponseSet:
    return simulated_brain()


def autocorrelation_f0(signal: np.ndarray, low: float, high: float) -> float:
    """Independent pitch estimate (Hz): the greatest peak, refined by a parabola."""
    spectrum = np.abs(np.fft.rfft(signal, 2 * len(signal))) ** 2
    correlation = np.fft.irfft(spectrum)[: len(signal)] / np.arange(len(signal), 0, -1)
    first, last = int(RATE / high), int(RATE / low)
    lag = first + int(correlation[first:last].argmax())
    left, top, right = correlation[lag - 1 : lag + 2]
    return RATE / (lag + 0.5 * (left - right) / (left - 2 * top + right))


# Clips


def test_a_clip_depends_on_seed_and_index_alone() -> None:
    sounds, again = SyntheticSounds(n_clips=9), SyntheticSounds(n_clips=9)
    shuffled = [again.read(i, 0.0, 4.0) for i in (5, 0, 7)]
    for waveform, i in zip(shuffled, (5, 0, 7), strict=True):
        torch.testing.assert_close(sounds.read(i, 0.0, 4.0), waveform, rtol=0, atol=0)
    other = SyntheticSounds(n_clips=9, seed=1)
    assert not torch.equal(sounds.read(0, 0.0, 4.0), other.read(0, 0.0, 4.0))
    assert sounds.fingerprint == again.fingerprint != other.fingerprint


def test_a_crop_is_part_of_its_clip() -> None:
    sounds = SyntheticSounds(n_clips=3, clip_seconds=8.0)
    assert list(sounds.names) == ["sim_speech_0000", "sim_music_0001", "sim_environment_0002"]
    whole = sounds.read(1, 0.0, 8.0)
    assert whole.shape == (8 * RATE,)
    torch.testing.assert_close(sounds.read(1, 2.5, 4.0), whole[60_000:156_000], rtol=0, atol=0)
    assert sounds.read(1, 7.0, 4.0).shape == (RATE,)


@pytest.mark.parametrize("kind", FAMILIES)
@pytest.mark.parametrize(("seconds", "rate"), [(4.0, RATE), (0.73, 16_000)])
def test_sounds_are_finite_and_moderate_in_level(kind: str, seconds: float, rate: int) -> None:
    for i in range(12):
        waveform, labels = synthesise(kind, make_generator(3, i), seconds, rate)
        assert waveform.dtype == torch.float32
        assert waveform.shape == (round(seconds * rate),)
        assert 0.099 < waveform.abs().max() < 0.901
        assert labels.family == kind
        assert labels.subclass
    with pytest.raises(ValueError, match="expected one of speech, music, environment"):
        synthesise("silence", make_generator(0), 1.0, rate)


def test_every_environment_recipe_is_drawn() -> None:
    drawn = {SyntheticSounds(n_clips=120).labels(i).subclass for i in range(2, 120, 3)}
    assert drawn == set(RECIPES)


# Labels


@pytest.mark.parametrize("index", range(6))
def test_the_pitch_of_a_voiced_vowel_is_its_label(index: int) -> None:
    generator, voice = make_generator(0, index), speaker(index)
    syllable = draw_one_syllable(generator, 0.6, tuple(VOWELS)[index], scatter=0.0)
    signal, f0 = render(generator, voice, (syllable,), 0.6, RATE)
    middle = syllable.onset + syllable.consonant_seconds + syllable.vowel_seconds / 2
    part = signal[round((middle - 0.05) * RATE) : round((middle + 0.05) * RATE)]
    assert autocorrelation_f0(part, 0.7 * f0, 1.6 * f0) == pytest.approx(f0, rel=0.03)


def test_the_first_formant_of_a_vowel_is_its_target() -> None:
    for vowel in ("iy", "aa"):
        generator, voice = make_generator(0, 0), speaker(0)
        syllable = draw_one_syllable(generator, 0.6, vowel, scatter=0.0)
        signal, _ = render(generator, voice, (syllable,), 0.6, RATE)
        middle = round(
            (syllable.onset + syllable.consonant_seconds + syllable.vowel_seconds / 2) * RATE
        )
        part = signal[middle - 1200 : middle + 1200]
        power = np.abs(np.fft.rfft(part * np.hanning(len(part)))) ** 2
        frequency = np.fft.rfftfreq(len(part), 1 / RATE)
        band = (frequency > 150) & (frequency < 1000)
        peak = frequency[band][power[band].argmax()]
        # The strongest harmonic is within one F0 of the resonance.
        assert abs(peak - VOWELS[vowel][0] * voice.tract) < voice.f0


@pytest.mark.parametrize("name", INSTRUMENTS)
def test_the_pitch_of_a_note_is_its_label(name: str) -> None:
    f0 = midi_frequency(60)
    signal = note(make_generator(0, 1), INSTRUMENTS[name], f0, 0.5, RATE)[2000:8000]
    assert autocorrelation_f0(signal, 0.75 * f0, 1.4 * f0) == pytest.approx(f0, rel=0.02)


def test_noise_is_modulated_at_its_rate() -> None:
    for rate in MODULATION_RATES:
        noise = modulated_noise(make_generator(1, 2), 4 * RATE, RATE, rate, depth=0.9)
        envelope = np.abs(noise).reshape(-1, 120).mean(1)
        spectrum = np.abs(np.fft.rfft(envelope - envelope.mean()))
        assert np.fft.rfftfreq(len(envelope), 120 / RATE)[spectrum.argmax()] == rate


def test_noise_has_its_slope() -> None:
    noise = coloured_noise(make_generator(0), 20 * RATE, RATE, slope=2.0)
    power = np.abs(np.fft.rfft(noise)) ** 2
    frequency = np.fft.rfftfreq(len(noise), 1 / RATE)
    low, high = ((frequency > f) & (frequency < 2 * f) for f in (200, 1600))
    assert np.log2(power[low].mean() / power[high].mean()) / 3 == pytest.approx(2.0, abs=0.1)


# Simulated brain


def test_brain_sounds_are_not_pretraining_sounds() -> None:
    pretraining = SyntheticSounds(n_clips=6, clip_seconds=2.0)
    for i in range(6):
        waveform, _ = numbered_sound(0, BRAIN, i, 2.0, RATE)
        similarity = torch.corrcoef(torch.stack([waveform, pretraining.read(i, 0.0, 2.0)]))[0, 1]
        assert abs(similarity) < 0.3


def test_the_brain_is_deterministic(brain: ResponseSet) -> None:
    small = simulated_brain(n_sounds=12, seed=3)
    torch.testing.assert_close(simulated_brain(n_sounds=12, seed=3).values, small.values)
    assert not torch.equal(simulated_brain(n_sounds=12, seed=4).values, small.values)
    assert brain.provenance.simulated
    assert brain.targets == TARGETS
    peak = max(brain.stimuli.waveform(i, RATE).abs().max() for i in range(len(brain.stimuli)))
    assert peak < 1


@pytest.mark.parametrize("reliability", [0.8, 1.0])
def test_the_ceiling_is_the_reliability(reliability: float) -> None:
    responses = simulated_brain(n_sounds=90, seconds=1.0, reliability=reliability, n_targets=60)
    code = simulated_code(responses.stimuli, n_targets=60)
    assert responses.ceiling is not None
    for k in (0, 5, 59):
        r = torch.corrcoef(torch.stack([responses.values[:, k], code[:, k]]))[0, 1]
        torch.testing.assert_close(r.square(), responses.ceiling[k])
    # 4 r^2 (1 - r^2)^2 / n is the variance of a squared correlation; the noise is independent
    # over targets.
    error = (4 * reliability * (1 - reliability) ** 2 / 90 / 60) ** 0.5
    assert float(responses.ceiling.mean()) == pytest.approx(reliability, abs=4 * error + 1e-3)


def test_an_impossible_reliability_is_refused() -> None:
    with pytest.raises(ValueError, match="more than 0 and at most 1"):
        simulated_brain(n_sounds=6, reliability=1.5)


def test_brain_folds_are_balanced_over_families(brain: ResponseSet) -> None:
    families = np.array([name.split("_")[1] for name in brain.stimuli.ids])
    for family in FAMILIES:
        assert np.bincount(brain.folds[families == family]).tolist() == [11] * 5


def mean_log_spectra(waveforms: Tensor) -> Tensor:
    power = torch.stft(
        waveforms, 1024, 512, window=torch.hann_window(1024), return_complex=True
    ).abs()
    bands = power.square()[:, 1:].unfold(1, 8, 8).mean(-1).add(1e-6).log()
    return torch.cat([bands.mean(2), bands.std(2)], dim=1).double()


@pytest.mark.long
def test_the_code_is_not_a_linear_function_of_spectral_statistics(brain: ResponseSet) -> None:
    waveforms = torch.stack([brain.stimuli.waveform(i, RATE) for i in range(165)])
    x, code = mean_log_spectra(waveforms), simulated_code(brain.stimuli)
    x = (x - x.mean(0)) / x.std(0)
    prediction = torch.zeros_like(code)
    for fold in range(5):
        train = brain.folds != fold
        gram = x[train] @ x[train].T
        dual = torch.linalg.solve(gram + 100 * torch.eye(len(gram)), code[train])
        prediction[~train] = x[~train] @ x[train].T @ dual
    explained = 1 - (prediction - code).square().mean(0)
    assert explained[1] > 0.5  # high_frequency is there to be read
    assert (explained[2:] < 0.75).all()  # modulation, pitch and the nonlinear units are not
    assert (explained[[2, 4]] > 0).all()


@pytest.mark.long
def test_code_units_answer_the_sounds_they_are_named_for(brain: ResponseSet) -> None:
    code = simulated_code(brain.stimuli)
    families = np.array([name.split("_")[1] for name in brain.stimuli.ids])
    means = {f: code[torch.from_numpy(families == f)].mean(0) for f in FAMILIES}
    assert means["speech"][4] > max(means["music"][4], means["environment"][4])
    assert means["music"][5] > max(means["speech"][5], means["environment"][5])


def test_brain_stimuli_are_lazy() -> None:
    stimuli = brain_stimuli(n_sounds=10_000)
    assert len(stimuli) == 10_000


# Simulated tasks


@pytest.mark.parametrize("build", [vowel_task, instrument_task, modulation_task])
def test_tasks_are_balanced_and_deterministic(build) -> None:
    task: Task = build()
    counts = torch.bincount(task.labels)
    assert len(counts) == len(task.classes)
    assert counts.max() - counts.min() <= 1
    per_fold = torch.stack([torch.bincount(task.labels[task.folds == k]) for k in range(5)])
    assert per_fold.max() - per_fold.min() <= 2
    first, again = task.stimuli.waveform(5, RATE), build().stimuli.waveform(5, RATE)
    torch.testing.assert_close(first, again, rtol=0, atol=0)
    assert float(first.square().mean().sqrt()) == pytest.approx(0.02)
    assert first.abs().max() < 1
    assert not torch.equal(first, build(seed=1).stimuli.waveform(5, RATE))
    assert task.provenance.simulated


def test_vowel_folds_hold_their_own_speakers() -> None:
    task = vowel_task()
    folds_of: dict[str, set[int]] = {}
    for name, fold in zip(task.stimuli.ids, task.folds.tolist(), strict=True):
        folds_of.setdefault(name.split("speaker_")[1], set()).add(fold)
    assert len(folds_of) == 20
    assert all(len(folds) == 1 for folds in folds_of.values())


def test_other_talkers_take_the_place_of_the_noise() -> None:
    noisy, crowded = vowel_task(n_sounds=40), vowel_task(n_sounds=40, talkers=2)
    assert noisy.stimuli.ids == crowded.stimuli.ids
    assert noisy.stimuli.name != crowded.stimuli.name
    torch.testing.assert_close(noisy.labels, crowded.labels)
    quiet = vowel_task(n_sounds=40, snr_db=(60.0, 60.0))
    alone = vowel_task(n_sounds=40, snr_db=(60.0, 60.0), talkers=2)
    for i in range(3):
        waves = [task.stimuli.waveform(i, RATE) for task in (noisy, crowded, quiet, alone)]
        r = torch.corrcoef(torch.stack(waves))
        assert r[2, 3] > 0.999  # the same syllable
        assert r[0, 1] < 0.95  # in other company
