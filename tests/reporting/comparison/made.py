"""Runs of made-up scores, as train.py and probe.py leave them."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from reporting.downstream import reference

SETTINGS = {"fmri": {"a": {"name": "fmri/a", "pooling": "mean"}}}


def row(encoder: str, value: float, **other: Any) -> dict[str, Any]:
    """One score; what is not said is as in a small fMRI benchmark."""
    return {
        "benchmark": "fmri/a",
        "metric": "r2",
        "layer": "encoder.0",
        "value": value,
        "subject": "",
        "target": "",
        "window": "",
        "ceiling": 0.9,
        "chance": None,
        "ci_low": value - 0.05,
        "ci_high": value + 0.05,
        "p": None,
        "n": 165,
        "simulated": False,
        "encoder": encoder,
        "fingerprint": f"weights of {encoder}",
        "step": None,
        "seconds": 1.0,
    } | other


def write(folder: Path, rows: Iterable[dict[str, Any]], name: str = "scores.jsonl") -> Path:
    """Rows in a file of a run."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text("".join(json.dumps(one) + "\n" for one in rows))
    return folder


def configured(folder: Path, choices: dict[str, str] | None = None, **config: Any) -> Path:
    """The config that Hydra leaves beside the scores."""
    hidden = folder / ".hydra"
    hidden.mkdir(parents=True, exist_ok=True)
    (hidden / "config.yaml").write_text(json.dumps(config))  # JSON is YAML
    content = {"hydra": {"runtime": {"choices": choices or {}}}}
    (hidden / "hydra.yaml").write_text(json.dumps(content))
    return folder


def training(folder: Path, name: str, steps: Iterable[int] = (0, 5, 10), seed: int = 0) -> Path:
    """A training run that gets better."""
    rng = np.random.default_rng(seed)
    write(
        folder,
        [
            row(
                name,
                0.1 + 0.02 * step + 0.01 * layer + float(rng.normal(0, 0.005)),
                layer=f"encoder.{layer}",
                step=step,
                fingerprint=f"{folder.name} {step}",
                benchmark=benchmark,
            )
            for step in steps
            for benchmark in ("fmri/a", "probe/b")
            for layer in range(3)
        ],
    )
    return configured(
        folder,
        {"data": "noise", "model/target": "codes"},
        name=name,
        max_steps=max(steps),
        benchmark=SETTINGS,
        data={"batch_size": 9, "crop_seconds": 4.0},
        model={"_target_": "models.some.Kind"},
    )


def scores_of_encoder(encoder: str, quality: float, **fields: Any) -> list[dict[str, Any]]:
    """Alignment of four layers by three metrics, its targets, and the tasks of the reference."""
    rng = np.random.default_rng(round(1000 * quality) % 2**32)
    rows = []
    for metric, targets, deep in (("r2", ("lowfreq", "speech"), 2), ("rsa", ("",), 3),
                                  ("cka", ("",), 1)):  # fmt: skip
        for target in targets:
            for layer in range(4):
                value = 0.3 + 0.05 * quality - 0.02 * abs(layer - deep) + rng.normal(0, 0.004)
                place = {"metric": metric, "target": target, "layer": f"encoder.{layer}"}
                rows.append(row(encoder, float(value), **place, **fields))
    for task, known in reference().iterrows():
        value = known["mean"] + known["sd"] * (quality + rng.normal(0, 0.3))
        about = {"benchmark": task, "metric": f"mlp_{known['measure']}", "chance": 0.1}
        rows.append(row(encoder, float(value), **about, **fields))
    return rows


def study(folder: Path) -> Path:
    """Eight encoders, a floor, and two seeds of a training run: all that sections ask for."""
    rng = np.random.default_rng(4)
    for k in range(8):
        write(folder / f"probe{k}", scores_of_encoder(f"model {k}", float(rng.normal())))
    write(folder / "floor", scores_of_encoder("logmel", -3.0))
    for seed in (1, 2):
        rows = []
        for step in (0, 5, 10, 20, 40):
            grown = 3 * (1 - math.exp(-step / (10 + 2 * seed))) - 2.5
            own = {"step": step, "fingerprint": f"{seed} {step}"}
            rows += scores_of_encoder("mine", grown + 0.01 * seed, **own)
        configured(
            write(folder / f"seed{seed}", rows), {"data": "noise", "model/target": "codes"},
            name="mine", seed=seed, max_steps=40, data={"batch_size": 9, "crop_seconds": 4.0},
            model={"_target_": "models.some.Kind"},
        )  # fmt: skip
    return folder


def facts_of_study() -> dict[str, dict[str, Any]]:
    """Families of two, data, objectives, sizes and hours of the eight encoders."""
    return {
        f"model {k}": {
            "family": f"family {k // 2}", "trained_on": ("speech", "music")[k % 2],
            "objective": ("masked", "contrastive")[k // 4], "parameters": 10.0 ** (6 + k % 3),
            "hours": 10.0 ** (1 + k % 4),
        }
        for k in range(8)
    }  # fmt: skip
