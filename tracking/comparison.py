"""What loggers are given of a comparison: tables, figures, summaries and lineage."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import plotly.graph_objects as go
import wandb
from pytorch_lightning.loggers import Logger, WandbLogger

from reporting.gathering.gathered import Gathered
from reporting.gathering.trajectories import trajectory_summaries
from reporting.report.page import FIGURES, PAGE, TABLES, item_name
from reporting.report.section import Chart, Section
from reporting.summaries import SUMMARY

LINEAGE = ["encoder", "step", "run", "data_fingerprint", "revision", "checkpoint", "fingerprint"]


def log_comparison(
    loggers: Sequence[Logger], gathered: Gathered, sections: Sequence[Section], folder: Path
) -> None:
    """Summary metrics to every logger; to W&B tables, figures, lineage and the report as well.

    Keys are ``ENCODER/BENCHMARK/METRIC/best_optimistic``, ``…/final`` and ``…/area``; see
    :func:`reporting.gathering.trajectories.trajectory_summaries`.
    """
    summaries = trajectory_summaries(gathered.heads)
    values = summary_values(summaries)
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            _log_to_wandb(logger, gathered, sections, summaries, values, folder)
        else:
            logger.log_metrics(values, 0)
            logger.save()


def summary_values(summaries: pd.DataFrame) -> dict[str, float]:
    """Best, final and area of every trajectory, where there is one."""
    return {
        f"{row['encoder']}/{row['benchmark']}/{row['metric']}/{name}": float(row[name])
        for row in summaries.to_dict("records")
        for name in SUMMARY
        if pd.notna(row[name])
    }


def lineage(gathered: Gathered) -> pd.DataFrame:
    """From training data to scores: a row for every encoder at every step.

    Columns encoder, step, run, data_fingerprint (of the training data), revision (of the code),
    checkpoint, fingerprint (of the weights that were scored), scores (how many) and benchmarks.
    """
    counts = gathered.scores.groupby("name", observed=True)["benchmark"]
    made = gathered.encoders[LINEAGE].assign(scores=counts.size(), benchmarks=counts.nunique())
    return made.rename_axis("name").reset_index()


def _log_to_wandb(
    logger: WandbLogger,
    gathered: Gathered,
    sections: Sequence[Section],
    summaries: pd.DataFrame,
    values: dict[str, float],
    folder: Path,
) -> None:
    run = logger.experiment
    origins = lineage(gathered)
    media: dict[str, object] = {
        "tables/scores": _table(gathered.heads),
        "tables/encoders": _table(gathered.encoders.reset_index()),
        "tables/trajectories": _table(summaries),
        "tables/lineage": _table(origins),
    }
    for section in sections:
        for item in section.items:
            name = item_name(section, item)
            if isinstance(item, Chart):
                media[f"figures/{name}"] = wandb.Plotly(go.Figure(item.figure))
            else:
                media[f"tables/{name}"] = _table(item.table.reset_index())
    run.log(media)
    run.summary.update(values)
    run.summary.update({f"answers/{section.key}": section.answer for section in sections})
    artifact = wandb.Artifact(
        f"comparison-{run.id}", "scores", metadata={"lineage": _plain(origins).to_dict("records")}
    )
    artifact.add_file(str(folder / PAGE))
    for name in (FIGURES, TABLES):
        artifact.add_dir(str(folder / name), name=name)
    run.log_artifact(artifact)


def _table(table: pd.DataFrame) -> wandb.Table:
    return wandb.Table(dataframe=_plain(table), allow_mixed_types=True)


def _plain(table: pd.DataFrame) -> pd.DataFrame:
    """Numbers and texts alone, None where there is nothing."""
    plain = table.rename(columns=str).astype(object)
    return plain.where(plain.notna(), None)
