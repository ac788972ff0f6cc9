"""Encoding models of every channel of everybody at once, beside scikit-learn target by target.

``python bench/encoding_speed.py`` makes data as large as Alice's first chapter. The peer is what
toolboxes do: for every channel of every person, layer and outer fold a grid search over penalties
with the delayed design. It is timed on a few targets of one layer, and extrapolated. Its delayed
design is made once for it.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import Ridge
from sklearn.model_selection import GridSearchCV, PredefinedSplit

sys.path.insert(0, str(Path(__file__).parents[1]))
from alignment.lags import delay
from datamodules.sentences import SentenceResponses, contiguous_folds
from datamodules.stimuli import Provenance, StimulusSet
from evaluation.features import Features
from evaluation.time.acoustics import Acoustics
from evaluation.time.encoding import FrameEncoding

RATE, COMPONENTS, ALPHAS = 25, 20, (-3, 3, 7)
LAGS = (-0.1, 0.6)


def problem(sentences: int, people: int, channels: int) -> SentenceResponses:
    """Noise for sentences of 5 to 13 s, and a second after them."""
    draw = torch.Generator().manual_seed(0)
    lengths = torch.randint(5 * RATE, 13 * RATE, (sentences,), generator=draw).tolist()
    names = [f"sentence{i}" for i in range(sentences)]
    return SentenceResponses(
        StimulusSet("made", names, [Path(name) for name in names]),
        tuple(torch.randn(people, n + RATE, channels, generator=draw) for n in lengths),
        RATE,
        0.0,
        tuple(f"c{i}" for i in range(channels)),
        tuple(f"s{i}" for i in range(people)),
        contiguous_folds(sentences, 5),
        Provenance(source="made here", licence="CC0-1.0", simulated=True),
    )


def layers_of(responses: SentenceResponses, count: int, dim: int = 64) -> dict[str, Features]:
    draw = torch.Generator().manual_seed(1)
    lengths = torch.tensor([v.shape[1] - RATE for v in responses.values])
    size = len(lengths), int(lengths.max()), dim
    return {
        f"layer.{k}": Features(torch.randn(size, generator=draw), lengths, RATE, 0.0)
        for k in range(count)
    }


def noise_for_acoustics(acoustics: Acoustics) -> list[torch.Tensor]:
    """As many columns as spectrogram, onsets and words have: the stimuli here make no sound."""
    draw = torch.Generator().manual_seed(2)
    columns = 2 * acoustics.components + 1
    lengths = [v.shape[1] - RATE for v in acoustics.responses.values]
    return [torch.randn(n, columns, generator=draw, dtype=torch.float64) for n in lengths]


def peer_seconds(responses: SentenceResponses, feature: Features, targets: int) -> float:
    """Of one target, one layer: penalties by grid search in every outer fold, mean over targets."""
    lags = range(round(LAGS[0] * RATE), round(LAGS[1] * RATE) + 1)
    rows, held, series = [], [], []
    assert feature.lengths is not None
    for i, n in enumerate(feature.lengths.tolist()):
        design = delay(feature.values[i, :n, :COMPONENTS].double(), lags)[lags[-1] : n + lags[0]]
        rows.append(design.numpy())
        held.append(np.full(len(design), int(responses.folds[i])))
        series.append(responses.values[i][0, lags[-1] : n + lags[0], :targets].double().numpy())
    x, fold, y = np.concatenate(rows), np.concatenate(held), np.concatenate(series)
    grid = {"alpha": np.logspace(*ALPHAS) * len(x)}
    start = time.perf_counter()
    for target in range(targets):
        for f in range(fold.max() + 1):
            train = fold != f
            inner = PredefinedSplit(fold[train])
            GridSearchCV(Ridge(), grid, cv=inner).fit(x[train], y[train, target]).predict(x[~train])
    return (time.perf_counter() - start) / targets


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=33)
    parser.add_argument("--channels", type=int, default=60)
    parser.add_argument("--sentences", type=int, default=84)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--targets", type=int, default=1, help="targets of the peer that are timed")
    parser.add_argument("--beyond", action="store_true", help="beside acoustics too, without peer")
    options = parser.parse_args()
    responses = problem(options.sentences, options.people, options.channels)
    features = layers_of(responses, options.layers)
    metrics = ("r", "r_beyond_acoustics") if options.beyond else ("r",)
    benchmark = FrameEncoding("eeg/made", responses, metrics, LAGS, COMPONENTS)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, busy = time.perf_counter(), time.process_time()
    with patch.object(Acoustics, "frames", noise_for_acoustics):
        benchmark.score(features)
    mine, busy = time.perf_counter() - start, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if options.beyond:
        print(f"{mine:.0f} s, {busy:.0f} s of CPU, {(peak - before) / 2**20:.2f} GiB")  # noqa: T201
        return
    one = peer_seconds(responses, features["layer.0"], options.targets)
    whole = one * options.people * options.channels * options.layers
    title = (
        f"{options.people} people x {options.channels} channels x {options.sentences} sentences x "
        f"{options.layers} layers, {torch.get_num_threads()} threads"
    )
    table = Table(title=title, title_justify="left")
    for column in ("Entrain (s)", "CPU (s)", "memory (GiB)", "scikit-learn (s)", "ratio"):
        table.add_column(column, justify="right")
    memory = f"{(peak - before) / 2**20:.2f}"
    table.add_row(f"{mine:.0f}", f"{busy:.0f}", memory, f"{whole:,.0f}", f"{whole / mine:,.0f}")
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
