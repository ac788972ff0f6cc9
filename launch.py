"""What the scripts share: from config to objects, the run folder, errors that fit on one line."""

from __future__ import annotations

import difflib
import hashlib
import logging
import operator
import os
import re
import sys
import traceback
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import deepcopy
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from hydra.errors import HydraException, OverrideParseException
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning.loggers import Logger
from rich.console import Console

from evaluation.benchmark import Benchmark, Extensible, Failure, Probing

log = logging.getLogger(__name__)

CONF = Path(__file__).parent / "conf"
DESCRIPTION = ("family", "trained_on", "objective", "parameters", "hours")
"""What the yaml of an encoder says for comparisons; no class is given these."""

APART = frozenset({"encoder", "benchmark", "suite", "optional", "sweep", "output_dir", "name"})
APART |= {"again", "device", "cache", "time_budget", "batch_seconds", "check", "list"}
APART_WHOLLY = frozenset({"paths", "logger", "hydra"})
"""Settings that do not tell the jobs of one encoder from each other; with all that is in them."""

LAUNCHERS = {
    "joblib": "hydra-joblib-launcher",
    "submitit_local": "hydra-submitit-launcher",
    "submitit_slurm": "hydra-submitit-launcher",
}
"""Launchers of jobs, and the packages that have them."""


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


def sweep_folder(runs: str, name: str, overrides: Iterable[str]) -> str:
    """Folder of a sweep: ``output_dir=…`` where that is given, else always the same of a name."""
    given = [value for key, _, value in map(_parted, overrides) if key == "output_dir"]
    return given[-1].strip("'\"") if given else str(Path(runs) / f"sweep-{name}")


def job_folder(encoder: str, overrides: Iterable[str]) -> str:
    """Folder of one job in that of its sweep, the same whenever the same is asked again.

    That of its encoder, with the settings that tell it from other jobs of this encoder; benchmarks,
    which their rows name, and settings that change no score do not.
    """
    parts = sorted(map(_parted, overrides))
    own = [p for p in parts if p[0] not in APART and p[0].split(".")[0] not in APART_WHOLLY]
    if not own:
        return encoder
    mark = hashlib.sha256(repr(own).encode()).hexdigest()[:8]
    shown = ",".join(f"{re.split('[.@]', key)[-1]}={Path(value).name}" for key, _, value in own)
    return f"{encoder},{re.sub('[^A-Za-z0-9_.,=+-]+', '', shown)[:60]},{mark}"


def _parted(override: str) -> tuple[str, str, str]:
    return override.lstrip("+").partition("=")


def register_resolvers() -> None:
    """Make ``${run_folder:…}``, the folders of sweeps and products known to the configs."""
    OmegaConf.register_new_resolver("run_folder", run_folder, use_cache=True, replace=True)
    OmegaConf.register_new_resolver("sweep_folder", sweep_folder, replace=True)
    OmegaConf.register_new_resolver("job_folder", job_folder, replace=True)
    OmegaConf.register_new_resolver("product", operator.mul, replace=True)


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


def guarded(
    script: Callable[[DictConfig], object],
    cfg: DictConfig,
    goes_on: str = "the same command begins again",
) -> None:
    """Run a script on its config; an error becomes one line and exit code 1.

    ``HYDRA_FULL_ERROR=1`` shows the traceback instead. ``goes_on`` is said to who interrupts it.
    """
    _explained(lambda: script(cfg), goes_on)


def _explained(run: Callable[[], object], goes_on: str = "nothing was begun") -> None:
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


def explain(error: BaseException) -> str:
    """One line for an error: what was got, what was expected, how to mend it."""
    chain = list(_causes(error))
    unread = next((e for e in chain if isinstance(e, OverrideParseException)), None)
    if unread is not None:
        return (
            f"cannot read {unread.override} ({str(unread).splitlines()[0]}): expected NAME=VALUE, "
            "in quotes where it has brackets or blanks, such as 'benchmark=[fmri/simulated]'"
        )
    for text in map(str, chain):
        if found := re.search(r"Could not (?:find|load) '([\w/.=-]+)'", text):
            return _unknown_option(found.group(1))
        if found := re.search(r"Could not override '([^']+)'", text):
            return _unknown_setting(found.group(1), chain)
        if "No supported gpu backend found" in text:
            return "no GPU is found here: choose trainer=cpu, or trainer=auto which takes what is"
        if found := re.search(r"Could not delete from config\. '([^']+)' does not exist", text):
            return f"there is no setting {found.group(1)} to leave out: --cfg job shows all of them"
    # The innermost is the setting itself, the others refer to it.
    if unset := re.findall(r"Missing mandatory value: ([\w.]+)", "\n".join(map(str, chain))):
        return f"{unset[-1]} is not set: give {unset[-1]}=…"
    # The innermost error that says something: what a parser raises may be without a text.
    cause = next((e for e in reversed(chain) if str(e) not in ("", "None")), chain[-1])
    text = " ".join(str(cause).split()) or type(cause).__name__
    if isinstance(cause, OSError) and cause.filename and cause.strerror:
        return f"{cause.filename}: {str(cause.strerror).lower()}: give another folder or file"
    return f"missing key {text}" if isinstance(cause, KeyError) else text


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and below Hydra's and OmegaConf's wrappers what they wrap."""
    while error is not None:
        yield error
        wrapped = isinstance(error, HydraException | OmegaConfBaseException)
        error = (error.__cause__ or error.__context__) if wrapped else None


def _unknown_option(option: str) -> str:
    """Name the options of a config group that are nearest to one that does not exist."""
    if plugin := LAUNCHERS.get(option.removeprefix("hydra/launcher/")):
        return f"{option} is of a plugin: pip install {plugin} (docs/encoders.md, Many encoders)"
    group, pattern = option.rpartition("/")[0], "[!_]*.yaml"
    top = option.split("/")[0]
    if not any((CONF / top).glob(pattern)):  # benchmark: its options lie in folders
        group, pattern = top, f"*/{pattern}"
    options = sorted(str(f.relative_to(CONF).with_suffix("")) for f in (CONF / group).glob(pattern))
    near = difflib.get_close_matches(option, options, n=3, cutoff=0.5) or options
    names = ", ".join(name.removeprefix(group + "/") for name in near[:12])
    return f"there is no {option} in conf/: did you mean {group}={names}?"


def _unknown_setting(name: str, chain: list[BaseException]) -> str:
    """Name the settings whose last part is near that of one that does not exist."""
    parents = (getattr(error, "parent_node", None) for error in chain)
    node = next((parent for parent in parents if parent is not None), None)
    known = [] if node is None else _settings(node._get_root())
    last = name.rpartition(".")[2]
    alike = [one for one in known if _likeness(one.rpartition(".")[2], last) >= 0.8]
    near = sorted(alike, key=lambda one: -_likeness(one, name))[:3]
    meant = f"did you mean {' or '.join(near)}? " if near else ""
    return (
        f"there is no setting {name}: {meant}--cfg job shows all of them, +{name}=… adds a new one"
    )


def _likeness(one: str, other: str) -> float:
    return difflib.SequenceMatcher(None, one, other).ratio()


def _settings(config: Any, prefix: str = "") -> list[str]:
    """Names of all settings and groups of a config, those of Hydra left out."""
    if not isinstance(config, DictConfig) or config._is_none() or config._is_missing():
        return []
    names = []
    for key in map(str, config):
        if (prefix or key != "hydra") and not key.startswith("_"):
            names += [prefix + key, *_settings(config._get_node(key), f"{prefix}{key}.")]
    return names


def build(config: DictConfig, **extra: Any) -> Any:
    """Instantiate a config with plain containers inside, without what only describes encoders."""
    if not OmegaConf.is_config(config):
        return instantiate(config, _convert_="all", **extra)
    bare = deepcopy(config)
    _undescribe(bare)
    return instantiate(bare, _convert_="all", **extra)


def _undescribe(config: Any) -> None:
    """Take ``DESCRIPTION`` out of the configs of encoders, also of those within others."""
    if not isinstance(config, DictConfig) or config._is_none() or config._is_missing():
        return
    if "_target_" in config and "family" in config:
        with open_dict(config):
            for name in DESCRIPTION:
                config.pop(name, None)
    for key in config:
        _undescribe(config._get_node(key))


def listed(value: Any) -> list[Any]:
    """A list, also of what was given without brackets."""
    return [value] if isinstance(value, str) else list(value or [])


def resolved(cfg: DictConfig) -> dict[str, Any]:
    """The config as plain containers, every reference resolved."""
    return OmegaConf.to_container(cfg, resolve=True)  # type: ignore[return-value]


def build_benchmarks(cfg: DictConfig) -> tuple[dict[str, Benchmark], list[Failure]]:
    """Benchmarks of the config by name, and those that cannot be built, with the reason.

    A config may give several: a mapping from the rest of the name to a function that makes one.
    Those that ``optional`` names are left out where their data are not there. ``probes`` are those
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
                    made = made.with_probes(listed(cfg.probes))
                whole = cfg.get("full") and isinstance(made, Extensible)
                benchmarks[name] = made.in_full() if whole else made
        except Exception as error:
            missing = any(isinstance(e, FileNotFoundError) for e in _causes(error))
            if missing and name in listed(cfg.get("optional")):
                log.info("%s is left out: %s", name, explain(error))
            else:
                failures.append(Failure(name, explain(error)))
    return benchmarks, failures


def build_loggers(cfg: DictConfig, run_id: str, **extra: Any) -> list[Logger]:
    """Loggers of the config; those that wait for the run's id are given it, and ``extra``."""
    loggers = [build(value) for value in (cfg.get("logger") or {}).values()]
    return [made if isinstance(made, Logger) else made(run_id=run_id, **extra) for made in loggers]
