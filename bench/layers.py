"""Not speed: whether the headline of an encoder grows with its number of layers alone.

``python bench/layers.py`` makes encoders with 1 to 33 layers. Every layer is a random projection of
the same signal with noise of its own, so that none is better than another. Brain responses and a
task depend on that signal. Printed are, over ``--seeds`` seeds, the correlation of the headline
with the logarithm of the number of layers, and that of alignment with accuracy over encoders: of
the maximum over layers, and of layer ``selected``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
from datamodules.stimuli import Provenance, ResponseSet, StimulusSet
from datamodules.tasks.task import Task
from evaluation.benchmark import Benchmark
from evaluation.downstream.probing import ClassificationProbe
from evaluation.features import Features
from evaluation.fmri.response_alignment import ResponseAlignment
from evaluation.rows import SELECTED

LAYERS = (1, 1, 2, 2, 3, 4, 4, 6, 6, 8, 8, 12, 12, 12, 13, 16, 16, 20, 24, 24, 25, 32, 33)
"""Of 23 encoders."""
STIMULI, SIGNALS, WIDTH, TARGETS, CLASSES, FOLDS = 165, 24, 48, 6, 8, 5
MADE = Provenance(source="generated", licence="CC0-1.0", simulated=True)
Scores = dict[str, list[float]]


def make_benchmarks(signal: Tensor, draw: torch.Generator) -> list[Benchmark]:
    """A brain and a task that hold the signal and noise."""
    n = len(signal)
    noise = partial(torch.randn, generator=draw, dtype=torch.float64)
    stimuli = StimulusSet("made", [f"s{i:03d}" for i in range(n)], [_no_sound] * n)
    responses = signal @ noise(SIGNALS, TARGETS) + 4 * noise(n, TARGETS)
    logits = signal @ noise(SIGNALS, CLASSES) + 4 * noise(n, CLASSES)
    folds = torch.arange(n) % FOLDS
    names = tuple(f"target{k}" for k in range(TARGETS))
    classes = tuple(f"class{k}" for k in range(CLASSES))
    brain = ResponseSet(stimuli, responses, names, folds, MADE)
    task = Task(stimuli, logits.argmax(1), classes, folds, MADE)
    return [
        ResponseAlignment("fmri/made", brain),
        ClassificationProbe("probe/made", task, probes=["linear"]),
    ]


def score_encoder(
    count: int, signal: Tensor, benchmarks: Sequence[Benchmark], draw: torch.Generator
) -> tuple[Scores, Scores]:
    """Headlines by metric: the maximum over layers of the mean over targets, and ``selected``."""
    layers = {}
    for k in range(count):
        projection = torch.randn(SIGNALS, WIDTH, generator=draw, dtype=torch.float64)
        noise = torch.randn(signal.shape, generator=draw, dtype=torch.float64)
        layers[f"layer.{k}"] = Features((signal + noise) @ projection)
    highest: Scores = {}
    chosen: Scores = {}
    for benchmark in benchmarks:
        rows = [row for row in benchmark.score(layers) if row.kind == "score"]
        for metric in {row.metric for row in rows}:
            means = {
                layer: np.mean([r.value for r in rows if (r.metric, r.layer) == (metric, layer)])
                for layer in {row.layer for row in rows if row.metric == metric}
            }
            own = means.pop(SELECTED, None)
            highest[metric] = [float(max(means.values()))]
            chosen[metric] = [float(max(means.values()) if own is None else own)]
    return highest, chosen


def run(seed: int) -> dict[str, list[float]]:
    """Correlations of one seed: for each metric with log(layers), and r2 with accuracy."""
    draw = torch.Generator().manual_seed(seed)
    signal = torch.randn(STIMULI, SIGNALS, generator=draw, dtype=torch.float64)
    benchmarks = make_benchmarks(signal, draw)
    tables: list[Scores] = [{}, {}]
    for count in LAYERS:
        both = score_encoder(count, signal, benchmarks, draw)
        for table, scores in zip(tables, both, strict=True):
            for metric, values in scores.items():
                table.setdefault(metric, []).extend(values)
    found = {}
    depth = np.log(LAYERS)
    for metric in tables[0]:
        found[f"{metric} and log(layers)"] = [_r(table[metric], depth) for table in tables]
    both = [_r(table["r2"], table["linear_accuracy"]) for table in tables]
    return found | {"r2 and accuracy": both}


def _r(a: Sequence[float], b: Sequence[float]) -> float:
    return float(np.corrcoef(a, b)[0, 1])


def _no_sound() -> tuple[Tensor, int]:
    raise ValueError("this benchmark is given features, not sounds")


def main() -> None:
    """Simulate and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=20)
    seeds = range(parser.parse_args().seeds)
    runs = [run(seed) for seed in track(seeds, "seeds", transient=True)]
    table = Table("correlation over 23 encoders", "maximum over layers", "layer selected")
    for name in sorted(runs[0]):
        cells = []
        for k in range(2):
            values = np.array([found[name][k] for found in runs])
            error = values.std(ddof=1) / len(values) ** 0.5
            cells.append(f"{values.mean():.2f} ± {1.96 * error:.2f}")
        table.add_row(name, *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
