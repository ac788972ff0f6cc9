"""What a run shows of its scores: logger keys, the page, figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import wandb
from pytorch_lightning.loggers import Logger, WandbLogger

from evaluation.benchmark import Benchmark
from evaluation.evaluate import Evaluation
from evaluation.rows import Failure, Score
from reporting.downstream import global_keys
from reporting.profiles.figure import write_profiles
from reporting.tables import log_keys, score_table
from reporting.trajectory.figures import layer_step_png, trajectory_figure, write_report
from tracking.summary import lineage


def score_keys(rows: Iterable[Score]) -> dict[str, float]:
    """Headlines of one step, as loggers are given them."""
    table = score_table(rows)
    return log_keys(table) | global_keys(table)


def keys_of_steps(rows: Iterable[Score]) -> dict[int, dict[str, float]]:
    """Headlines of every training step."""
    of_step: dict[int, list[Score]] = {}
    for row in rows:
        if row.step is not None:
            of_step.setdefault(row.step, []).append(row)
    return {step: score_keys(of_step[step]) for step in sorted(of_step)}


def cost_keys(result: Evaluation) -> dict[str, float]:
    """What one evaluation took."""
    return {
        "eval/seconds": result.seconds,
        "eval/scoring_seconds": result.seconds - result.encoding_seconds,
        "eval/failed": float(len(result.failures)),
    }


def log_step(
    loggers: Sequence[Logger], keys: dict[str, float], step: int, hours_per_step: float | None
) -> None:
    """Give the loggers the keys of one step, and the hours of audio until then."""
    hours = {} if hours_per_step is None else {"train/hours": step * hours_per_step}
    for logger in loggers:
        logger.log_metrics({**keys, **hours}, step)


def show_trajectory(
    loggers: Sequence[Logger],
    folder: Path,
    title: str,
    step: int,
    scores: Sequence[Score],
    baselines: Sequence[Score],
    failures: Sequence[Failure],
    hours_per_step: float | None,
) -> None:
    """Refresh ``trajectory.html`` and ``trajectory.png``, and the figures in W&B."""
    table = score_table(scores)
    floor = score_table(baselines) if baselines else None
    write_report(table, folder, title, hours_per_step, failures, baselines=floor)
    for logger in loggers:
        if isinstance(logger, WandbLogger) and len(table):
            _log_media(logger, table, folder, hours_per_step, step)


def show_profiles(
    loggers: Sequence[Logger],
    folder: Path,
    step: int,
    scores: Iterable[Score],
    benchmarks: Iterable[Benchmark],
) -> None:
    """Figures of the newest evaluation, of benchmarks that no single curve shows."""
    in_time = {b.name for b in benchmarks if getattr(b, "in_time", False)}
    rows = [row for row in scores if row.benchmark in in_time]
    figures = write_profiles(score_table(rows), folder / "figures")
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            media = {f"figures/{path.stem}": wandb.Image(str(path)) for path in figures}
            logger.log_metrics(media, step)  # type: ignore[arg-type]


def log_score_table(loggers: Sequence[Logger], scores: Sequence[Score], step: int) -> None:
    """Every row as a table, in W&B, and from which checkpoint it is."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            tables = {"scores": score_table(scores), "lineage": lineage(scores)}
            media = {name: wandb.Table(dataframe=table) for name, table in tables.items()}
            logger.log_metrics(media, step)  # type: ignore[arg-type]


def _log_media(
    logger: WandbLogger, scores: Any, folder: Path, hours: float | None, step: int
) -> None:
    layers = folder / "layers.png"
    layer_step_png(scores, layers)
    media = {
        "figures/trajectory": wandb.Plotly(trajectory_figure(scores, hours_per_step=hours)),
        "figures/layers": wandb.Image(str(layers)),
    }
    logger.log_metrics(media, step)  # type: ignore[arg-type]
