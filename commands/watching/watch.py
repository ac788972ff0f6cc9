"""``python probe.py encoder=checkpoint watch=RUN_FOLDER``: evaluate a run while it is trained.

The watcher is in commands/watching/watcher.py; here the run's config becomes benchmarks and
loggers.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
import wandb
from hydra.core.hydra_config import HydraConfig
from hydra.utils import get_object
from omegaconf import DictConfig, OmegaConf

from commands.building import build, build_benchmarks, build_loggers, to_plain
from commands.folders import CONF
from commands.moved import update_config
from commands.watching.arrivals import Arrivals
from commands.watching.watcher import Plan, Watcher
from evaluation.schedule import Schedule
from models.checkpoint import step_of
from reporting.tables import score_table
from reporting.terminal import print_trajectory

log = logging.getLogger(__name__)

OURS = (
    "tracking.offline",
    "datamodules",
    "evaluation",
    "models.external",
    "pytorch_lightning.loggers",
)
"""Where the config of a run may name what is called."""
FOREIGN = ("models.external.hear",)
"""Runs the code of any package that it is told."""


def watch(cfg: DictConfig, device: torch.device) -> None:
    """Score the checkpoints of a run as they appear; exit code 1 if anything failed."""
    run = check_watch(cfg)
    arrivals = Arrivals(run / "checkpoints", cfg.watch_every, cfg.watch_until_idle)
    interrupted = False
    with exclusive_lock(run / "watch") as folder:
        watcher = Watcher(
            folder,
            partial(plan, cfg, run),
            lambda path: build(cfg.encoder, path=str(path)),
            device,
            cfg.time_budget,
        )
        log.info("watching %s", run / "checkpoints")
        try:
            for path in arrivals:
                arrivals.finished = watcher.visit(path)
            watcher.close()
        except KeyboardInterrupt:
            interrupted = True
        finally:
            wandb.finish()
    print_trajectory(score_table(watcher.ledger.scores), floors=score_table(watcher.floor.scores))
    log.info("results are in %s", folder)
    if interrupted:
        log.info("interrupted: the same command continues")
        sys.exit(130)
    if watcher.failures:
        sys.exit(1)


def check_watch(cfg: DictConfig) -> Path:
    """The run folder, if there is one and nothing is asked for that a watch does not do."""
    kind = OmegaConf.load(CONF / "encoder" / "checkpoint.yaml")
    if cfg.encoder.get("_target_") != kind["_target_"]:  # type: ignore[index, call-overload]
        raise ValueError(
            f"watch={cfg.watch} scores checkpoints of train.py: add encoder=checkpoint"
        )
    if not OmegaConf.is_missing(cfg.encoder, "path"):
        raise ValueError("watch takes the checkpoints of its run: leave encoder.path out")
    if cfg.get("controls") or "reference" in cfg:
        raise ValueError("watch scores checkpoints alone: leave controls and reference out")
    run = Path(cfg.watch)
    if not (run / "checkpoints").is_dir() and not _is_training(run / ".hydra" / "config.yaml"):
        inside = sorted(path.parent for path in run.glob("*/checkpoints"))
        inside += [run.parent] if run.name == "checkpoints" and run.is_dir() else []
        near = f": did you mean watch={inside[-1]}?" if inside else ""
        raise FileNotFoundError(
            f"watch={run}: expected the folder of a run of train.py, such as runs/NAME/TIME, with "
            f"checkpoints/ in it{near}"
        )
    return run


def _is_training(config: Path) -> bool:
    """Whether a run has started that has not saved anything yet."""
    return config.is_file() and "schedule" in OmegaConf.load(config)


@contextmanager
def exclusive_lock(folder: Path) -> Iterator[Path]:
    """Make the folder, and let one process at a time have it; a kill sets it free."""
    folder.mkdir(exist_ok=True)
    with (folder / ".lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise RuntimeError(f"another process watches {folder.parent}: stop it first") from error
        yield folder


def plan(cfg: DictConfig, run: Path, origin: Mapping[str, Any]) -> Plan:
    """Benchmarks and loggers of the run, or those that were asked for."""
    config = update_config(origin["config"])
    match_training_kernels(config)
    evaluation = requested_benchmarks(cfg, config)
    benchmarks, missing = build_benchmarks(evaluation)
    if not benchmarks and not missing:
        raise ValueError(f"the run in {run} names no benchmarks: give suite=… or benchmark=[…]")
    own = config["callbacks"].get("evaluation") or {}
    default = OmegaConf.load(CONF / "callbacks" / "default.yaml").evaluation
    baselines = check_targets(own.get("baselines") or OmegaConf.to_container(default.baselines))
    return Plan(
        title=config["name"],
        benchmarks=list(benchmarks.values()),
        settings=settings_hash(evaluation),
        missing=missing,
        baselines=list(build(OmegaConf.create(baselines)).values()),
        loggers=build_loggers(run_loggers(cfg, config, run), origin["run_id"], beside=True),
        full_at_end=own.get("full_at_end", default.full_at_end),
        skipped=missed_steps(run, config),
    )


def requested_benchmarks(cfg: DictConfig, config: Mapping[str, Any]) -> DictConfig:
    """Benchmarks and their settings: the run's own, where the command line names none."""
    names = ("benchmark", "optional", "full", "probes")
    own = {name: config.get(name) for name in names}
    if is_overridden("benchmark", "suite"):
        named = to_plain(cfg)
        own = {name: named[name] for name in names}
    else:
        own |= {name: cfg[name] for name in ("full", "probes") if is_overridden(name)}
        check_targets(own["benchmark"])
    return OmegaConf.create(own)


def run_loggers(cfg: DictConfig, config: Mapping[str, Any], run: Path) -> DictConfig:
    """Loggers and their settings: the run's own, writing into its folder."""
    if is_overridden("logger"):
        OmegaConf.update(cfg, "name", config["name"])
        OmegaConf.update(cfg, "paths.run", str(run))
        return cfg
    loggers = check_targets(config.get("logger") or {})
    return OmegaConf.create(
        {"logger": {name: {**value, "save_dir": str(run)} for name, value in loggers.items()}}
    )


def is_overridden(*groups: str) -> bool:
    """Whether the command line names one of these."""
    own = HydraConfig.get().overrides.task if HydraConfig.initialized() else []
    return any(override.lstrip("+~").split("=")[0].split(".")[0] in groups for override in own)


def check_targets(config: Any) -> Any:
    """A config that came with a checkpoint, if all that it names to be called is ours.

    Raises
    ------
    ValueError
        If a ``_target_`` names anything else.
    """
    for target in _targets(config):
        found = get_object(target) if _ours(target) else None
        if not _ours(getattr(found, "__module__", "") + "."):
            raise ValueError(
                f"refused to call {target}, which the run's config names: give suite=… and logger=…"
            )
    return config


def _ours(name: str) -> bool:
    return any(name.startswith(f"{place}.") for place in OURS) and not any(
        name.startswith(f"{place}.") for place in FOREIGN
    )


def _targets(config: Any) -> Iterator[str]:
    if isinstance(config, Mapping):
        if "_target_" in config:
            yield str(config["_target_"])
        for value in config.values():
            yield from _targets(value)
    elif isinstance(config, list):
        for value in config:
            yield from _targets(value)


def settings_hash(evaluation: DictConfig) -> Callable[..., str]:
    """Names the settings of a benchmark: what is scored with others is scored again."""
    plain = to_plain(evaluation)

    def settings(benchmark: str, full: bool) -> str:
        kind, name = benchmark.split("/")[:2]
        config = plain["benchmark"][kind][name]
        said = [config, plain["probes"], bool(full or plain["full"])]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]

    return settings


def missed_steps(run: Path, config: Mapping[str, Any]) -> list[int]:
    """Steps before the first checkpoint that is there, which a run from its start has saved."""
    steps = [step_of(path) for path in (run / "checkpoints").glob("step_*.ckpt")]
    if config.get("ckpt_path") is not None or not steps:
        return []
    settings = {key: value for key, value in config["schedule"].items() if key[0] != "_"}
    schedule = Schedule(**settings)
    return [step for step in range(min(steps)) if schedule.due(step, config["max_steps"])]


def match_training_kernels(config: Mapping[str, Any]) -> None:
    """The choice of kernels of train.py, so that scores equal its own to the last bit."""
    deterministic = config["trainer"].get("deterministic")
    if deterministic:
        os.environ["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
        torch.use_deterministic_algorithms(True, warn_only=deterministic == "warn")
