"""How every script begins and ends: names for its config, one line for its error."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from collections.abc import Callable

from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from commands.errors import explain
from commands.folders import job_folder, run_folder, sweep_folder


def register_resolvers() -> None:
    """Make ``${run_folder:…}``, the folders of sweeps and the like known to the configs."""
    OmegaConf.register_new_resolver("run_folder", run_folder, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("sweep_folder", sweep_folder, replace=True)
    OmegaConf.register_new_resolver("job_folder", job_folder, replace=True)
    OmegaConf.register_new_resolver("validation_batches", validation_batches, replace=True)


def validation_batches(every: int, max_steps: int, accumulate: int) -> int:
    """Batches between two validations, of a run that is evaluated ``every`` so many steps."""
    given = {"schedule.every": every, "max_steps": max_steps, "accumulate_grad_batches": accumulate}
    for name, value in given.items():
        if not isinstance(value, int):
            raise ValueError(f"{name}={value}: expected a whole number")
    return min(every, max(1, max_steps)) * accumulate


def launch(main: Callable[[], None]) -> None:
    """Run a Hydra main; an error in the config becomes one line and exit code 1."""
    register_resolvers()
    silence_tips()
    wanted = os.environ.get("HYDRA_FULL_ERROR") == "1"
    os.environ["ENTRAIN_TRACEBACK"] = "1" if wanted else ""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # errors reach us, not Hydra's own report
    _explain_errors(main)


def silence_tips() -> None:
    """Keep other packages' tips and deprecations of each other out of the way."""
    logging.getLogger("pytorch_lightning.utilities.rank_zero").setLevel(logging.WARNING)
    warnings.filterwarnings("ignore", message=".*treespec, LeafSpec.*")


def run_script(
    script: Callable[[DictConfig], object],
    cfg: DictConfig,
    goes_on: str = "the same command starts again",
) -> None:
    """Run a script on its config; an error becomes one line and exit code 1.

    ``HYDRA_FULL_ERROR=1`` shows the traceback instead. ``goes_on`` is printed on Ctrl-C.
    """
    _explain_errors(lambda: script(cfg), goes_on)


def _explain_errors(run: Callable[[], object], goes_on: str = "nothing was started") -> None:
    try:
        run()
    except KeyboardInterrupt:
        Console(stderr=True, soft_wrap=True).print(f"interrupted: {goes_on}", markup=False)
        sys.exit(130)
    except Exception as error:
        if os.environ.get("ENTRAIN_TRACEBACK"):
            traceback.print_exc()
        else:
            text = f"error: {explain(error)}"
            Console(stderr=True, soft_wrap=True).print(text, style="red", markup=False)
        sys.exit(1)
