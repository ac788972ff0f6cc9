"""Speed of real training steps: throughput, waiting for data, memory, FLOPs utilisation.

``python bench/train_throughput.py --help`` shows the options, bench/README.md how to read them.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory

import pytorch_lightning as pl
import rich
import rich.box
import torch
from hydra import compose, initialize_config_dir
from hydra.utils import instantiate
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.flops import MATMUL_SIZE, clip_flops, matmul_flops  # noqa: E402
from bench.stopwatch import Stopwatch  # noqa: E402
from commands.launch import silence_tips  # noqa: E402
from datamodules.pretraining.crops import PretrainingData  # noqa: E402
from models.encodecmae import EncodecMAE  # noqa: E402
from models.targets import SpectralTarget  # noqa: E402

FIT_FRAMES = 2000
"""Frames that the targets are fitted on: enough for codes, whose quality is of no interest here."""


@dataclass(frozen=True)
class Settings:
    """What is measured; None leaves a value as it is in conf/."""

    batch: int = 16
    steps: int = 20
    warmup: int = 5
    data: str = "synthetic"
    path: str | None = None
    manifest: str | None = None
    workers: int | None = None
    device: str = "cpu"
    precision: str | None = None
    overrides: tuple[str, ...] = ()


@dataclass(frozen=True)
class Measurement:
    """One row of the table.

    Attributes
    ----------
    parameters : int
        Trainable ones.
    clips, frames : int
        Clips of a step, frames of a clip.
    seconds : float
        Of a step.
    waiting : float
        Share of that time in which the device waits for its next batch.
    memory : int
        Peak bytes: allocated on the GPU, or resident in the training process.
    clip_flops : int
        Model FLOPs of one clip, forward and backward.
    matmul_flops : float
        FLOPs per second of a large matrix product, measured before and after training.
    workers, precision :
        As they were in the end.
    """

    size: str
    parameters: int
    clips: int
    frames: int
    seconds: float
    waiting: float
    memory: int
    clip_flops: int
    matmul_flops: float
    workers: int
    precision: str

    @property
    def clips_per_second(self) -> float:
        return self.clips / self.seconds

    @property
    def utilisation(self) -> float:
        return self.clip_flops * self.clips_per_second / self.matmul_flops


def composed(size: str, settings: Settings, folder: Path) -> DictConfig:
    """Config of ``train.py`` for this size, without evaluation, loggers and checkpoints."""
    overrides = {
        "name": "bench",
        "model": size,
        "data": settings.data,
        "suite": "none",
        "logger": "[]",
        "trainer": "gpu" if settings.device == "cuda" else "cpu",
        "trainer.precision": settings.precision,
        "trainer.enable_checkpointing": "false",
        "trainer.val_check_interval": "null",
        "++trainer.limit_val_batches": "0",
        "++trainer.enable_progress_bar": "false",
        "data.batch_size": settings.batch,
        "data.num_workers": settings.workers,
        "max_steps": settings.warmup + settings.steps,
    }
    wanted = [f"{key}={value}" for key, value in overrides.items() if value is not None]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", [*wanted, *settings.overrides])
    cfg.paths.run = str(folder)
    sound = {"path": settings.path, "manifest": settings.manifest}
    if any(sound.values()):
        cfg.data.source.corpora = {"bench": {k: v for k, v in sound.items() if v}}
    return cfg


def measure(size: str, settings: Settings) -> Measurement:
    """Train a model of one size for a few steps, as ``train.py`` does, and time them."""
    silence_tips()
    with TemporaryDirectory() as folder:
        cfg = composed(size, settings, Path(folder))
        pl.seed_everything(cfg.seed, workers=True, verbose=False)
        torch.set_float32_matmul_precision("high")
        peak = matmul_flops(settings.device)
        model, data = (instantiate(part, _convert_="all") for part in (cfg.model, cfg.data))
        if isinstance(model.target, SpectralTarget):
            model.target.fit_frames = FIT_FRAMES
        watch = Stopwatch(settings.warmup)
        trainer = instantiate(cfg.trainer, _convert_="all", callbacks=[watch], logger=False)
        if settings.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        trainer.fit(model, data)
        memory = peak_memory(settings.device)
        peak = max(peak, matmul_flops(settings.device))
    return row(size, model, data, watch, memory, peak, str(cfg.trainer.precision))


def measure_apart(size: str, settings: Settings) -> Measurement:
    """Measure in a process of its own: the peak memory of a process never falls again."""
    context = get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_send_measurement, args=(sending, size, settings))
    process.start()
    sending.close()
    try:
        return receiving.recv()
    except EOFError:
        raise SystemExit(f"measuring {size} failed, for the reason above") from None
    finally:
        process.join()


def _send_measurement(sending: Connection, size: str, settings: Settings) -> None:
    rich.reconfigure(quiet=True)
    sending.send(measure(size, settings))


def row(
    size: str,
    model: EncodecMAE,
    data: PretrainingData,
    watch: Stopwatch,
    memory: int,
    peak: float,
    precision: str,
) -> Measurement:
    """Put together what was measured."""
    samples = round(data.crop_seconds * data.source.sample_rate)
    frames = int(model.frontend.frames(torch.tensor([samples])))
    return Measurement(
        size=size,
        parameters=sum(p.numel() for p in model.parameters() if p.requires_grad),
        clips=data.batch_size,
        frames=frames,
        seconds=watch.seconds,
        waiting=watch.waiting,
        memory=memory,
        clip_flops=clip_flops(model, frames),
        matmul_flops=peak,
        workers=data.num_workers,
        precision=precision,
    )


def peak_memory(device: str) -> int:
    """Peak bytes allocated on the GPU, or resident in this process (its workers not counted)."""
    if device == "cuda":
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def table(rows: list[Measurement], settings: Settings, load: float) -> Table:
    """All sizes, and below them what they were measured with."""
    columns: dict[str, Callable[[Measurement], str]] = {
        "size": lambda r: r.size,
        "params\nM": lambda r: f"{r.parameters / 1e6:.1f}",
        "clips\n/s": lambda r: f"{r.clips_per_second:.1f}",
        "tokens\n/s": lambda r: f"{r.clips_per_second * r.frames:.0f}",
        "s\n/step": lambda r: f"{r.seconds:.3f}",
        "data\nwait": lambda r: f"{r.waiting:.1%}",
        "memory\nGiB": lambda r: f"{r.memory / 2**30:.2f}",
        "GFLOP\n/clip": lambda r: f"{r.clip_flops / 1e9:.1f}",
        "matmul\nTFLOP/s": lambda r: f"{r.matmul_flops / 1e12:.3f}",
        "of\nmatmul": lambda r: f"{r.utilisation:.1%}",
    }
    shown = Table(title="Training throughput", caption=caption(rows[0], settings, load))
    shown.box, shown.padding, shown.caption_justify = rich.box.SIMPLE_HEAD, (0, 1, 0, 0), "left"
    for name in columns:
        shown.add_column(name, justify="left" if name == "size" else "right", no_wrap=True)
    for r in rows:
        shown.add_row(*(text(r) for text in columns.values()))
    return shown


def caption(r: Measurement, settings: Settings, load: float) -> str:
    """Machine and settings, and what the last columns mean."""
    cpu = settings.device == "cpu"
    machine = platform.machine() if cpu else torch.cuda.get_device_name()
    cores, threads = len(os.sched_getaffinity(0)), torch.get_num_threads()
    product = f"{'float32' if cpu else 'bfloat16'} product of {MATMUL_SIZE[settings.device]}²"
    memory = "resident in the training process" if cpu else "allocated on the GPU"
    return (
        f"{machine}, {cores} CPU cores, load {load:.1f} before, torch {torch.__version__} with "
        f"{threads} thread(s), {r.precision}. Data {settings.data}, {r.workers} worker(s), batches "
        f"of {r.clips} clips of {r.frames} frames, {settings.steps} steps after "
        f"{settings.warmup}. matmul is a {product} matrices in the same run, and the last column "
        f"the model's FLOPs as a share of it. Memory is {memory}."
    )


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sizes", nargs="+", default=["tiny", "small", "base"], metavar="SIZE")
    parser.add_argument("--batch", type=int, default=Settings.batch, help="clips of a step")
    parser.add_argument("--steps", type=int, default=Settings.steps)
    parser.add_argument("--warmup", type=int, default=Settings.warmup, help="steps before them")
    parser.add_argument("--data", default=Settings.data, help="any of conf/data")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--path", help="folder of sounds, with --data audio")
    source.add_argument("--manifest", help="CSV file of sounds, with --data audio")
    parser.add_argument("--workers", type=int, help="as in conf/data if not given")
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--precision", help="as in conf/trainer/cpu or gpu if not given")
    parser.add_argument(
        "--set", nargs="+", default=[], metavar="KEY=VALUE", dest="overrides",
        help="any other overrides of train.py",
    )  # fmt: skip
    return parser.parse_args()


def main() -> None:
    options = vars(arguments())
    sizes = options.pop("sizes")
    if options["device"] == "auto":
        options["device"] = "cuda" if torch.cuda.is_available() else "cpu"
    options["overrides"] = tuple(options["overrides"])
    settings, console, load = Settings(**options), Console(), os.getloadavg()[0]
    rows: list[Measurement] = []
    for size in sizes:
        with console.status(f"measuring {size}"):
            rows.append(measure_apart(size, settings))
    console.print(table(rows, settings, load))


if __name__ == "__main__":
    main()
