"""All metrics with circular shifts, side by side with loops over dcor, rsatoolbox and NumPy.

``python bench/eeg.py``; ``--device cuda`` on a GPU. Peers are timed on a sample of the same arrays
and their time for the whole is extrapolated: one call for every layer, sentence and shift, with
whatever does not change under a shift computed once for them.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dcor
import numpy as np
import rsatoolbox
import torch
from rich.console import Console
from rich.table import Table
from scipy.stats import rankdata

sys.path.insert(0, str(Path(__file__).parents[1]))
from alignment.series.metrics import METRICS
from alignment.series.signatures import excluded
from evaluation.time.pieces import Draws, Series
from evaluation.time.surrogates import circular_surrogates

DIM = 20
Pair = Callable[[np.ndarray, np.ndarray], object]
Matrix = Callable[[np.ndarray], np.ndarray]


def problem(layers: int, sentences: int, device: str) -> Series:
    """Slow series of 5 to 12 s at 25 Hz: 20 components of every layer and of one response."""
    draw = torch.Generator().manual_seed(0)
    lengths = torch.randint(125, 300, (sentences,), generator=draw).tolist()

    def slow(rows: int) -> torch.Tensor:
        noise = torch.randn(DIM, 1, rows + 8, generator=draw, dtype=torch.float64)
        return torch.nn.functional.avg_pool1d(noise, 9, 1)[:, 0].T.contiguous().to(device)

    x = [[slow(n) for _ in range(layers)] for n in lengths]
    y = [slow(n)[None] for n in lengths]
    folds = torch.arange(sentences) * 5 // sentences
    alone = torch.arange(sentences)
    return Series(x, y, 0, folds, alone, torch.zeros_like(alone))


def gram(x: np.ndarray) -> np.ndarray:
    x = x - x.mean(0)
    return x @ x.T


def rbf(x: np.ndarray) -> np.ndarray:
    square = np.square(x[:, None] - x).sum(-1)
    middle = np.median(square[np.triu_indices(len(x), 1)])
    return np.exp(-square / (2 * middle))


def centred(k: np.ndarray) -> np.ndarray:
    return k - k.mean(0) - k.mean(1)[:, None] + k.mean()


def unbiased(k: np.ndarray) -> np.ndarray:
    return dcor.u_centered(k)


def aligned(centre: Matrix, kernel: Matrix) -> Pair:
    """CKA whose first kernel is ready."""

    def value(k: np.ndarray, y: np.ndarray) -> float:
        other = centre(kernel(y))
        return float((k * other).sum() / np.sqrt((k * k).sum() * (other * other).sum()))

    return value


def rsa(method: str) -> Pair:
    def value(first: rsatoolbox.rdm.RDMs, y: np.ndarray) -> object:
        second = rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(y), method="correlation")
        return rsatoolbox.rdm.compare(first, second, method=method)

    return value


def ranked(x: np.ndarray) -> np.ndarray:
    """Ranks of 1 - Pearson between all pairs of rows."""
    return rankdata(1 - np.corrcoef(x)[np.triu_indices(len(x), 1)])


def given_time(ranks: np.ndarray, y: np.ndarray) -> float:
    row, column = np.triu_indices(len(y), 1)
    r = np.corrcoef([ranks, ranked(y), rankdata(column - row)])
    return float((r[0, 1] - r[0, 2] * r[1, 2]) / np.sqrt((1 - r[0, 2] ** 2) * (1 - r[1, 2] ** 2)))


def cca(x: np.ndarray, y: np.ndarray) -> float:
    basis = np.linalg.qr(y - y.mean(0))[0]
    rho = np.linalg.svd(x.T @ basis, compute_uv=False).clip(0, 1 - 1e-12)
    return float(-0.5 * np.log1p(-np.square(rho)).sum())


def neighbours(x: np.ndarray) -> np.ndarray:
    """The ten nearest rows of each, without those beside it in time."""
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    apart = np.abs(np.subtract.outer(np.arange(len(x)), np.arange(len(x))))
    cosine = np.where(np.minimum(apart, len(x) - apart) < excluded(len(x)), -2, unit @ unit.T)
    return np.argpartition(-cosine, 10, axis=1)[:, :10]


def knn(near: np.ndarray, y: np.ndarray) -> float:
    return float(near[np.arange(len(y))[:, None], neighbours(y)].mean())


def procrustes(x: np.ndarray, y: np.ndarray) -> float:
    y = y - y.mean(0)
    return float(np.linalg.svd(x.T @ (y / np.linalg.norm(y)), compute_uv=False).sum())


def rdm(x: np.ndarray) -> rsatoolbox.rdm.RDMs:
    return rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(x), method="correlation")


def scaled(x: np.ndarray) -> np.ndarray:
    x = x - x.mean(0)
    return x / np.linalg.norm(x)


def near(x: np.ndarray) -> np.ndarray:
    graph = np.zeros((len(x), len(x)))
    np.put_along_axis(graph, neighbours(x), 1.0, 1)
    return graph


PEERS: dict[str, tuple[str, Callable[[np.ndarray], object], Pair]] = {
    "rsa_spearman": ("rsatoolbox", rdm, rsa("spearman")),
    "rsa_partial": ("NumPy", ranked, given_time),
    "kendall": ("rsatoolbox", rdm, rsa("tau-a")),
    "rsa_pearson": ("rsatoolbox", rdm, rsa("corr")),
    "procrustes": ("NumPy", scaled, procrustes),
    "cka": ("NumPy", lambda x: centred(gram(x)), aligned(centred, gram)),
    "cka_debiased": ("NumPy", lambda x: unbiased(gram(x)), aligned(unbiased, gram)),
    "cka_rbf": ("NumPy", lambda x: centred(rbf(x)), aligned(centred, rbf)),
    "cka_rbf_debiased": ("NumPy", lambda x: unbiased(rbf(x)), aligned(unbiased, rbf)),
    "dcor": ("dcor", lambda x: x, dcor.distance_correlation),
    "dcor_debiased": ("dcor", lambda x: x, dcor.u_distance_correlation_sqr),
    "rv2": ("NumPy", gram, aligned(lambda k: k - np.diag(np.diag(k)), gram)),
    "gaussian_mi": ("NumPy", lambda x: np.linalg.qr(x - x.mean(0))[0], cca),
    "mutual_knn": ("NumPy", near, knn),
}


def rolled(series: Series, calls: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Layers and shifted responses of sentences from all over the set."""
    for i in range(calls):
        sentence = i * len(series.x) // calls
        x = series.x[sentence][i % len(series.x[0])].cpu().numpy()
        yield x, np.roll(series.y[sentence][0].cpu().numpy(), 31 + 7 * i, 0)


def peer_seconds(name: str, series: Series, calls: int) -> float:
    """Of one call on a shifted response, mean over calls."""
    _, prepare, compare = PEERS[name]
    pairs = [(prepare(x), y) for x, y in rolled(series, calls)]
    compare(*pairs[0])  # compilation and caches
    start = time.perf_counter()
    for pair in pairs:
        compare(*pair)
    return (time.perf_counter() - start) / calls


def our_seconds(name: str, series: Series, shifts: int, device: str) -> float:
    start = time.perf_counter()
    circular_surrogates(METRICS[name], series, Draws(shifts, 25, 0), [0])
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=33)
    parser.add_argument("--sentences", type=int, default=84)
    parser.add_argument("--shifts", type=int, default=500)
    parser.add_argument("--calls", type=int, default=12, help="calls of a peer that are timed")
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args()
    series = problem(options.layers, options.sentences, options.device)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    times = options.layers * options.sentences * (options.shifts + 1)
    where = f"{torch.get_num_threads()} threads" if options.device == "cpu" else options.device
    size = f"{options.layers} layers x {options.sentences} sentences x {options.shifts} shifts"
    table = Table(title=f"{size}, {where}", title_justify="left")
    for column in ("metric", "Entrain (s)", "peer", "one call (ms)", "whole (s)", "ratio"):
        table.add_column(column, justify="left" if column in ("metric", "peer") else "right")
    mine, theirs = [], []
    for name in METRICS:
        mine.append(our_seconds(name, series, options.shifts, options.device))
        call = peer_seconds(name, series, options.calls)
        theirs.append(call * times)
        peer = PEERS[name][0]
        ratio = theirs[-1] / mine[-1]
        cells = f"{mine[-1]:.1f}", peer, f"{1e3 * call:.2f}", f"{theirs[-1]:,.0f}", f"{ratio:,.0f}"
        table.add_row(name, *cells)
    whole = sum(theirs) / sum(mine)
    table.add_row("all", f"{sum(mine):.1f}", "", "", f"{sum(theirs):,.0f}", f"{whole:,.0f}")
    Console(width=100).print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"peak memory above the data: {(peak - before) / 2**20:.2f} GiB")  # noqa: T201


if __name__ == "__main__":
    main()
