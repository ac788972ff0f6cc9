"""Acoustics of sentences: what a layer must explain more than."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from jaxtyping import Float
from torch import Tensor

from alignment.lags import principal_components
from datamodules.sentences import SentenceResponses, Words
from datamodules.stimuli import StimulusSet
from evaluation.features import Features
from evaluation.time.frames import frames_at, reduce_components
from evaluation.time.pieces import Series, stretch
from models.frontend import LogMel

BANDS = 32
"""Of the spectrogram of encoding models."""
LAYER_BANDS = 128
"""As many as ``encoder=logmel_frames`` has."""


@dataclass(frozen=True)
class Acoustics:
    """Spectrogram, its onsets, and the onsets of words where these are known.

    A log-mel spectrogram of 32 bands; the half-wave rectified difference of its frames, which
    rises where a band becomes louder (Daube et al. 2019, Curr Biol 29:1924); a one at the sample
    nearest to the onset of each word. Spectrogram and onsets are averaged to the response's rate
    and reduced to principal components, of all sentences: no response is seen.

    Parameters
    ----------
    responses : SentenceResponses
    components : int
        Of the spectrogram, and as many of the onsets.
    """

    responses: SentenceResponses
    components: int

    def frames(self) -> list[Float[Tensor, "_ a"]]:
        """Features of every sentence at times 0, 1 / rate, …"""
        rate, frontend = self.responses.rate, LogMel(BANDS, window_ms=25.0, hop_ms=10.0)
        tables = spectrograms(self.responses.stimuli, frontend)
        onsets = [torch.cat([x[:1] * 0, (x[1:] - x[:-1]).clamp_min(0)]) for x in tables]
        bands = [
            reduce_frames(frames_at(pad_tables(part, frontend), rate), self.components)
            for part in (tables, onsets)
        ]
        if self.responses.words is not None:
            lengths = [len(x) for x in bands[0]]
            pairs = zip(self.responses.words, lengths, strict=True)
            bands.append([word_onsets(words, rate, length) for words, length in pairs])
        return [torch.cat(parts, 1) for parts in zip(*bands, strict=True)]


@dataclass(frozen=True)
class SoundLayer:
    """Log-mel frames of the sounds, as a layer of ``encoder=logmel_frames`` has them.

    Like every layer they are averaged to the rate of the response and reduced to principal
    components of the sentences of other folds.
    """

    responses: SentenceResponses
    components: int

    @cached_property
    def frames(self) -> list[Tensor]:
        """Components (frames, dim) of each sound, computed when they are first asked for."""
        frontend = LogMel(bands=LAYER_BANDS)
        tables = spectrograms(self.responses.stimuli, frontend)
        frames = frames_at(pad_tables(tables, frontend), self.responses.rate)
        return reduce_components(frames, self.responses.folds, self.components)

    def beside(self, series: Series) -> Series:
        """The pieces with their acoustics."""
        where = zip(series.sentence.tolist(), series.position.tolist(), series.x, strict=True)
        own = [stretch(self.frames[i], first, len(layers[0])) for i, first, layers in where]
        return replace(series, acoustics=own)


def spectrograms(stimuli: StimulusSet, frontend: LogMel) -> list[Float[Tensor, "_ bands"]]:
    """The frames of every sound."""
    waves = (stimuli.waveform(i, frontend.sample_rate) for i in range(len(stimuli)))
    with torch.no_grad():
        return [frontend(wave[None])[0] for wave in waves]


def pad_tables(tables: Sequence[Float[Tensor, "_ d"]], frontend: LogMel) -> Features:
    """Frames of sounds of unequal length."""
    lengths = torch.tensor([len(table) for table in tables])
    values = torch.nn.utils.rnn.pad_sequence([*tables], batch_first=True)
    return Features(values, lengths, frontend.rate, frontend.offset)


def word_onsets(words: Words, rate: float, length: int) -> Float[Tensor, "length 1"]:
    """1 at the sample nearest to the onset of a word, else 0."""
    place = (words.onsets.double() * rate).round().long()
    found = torch.zeros(length, 1, dtype=torch.float64)
    found[place[place < length]] = 1
    return found


def reduce_frames(
    frames: Sequence[Float[Tensor, "_ d"]], components: int
) -> list[Float[Tensor, "_ p"]]:
    """Principal components of the frames of all sentences, one basis for all folds.

    Weights over features are of one basis only if the frames of all folds are: components that
    are fitted anew for each fold differ in sign and order. No response is seen.
    """
    scores = principal_components(torch.cat([*frames])[None], components)[0]
    return [*scores.split([len(x) for x in frames])]
