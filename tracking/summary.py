"""What W&B keeps of a whole run: summary metrics of its scores, and where they come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd
from pytorch_lightning.loggers import Logger, WandbLogger

from evaluation.rows import Score
from models.checkpoint import name_of
from reporting.summaries import key_summaries
from reporting.tables import score_table

if TYPE_CHECKING:
    from wandb.sdk.wandb_run import Run

ORIGIN = ("data_fingerprint", "git_revision", "target_digest", "run_id")
"""What a checkpoint says of its run, under ``checkpoint["entrain"]``."""


def log_provenance(loggers: Sequence[Logger], origin: Mapping[str, Any]) -> None:
    """``origin`` in the run's config: training data, code, targets and run."""
    told = {name: origin[name] for name in ORIGIN if name in origin}
    for run in _runs(loggers):
        run.config.update({"origin": told}, allow_val_change=True)  # the code of a resumed run


def log_checkpoint_paths(loggers: Sequence[Logger], names: Mapping[str, str]) -> None:
    """``checkpoints/last`` and ``checkpoints/best`` in the summary."""
    for run in _runs(loggers):
        run.summary.update({f"checkpoints/{name}": file for name, file in names.items()})


def update_summary(loggers: Sequence[Logger], headlines: Mapping[int, Mapping[str, float]]) -> None:
    """Best, final and area of all that was logged until now, so that a kill leaves them too.

    Parameters
    ----------
    loggers : sequence of Logger
    headlines : mapping from step to what the loggers were given
    """
    for run in _runs(loggers):
        run.summary.update(key_summaries(headlines))


def lineage(scores: Iterable[Score]) -> pd.DataFrame:
    """From checkpoints to scores: a row for every step.

    Columns step, checkpoint, fingerprint (of the weights that were scored, also in every row of
    the scores), scores (how many) and benchmarks.
    """
    groups = score_table(scores).dropna(subset=["step"]).groupby(["step", "fingerprint"])
    made = groups.agg(scores=("value", "size"), benchmarks=("benchmark", "nunique")).reset_index()
    made.insert(1, "checkpoint", [name_of(int(step)) for step in made["step"]])
    return made


def _runs(loggers: Sequence[Logger]) -> Iterator[Run]:
    yield from (logger.experiment for logger in loggers if isinstance(logger, WandbLogger))
