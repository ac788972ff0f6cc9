"""Pretrain a model, evaluate it at every checkpoint, log the trajectory."""

from __future__ import annotations

import logging
import secrets
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
import wandb
from omegaconf import DictConfig

from callbacks.provenance import Provenance
from commands.building import build, build_benchmarks, build_loggers, to_plain
from models.checkpoint import check_shapes, read_checkpoint
from reporting.tables import score_table
from reporting.terminal import print_trajectory

log = logging.getLogger(__name__)


def train(cfg: DictConfig) -> pl.Trainer:
    """Compose the run from its config and fit it."""
    for name, value in {"max_steps": cfg.max_steps, "seed": cfg.seed}.items():
        if not isinstance(value, int) or value < 0:
            raise ValueError(f"{name}={value}: expected a whole number, 0 or more")
    settings = to_plain(cfg)  # what is not set is told by its own name, before anything is made
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
        log.info("resuming from %s at step %d", checkpoint, content["global_step"])
        if 0 <= cfg.max_steps <= content["global_step"]:
            log.warning(
                "already at max_steps=%d: set max_steps higher to train further", cfg.max_steps
            )
        del content

    data = build(cfg.data)
    if cfg.compile:
        model.encoder.compile()
        model.decoder.compile()
    evaluates = cfg.callbacks.get("evaluation") is not None
    benchmarks, failures = build_benchmarks(cfg) if evaluates else ({}, [])
    if failures:
        raise RuntimeError(f"{failures[0].benchmark}: {failures[0].error}")
    loggers = build_loggers(cfg, run_id)
    trainer = build(cfg.trainer, callbacks=build_callbacks(cfg, benchmarks, run_id), logger=loggers)
    for logger in loggers:
        logger.log_hyperparams(settings)
    try:
        trainer.fit(model, data, ckpt_path=checkpoint, weights_only=True)
        if trainer.is_global_zero:
            if (folder / "scores.jsonl").exists():
                floors = score_table(folder / "baselines.jsonl")
                print_trajectory(score_table(folder / "scores.jsonl"), floors=floors)
            log.info("results are in %s", folder)
    finally:
        wandb.finish()
    return trainer


def build_callbacks(cfg: DictConfig, benchmarks: dict[str, Any], run_id: str) -> list[pl.Callback]:
    """Callbacks of the config, and the one that writes the run's origin into its checkpoints."""
    callbacks = []
    # Ours saves last, so that its files hold what other checkpoint callbacks have kept until then.
    for name, value in sorted(cfg.callbacks.items(), key=lambda item: item[0] == "checkpoint"):
        if value is None:  # callbacks.evaluation=null: left to probe.py watch=…
            continue
        extra = {"benchmarks": benchmarks} if name == "evaluation" else {}
        callbacks.append(build(value, **extra))
    return [*callbacks, Provenance(to_plain(cfg), run_id)]
