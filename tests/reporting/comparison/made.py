"""Runs of made-up scores, as train.py and probe.py leave them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

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
