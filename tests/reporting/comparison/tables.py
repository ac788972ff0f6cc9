"""Score tables of encoders whose correlations, ranks, peaks and rises are known."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from reporting.downstream import reference
from reporting.gathering.gathered import Gathered
from reporting.tables import headlines, score_table

BRAIN = "fmri/made"
SIX = tuple(reference().index)
FIELDS = ("family", "trained_on", "objective", "parameters", "hours", "control")


def row(encoder: str, benchmark: str, metric: str, value: float, **fields: object) -> dict:
    made = {"encoder": encoder, "benchmark": benchmark, "metric": metric, "value": value}
    return {"layer": "layer", "n": 165, "seconds": 2.0, "run": encoder, **made, **fields}


def gathered(rows: Sequence[Mapping], about: Mapping[str, Mapping] | None = None) -> Gathered:
    """Rows as they are gathered from folders; ``about`` says what is known of encoders."""
    about = about or {}
    keyed = [{**entry, "fingerprint": f"{entry['run']}-{entry.get('step')}"} for entry in rows]
    scores = score_table(keyed)
    runs = {entry["fingerprint"]: entry["run"] for entry in keyed}
    scores["run"] = scores["fingerprint"].map(runs)
    known = scores.drop_duplicates("fingerprint")
    twice = known.groupby("encoder")["fingerprint"].transform("nunique") > 1
    names = known["encoder"].where(~twice, known["fingerprint"])
    named = dict(zip(known["fingerprint"], names, strict=True))
    scores["name"] = scores["fingerprint"].map(named)
    heads = headlines(scores)
    heads["name"], heads["run"] = heads["fingerprint"].map(named), heads["fingerprint"].map(runs)
    encoders = known.assign(name=known["fingerprint"].map(named))
    encoders = encoders[["encoder", "fingerprint", "step", "run", "name"]].set_index("name")
    last = encoders.groupby("run")["step"].transform("max")
    encoders["final"] = (encoders["step"].isna() | (encoders["step"] == last)).astype(bool)
    plain = {"family": "", "trained_on": "", "objective": "", "parameters": math.nan}
    plain |= {"hours": math.nan, "control": False}
    for field in FIELDS:
        values = [about.get(name, {}).get(field, plain[field]) for name in encoders["encoder"]]
        encoders[field] = values
    failures = pd.DataFrame(columns=["run", "encoder", "benchmark", "error", "step"])
    return Gathered(scores, heads, encoders, failures, [])


def task_rows(encoder: str, places: Mapping[str, float], **fields: object) -> list[dict]:
    """Rows so many deviations from the mean of the reference."""
    known = reference()
    return [
        row(
            encoder, task, f"mlp_{known.loc[task, 'measure']}",
            known.loc[task, "mean"] + z * known.loc[task, "sd"], layer="mix", chance=0.1, **fields,
        )
        for task, z in places.items()
    ]  # fmt: skip


def normal_pair(n: int, rho: float, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    a, b = rng.standard_normal((2, n))
    return a, rho * a + math.sqrt(1 - rho**2) * b


def correlated(
    n: int = 12, rho: float = 0.7, seed: int = 0, floor: float | None = None, tasks: int = 6
) -> Gathered:
    """Encoders whose frozen score and alignment are a draw of a correlation of ``rho``.

    Four families; size is unrelated to both; a log-mel control at ``floor`` if one is given.
    """
    rng = np.random.default_rng(seed)
    brain, useful = normal_pair(n, rho, rng)
    rows, about = [], {}
    for i in range(n):
        name = f"model {i:02}"
        rows.append(row(name, BRAIN, "r2", 0.3 + 0.05 * brain[i], ceiling=0.8))
        rows += task_rows(name, dict.fromkeys(SIX[:tasks], float(useful[i])))
        about[name] = {
            "family": f"family {i % 4}", "trained_on": ("speech", "music", "all")[i % 3],
            "objective": ("masked", "contrastive")[i % 2],
            "parameters": float(10 ** rng.uniform(6, 9)),
        }  # fmt: skip
    if floor is not None:
        rows.append(row("logmel", BRAIN, "r2", 0.2, ceiling=0.8))
        rows += task_rows("logmel", dict.fromkeys(SIX[:tasks], floor))
        about["logmel"] = {"family": "logmel", "control": True}
    return gathered(rows, about)


def rising(half: float, times: np.ndarray, low: float = 0.1, high: float = 0.5) -> np.ndarray:
    """A straight rise that is half way at ``half`` and ends at twice that time."""
    return low + (high - low) * np.clip(times / (2 * half), 0, 1)


def deep(n: int = 8, apart: float = 0.2, seed: int = 0, layers: int = 11) -> Gathered:
    """Encoders whose RSA peaks ``apart`` deeper than their CKA, at places that differ."""
    rng = np.random.default_rng(seed)
    depth = np.linspace(0, 1, layers)
    rows = []
    for i in range(n):
        middle = 0.4 + 0.1 * rng.integers(-1, 2)
        for metric, at in (("rsa_spearman", middle + apart), ("cka_debiased", middle)):
            curve = 0.5 - 0.3 * (depth - at) ** 2 + 0.006 * rng.standard_normal(layers)
            rows += [
                row(f"model {i:02}", BRAIN, metric, float(value), layer=f"layer.{k}")
                for k, value in enumerate(curve)
            ]
    return gathered(rows)


def trained(
    runs: int = 3, half: float = 60.0, later: float = 2.0, seed: int = 0, noise: float = 0.3
) -> Gathered:
    """Runs that differ in their seed; alignment is half way at ``half``, a task ``later`` times.

    Primary targets are half way at half of that, non-primary ones at twice that. Times differ
    between runs by factors of deviation ``exp(noise)``, those of task and brain independently.
    """
    rng = np.random.default_rng(seed)
    steps = np.array([0, 10, 20, 30, 40, 60, 80, 120, 160, 240, 320, 480, 960])
    rows = []
    for run in range(runs):
        brain, task = half * np.exp(noise * rng.standard_normal(2)) * (1, later)
        lines = {"": brain, "lowfreq": brain / 2, "speech": 2 * brain}
        fields = {"run": f"run {run}", "metric": "r2", "ceiling": 0.8}
        for target, at in lines.items():
            rows += [
                row("small", BRAIN, value=float(v), target=target, step=int(s), **fields)
                for s, v in zip(steps, rising(at, steps), strict=True)
            ]
        rows += [
            row(
                "small", "probe/made", "linear_accuracy", float(v), step=int(s), chance=0.1,
                run=f"run {run}",
            )
            for s, v in zip(steps, rising(task, steps, 0.2, 0.8), strict=True)
        ]  # fmt: skip
    return gathered(rows, {"small": {"hours": 96.0, "family": "small"}})
