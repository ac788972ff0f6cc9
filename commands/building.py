"""From config to objects: encoders, benchmarks, loggers."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from copy import deepcopy
from functools import partial
from typing import Any

from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict
from pytorch_lightning.loggers import Logger

from commands.errors import causes, explain
from commands.facts import FACTS, facts_of
from evaluation.benchmark import Benchmark, Extensible, Probing
from evaluation.rows import Failure

log = logging.getLogger(__name__)

MARKS = ("family", "trained_on", "objective", "verified")
"""Facts that only encoders have: a config that says one of them is that of an encoder."""


def build(config: DictConfig, **extra: Any) -> Any:
    """Instantiate a config with plain containers inside, without facts of encoders."""
    if not OmegaConf.is_config(config):
        return instantiate(config, _convert_="all", **extra)
    bare = deepcopy(config)
    _undescribe(bare)
    return instantiate(bare, _convert_="all", **extra)


def build_encoder(config: DictConfig, name: str = "") -> Any:
    """Instantiate an encoder; of published weights that were never tried, the log says so.

    Parameters
    ----------
    config : DictConfig
        Of which :data:`commands.facts.FACTS` are given to no class.
    name : str
        Of its yaml, where the config names none.
    """
    known = config.get("name") if not OmegaConf.is_missing(config, "name") else None
    name = known or name
    if facts_of(name, config).get("verified") is False:
        log.warning("%s is not verified: check its weights, layers and licence", name)
    bare = deepcopy(config)
    _take_facts(bare)
    return build(bare)


def _undescribe(config: Any) -> None:
    """Take facts out of the configs of encoders, also of those within others."""
    if not isinstance(config, DictConfig) or config._is_none() or config._is_missing():
        return
    if "_target_" in config and any(mark in config for mark in MARKS):
        _take_facts(config)
    for key in config:
        _undescribe(config._get_node(key))


def _take_facts(config: DictConfig) -> None:
    with open_dict(config):
        for name in FACTS:
            config.pop(name, None)


def as_list(value: Any) -> list[Any]:
    """A list, also of what was given without brackets."""
    return [value] if isinstance(value, str) else list(value or [])


def to_plain(cfg: DictConfig) -> dict[str, Any]:
    """The config as plain containers, every reference resolved."""
    return OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]


def build_benchmarks(cfg: DictConfig) -> tuple[dict[str, Benchmark], list[Failure]]:
    """Benchmarks of the config by name, and those that cannot be built, with the reason.

    A config may give several: a mapping from the rest of the name to a function that makes one.
    Those that ``optional`` names are skipped where their data are missing. ``probes`` are those
    of every downstream task; with ``full``, benchmarks that have a quick and a full form take the
    full one.
    """
    benchmarks: dict[str, Benchmark] = {}
    failures = []
    waiting: deque[tuple[str, Callable[[], Any]]] = deque(
        (f"{kind}/{name}", partial(build, value))
        for kind, group in (cfg.get("benchmark") or {}).items()
        for name, value in group.items()
    )
    while waiting:
        name, make = waiting.popleft()
        try:
            made = make()
            if isinstance(made, Mapping):
                parts = [(f"{name}/{part}", function) for part, function in made.items()]
                waiting.extendleft(reversed(parts))
            else:
                if cfg.get("probes") and isinstance(made, Probing):
                    made = made.with_probes(as_list(cfg.probes))
                whole = cfg.get("full") and isinstance(made, Extensible)
                benchmarks[name] = made.in_full() if whole else made
        except Exception as error:
            missing = any(isinstance(e, FileNotFoundError) for e in causes(error))
            if missing and name in as_list(cfg.get("optional")):
                log.info("skipped %s: %s", name, explain(error))
            else:
                failures.append(Failure(name, explain(error)))
    return benchmarks, failures


def build_loggers(cfg: DictConfig, run_id: str, **extra: Any) -> list[Logger]:
    """Loggers of the config; those that wait for the run's id are given it, and ``extra``."""
    loggers = [build(value) for value in (cfg.get("logger") or {}).values()]
    return [made if isinstance(made, Logger) else made(run_id=run_id, **extra) for made in loggers]
