"""Responses that follow sounds of unequal length in time, of several people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from datamodules.stimuli import Provenance, StimulusSet, TimedResponseSet


@dataclass(frozen=True)
class Words:
    """Words of one sound.

    Parameters
    ----------
    onsets : tensor of shape (words,)
        Seconds from the onset of the sound.
    content : tensor of shape (words,), bool
        Content words (nouns, verbs, …), as against function words.
    text : tuple of str
    """

    onsets: Tensor
    content: Tensor
    text: tuple[str, ...] = ()


@dataclass(frozen=True)
class SentenceResponses:
    """Time courses of every subject while the sounds of a set were heard.

    Parameters
    ----------
    stimuli : StimulusSet
        Sentences, in the order in which they were heard.
    values : tuple of tensors of shape (subjects, times, channels), float32
        One for each stimulus. Sample k was taken ``start + k / rate`` seconds after its onset.
    rate : float
        Samples a second (Hz).
    start : float
        Time of the first sample from the onset (s); negative where recorded before it.
    folds : tensor of shape (stimuli,), int64
        Fold of each stimulus, 0-based: contiguous blocks, so that neighbours in time stay together.
    positions : tensor of shape (channels, 3), optional
        Electrode positions (m, head coordinates).
    words : tuple of Words, optional
        One for each stimulus.
    quality : tuple of mappings
        One row for each recording: subject, bad channels, rejected seconds.
    """

    stimuli: StimulusSet
    values: tuple[Tensor, ...]
    rate: float
    start: float
    channels: tuple[str, ...]
    subjects: tuple[str, ...]
    folds: Tensor
    provenance: Provenance
    positions: Tensor | None = None
    words: tuple[Words, ...] | None = None
    quality: tuple[Mapping[str, object], ...] = field(default=())

    def __post_init__(self) -> None:
        name, count = self.stimuli.name, len(self.stimuli)
        if len(self.values) != count or self.folds.shape != (count,):
            raise ValueError(
                f"responses to {name}: {len(self.values)} time courses and folds "
                f"{tuple(self.folds.shape)}, but {count} stimuli"
            )
        if self.words is not None and len(self.words) != count:
            raise ValueError(f"responses to {name}: words of {len(self.words)} of {count} stimuli")
        for stimulus, values in zip(self.stimuli.ids, self.values, strict=True):
            people, _, channels = values.shape
            if (people, channels) != (len(self.subjects), len(self.channels)):
                raise ValueError(
                    f"responses to {name}: {tuple(values.shape)} at stimulus {stimulus}, expected "
                    f"{len(self.subjects)} subjects and {len(self.channels)} channels"
                )
            if not torch.isfinite(values).all():
                raise ValueError(f"responses to {name}: not a number at stimulus {stimulus}")


def contiguous_folds(count: int, folds: int = 5) -> Tensor:
    """Folds of ``count`` stimuli: blocks of neighbours of nearly equal size.

    fold[i] = floor(i * folds / count)

    Returns
    -------
    tensor of shape (count,), int64
    """
    return torch.arange(count) * folds // max(count, 1)


def as_sentences(responses: TimedResponseSet, subject: str = "") -> SentenceResponses:
    """Responses to sounds of one length as the time courses of one subject."""
    return SentenceResponses(
        stimuli=responses.stimuli,
        values=tuple(values[None].float() for values in responses.values),
        rate=responses.rate,
        start=float(responses.times[0]),
        channels=responses.targets,
        subjects=(subject,),
        folds=responses.folds,
        provenance=responses.provenance,
    )
