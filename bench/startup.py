"""How long help, lists, tab completion and errors of the command line take.

``python bench/startup.py`` runs each command and ``import torch`` in turn, ``--rounds`` times, and
prints the median seconds of CPU. The aim is less than 2 s each.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

ROOT = Path(__file__).parents[1]
AIM = 2.0
COMMANDS: dict[str, tuple[list[str], dict[str, str]]] = {
    'python -c "import torch"': (["-c", "import torch"], {}),
    "train.py --help": (["train.py", "--help"], {}),
    "probe.py --help": (["probe.py", "--help"], {}),
    "compare.py --help": (["compare.py", "--help"], {}),
    "train.py --cfg job": (["train.py", "--cfg", "job"], {}),
    "probe.py list=benchmarks": (["probe.py", "list=benchmarks"], {}),
    "probe.py list=encoders": (["probe.py", "list=encoders"], {}),
    "train.py max_step=10": (["train.py", "max_step=10"], {}),
    "probe.py encoder=wav2vec": (["probe.py", "encoder=wav2vec"], {}),
    "train.py model=<Tab>": (
        ["train.py", "-sc", "query=bash"],
        {"COMP_LINE": "python train.py model="},
    ),
}


def cpu_seconds(arguments: list[str], environment: dict[str, str], folder: str) -> float:
    """Seconds of CPU of one command, its children counted, without data."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, *arguments],
        cwd=ROOT,
        env={**os.environ, "ENTRAIN_DATA": folder, "ENTRAIN_RUNS": folder, **environment},
        capture_output=True,
        check=False,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measure every command and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    seconds: dict[str, list[float]] = {name: [] for name in COMMANDS}
    with tempfile.TemporaryDirectory() as folder:
        for _ in track(range(rounds), "rounds", transient=True):
            for name, (arguments, environment) in COMMANDS.items():
                seconds[name].append(cpu_seconds(arguments, environment, folder))
    medians = {name: statistics.median(values) for name, values in seconds.items()}
    torch = next(iter(medians.values()))
    table = Table("command", "CPU s", "of import torch", f"below {AIM:g} s")
    for name, median in medians.items():
        below = "yes" if median < AIM else "no"
        table.add_row(name, f"{median:.2f}", f"{median / torch:.2f}", below)
    Console().print(table)


if __name__ == "__main__":
    main()
