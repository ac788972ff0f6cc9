"""What the folder of a run says of it: settings of its benchmarks, hours of sound, checkpoint."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

CONFIG, CHOICES = ".hydra/config.yaml", ".hydra/hydra.yaml"
FACTS = ["family", "trained_on", "objective", "parameters", "hours"]
WITHOUT_EFFECT = {"root", "path", "folder", "cache_dir", "device", "licence", "source"}
WITHOUT_EFFECT |= {"metrics", "probes"}
"""Settings of a benchmark that change no row: where its data lie, and which rows are asked for."""


@dataclass(frozen=True)
class Origin:
    """What is known of a run; empty where its folder holds no config.

    Attributes
    ----------
    known : bool
        There is a config.
    settings : dict
        Of every benchmark by its name, flat: ``responses.n_sounds`` and its value as text.
    choice : str
        Name of the yaml of the encoder that was evaluated.
    facts : dict
        What that yaml itself said of the encoder.
    checkpoint : str
        File of the encoder that was evaluated.
    data, target, model_class : str
        What a training run was composed of.
    hours_per_step : float, optional
        Hours of sound in a step of training.
    steps : int, optional
        Steps that a training run is to take.
    """

    known: bool = False
    settings: dict[str, dict[str, str]] = field(default_factory=dict)
    choice: str = ""
    facts: dict[str, Any] = field(default_factory=dict)
    checkpoint: str = ""
    data: str = ""
    target: str = ""
    model_class: str = ""
    hours_per_step: float | None = None
    steps: int | None = None


def origin(folder: Path) -> Origin:
    """Read the config that Hydra leaves in the folder of a run."""
    if not (folder / CONFIG).is_file():
        return Origin()
    cfg = OmegaConf.load(folder / CONFIG)
    if not isinstance(cfg, DictConfig):
        return Origin()
    choices = _choices(folder / CHOICES)
    return Origin(
        known=True,
        settings=_settings(cfg),
        choice=choices.get("encoder", ""),
        facts={key: _selected(cfg, f"encoder.{key}") for key in FACTS},
        checkpoint=str(_selected(cfg, "encoder.path") or ""),
        data=choices.get("data", ""),
        target=choices.get("model/target", "") or _kind(_selected(cfg, "model.target._target_")),
        model_class=_kind(_selected(cfg, "model._target_")),
        hours_per_step=_logged_hours(folder) or _expected_hours(cfg),
        steps=_selected(cfg, "max_steps"),
    )


def _choices(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    found = OmegaConf.select(OmegaConf.load(path), "hydra.runtime.choices") or {}
    return {key.partition("@")[0]: str(value) for key, value in found.items() if value}


def _selected(cfg: DictConfig, key: str) -> Any:
    try:
        return OmegaConf.select(cfg, key)
    except OmegaConfBaseException:
        return None


def _kind(target: object) -> str:
    return str(target or "").rpartition(".")[2]


def _settings(cfg: DictConfig) -> dict[str, dict[str, str]]:
    """Benchmarks by the name that their rows have, or else by their place in the config."""
    for key in list(cfg.get("paths") or {}):
        cfg.paths[key] = f"<{key}>"  # where things lie changes no score
    found = {}
    for kind, group in (_selected(cfg, "benchmark") or {}).items():
        for name in group or {}:
            said = _plain(group, name)
            if isinstance(said, Mapping):
                found[str(said.get("name") or f"{kind}/{name}")] = dict(_flat(said))
    return found


def _plain(group: DictConfig, name: str) -> Any:
    try:
        return OmegaConf.to_container(group[name], resolve=True)
    except OmegaConfBaseException:
        return OmegaConf.to_container(group[name], resolve=False)


def _flat(value: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    for key, held in sorted(value.items()):
        if key in WITHOUT_EFFECT:
            continue
        if isinstance(held, Mapping):
            yield from _flat(held, f"{before}{key}.")
        else:
            yield f"{before}{key}", json.dumps(held, sort_keys=True, default=str)


def _logged_hours(folder: Path) -> float | None:
    """Hours of a step as the run itself counted and logged them."""
    for path in sorted(folder.glob("metrics/version_*/metrics.csv"), reverse=True):
        with path.open(newline="") as file:
            for row in csv.DictReader(file):
                if row.get("train/hours") and float(row.get("step") or 0) > 0:
                    return float(row["train/hours"]) / float(row["step"])
    return None


def _expected_hours(cfg: DictConfig) -> float | None:
    """Batch times crop, as if no clip were shorter than a crop and there were one device."""
    batch, crop = _selected(cfg, "data.batch_size"), _selected(cfg, "data.crop_seconds")
    if batch is None or crop is None:
        return None
    return (
        float(batch) * float(crop) * (_selected(cfg, "trainer.accumulate_grad_batches") or 1) / 3600
    )
