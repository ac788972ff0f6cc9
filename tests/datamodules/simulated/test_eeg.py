"""The simulated listeners: what is planted is in the response, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from alignment.series.prosody import affect_proxies, sentence_prosody, terciles
from datamodules.sentences import SentenceResponses, contiguous_folds
from datamodules.simulated.eeg import electrodes, respond, simulated_eeg, topography
from datamodules.simulated.speech import sentence_valence, simulated_speech

CLEAR = {"n_sentences": 6, "snr": 1e8}
RATE = 24_000


def level(found: SentenceResponses) -> torch.Tensor:
    """Standard deviation at each electrode, mean over subjects."""
    return torch.cat(found.values, 1).double().std(1).mean(0)


def test_the_default_is_what_it_was() -> None:
    """Numbers of the simulator before a topography, prosody or words could be asked for."""
    found = simulated_eeg(6, 2)
    assert found.stimuli.name == "simulated_speech_6_seed0"
    # Not a hash: processors differ in the last bits.
    sound = found.stimuli.waveform(2, RATE)
    assert len(sound) == 81_535
    values = [0.010131080, 0.000224003, 0.0000937246, -0.017963393]
    torch.testing.assert_close(sound[12_000:60_000:12_000], torch.tensor(values), atol=1e-6, rtol=0)
    expected = torch.tensor([0.66302090883255, 1.3514901399612427, 1.705544352531433])
    torch.testing.assert_close(found.values[2][0, 10, :3], expected, atol=1e-4, rtol=0)
    assert found.folds.tolist() == [0, 0, 1, 2, 3, 4]


@pytest.mark.long
@pytest.mark.parametrize("centre", ["Cz", "T7"])
def test_the_response_lies_around_the_centre(centre: str) -> None:
    weight = topography(centre)
    measured = level(simulated_eeg(n_subjects=40, centre=centre, **CLEAR))
    _, names = electrodes()
    assert (int(weight.argmax()), float(weight.max())) == (names.index(centre), 1.0)
    planted = weight > 0
    assert 3 <= int(planted.sum()) <= 9
    relative = measured / measured[names.index(centre)]
    torch.testing.assert_close(relative[planted], weight[planted], rtol=0.12, atol=0)
    assert float(relative[~planted].max()) < 1e-3


@pytest.mark.long
def test_far_electrodes_carry_noise_only() -> None:
    both = simulated_eeg(6, 2, centre="Cz")
    noise = simulated_eeg(6, 2, centre="Cz", snr=0.0)
    far = topography("Cz") == 0
    for a, b in zip(both.values, noise.values, strict=True):
        assert torch.equal(a[..., far], b[..., far])
        assert not torch.isclose(a[..., ~far], b[..., ~far]).all(1).any()


@pytest.mark.long
def test_a_centre_leaves_the_signal_to_noise_ratio() -> None:
    ratios = []
    for centre in (None, "Pz"):
        both, noise = (simulated_eeg(6, 20, centre=centre, snr=snr) for snr in (0.5, 0.0))
        a, b = (torch.cat(found.values, 1).double() for found in (both, noise))
        ratios.append(float((a - b).square().mean() / b.square().mean()))
    assert ratios[1] == pytest.approx(ratios[0], rel=0.1)


def test_features_of_more_dimensions_than_electrodes_are_answered() -> None:
    code = np.random.default_rng(0).standard_normal((200, 50))
    for centre in (None, "Fz"):
        values, _, _ = respond([code, code], 100, 1, 1e8, 0.1, 25, 0.4, 1.0, centre=centre)
        assert torch.isfinite(values[0]).all()


@pytest.mark.long
def test_negative_sentences_answer_with_their_gain() -> None:
    told = {"n_sentences": 9, "n_subjects": 2, "prosody": 1.5, "snr": 1e8}
    plain, halved = (simulated_eeg(**told, prosody_gain=gain) for gain in (1.0, 0.5))
    valence = sentence_valence(9).tolist()
    assert sorted(valence) == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for a, b, group in zip(plain.values, halved.values, valence, strict=True):
        ratio = float(b.double().square().mean().sqrt() / a.double().square().mean().sqrt())
        assert ratio == pytest.approx(0.5 if group == 0 else 1.0, rel=1e-3)


@pytest.mark.long
def test_the_planted_valence_is_heard() -> None:
    """The lowest third of the valence proxy is that of the negative sentences, nearly."""
    stimuli, _ = simulated_speech(24, prosody=1.5)
    plain, _ = simulated_speech(24)
    planted = sentence_valence(24)
    rows = [sentence_prosody(stimuli.waveform(i, RATE), RATE) for i in range(24)]
    proxies = affect_proxies(rows)
    negative = terciles(proxies.valence) == 0
    assert int((negative & (planted == 0)).sum()) >= 7
    means = [float(proxies.valence[planted == k].mean()) for k in range(3)]
    assert means == sorted(means)
    assert means[2] - means[0] > 1
    assert float(proxies.arousal.std()) > 0.3
    assert stimuli.name != plain.name
    durations = [len(stimuli.waveform(i, RATE)) == len(plain.waveform(i, RATE)) for i in range(24)]
    assert all(durations)


@pytest.mark.long
def test_words_are_in_order_and_within_their_sentence() -> None:
    found, other = simulated_eeg(8, 1), simulated_eeg(8, 1, seed=1)
    assert found.words is not None
    assert other.words is not None
    assert found.words[0].onsets.tolist() != other.words[0].onsets.tolist()
    for i, words in enumerate(found.words):
        seconds = len(found.stimuli.waveform(i, RATE)) / RATE
        assert len(words.onsets) == len(words.content) == len(words.text) > 2
        assert bool((words.onsets.diff() > 0.1).all())
        assert float(words.onsets[0]) >= 0
        assert float(words.onsets[-1]) < seconds
        assert all(1 <= len(text.split("-")) <= 3 for text in words.text)
    content = torch.cat([words.content for words in found.words]).double()
    assert 0.35 < float(content.mean()) < 0.65


@pytest.mark.long
def test_the_first_word_begins_where_silence_ends() -> None:
    stimuli, words = simulated_speech(12)
    steps = []
    for i, mine in enumerate(words):
        power, onset = stimuli.waveform(i, RATE).square(), float(mine.onsets[0])
        if onset > 0.05:
            before = power[: round((onset - 0.03) * RATE)].mean()
            after = power[round(onset * RATE) : round((onset + 0.3) * RATE)].mean()
            steps.append(float(after / before))
    assert len(steps) > 6
    assert min(steps) > 10


def test_what_cannot_be_simulated_is_refused() -> None:
    with pytest.raises(ValueError, match="no electrode Xz: expected one of Fp1, "):
        simulated_eeg(2, 1, centre="Xz")
    with pytest.raises(ValueError, match=r"prosody_gain 0\.5 but prosody 0: .* set prosody"):
        simulated_eeg(2, 1, prosody_gain=0.5)


@pytest.mark.long
def test_folds_are_those_of_sentences() -> None:
    assert torch.equal(simulated_eeg(7, 1, n_folds=3).folds, contiguous_folds(7, 3))
