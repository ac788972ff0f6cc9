"""Simulated people who hear sentences, as responses and as layers of features."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from scipy.ndimage import gaussian_filter1d

from datamodules.sentences import SentenceResponses
from datamodules.simulated.eeg import CODE_RATE, contiguous_folds, respond
from datamodules.stimuli import Provenance
from evaluation.features import Features
from evaluation.rows import Score
from evaluation.time.frame_alignment import BOTH, FrameAlignment
from tests.evaluation.toys import sounds

N, SECONDS, RATE, DIM, LAG = 30, 4, 25, 6, 0.16
LAYERS = ("shallow", "planted", "deep")
MADE = Provenance(source="made here", licence="CC0-1.0", simulated=True)


def codes(seed: int) -> np.ndarray:
    """Slow series of every sentence: (sentences, frames, dim) at ``CODE_RATE``."""
    draw = np.random.default_rng(seed).standard_normal((N, SECONDS * CODE_RATE, DIM))
    return gaussian_filter1d(draw, 6, axis=1)


def people(snr: float, subjects: int = 2, seed: int = 0) -> SentenceResponses:
    values, positions, names = respond(
        [*codes(1)], CODE_RATE, subjects, snr, LAG, RATE, 0.4, 1.0, seed
    )
    return SentenceResponses(
        sounds("sentences", [10] * N),
        values,
        float(RATE),
        -0.4,
        names,
        tuple(f"s{i}" for i in range(subjects)),
        contiguous_folds(N, 5),
        MADE,
        positions,
    )


def layers_of(**series: np.ndarray) -> dict[str, Features]:
    """Features from series (sentences, frames, dim) at ``CODE_RATE``."""
    lengths = torch.full((N,), SECONDS * CODE_RATE)
    return {
        name: Features(torch.from_numpy(v).float(), lengths, CODE_RATE, 0.0)
        for name, v in series.items()
    }


def benchmark(responses: SentenceResponses, **changes: Any) -> FrameAlignment:
    quick: dict[str, Any] = {"metrics": BOTH, "surrogates": {"draws": 99}}
    return FrameAlignment("eeg/x", responses, **(quick | changes))


def one(rows: list[Score], **wanted: object) -> Score:
    (row,) = [r for r in rows if all(getattr(r, key) == v for key, v in wanted.items())]
    return row
