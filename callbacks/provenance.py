"""Every checkpoint says where it comes from and can be resumed exactly."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl
import torch

from callbacks.evaluation import hours_per_step
from tracking.summary import log_provenance


class Provenance(pl.Callback):
    """Write config, code revision, data fingerprint and random states into every checkpoint.

    W&B is told the same of the run, but for the random states.

    They stand under ``checkpoint["entrain"]`` as plain containers, so that the file loads with
    ``weights_only=True``. ``last_step`` and ``hours_per_step`` tell one who watches the run when
    it is over and how much audio a step is.

    Parameters
    ----------
    config : dict
        The resolved config of the run.
    run_id : str
        Identifies the run in the loggers, also after resuming.
    """

    def __init__(self, config: dict[str, Any], run_id: str) -> None:
        self.config = config
        self.run_id = run_id
        self.revision = git_revision()

    def on_save_checkpoint(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        checkpoint["entrain"] = {
            "config": self.config,
            **self._origin(trainer, pl_module),
            "last_step": int(trainer.estimated_stepping_batches),
            "hours_per_step": hours_per_step(trainer),
        }

    def _origin(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, str]:
        return {
            "git_revision": self.revision,
            "data_fingerprint": trainer.datamodule.fingerprint,  # type: ignore[attr-defined]
            "run_id": self.run_id,
            "target_digest": pl_module.target.digest(),  # type: ignore[operator, union-attr]
        }

    def state_dict(self) -> dict[str, Any]:
        numpy_state = np.random.get_state()  # noqa: NPY002 - libraries draw from it
        state = {
            "torch": torch.get_rng_state(),
            "numpy": [numpy_state[0], numpy_state[1].tolist(), *numpy_state[2:]],  # type: ignore[index, union-attr]
            "python": random.getstate(),
        }
        if torch.cuda.is_available():
            state["cuda"] = torch.cuda.get_rng_state_all()
        return state

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._resumed = state_dict

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            log_provenance(trainer.loggers, self._origin(trainer, pl_module))
        state = getattr(self, "_resumed", None)
        if state is None:
            return
        torch.set_rng_state(state["torch"].cpu())
        name, keys, *rest = state["numpy"]
        np.random.set_state((name, np.array(keys, dtype=np.uint32), *rest))  # noqa: NPY002
        random.setstate(_tuples(state["python"]))
        if torch.cuda.is_available() and len(state.get("cuda", [])) == torch.cuda.device_count():
            torch.cuda.set_rng_state_all([s.cpu() for s in state["cuda"]])


def _tuples(value: Any) -> Any:
    return tuple(_tuples(v) for v in value) if isinstance(value, list | tuple) else value


def git_revision() -> str:
    """Commit of the checkout this code runs from, ``+`` where files differ from it."""
    here = Path(__file__).parent

    def git(*words: str) -> str:
        command = ["git", "-C", str(here), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("+" if git("status", "--porcelain", "-uno") else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
