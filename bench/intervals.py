"""Not speed: how often 95 % intervals hold the truth, by what is random in the data.

``python bench/intervals.py`` draws values of people and sentences around a mean of 0: each person
and each sentence has a deviation of its own, beside noise. It counts how often the interval holds
0: of the bootstrap over people, of Student's t over people, and of both people and sentences.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
from alignment.inference import bootstrap_ci, crossed_interval, mean_interval

SENTENCES = 40
PEOPLE = (3, 4, 5, 10, 20)
CASES = {"people differ": (1.0, 0.0), "sentences differ": (0.0, 1.0), "both": (1.0, 1.0)}
"""Standard deviations of people and of sentences; that of single values is 1."""
METHODS: dict[str, Callable[[Tensor], tuple[float, float] | tuple[None, None]]] = {
    "bootstrap, people": lambda x: bootstrap_ci(x.mean(0), n=1000),
    "Student, people": lambda x: mean_interval(x.mean(0)),
    "people and sentences": lambda x: crossed_interval(x, torch.arange(len(x))),
}


def coverage(people: int, case: tuple[float, float], runs: int) -> list[float]:
    """Share of runs in which the interval of each method holds 0."""
    held = [0] * len(METHODS)
    for seed in range(runs):
        draw = torch.Generator().manual_seed(seed)
        person, sentence, single = (
            torch.randn(*shape, generator=draw, dtype=torch.float64)
            for shape in ((1, people), (SENTENCES, 1), (SENTENCES, people))
        )
        values = case[0] * person + case[1] * sentence + single
        for k, method in enumerate(METHODS.values()):
            low, high = method(values)
            held[k] += low is not None and high is not None and low <= 0 <= high
    return [count / runs for count in held]


def main() -> None:
    """Simulate and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=2000)
    runs = parser.parse_args().runs
    table = Table("random", "people", *METHODS)
    for name, case in CASES.items():
        for people in track(PEOPLE, name, transient=True):
            shares = coverage(people, case, runs)
            table.add_row(name, str(people), *(f"{share:.3f}" for share in shares))
    Console().print(table)


if __name__ == "__main__":
    main()
