"""Save whole checkpoints on the schedule of the evaluation."""

from __future__ import annotations

import difflib
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from callbacks.evaluation import EvaluationCallback
from evaluation.schedule import Schedule
from models.checkpoint import name_of, step_of
from reporting.summaries import lower_is_better
from tracking.summary import log_checkpoint_paths

log = logging.getLogger(__name__)


class CheckpointSaveError(RuntimeError):
    """A checkpoint could not be written; the last good one is whole."""


class ScheduledCheckpoint(Checkpoint):
    """``step_00000100.ckpt`` at every step of the schedule, and ``last.ckpt`` beside them.

    Each file is written under another name, then renamed: what has its final name is whole.
    Lightning calls checkpoint callbacks after all others, so that the scores of step N are in
    checkpoint N.

    Parameters
    ----------
    folder : path
    schedule : Schedule
    keep : int, optional
        Keep only the newest ``keep`` steps, with ``monitor`` the best ones and the newest one
        beside them; all of them by default.
    monitor : str, optional
        A score by the name that loggers are given, such as ``align/fmri/simulated/r2``. The step
        where it is best, of equals the earliest, is ``best.ckpt`` too.
    """

    def __init__(
        self,
        folder: str | Path,
        schedule: Schedule,
        keep: int | None = None,
        monitor: str | None = None,
    ) -> None:
        if keep is not None and keep < 1:
            raise ValueError(
                f"callbacks.checkpoint.keep={keep}: expected 1 or more, or null for all"
            )
        self.folder = Path(folder)
        self.schedule = schedule
        self.keep = keep
        self.monitor = monitor
        self._saved: int | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._check_monitor(trainer)
        if trainer.is_global_zero:
            self.folder.mkdir(parents=True, exist_ok=True)
            for draft in self.folder.glob(".*.tmp"):
                draft.unlink()
        if trainer.global_step == 0:
            self._save(trainer)
            return
        self._saved = trainer.global_step
        if trainer.is_global_zero:  # what a kill left undone
            self._tidy(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object
    ) -> None:
        if self.schedule.due(trainer.global_step, int(trainer.estimated_stepping_batches)):
            self._check_monitor(trainer)
            self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        # Where gradients accumulate, batches that only add to them end at the step before as well.
        if trainer.global_step == self._saved:
            return
        path = self.folder / name_of(trainer.global_step)
        draft = self.folder / f".{path.name}.tmp"
        try:
            trainer.save_checkpoint(draft, weights_only=False)
            if trainer.is_global_zero:
                draft.replace(path)
                self._point("last", path)
        except (OSError, RuntimeError) as error:
            draft.unlink(missing_ok=True)
            raise CheckpointSaveError(
                f"could not save {path}: {error}; {self._last_good()}: "
                "free some space and continue with ckpt_path=last"
            ) from error
        self._saved = trainer.global_step
        if trainer.is_global_zero:
            self._tidy(trainer)

    def _tidy(self, trainer: pl.Trainer) -> None:
        """Name the best step, and take away those that are not kept."""
        files = {step_of(path): path for path in sorted(self.folder.glob("step_*.ckpt"))}
        names = {"last": name_of(trainer.global_step)}
        kept = list(files)  # the last one is the most wanted
        if self.monitor is not None:
            kept = _from_worst_to_best(self.monitor, _find_evaluation(trainer).headlines, kept)
            if kept:
                self._point("best", files[kept[-1]])
                names["best"] = files[kept[-1]].name
        if self.keep is not None:
            for step in files.keys() - {*kept[-self.keep :], max(files, default=0)}:
                files[step].unlink()
        log_checkpoint_paths(trainer.loggers, names)

    def _check_monitor(self, trainer: pl.Trainer) -> None:
        """Refuse a monitor that no evaluation has given, unless its benchmark has just failed."""
        if self.monitor is None:
            return
        evaluation = _find_evaluation(trainer)
        given = {key for keys in evaluation.headlines.values() for key in keys}
        if self.monitor in given or not evaluation.visited:
            return
        newest = evaluation.visited[-1]
        failed = [row.benchmark for row in evaluation.failures if row.step == newest]
        if any(f"/{name}/" in f"/{self.monitor}" for name in failed):
            log.warning("no value of %s yet: its benchmark failed", self.monitor)
            return
        near = difflib.get_close_matches(self.monitor, sorted(given), n=3, cutoff=0.3)
        raise ValueError(
            f"callbacks.checkpoint.monitor={self.monitor} is no score of this run's benchmarks: "
            f"did you mean {', '.join(near or sorted(given)[:12]) or 'one of a suite=…'}?"
        )

    def _point(self, name: str, path: Path) -> None:
        """Make ``NAME.ckpt`` a second name of a checkpoint."""
        draft = self.folder / f".{name}.tmp"
        draft.unlink(missing_ok=True)
        os.link(path, draft)
        draft.replace(self.folder / f"{name}.ckpt")

    def _last_good(self) -> str:
        last = self.folder / "last.ckpt"
        return f"the last good checkpoint is {last}" if last.exists() else "there is none before it"


def _find_evaluation(trainer: pl.Trainer) -> EvaluationCallback:
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, EvaluationCallback) and callback.benchmarks:
            return callback
    raise ValueError(
        "callbacks.checkpoint.monitor needs scores, but nothing is evaluated: leave "
        "callbacks.evaluation as it is and give a suite=… or benchmark=[…]"
    )


def _from_worst_to_best(
    monitor: str, headlines: Mapping[int, Mapping[str, float]], steps: Sequence[int]
) -> list[int]:
    """Those of the steps that have the score."""
    known = [step for step in steps if monitor in headlines.get(step, {})]
    sign = -1.0 if lower_is_better(monitor) else 1.0
    return sorted(known, key=lambda step: (sign * headlines[step][monitor], -step))
