"""What the scripts share: config resolvers, the run folder, errors that fit on one line."""

from __future__ import annotations

import difflib
import logging
import os
import re
import sys
import traceback
import warnings
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich.console import Console

CONF = Path(__file__).parent / "conf"


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


def register_resolvers() -> None:
    """Make ``${run_folder:…}`` known to the configs."""
    OmegaConf.register_new_resolver("run_folder", run_folder, use_cache=True, replace=True)


def launch(main: Callable[[], None]) -> None:
    """Run a Hydra main; an error in the config becomes one line and exit code 1."""
    register_resolvers()
    quieten()
    wanted = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["ENTRAIN_TRACEBACK"] = "1" if wanted else ""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us, not Hydra's own report
    _explained(main)


def quieten() -> None:
    """Keep other packages' tips and deprecations of each other out of the way."""
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")


def guarded(script: Callable[[DictConfig], object], cfg: DictConfig) -> None:
    """Run a script on its config; an error becomes one line and exit code 1.

    ``HYDRA_FULL_ERROR=1`` shows the traceback instead.
    """
    _explained(lambda: script(cfg))


def _explained(run: Callable[[], object]) -> None:
    try:
        run()
    except KeyboardInterrupt:
        Console(stderr=True).print("interrupted: go on with ckpt_path=last")
        sys.exit(130)
    except Exception as error:
        if os.environ.get("ENTRAIN_TRACEBACK"):
            traceback.print_exc()
        else:
            text = f"error: {explain(error)}"
            Console(stderr=True, soft_wrap=True).print(text, style="red", markup=False)
        sys.exit(1)


def explain(error: BaseException) -> str:
    """One line for an error: what was got, what was expected, how to mend it."""
    cause: BaseException = error
    while isinstance(cause, HydraException | OmegaConfBaseException) and cause.__cause__:
        cause = cause.__cause__
    if isinstance(error, HydraException) and "instantiat" not in str(error):
        cause = error
    text = str(cause) or type(cause).__name__
    unknown = re.search(r"Could not find '([\w/.=-]+)'", text)
    if unknown:
        return _unknown_option(unknown.group(1))
    unknown = re.search(r"Could not override '([^']+)'", text)
    if unknown:
        return (
            f"there is no setting {unknown.group(1)}: `--cfg job` shows all of them, "
            f"+{unknown.group(1)}=… adds a new one"
        )
    if isinstance(cause, KeyError):
        text = f"missing key {text}"
    return " ".join(text.split())


def _unknown_option(option: str) -> str:
    """Name the options of a config group that are nearest to one that does not exist."""
    known = {str(file.relative_to(CONF).with_suffix("")) for file in CONF.rglob("*.yaml")}
    group = option.split("/")[0]
    inside = sorted(name for name in known if name.startswith(group + "/"))
    near = difflib.get_close_matches(option, inside, n=3, cutoff=0.5) or inside
    names = ", ".join(name.removeprefix(group + "/") for name in near[:12])
    return f"there is no {option} in conf/: did you mean {group}={names}?"
