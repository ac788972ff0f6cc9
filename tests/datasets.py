"""Data sets of tests: a test that needs one is skipped where it is not, with the reason."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from commands.building import build
from commands.data_facts import data_facts, missing_data
from commands.errors import causes, explain
from tests.composing import config


def data_folder(*needed: str) -> Path:
    """``ENTRAIN_DATA``; the test is skipped where it is not set, or lacks what is ``needed``."""
    root = os.environ.get("ENTRAIN_DATA")
    if not root:
        pytest.skip("ENTRAIN_DATA is not set: point it at the folder that holds the data sets")
    for name in needed:
        if not (Path(root) / name).exists():
            pytest.skip(f"ENTRAIN_DATA has no {name}")
    return Path(root)


def benchmark_or_skip(name: str) -> Any:
    """The benchmark as its yaml says; the test is skipped where its data are not there.

    Of a benchmark in ``conf/benchmarks.csv`` the files are looked for. Of any other, a file that
    is not found when it is built says so.
    """
    cfg = config(Path("nowhere"), f"benchmark=[{name}]")
    kind, _, short = name.partition("/")
    said = cfg.benchmark[kind][short]
    facts = data_facts(name, said)
    if facts is not None and (missing := missing_data(name, said, facts, cfg.paths.data)):
        pytest.skip(missing)
    try:
        return build(said)
    except Exception as error:
        if facts is None and any(isinstance(e, FileNotFoundError) for e in causes(error)):
            pytest.skip(explain(error))
        raise
