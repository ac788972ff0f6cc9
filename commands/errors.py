"""Errors that fit on one line: what was got, what was expected, how to mend it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from typing import Any

from hydra.errors import HydraException, OverrideParseException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from commands.facts import cannot_run
from commands.folders import CONF

LAUNCHERS = {
    "joblib": "hydra-joblib-launcher",
    "submitit_local": "hydra-submitit-launcher",
    "submitit_slurm": "hydra-submitit-launcher",
}
"""Launchers of jobs, and the packages that have them."""


def explain(error: BaseException) -> str:
    """One line for an error: what was got, what was expected, how to mend it."""
    chain = list(causes(error))
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
        if "Cannot merge" in text and (wrong := _wrong_kind(chain)):
            return wrong
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


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and below Hydra's and OmegaConf's wrappers what they wrap."""
    while error is not None:
        yield error
        wrapped = isinstance(error, HydraException | OmegaConfBaseException)
        error = (error.__cause__ or error.__context__) if wrapped else None


def _unknown_option(option: str) -> str:
    """Name the options of a config group that are nearest to one that does not exist."""
    if plugin := LAUNCHERS.get(option.removeprefix("hydra/launcher/")):
        return f"{option} is of a plugin: pip install {plugin} (docs/encoders.md, Many encoders)"
    if option.startswith("encoder/") and (why := cannot_run(option.removeprefix("encoder/"))):
        return why
    group, pattern = option.rpartition("/")[0], "[!_]*.yaml"
    top = option.split("/")[0]
    if not any((CONF / top).glob(pattern)):  # benchmark: its options lie in folders
        group, pattern = top, f"*/{pattern}"
    options = sorted(str(f.relative_to(CONF).with_suffix("")) for f in (CONF / group).glob(pattern))
    near = difflib.get_close_matches(option, options, n=3, cutoff=0.5) or options
    names = ", ".join(name.removeprefix(group + "/") for name in near[:12])
    return f"there is no {option} in conf/: did you mean {group}={names}?"


def _unknown_setting(name: str, chain: list[BaseException]) -> str:
    """Name the settings whose last part is near that of one that does not exist.

    Of a mapping that was given as a value, it is the key that does not exist.
    """
    name = next((str(error.full_key) for error in chain if getattr(error, "full_key", "")), name)
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


def _wrong_kind(chain: list[BaseException]) -> str | None:
    """A list where there is a mapping, or a mapping where there is a list."""
    for error in chain:
        name = getattr(error, "full_key", "")
        if name and getattr(error, "object_type", None) is dict:
            return f"{name} holds settings of its own, got a list: give {name}.NAME=[…]"
        if name:
            return f"{name} is a list, got settings by name: give {name}=[…]"
    return None


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
