"""Help, lists, tab completion and errors of the command line come before anything heavy."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.startup import COMMANDS, ROOT
from commands.data_facts import TABLE, read_table

HEAVY = {"torch", "scipy", "sklearn", "pandas", "mne", "matplotlib", "plotly", "wandb"}
HEAVY |= {"pytorch_lightning", "transformers"}
ANSWERS = {
    "train.py --help": "HYDRA_FULL_ERROR",
    "probe.py --help": "encoder",
    "compare.py --help": "compare.py",
    "train.py --cfg job": "max_steps: ",
    "probe.py list=benchmarks": "benchmarks can be scored here.",
    "probe.py list=encoders": "encoders, ",
    "train.py max_step=10": "did you mean max_steps",
    "probe.py encoder=wav2vec": "did you mean encoder=wav2vec2_base",
    "train.py model=<Tab>": "model=tiny",
}


@pytest.mark.parametrize("name", list(ANSWERS))
def test_answers_come_without_heavy_imports(name: str, tmp_path: Path) -> None:
    arguments, environment = COMMANDS[name]
    if name == "probe.py list=benchmarks":  # one without a row in the table is built for the list
        arguments = [*arguments, f"benchmark=[{','.join(read_table(TABLE))}]"]
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments],
        cwd=ROOT,
        env={**os.environ, "ENTRAIN_DATA": str(tmp_path), **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    imported = set(re.findall(r"^import time:.*\| +(\w+)$", done.stderr, re.MULTILINE))
    assert "hydra" in imported
    assert imported & HEAVY == set()
    assert ANSWERS[name] in done.stdout + done.stderr


def test_every_measured_command_is_tested() -> None:
    assert set(COMMANDS) - set(ANSWERS) == {'python -c "import torch"'}
