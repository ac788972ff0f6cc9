"""A comparison of as many scores as a large study has: seconds of every stage, peak memory.

``python bench/compare.py`` makes up 100 encoders with 30 layers on 20 benchmarks of nine targets
(540,000 rows), half of them brain benchmarks and half downstream tasks, and runs every section of
conf/compare.yaml. The aim is a report in less than 30 s and 2 GiB on two cores.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parents[1]))
from commands.building import build
from commands.folders import CONF
from reporting.gathering.gather import gather
from reporting.report.page import write_report


def make(folder: Path, args: argparse.Namespace) -> None:
    """Score files; encoders differ in quality, and both kinds of benchmark follow it."""
    rng = np.random.default_rng(0)
    depth = np.linspace(0, 1, args.layers)
    for e in range(args.encoders):
        quality, peak = rng.normal(), rng.uniform(0.3, 0.9)
        trained, run = e < args.training, folder / f"encoder{e:03d}"
        run.mkdir(parents=True)
        with (run / "scores.jsonl").open("w") as file:
            for step in args.steps if trained else [None]:
                grown = 1.0 if step is None else np.log1p(step) / np.log1p(args.steps[-1])
                curve = 0.3 + 0.1 * grown * (quality + 1 - 2 * (depth - peak) ** 2)
                for b in range(args.benchmarks):
                    values = curve[:, None] + rng.normal(0, 0.03, (args.layers, args.targets))
                    file.writelines(_rows(values.tolist(), e, b, args.benchmarks, step))


def _rows(values: list[list[float]], e: int, b: int, of: int, step: int | None) -> list[str]:
    brain = b < of // 2
    row = {
        "benchmark": f"fmri/study{b}" if brain else f"probe/task{b}",
        "metric": "r2" if brain else "linear_accuracy",
        "subject": "",
        "window": "",
        "ceiling": 0.9 if brain else None,
        "chance": None if brain else 0.1,
        "ci_low": None,
        "ci_high": None,
        "p": None,
        "n": 165,
        "simulated": False,
        "encoder": f"encoder{e:03d}",
        "fingerprint": f"{e:03d} {step}",
        "step": step,
        "seconds": 1.0,
    }
    # The first row of a task is of all its classes: the one that is compared.
    parts = [f"part{t}" if brain or t else "" for t in range(len(values[0]))]
    return [
        json.dumps(row | {"layer": f"encoder.{k}", "target": parts[t], "value": value}) + "\n"
        for k, targets in enumerate(values)
        for t, value in enumerate(targets)
    ]


def facts(encoders: int) -> dict[str, dict[str, object]]:
    """Families, data, objectives, parameters and hours of all."""
    return {
        f"encoder{e:03d}": {
            "family": f"family {e % 12}",
            "trained_on": ("speech", "music", "audio")[e % 3],
            "objective": ("masked", "contrastive")[e % 2],
            "parameters": 10 ** (6 + e % 4),
            "hours": 10 ** (1 + e % 5),
        }
        for e in range(encoders)
    }


def starting() -> float:
    """Seconds that python and the imports of compare.py take, in a process of their own."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", "import commands.comparing"], cwd=CONF.parent, check=True)
    return time.perf_counter() - started


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--encoders", type=int, default=100)
    parser.add_argument("--layers", type=int, default=30)
    parser.add_argument("--benchmarks", type=int, default=20)
    parser.add_argument("--targets", type=int, default=9)
    parser.add_argument("--training", type=int, default=0, help="of the encoders: training runs")
    parser.add_argument("--steps", type=int, nargs="+", default=[0, 10, 100, 1000, 10000])
    parser.add_argument("--output", type=Path, help="keep the report there")
    args = parser.parse_args()
    load = os.getloadavg()[0]
    stages = {"starting and importing": starting()}
    with tempfile.TemporaryDirectory() as scratch:
        make(Path(scratch) / "runs", args)
        before, started = dict(stages), time.perf_counter()
        last = started

        def lap(stage: str) -> None:
            nonlocal last
            now = time.perf_counter()
            stages[stage], last = now - last, now

        gathered = gather([f"{scratch}/runs"], facts=facts(args.encoders))
        lap("reading and merging")
        sections = []
        for name, config in OmegaConf.load(CONF / "compare.yaml").sections.items():
            sections.append(build(config)(gathered, seed=0))
            lap(f"section {name}")
        page = write_report(gathered, sections, args.output or Path(scratch) / "report")
        lap("page, PNG and csv files")
        total, size = last - started + sum(before.values()), page.stat().st_size / 2**20
    table = Table(title=f"{len(gathered.scores):,} scores, {os.cpu_count()} cores, load {load:.1f}")
    table.add_column("stage")
    table.add_column("seconds", justify="right")
    for stage, seconds in [*stages.items(), ("all", total)]:
        table.add_row(stage, f"{seconds:.1f}")
    console = Console(width=100)
    console.print(table)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    console.print(f"peak memory {peak:.2f} GiB; the page is {size:.1f} MiB")


if __name__ == "__main__":
    main()
