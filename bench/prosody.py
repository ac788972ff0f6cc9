"""Not speed: how often prosody, brain and layer are found to belong together where they do not.

``python bench/prosody.py --runs 200`` draws smooth series of which some are related, and counts
p <= .05 of ``tnc`` and ``mediation_ratio``. Only where all three are related is there something to
be found by ``tnc``; where the layer is unrelated there is nothing by either.

A second table is of contrasts: sentences of random prosody that are followed alike, the longer the
more, or more where they are aroused, and p <= .05 of the differences of valence and of arousal.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
from alignment.series.prosody import SentenceProsody, affect_proxies, terciles
from datamodules.sentences import SentenceResponses
from datamodules.stimuli import Provenance, StimulusSet
from evaluation.rows import Score
from evaluation.time.contrasts import contrast_rows
from evaluation.time.pieces import Draws, Series
from evaluation.time.prosody import Prosody, sharing_rows
from evaluation.time.rows import TimeRows
from evaluation.time.statistics import AgainstSurrogates

PIECES, LENGTH, PEOPLE, RATE = 24, 60, 2, 25.0
CASES = {
    "none related": "",
    "prosody and brain": "pe",
    "prosody and layer": "pm",
    "brain and layer": "em",
    "all three": "pem",
}
MADE = Provenance(source="generated", licence="CC0-1.0", simulated=True)


class Known:
    """Prosody that is given."""

    def __init__(self, frames: list[Tensor]) -> None:
        self._frames = frames

    def frames(self, rate: float) -> list[Tensor]:
        """By sentence."""
        return self._frames


def run(related: str, seed: int, draws: int) -> list[Score]:
    """Rows of one simulated data set; letters of ``related`` share a series."""
    generator = torch.Generator().manual_seed(seed)

    def smooth(*shape: int) -> Tensor:
        walk = torch.randn(*shape, LENGTH, 4, generator=generator, dtype=torch.float64).cumsum(-2)
        return walk - walk.mean(-2, keepdim=True)

    shared = smooth(PIECES)
    p, m = (3 * shared * (who in related) + smooth(PIECES) for who in "pm")
    e = 3 * shared[:, None] * ("e" in related) + smooth(PIECES, PEOPLE)
    index = torch.arange(PIECES)
    zero = torch.zeros_like(index)
    series = Series([[one] for one in m], [*e], 0, index % 3, index, zero)
    known = torch.zeros(PIECES, 1, PEOPLE, 1, dtype=torch.float64)
    count = torch.full((PIECES,), PIECES)
    null = torch.zeros(3, 1, 1, 1, dtype=torch.float64)
    chosen = AgainstSurrogates(known, known, count, null, index % 3)
    rows = TimeRows("eeg/made", _responses(), index)
    prosody: Any = Known([*p])
    return [*sharing_rows(rows, prosody, series, chosen, [0], ["layer"], Draws(draws, 1, seed))]


FOLLOWED = ("all alike", "longer ones more", "aroused ones more")


def contrasts(followed: str, seed: int, sentences: int = 84) -> dict[str, float]:
    """p of the difference of valence and of arousal; louder sentences are longer."""
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    table = draw(sentences, 9)
    table[:, 0] += 30  # semitones, so that sd / mean is no division by 0
    table[:, 8] = 4 + 0.7 * table[:, 3] + 0.7 * draw(sentences)
    spoken = [SentenceProsody(*values) for values in table.tolist()]
    arousal = affect_proxies(spoken).arousal
    effect = {
        "all alike": torch.zeros(sentences),
        "longer ones more": 0.05 * table[:, 8],
        "aroused ones more": 0.1 * (terciles(arousal) == 2),
    }[followed]
    value = 0.1 + effect + 0.1 * draw(sentences)
    index = torch.arange(sentences)
    known = value[:, None, None, None].double()
    level, many = torch.zeros_like(known), torch.full((sentences,), 10**9)
    null = torch.zeros(3, 1, 1, 1, dtype=torch.float64)
    tested = AgainstSurrogates(known, level, many, null, index % 3)
    prosody = Prosody(_responses().stimuli)
    prosody.__dict__["_sentences"] = spoken
    rows = contrast_rows(TimeRows("eeg/made", _responses(), index), prosody, {"cka": tested})
    return {row.target: row.p for row in rows if row.p is not None}


def _responses() -> SentenceResponses:
    stimuli = StimulusSet("made", [f"s{i}" for i in range(PIECES)], [_no_sound] * PIECES)
    values = tuple(torch.zeros(PEOPLE, LENGTH, 2) for _ in range(PIECES))
    people, channels = tuple(f"p{k}" for k in range(PEOPLE)), ("a", "b")
    folds = torch.arange(PIECES) % 3
    return SentenceResponses(stimuli, values, RATE, 0.0, people, channels, folds, MADE)


def _no_sound() -> tuple[Tensor, int]:
    raise ValueError("this benchmark is given series, not sounds")


def main() -> None:
    """Simulate and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--draws", type=int, default=199)
    options = parser.parse_args()
    table = Table("related", "tnc p <= .05", "mediation p <= .05", "mediation, mean", "its null")
    for name, related in CASES.items():
        found = [
            run(related, seed, options.draws)
            for seed in track(range(options.runs), name, transient=True)
        ]
        cells = []
        for metric in ("tnc", "mediation_ratio"):
            values = [row.p for rows in found for row in rows if row.metric == metric]
            cells.append(f"{sum((p or 1) <= 0.05 for p in values) / len(values):.3f}")
        for metric in ("mediation_ratio", "null_mediation_ratio"):
            values = [row.value for rows in found for row in rows if row.metric == metric]
            cells.append(f"{sum(values) / len(values):.2f}")
        table.add_row(name, *cells)
    Console().print(table)
    table = Table("followed", "valence p <= .05", "arousal p <= .05")
    for name in FOLLOWED:
        values = [contrasts(name, seed) for seed in range(options.runs)]
        cells = [
            f"{sum(p[target] <= 0.05 for p in values) / len(values):.3f}"
            for target in ("difference", "arousal_difference")
        ]
        table.add_row(name, *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
