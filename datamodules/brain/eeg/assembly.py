"""Recordings to sentences: every subject's time course of every sentence."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datamodules.brain.eeg.preprocessing import Preprocessing
from datamodules.brain.eeg.recording import Recording, cut
from datamodules.sentences import SentenceResponses, Words, contiguous_folds
from datamodules.stimuli import Provenance
from datamodules.words import Sentence, stimulus_set

log = logging.getLogger(__name__)
T = TypeVar("T")


@dataclass(frozen=True)
class Heard:
    """A recording and where each sentence was heard in it.

    Parameters
    ----------
    onsets : mapping of str to float
        Seconds from the first sample of the recording.
    """

    subject: str
    recording: Recording
    onsets: Mapping[str, float]


def select_subjects(
    found: Mapping[str, T], subjects: Sequence[str] | None, most: int | None, name: str
) -> dict[str, T]:
    """Those of ``subjects`` (default all), of whom the first ``most``."""
    unknown = [subject for subject in subjects or () if subject not in found]
    if unknown:
        raise ValueError(f"{name} has no subject {unknown[0]}: it has {', '.join(found)}")
    return {subject: found[subject] for subject in list(subjects or found)[:most]}


def assemble(
    name: str,
    sentences: Mapping[str, Sentence],
    recordings: Iterable[Heard],
    options: Preprocessing,
    pre: float,
    post: float,
    provenance: Provenance,
) -> SentenceResponses:
    """Time courses of all sentences and subjects, from ``-pre`` s to ``post`` s after the end.

    A sentence that more than half of the subjects lack is left out; then a subject who lacks one
    of the others is. Both are logged. Channels are those that all recordings have.
    """
    pieces: dict[str, dict[str, tuple[tuple[str, ...], NDArray[np.float32]]]] = {}
    reasons: dict[tuple[str, str], str] = {}
    places: dict[str, Tensor] = {}
    layouts: list[tuple[str, ...]] = []
    quality: list[Mapping[str, object]] = []
    for heard in recordings:
        recording, mine = heard.recording, pieces.setdefault(heard.subject, {})
        layouts.append(recording.channels)
        quality.append(recording.quality)
        if recording.positions is not None:
            positions = torch.from_numpy(recording.positions)
            places.update(zip(recording.channels, positions, strict=True))
        for key, onset in heard.onsets.items():
            times = round((pre + sentences[key].duration + post) * options.rate)
            try:
                values = cut(recording, onset - pre, times, options.phase == "zero")
            except ValueError as error:
                reasons[heard.subject, key] = str(error)
            else:
                mine[key] = (recording.channels, values)
    kept, subjects = _complete(name, list(sentences), pieces, reasons)
    channels = _common(name, layouts)
    return SentenceResponses(
        stimuli=stimulus_set(name, [sentences[key] for key in kept]),
        values=tuple(
            torch.from_numpy(
                np.stack([_order_channels(*pieces[s].pop(key), channels) for s in subjects])
            )
            for key in kept
        ),
        rate=options.rate,
        start=-pre,
        channels=channels,
        subjects=tuple(subjects),
        folds=contiguous_folds(len(kept)),
        provenance=provenance,
        positions=torch.stack([places[c] for c in channels])
        if all(c in places for c in channels)
        else None,
        words=words_of([sentences[key] for key in kept]),
        quality=tuple(row for row in quality if row["subject"] in subjects),
    )


def words_of(sentences: Sequence[Sentence]) -> tuple[Words, ...] | None:
    """Words of all sentences, where all have them."""
    found = tuple(part.words for part in sentences if part.words is not None)
    return found if len(found) == len(sentences) else None


def _complete(
    name: str,
    sentences: Sequence[str],
    pieces: Mapping[str, Mapping[str, object]],
    reasons: Mapping[tuple[str, str], str],
) -> tuple[list[str], list[str]]:
    """Sentences that most subjects have, and subjects who have all of these."""

    def why(subject: str, key: str) -> str:
        return reasons.get((subject, key), "was not heard")

    kept = []
    for key in sentences:
        lack = [subject for subject in pieces if key not in pieces[subject]]
        if len(lack) > len(pieces) / 2:
            log.warning(
                "%s: %s is left out: with %d of %d subjects it %s",
                name, key, len(lack), len(pieces), why(lack[0], key),
            )  # fmt: skip
        else:
            kept.append(key)
    subjects = []
    for subject in pieces:
        lack = [key for key in kept if key not in pieces[subject]]
        if lack:
            log.warning(
                "%s: skipped subject %s: %s %s (%d of %d sentences are missing)",
                name, subject, lack[0], why(subject, lack[0]), len(lack), len(kept),
            )  # fmt: skip
        else:
            subjects.append(subject)
    if not kept or not subjects:
        first = next(((s, k) for s in pieces for k in sentences if k not in pieces[s]), None)
        detail = f": {first[1]} {why(*first)} with {first[0]}" if first else ""
        raise ValueError(f"{name}: no subject has all sentences{detail}")
    return kept, subjects


def _common(name: str, layouts: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    shared = tuple(c for c in layouts[0] if all(c in layout for layout in layouts))
    if not shared:
        raise ValueError(f"{name}: no channel is in all recordings")
    if dropped := sorted({c for layout in layouts for c in layout} - set(shared)):
        log.warning(
            "%s: channels %s are missing in some recordings and dropped", name, ", ".join(dropped)
        )
    return shared


def _order_channels(
    names: tuple[str, ...], values: NDArray[np.float32], channels: tuple[str, ...]
) -> NDArray[np.float32]:
    return values if names == channels else values[:, [names.index(c) for c in channels]]
