"""Pretrain a model, examine it at every checkpoint, log the trajectory.

``python train.py --help`` shows how; conf/train.yaml is where to begin reading.
"""

from __future__ import annotations

import logging
import secrets
from pathlib import Path
from typing import Any

import hydra
import pytorch_lightning as pl
import torch
import wandb
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf
from pytorch_lightning.loggers import Logger

from callbacks.provenance import Provenance
from launch import guarded, launch
from models.checkpoint import check_shapes, read_checkpoint
from reporting.tables import print_trajectory, score_table

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> pl.Trainer:
    """Compose the run from its config and fit it."""
    pl.seed_everything(cfg.seed, workers=True, verbose=False)
    torch.set_float32_matmul_precision("high")
    folder = Path(cfg.paths.run)
    checkpoint = folder / "checkpoints" / "last.ckpt" if cfg.ckpt_path == "last" else cfg.ckpt_path

    model = build(cfg.model)
    run_id = secrets.token_hex(4)
    if checkpoint is not None:
        content = read_checkpoint(checkpoint)
        check_shapes(checkpoint, content["state_dict"], model)
        if cfg.ckpt_path == "last":
            run_id = content["entrain"]["run_id"]
        log.info("going on from %s, step %d", checkpoint, content["global_step"])
        del content

    data = build(cfg.data)
    benchmarks = build_benchmarks(cfg)
    loggers = build_loggers(cfg, run_id)
    trainer = build(
        cfg.trainer, callbacks=build_callbacks(cfg, benchmarks, run_id), logger=loggers
    )
    for logger in loggers:
        logger.log_hyperparams(resolved(cfg))
    try:
        trainer.fit(model, data, ckpt_path=checkpoint, weights_only=True)
        if trainer.is_global_zero and (folder / "scores.jsonl").exists():
            print_trajectory(score_table(folder / "scores.jsonl"))
            log.info("everything is in %s", folder)
    finally:
        wandb.finish()
    return trainer


def build(config: DictConfig, **extra: Any) -> Any:
    """Instantiate a config with plain containers inside."""
    return instantiate(config, _convert_="all", **extra)


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """The config as plain containers, every reference resolved."""
    return OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]


def build_benchmarks(cfg: DictConfig) -> dict[str, Any]:
    """Benchmarks of the config by name, such as ``fmri/nh2015_components``."""
    groups = (cfg.get("benchmark") or {}).items()
    return {f"{kind}/{n}": build(value) for kind, group in groups for n, value in group.items()}


def build_loggers(cfg: DictConfig, run_id: str) -> list[Logger]:
    """Loggers of the config; those that wait for it are given the run's id."""
    loggers = [build(value) for value in (cfg.get("logger") or {}).values()]
    return [make if isinstance(make, Logger) else make(run_id=run_id) for make in loggers]


def build_callbacks(cfg: DictConfig, benchmarks: dict[str, Any], run_id: str) -> list[pl.Callback]:
    """Callbacks of the config, and the one that writes the run's origin into its checkpoints."""
    callbacks = []
    for name, value in cfg.callbacks.items():
        extra = {"benchmarks": benchmarks} if name == "evaluation" else {}
        callbacks.append(build(value, **extra))
    return [*callbacks, Provenance(resolved(cfg), run_id)]


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> None:
    guarded(train, cfg)


if __name__ == "__main__":
    launch(main)
