"""Not speed: what noise does to times to half, and whether flat curves are given one.

``python bench/times.py`` draws pairs of curves of the same shape, one with little and one with
much noise. It counts in how many the noisier stands half way first, and by how many doublings of
training; how many flat curves are given a time; and how often the interval of the time holds that
of the curve without noise. Of the first crossing of half of the rise, and of
``reporting.statistics.timing.emergence``. Errors of flat curves are independent, have heavy tails
(Student's t of 3 degrees) or correlate at .3 from one step to the next.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
from reporting.statistics.timing import emergence, lead, time_to

STEPS = {
    "13, spread evenly in logarithms": [0, 10, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 960],
    "13, even": list(range(0, 961, 80)),
    "6": [0, 50, 100, 200, 400, 800],
}
HALVES = (60.0, 160.0)
QUIET, NOISY = 0.02, (0.05, 0.1, 0.2)
"""Standard deviations of steps, in shares of the rise."""
Shares = dict[str, float]


def rise(times: np.ndarray, half: float, shape: str) -> np.ndarray:
    """A curve from 0 to 1: a straight line that ends, saturation, or an S in log time."""
    if shape == "line":
        return np.clip(times / (2 * half), 0, 1)
    if shape == "saturation":
        return 1 - 0.5 ** (times / half)
    return 1 / (1 + (half / np.maximum(times, 1e-9)) ** 2)


SHAPES = ("line", "saturation", "S")


def first_crossing(values: np.ndarray, times: np.ndarray) -> float:
    """When values first reach half way from the first to the last of them, as it was."""
    return float(time_to(values, times))


def pairs(times: np.ndarray, noise: float, runs: int) -> Shares:
    """What noise does to the time of rising curves."""
    before, after, held, widths, timed = [], [], [], [], 0
    for seed in track(range(runs), f"noise {noise}", transient=True):
        rng = np.random.default_rng(seed)
        shape, half = SHAPES[seed % 3], HALVES[seed // 3 % 2]
        curve = rise(times, half, shape)
        quiet, noisy = (curve + size * rng.standard_normal(len(times)) for size in (QUIET, noise))
        before.append(lead(first_crossing(noisy, times), first_crossing(quiet, times)))
        found = [emergence(values, times, seed=seed).half for values in (quiet, noisy)]
        after.append(lead(found[1].value, found[0].value))
        if found[1].n:
            truth = first_crossing(curve, times)
            timed += 1
            held.append(found[1].low <= truth <= found[1].high)
            widths.append(np.log2(found[1].high / found[1].low))
    made: Shares = {}
    for name, leads in (("before", before), ("after", after)):
        known = np.array([x for x in leads if not np.isnan(x)])
        made |= {f"first, {name}": float((known > 0).mean()), f"lead, {name}": float(known.mean())}
        made[f"error, {name}"] = float(known.std(ddof=1) / len(known) ** 0.5)
    made |= {"holds": float(np.mean(held)), "width": float(np.median(widths))}
    return made | {"timed": timed / runs}


def flat(times: np.ndarray, kind: str, runs: int) -> tuple[float, float]:
    """Share of flat curves with a time: by first crossing, and now."""
    before = after = 0
    for seed in range(runs):
        rng = np.random.default_rng(seed)
        noise = rng.standard_normal(len(times))
        if kind == "heavy tails":
            noise = rng.standard_t(3, len(times))
        if kind == "correlated":
            for k in range(1, len(times)):
                noise[k] = 0.3 * noise[k - 1] + 0.91**0.5 * noise[k]
        before += not np.isnan(first_crossing(noise, times))
        after += emergence(noise, times).half.n
    return before / runs, after / runs


def main() -> None:
    """Simulate and print two tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=600)
    runs = parser.parse_args().runs
    heads = ("noisier first", "by doublings", "holds", "width in doublings", "timed")
    table = Table("steps", "noise", *(f"{x}, {w}" for w in ("before", "after") for x in heads[:2]),
                  *heads[2:])  # fmt: skip
    falls = Table("steps", "errors", "flat with a time, before", "after")
    for name, steps in STEPS.items():
        times = np.array(steps, float)
        for noise in NOISY:
            made = pairs(times, noise, runs)
            cells = []
            for when in ("before", "after"):
                cells += [f"{made[f'first, {when}']:.2f}"]
                cells += [f"{made[f'lead, {when}']:+.2f} ± {1.96 * made[f'error, {when}']:.2f}"]
            last = (f"{made['holds']:.3f}", f"{made['width']:.1f}", f"{made['timed']:.2f}")
            table.add_row(name, str(noise), *cells, *last)
    for count in (13, 6):
        for kind in ("independent", "heavy tails", "correlated"):
            shares = flat(np.arange(count, dtype=float), kind, 2 * runs)
            falls.add_row(str(count), kind, *(f"{x:.3f}" for x in shares))
    Console(width=160).print(table, falls)


if __name__ == "__main__":
    main()
