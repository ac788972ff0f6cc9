"""Weights & Biases, offline by itself where there is no login."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import wandb
from pytorch_lightning.loggers import WandbLogger
from requests.utils import get_netrc_auth

log = logging.getLogger(__name__)


def wandb_logger(
    project: str,
    name: str,
    save_dir: str | Path,
    run_id: str,
    group: str | None = None,
    tags: list[str] | None = None,
    log_model: bool = False,
) -> WandbLogger:
    """A logger that never asks: online with a login, offline without.

    Parameters
    ----------
    run_id : str
        A resumed run passes the id of its checkpoint and goes on in the same W&B run.
    """
    mode = os.environ.get("WANDB_MODE") or ("online" if has_login() else "offline")
    Path(save_dir).mkdir(parents=True, exist_ok=True)
    if mode == "offline":
        log.info("W&B is offline; to send this run later: wandb sync %s/wandb/*run-*", save_dir)
    return WandbLogger(
        project=project,
        name=name,
        save_dir=save_dir,
        id=run_id,
        group=group,
        tags=tags or [],
        log_model=log_model,
        resume="allow" if mode == "online" else None,
        settings=wandb.Settings(mode=mode, silent=True, console="off"),  # type: ignore[arg-type]
    )


def has_login() -> bool:
    """Whether an API key is there, in the environment or saved by ``wandb login``."""
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai")
    return bool(os.environ.get("WANDB_API_KEY") or get_netrc_auth(host))
