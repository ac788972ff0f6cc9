"""Not speed: how often alignment within sentences is found where there is none, and where there is.

``python bench/sentences.py --runs 200`` draws smooth series of sentences and people and counts
p <= .05: in any named window (``erp_``); given the sound (``rsa_partial_acoustic``), where layer
and brain share the sound alone or something beyond it; and in any layer by signs of people turned
(``excess_`` of layers).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
from alignment.clusters import max_test
from alignment.series.metrics import BY_NAME, METRICS, Metric
from evaluation.time.pieces import Draws, Series
from evaluation.time.surrogates import mismatch_surrogates
from evaluation.time.windows import named_windows

PIECES, FRAMES, DIM, RATE = 16, 50, 5, 50.0
KNOWN = METRICS | BY_NAME
WINDOWED = ("rsa_spearman", "kendall", "cka_debiased", "dcor_debiased", "hsic_rbf")
GIVEN = ("rsa_spearman", "rsa_partial", "rsa_partial_acoustic")


class Noise:
    """Smooth series from one seed."""

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, *shape: int) -> Tensor:
        """Of shape (…, frames, dim): smoothed over 100 ms, with standard deviation 1."""
        white = torch.randn(*shape, FRAMES + 4, DIM, generator=self.generator, dtype=torch.float64)
        return white.unfold(-2, 5, 1).mean(-1) * 5**0.5


def series(x: list[Tensor], y: Tensor, sound: Tensor | None = None) -> Series:
    """From layers (pieces, frames, dim) and responses (pieces, people, frames, dim)."""
    index = torch.arange(PIECES)
    zero, fold = torch.zeros_like(index), index * 4 // PIECES
    known = Series([[layer[i] for layer in x] for i in range(PIECES)], [*y], 0, fold, index, zero)
    return known if sound is None else replace(known, acoustics=[*sound])


def windows(name: str, followed: float, seed: int, draws: int) -> float:
    """Smallest p of any window; the response follows the layer in P600 alone."""
    noise = Noise(seed)
    x, y = noise(PIECES), noise(PIECES, 2)
    stretches = named_windows(RATE, FRAMES)
    first, count = stretches["P600"]
    part = slice(first, first + count)
    y[:, :, part] += followed * x[:, None, part]
    known = series([x], y)
    spans = [(a, a, n) for a, n in stretches.values()]
    found = mismatch_surrogates(KNOWN[name], known, Draws(draws, 1, seed), spans, False)
    return float(found.scaled().p_max().min())


def given_sound(name: str, shared: float, beyond: float, seed: int, draws: int) -> float:
    """p of a layer that shares the sound, and something beyond it, with the brain."""
    noise = Noise(seed)
    sound, more = noise(PIECES), noise(PIECES)
    x = shared * sound + beyond * more + noise(PIECES)
    y = (shared * sound + beyond * more)[:, None] + noise(PIECES, 2)
    known = series([x], y, sound)
    metric: Metric = KNOWN[name]
    return float(mismatch_surrogates(metric, known, Draws(draws, 1, seed), known.spans([0])).p())


def people(count: int, followed: float, alike: float, seed: int) -> float:
    """Smallest p of four layers over people.

    ``alike`` is a response that all people have and no layer holds.
    """
    noise = Noise(seed)
    x = [noise(PIECES) for _ in range(4)]
    y = noise(PIECES, count) + (followed * x[2] + alike * noise(PIECES))[:, None]
    known = series(x, y)
    found = mismatch_surrogates(KNOWN["cka_debiased"], known, Draws(1, 1, seed), known.spans([0]))
    return float(max_test(found.excess[..., 0].mean(0).T, 2000).p.min())


def rate(run: Callable[[int], float], runs: int) -> str:
    found = [run(seed) <= 0.05 for seed in track(range(runs), transient=True)]
    return f"{sum(found) / runs:.3f}"


def main() -> None:
    """Simulate and print three tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--draws", type=int, default=199)
    options = parser.parse_args()
    runs, draws = options.runs, options.draws

    table = Table("any named window, p <= .05", "unrelated", "followed in P600")
    for name in WINDOWED:
        cells = [rate(lambda s, n=name, f=f: windows(n, f, s, draws), runs) for f in (0, 0.4)]
        table.add_row(name, *cells)
    Console().print(table)

    cases = {"nothing shared": (0.0, 0.0), "the sound": (1.0, 0.0), "more than the sound": (1, 0.7)}
    table = Table("p <= .05", *cases)
    for name in GIVEN:
        cells = [
            rate(lambda s, n=name, c=case: given_sound(n, *c, s, draws), runs)
            for case in cases.values()
        ]
        table.add_row(name, *cells)
    Console().print(table)

    table = Table(
        "any of 4 layers, p <= .05", "unrelated", "a response in common", "layer followed"
    )
    for count in (6, 12, 24):
        cells = [
            rate(lambda s, k=count, c=case: people(k, *c, s), runs)
            for case in ((0.0, 0.0), (0.0, 1.0), (0.2, 0.0))
        ]
        table.add_row(f"{count} people", *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
