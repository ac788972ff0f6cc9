"""Weights & Biases, offline by itself where there is no login."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import wandb
from pytorch_lightning.loggers import WandbLogger
from requests.utils import get_netrc_auth

log = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0
"""After this time what was logged stands in the file of an offline run, whatever happens."""


def wandb_logger(
    project: str,
    name: str,
    save_dir: str | Path,
    run_id: str,
    group: str | None = None,
    tags: list[str] | None = None,
    log_model: bool = False,
    shared: bool = False,
    beside: bool = False,
) -> WandbLogger:
    """A logger that never asks: online with a login, offline without.

    W&B takes two writers of one run at a time in its shared mode alone, and only if both are in
    it. In any other, the second one's points are kept offline, as a part of the same run.

    Parameters
    ----------
    run_id : str
        A resumed run passes the id of its checkpoint and goes on in the same W&B run.
    shared : bool
        Online, let others log into this run while it lasts.
    beside : bool
        This is the second writer of a run that ``train.py`` has started.
    """
    mode = os.environ.get("WANDB_MODE") or ("online" if has_login() else "offline")
    online = any(Path(save_dir, "wandb").glob(f"run-*-{run_id}"))  # what train.py has started
    if mode == "online" and shared and (online or not beside):
        mode = "shared"
    elif mode == "online" and beside:
        mode = "offline"
    Path(save_dir, "wandb").mkdir(parents=True, exist_ok=True)
    if mode == "offline":
        when = "when it has ended" if beside and online else "later"
        log.info("W&B is offline; to send this run %s: wandb sync %s/wandb/*run-*", when, save_dir)
    logger = WandbLogger(
        project=project,
        name=name,
        save_dir=save_dir,
        id=run_id,
        group=group,
        tags=tags or [],
        log_model=log_model,
        resume=None if mode == "disabled" else "allow",  # sent later, parts follow one another
        settings=_settings(mode, beside),
    )
    logger._wandb_init.pop("anonymous", None)  # W&B warns of it though it is not set
    return logger


def _settings(mode: str, beside: bool) -> wandb.Settings:
    return wandb.Settings(
        mode=mode,  # type: ignore[arg-type]
        silent=True,
        console="off",
        x_label=("watch" if beside else "train") if mode == "shared" else None,
        x_primary=not beside,
        x_update_finish_state=not beside,
        x_disable_stats=beside,  # the load of the machine is told by the first
        x_transaction_log_flush_interval=FLUSH_SECONDS,
    )


def has_login() -> bool:
    """Whether an API key is there, in the environment or saved by ``wandb login``."""
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    return bool(os.environ.get("WANDB_API_KEY") or get_netrc_auth(host))
