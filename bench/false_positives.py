"""How often each null hypothesis is rejected where nothing is to be found.

``python bench/false_positives.py --metrics all --nulls mismatch circular`` draws features and
responses that know nothing of each other, with the memory that frames and EEG have, and counts
p <= .05.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
from alignment.nulls import phase_scramble, share_of_draws
from alignment.series.metrics import METRICS, Metric, product
from evaluation.time.pieces import Draws, Series
from evaluation.time.surrogates import circular_surrogates, mismatch_surrogates

SENTENCES, FRAMES, DIM, DRAWS = 12, 100, 10, 99
NOISES = ("smooth", "1/f")
NULLS = ("mismatch", "circular", "phase", "label shuffle")
QUICK = ("rsa_spearman", "cka_debiased")


def noise(kind: str, generator: torch.Generator) -> Tensor:
    """Ten series of four seconds: smoothed over 200 ms, or with power that falls as 1/f."""
    white = torch.randn(FRAMES, DIM, generator=generator, dtype=torch.float64)
    spectrum = torch.fft.rfft(white, dim=0)
    frequency = torch.arange(len(spectrum), dtype=torch.float64)
    if kind == "smooth":
        gain = torch.exp(-0.5 * (frequency / 10).square())
    else:
        gain = frequency.clamp_min(1).rsqrt()
    return torch.fft.irfft(spectrum * gain[:, None], n=FRAMES, dim=0)


def long_noise(kind: str, generator: torch.Generator) -> Tensor:
    """The middle of a longer series, so that its ends do not meet."""
    parts = [noise(kind, generator) for _ in range(3)]
    ramp = torch.linspace(0, torch.pi / 2, FRAMES, dtype=torch.float64)[:, None]
    return parts[0] * torch.cos(ramp) + parts[1] * torch.sin(ramp)


def series_of_noise(kind: str, seed: int) -> Series:
    generator = torch.Generator().manual_seed(seed)
    x = [[long_noise(kind, generator)] for _ in range(SENTENCES)]
    y = [long_noise(kind, generator)[None] for _ in range(SENTENCES)]
    fold = torch.arange(SENTENCES) * 4 // SENTENCES
    alone = torch.arange(SENTENCES)
    return Series(x, y, 0, fold, alone, torch.zeros_like(alone))


def redrawn(
    metric: Metric, series: Series, make: Callable[[Tensor, torch.Generator], Tensor], seed: int
) -> float:
    """p where surrogates are made again from each response."""
    generator = torch.Generator().manual_seed(seed)
    observed, null = torch.zeros(()), torch.zeros(DRAWS)
    for layers, response in zip(series.x, series.y, strict=True):
        x = metric.signature(layers[0][None])
        both = torch.cat([response, make(response[0], generator)])
        values = product(metric, x, metric.signature(both), FRAMES)[0]
        observed, null = observed + values[0], null + values[1:]
    return float(share_of_draws((null >= observed)[:, None])[0])


def shuffled(y: Tensor, generator: torch.Generator) -> Tensor:
    orders = torch.rand(DRAWS, len(y), generator=generator).argsort(1)
    return y[orders]


def scrambled(y: Tensor, generator: torch.Generator) -> Tensor:
    return phase_scramble(y, DRAWS, generator)


def p_value(null: str, name: str, series: Series, seed: int) -> float:
    metric, draws = METRICS[name], Draws(DRAWS, 25, seed)
    if null == "mismatch":
        return float(mismatch_surrogates(metric, series, draws, series.spans([0])).p()[0, 0])
    if null == "circular":
        return float(circular_surrogates(metric, series, draws, [0]).p()[0, 0])
    return redrawn(metric, series, scrambled if null == "phase" else shuffled, seed)


def rate(null: str, name: str, kind: str, runs: int, first: int = 0) -> float:
    """Share of runs with p <= .05."""
    found = [p_value(null, name, series_of_noise(kind, first + r), r) <= 0.05 for r in range(runs)]
    return sum(found) / runs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--metrics", nargs="+", default=QUICK, choices=[*METRICS, "all"])
    parser.add_argument("--nulls", nargs="+", default=NULLS, choices=NULLS)
    options = parser.parse_args()
    names: Sequence[str] = [*METRICS] if "all" in options.metrics else options.metrics
    table = Table(title=f"p <= .05 in {options.runs} runs without an effect", title_justify="left")
    columns = [(null, kind) for null in options.nulls for kind in NOISES]
    for column in ("metric", *(f"{null}, {kind}" for null, kind in columns)):
        table.add_column(column)
    for name in names:
        shares = [
            rate(null, name, kind, options.runs)
            for null, kind in track(columns, name, transient=True)
        ]
        table.add_row(name, *(f"{share:.3f}" for share in shares))
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
