"""Seconds and memory of every stage of a probe on a set as large as FSD50K.

``python bench/probe_memory.py``: 51,185 made-up clips of .3 to 30 s, 108 hours in all, 200 labels.
The encoder is a stub that costs nothing, so that what is left is ours: hashing, decoding (here:
copying from a table of noise), pooling, files, classifiers.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[1]))
from alignment.probes.classifiers import knn_shares, ridge_decisions
from bench.stopwatch import timed
from datamodules.stimuli import StimulusSet
from evaluation.cache import FeatureCache
from models.encoder import Frames

CLIPS, TESTED, CLASSES = 51_185, 10_231, 200
RATE = 24_000
WIDTH = 64
SHORTEST, LONGEST, MEAN = 0.3, 30.0, 7.6
"""Seconds of FSD50K's clips (Fonseca et al. 2022, IEEE/ACM TASLP 30:829)."""


class Stub(nn.Module):
    """One frame a second: its first samples times a random matrix, one a layer."""

    name, sample_rate = "stub", RATE

    def __init__(self, layers: int, dim: int) -> None:
        super().__init__()
        self.layers = tuple(f"layer.{i}" for i in range(layers))
        draw = torch.Generator().manual_seed(0)
        self.register_buffer("matrices", torch.randn(layers, WIDTH, dim, generator=draw))

    def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
        audio = nn.functional.pad(audio, (0, -audio.shape[1] % RATE))
        some = audio.unflatten(1, (-1, RATE))[..., :WIDTH]
        count = lengths.div(RATE, rounding_mode="floor").clamp_min(1)
        return {
            layer: Frames(some @ matrix, count, 1.0, 0.5)
            for layer, matrix in zip(self.layers, self.matrices, strict=True)  # type: ignore[arg-type]
        }


def clip(noise: Tensor, start: int, samples: int) -> tuple[Tensor, int]:
    """A part of the noise, with memory of its own as a decoded file has."""
    return noise[start : start + samples].clone(), RATE


def sounds(clips: int) -> StimulusSet:
    """Clips whose lengths are spread as those of FSD50K: many short ones, mean 7.6 s."""
    draw = torch.Generator().manual_seed(0)
    noise = 0.1 * torch.randn(int((LONGEST + 60) * RATE), generator=draw)
    seconds = (1.1 * torch.randn(clips, generator=draw) + 1.55).exp().clamp(SHORTEST, LONGEST)
    samples = (seconds * RATE).long().tolist()
    starts = torch.randint(60 * RATE, (clips,), generator=draw).tolist()
    sources = [partial(clip, noise, a, n) for a, n in zip(starts, samples, strict=True)]
    return StimulusSet("clips", [f"{i}.wav" for i in range(clips)], sources)


@dataclass
class Stage:
    """GiB are the most during the stage: all that is resident, and what no file stands behind."""

    name: str
    seconds: float
    resident: float
    own: float


def staged(name: str, run: Callable[[], object]) -> Stage:
    """Run and watch the process's memory, fifty times a second."""
    over, most = threading.Event(), [0.0, 0.0]

    def watch() -> None:
        while True:
            most[:] = map(max, most, _memory())
            if over.wait(0.02):
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        seconds = timed(run, "cpu")
    finally:
        over.set()
        watcher.join()
    return Stage(name, seconds, *most)


def _memory() -> tuple[float, float]:
    """GiB resident, and of these anonymous, by Linux; nothing elsewhere."""
    status = Path("/proc/self/status")
    text = status.read_text() if status.is_file() else ""
    found = dict(re.findall(r"(VmRSS|RssAnon):\s+(\d+) kB", text))
    return int(found.get("VmRSS", 0)) / 2**20, int(found.get("RssAnon", 0)) / 2**20


def measure(args: argparse.Namespace, folder: Path) -> tuple[list[Stage], float]:
    """Every stage, and the hours of sound."""
    stimuli, encoder = sounds(args.clips), Stub(args.layers, args.dim)
    cache, kept = FeatureCache(folder), {}

    def encode() -> None:
        with torch.inference_mode():
            kept.update(cache.of(encoder)(stimuli, ["mean_std"])["mean_std"])

    stages = [staged("start", lambda: time.sleep(0.05)), staged("hashing", stimuli.hashed)]
    stages.append(staged("encoding and keeping", encode))
    kept.clear()
    stages.append(staged("reading what is kept", encode))
    hours = sum(stimuli.length(i, RATE) for i in range(args.clips)) / RATE / 3600
    draw = torch.Generator().manual_seed(1)
    labels = torch.rand(args.clips, CLASSES, generator=draw) < 0.015
    test = torch.arange(args.clips) >= args.clips - args.clips * TESTED // CLIPS
    alphas = torch.logspace(-1, 6, 15, dtype=torch.float64)
    values = kept[encoder.layers[0]].values

    def neighbours() -> None:
        x = values.double()
        knn_shares(x[~test], labels[~test], x[test])

    def linear() -> None:
        x = values.double()
        ridge_decisions(x[~test], labels[~test], x[test], alphas)

    stages.append(staged("nearest neighbours, one layer", neighbours))
    stages.append(staged("linear, one layer", linear))
    return stages, hours


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clips", type=int, default=CLIPS)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--dim", type=int, default=768, help="of a layer; vectors have twice it")
    parser.add_argument("--threads", type=int, help="all cores, which must be idle")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        stages, hours = measure(args, Path(folder))
        size = sum(file.stat().st_size for file in Path(folder).rglob("*.npy")) / 2**30
    table = Table(
        title=f"{args.clips:,} clips, {hours:.0f} hours, {args.layers} layers x {args.dim}, "
        f"mean_std ({size:.2f} GiB kept), {CLASSES} labels, {torch.get_num_threads()} threads"
    )
    for name in ("stage", "seconds", "peak GiB resident", "of it anonymous"):
        table.add_column(name, justify="left" if name == "stage" else "right")
    for stage in stages:
        numbers = (f"{stage.seconds:,.1f}", f"{stage.resident:.2f}", f"{stage.own:.2f}")
        table.add_row(stage.name, *numbers)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
