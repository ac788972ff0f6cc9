"""Where things lie: the configs, and the folders of runs, sweeps and their jobs."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

CONF = Path(__file__).parents[1] / "conf"

APART = frozenset({"encoder", "benchmark", "suite", "optional", "sweep", "output_dir", "name"})
APART |= {"again", "device", "cache", "time_budget", "batch_seconds", "check", "list"}
APART_WHOLLY = frozenset({"paths", "logger", "hydra"})
"""Settings that do not tell the jobs of one encoder from each other; with all that is in them."""


def run_folder(runs: str, name: str, ckpt_path: str | None) -> str:
    """Folder of a run: a new one, or with ``ckpt_path=last`` the newest one of that name."""
    root = Path(runs) / name
    if ckpt_path != "last":
        return str(root / datetime.now().strftime("%Y-%m-%d_%H-%M-%S"))
    runs_with_checkpoints = sorted(root.glob("*/checkpoints/last.ckpt"))
    if not runs_with_checkpoints:
        raise FileNotFoundError(
            f"ckpt_path=last, but no checkpoint in {root}/*/checkpoints: give the name= of the run "
            "to go on with, ckpt_path=FILE, or start a new run without ckpt_path"
        )
    return str(runs_with_checkpoints[-1].parent.parent)


def sweep_folder(runs: str, name: str, overrides: Iterable[str]) -> str:
    """Folder of a sweep: ``output_dir=…`` where that is given, else always the same of a name."""
    given = [value for key, _, value in map(_split_override, overrides) if key == "output_dir"]
    return given[-1].strip("'\"") if given else str(Path(runs) / f"sweep-{name}")


def job_folder(encoder: str, overrides: Iterable[str]) -> str:
    """Folder of one job in that of its sweep, the same whenever the same is asked again.

    That of its encoder, with the settings that tell it from other jobs of this encoder; benchmarks,
    which their rows name, and settings that change no score do not.
    """
    parts = sorted(map(_split_override, overrides))
    own = [p for p in parts if p[0] not in APART and p[0].split(".")[0] not in APART_WHOLLY]
    if not own:
        return encoder
    mark = hashlib.sha256(repr(own).encode()).hexdigest()[:8]
    shown = ",".join(f"{re.split('[.@]', key)[-1]}={Path(value).name}" for key, _, value in own)
    return f"{encoder},{re.sub('[^A-Za-z0-9_.,=+-]+', '', shown)[:60]},{mark}"


def _split_override(override: str) -> tuple[str, str, str]:
    return override.lstrip("+").partition("=")
