"""One full evaluation by Tuckute et al. 2023, side by side with what people would write.

``python bench/fmri.py`` on made-up data; ``--device cuda`` on a GPU. Reference methods are timed
on a sample and their time for the whole is extrapolated from it.
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import RidgeCV

sys.path.insert(0, str(Path(__file__).parents[1]))
from alignment.regression.splits import random_halves
from bench.stopwatch import timed
from evaluation.fmri.tuckute2023 import split_scores

SOUNDS, SCANS = 165, 3


def problem(layers: int, dim: int, voxels: int) -> tuple[list[torch.Tensor], torch.Tensor]:
    """Features of every layer and noisy scans that follow one of them."""
    draw = torch.Generator().manual_seed(0)
    features = [torch.randn(SOUNDS, dim, generator=draw) for _ in range(layers)]
    weights = torch.randn(dim, voxels, generator=draw) / dim**0.5
    signal = (features[layers // 2] @ weights).double()
    noise = torch.randn(SOUNDS, voxels, SCANS, generator=draw, dtype=torch.float64)
    return features, signal[..., None] + noise


def ours(
    features: list[torch.Tensor], scans: torch.Tensor, alphas: torch.Tensor, device: str, chunk: int
) -> tuple[float, float, dict[str, torch.Tensor]]:
    """Seconds, GiB above the data, and the scores."""
    splits = random_halves()
    found: dict[str, torch.Tensor] = {}

    def run() -> None:
        found.update(split_scores(features, scans, splits, alphas, chunk=chunk, device=device))

    if device == "cpu":
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        seconds = timed(run, device)
        return seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20, found
    run()  # the first call starts the device's libraries
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    seconds = timed(run, device)
    return seconds, (torch.cuda.max_memory_allocated() - before) / 2**30, found


def per_voxel(x: np.ndarray, y: np.ndarray, alphas: np.ndarray, sample: int) -> float:
    """Seconds of one fit of one voxel by its own ``RidgeCV``."""
    start = time.perf_counter()
    for voxel in range(sample):
        RidgeCV(alphas).fit(x, y[:, voxel])
    return (time.perf_counter() - start) / sample


def per_target(x: np.ndarray, y: np.ndarray, alphas: np.ndarray, repeats: int) -> float:
    """Seconds of one fit of all voxels by ``RidgeCV(alpha_per_target=True)``."""
    start = time.perf_counter()
    for _ in range(repeats):
        RidgeCV(alphas, alpha_per_target=True).fit(x, y)
    return (time.perf_counter() - start) / repeats


def himalaya_fit(x: np.ndarray, y: np.ndarray, alphas: np.ndarray) -> float:
    """Seconds of one fit of all voxels by himalaya, leaving one sound out at a time."""
    from himalaya.kernel_ridge import KernelRidgeCV
    from sklearn.model_selection import KFold

    model = KernelRidgeCV(alphas, cv=KFold(len(x)))
    start = time.perf_counter()
    model.fit(x.astype("float32"), y.astype("float32"))
    return time.perf_counter() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--layers", type=int, default=11)
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--voxels", type=int, default=11_065)
    parser.add_argument("--alphas", type=int, default=19, help="penalties from 1e-9 to 1e9")
    parser.add_argument("--chunk", type=int, default=512, help="voxels held at once")
    parser.add_argument("--sample", type=int, default=20, help="voxels fitted one by one")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--no-himalaya", action="store_true", help="leave out its slow fit")
    args = parser.parse_args()
    features, scans = problem(args.layers, args.dim, args.voxels)
    alphas = torch.logspace(-9, 9, args.alphas, dtype=torch.float64)
    seconds, memory, scores = ours(features, scans, alphas, args.device, args.chunk)

    train = random_halves().train[0]
    x, y, grid = features[0][train].double().numpy(), scans[train].mean(-1).numpy(), alphas.numpy()
    fits = args.layers * 10 * (SCANS + 1)
    rows = [("one RidgeCV a voxel", per_voxel(x, y, grid, args.sample) * args.voxels * fits)]
    rows.append(("RidgeCV alpha_per_target", per_target(x, y, grid, 3) * fits))
    if not args.no_himalaya:
        rows.append(("himalaya KernelRidgeCV, KFold(83)", himalaya_fit(x, y, grid) * fits))

    table = Table(
        title=f"tuckute2023: {args.layers} layers x {args.dim}, {args.voxels} voxels x 3 scans, "
        f"10 splits x 4 fits, {args.alphas} penalties, {torch.get_num_threads()} threads"
    )
    for name in ("method", "seconds", "ratio", "GiB above the data"):
        table.add_column(name, justify="left" if name == "method" else "right")
    table.add_row(f"Entrain ({args.device})", f"{seconds:,.1f}", "1", f"{memory:.2f}")
    for name, whole in rows:
        table.add_row(f"{name} (extrapolated)", f"{whole:,.0f}", f"{whole / seconds:,.0f}", "")
    Console().print(table)
    best = scores["r2_corrected"].quantile(0.5, -1).median(1).values
    Console().print(f"median corrected R² by layer: {[round(v, 2) for v in best.tolist()]}")


if __name__ == "__main__":
    main()
