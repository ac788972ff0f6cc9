"""Compose the real configs with tiny limits."""

from __future__ import annotations

from pathlib import Path

from hydra import compose, initialize_config_dir
from omegaconf import DictConfig

from commands.folders import CONF
from commands.launch import register_resolvers

TINY = [
    "name=test",
    "trainer=cpu",
    "+trainer.enable_progress_bar=false",
    "~callbacks.progress",
    "logger=csv",
    "data.source.n_clips=40",
    "data.source.clip_seconds=1.0",
    "data.crop_seconds=1.0",
    "data.batch_size=4",
    "data.val_clips=4",
    "data.num_workers=0",
    "model.encoder.layers=2",
    "model.encoder.dim=16",
    "model.encoder.heads=2",
    "model.encoder.hidden=32",
    "model.decoder.layers=1",
    "model.frontend.bands=32",
    "model.target.frontend.bands=32",
    "model.target.codebooks=2",
    "model.target.size=16",
    "+model.target.fit_frames=500",
    "trainer.log_every_n_steps=1",
    "max_steps=6",
    "schedule.every=2",
    "schedule.early=0",
    "callbacks.evaluation.full_at_end=false",
]

SIMULATED = [
    "benchmark=[fmri/simulated,probe/simulated_vowel]",
    "+benchmark.fmri.simulated.responses.n_sounds=30",
    "+benchmark.probe.simulated_vowel.task.n_sounds=64",
]


def composed(run: Path, *overrides: str, config: str = "train") -> DictConfig:
    """The config of a script, writing to ``run``."""
    register_resolvers()
    with initialize_config_dir(str(CONF), version_base="1.3"):
        own = [f"paths.run={run}", f"paths.cache={run}/cache"]
        return compose(config, overrides=[*own, *overrides])


def tiny(run: Path, *overrides: str) -> DictConfig:
    """A training run of seconds on generated sounds."""
    return composed(run, *TINY, *SIMULATED, *overrides)


def options(group: str, pattern: str = "*.yaml") -> list[str]:
    """Names of the yamls of a group, without files and folders that start with an underscore."""
    files = [file.relative_to(CONF / group) for file in sorted((CONF / group).glob(pattern))]
    return [str(f.with_suffix("")) for f in files if not any(p[0] == "_" for p in f.parts)]


def config(folder: Path, *overrides: str, script: str = "train") -> DictConfig:
    """A config of which nothing is left for Hydra's own run to fill in."""
    own = ["paths.audio=sounds"] + ["output_dir=out"] * (script == "probe")
    return composed(folder, "name=test", *own, *overrides, config=script)
