"""Generated sentences of known words and known prosody, for simulated listeners."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from datamodules.sentences import Words
from datamodules.simulated.synthesis.sound import make_generator
from datamodules.simulated.synthesis.speech import speech, utterance
from datamodules.simulated.synthesis.syllables import draw_words
from datamodules.stimuli import StimulusSet

_SOUND, _LENGTH, _WORDS, _VALENCE = 20, 23, 24, 25


def simulated_speech(
    n_sentences: int = 40,
    seconds: Sequence[float] = (3.0, 5.0),
    prosody: float = 0.0,
    seed: int = 0,
    sample_rate: int = 24_000,
) -> tuple[StimulusSet, tuple[Words, ...]]:
    """Sentences of random syllables, and their words.

    With v = -1, 0, 1 for a sentence of negative, neutral, positive valence
    (:func:`sentence_valence`) and s the strength ``prosody``, movements of the pitch are
    multiplied by 2^(s v) and -2 s v dB/octave are added to the spectral tilt. Negative sentences
    are then monotonous and bright: low in two of the three terms of
    :func:`alignment.series.prosody.affect_proxies`' valence.

    Parameters
    ----------
    seconds : (float, float)
        Shortest and longest sentence (s).
    prosody : float
        Strength s; 0 leaves sentences of all valences alike, and at 1.5 the lowest third of the
        valence proxy is nearly the negative one.

    Returns
    -------
    stimuli : StimulusSet
    words : tuple of Words
        Of one to three syllables; each is a content word with probability 1/2, whatever its sound.
    """
    lengths = make_generator(seed, _LENGTH).uniform(seconds[0], seconds[1], n_sentences).tolist()
    delivery = (sentence_valence(n_sentences, seed) - 1).double() * prosody
    spoken = f"_prosody{prosody:g}" if prosody else ""
    stimuli = StimulusSet(
        name=f"simulated_speech_{n_sentences}_seed{seed}{spoken}",
        ids=[f"sentence{i:03d}" for i in range(n_sentences)],
        sources=[
            partial(_sound, seed, i, length, sample_rate, float(delivery[i]))
            for i, length in enumerate(lengths)
        ],
        rms=0.02,
    )
    return stimuli, tuple(_words(seed, i, length) for i, length in enumerate(lengths))


def sentence_valence(n_sentences: int, seed: int = 0) -> Tensor:
    """Planted valence of each sentence: 0 negative, 1 neutral, 2 positive, a third of each.

    The same code as that of :func:`alignment.series.prosody.terciles`; the order is random.

    Returns
    -------
    tensor of shape (n_sentences,), int64
    """
    thirds = np.arange(n_sentences) * 3 // max(n_sentences, 1)
    return torch.from_numpy(make_generator(seed, _VALENCE).permutation(thirds))


def _sound(
    seed: int, index: int, seconds: float, sample_rate: int, delivery: float
) -> tuple[Tensor, int]:
    generator = make_generator(seed, _SOUND, index)
    signal, _ = speech(generator, seconds, sample_rate, 2.0**delivery, -2.0 * delivery)
    return torch.from_numpy(np.asarray(signal, dtype=np.float32)), sample_rate


def _words(seed: int, index: int, seconds: float) -> Words:
    _, syllables = utterance(make_generator(seed, _SOUND, index), seconds)
    heard = [s for s in syllables if s.onset + s.consonant_seconds < seconds]
    draw = make_generator(seed, _WORDS, index)
    words = draw_words(draw, heard)
    return Words(
        onsets=torch.tensor([word[0].onset for word in words], dtype=torch.float32),
        content=torch.from_numpy(draw.random(len(words)) < 0.5),
        text=tuple("-".join(s.vowel for s in word) for word in words),
    )
