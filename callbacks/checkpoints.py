"""Save whole checkpoints on the schedule of the examination."""

from __future__ import annotations

import os
from pathlib import Path

import pytorch_lightning as pl
from pytorch_lightning.callbacks import Checkpoint

from callbacks.schedule import Schedule


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
        Keep only the newest ``keep`` steps; all of them by default.
    """

    def __init__(self, folder: str | Path, schedule: Schedule, keep: int | None = None) -> None:
        self.folder = Path(folder)
        self.schedule = schedule
        self.keep = keep

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.is_global_zero:
            self.folder.mkdir(parents=True, exist_ok=True)
            for draft in self.folder.glob(".*.tmp"):
                draft.unlink()
        if trainer.global_step == 0:
            self._save(trainer)

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object
    ) -> None:
        if self.schedule.due(trainer.global_step, int(trainer.estimated_stepping_batches)):
            self._save(trainer)

    def _save(self, trainer: pl.Trainer) -> None:
        path = self.folder / f"step_{trainer.global_step:08d}.ckpt"
        if path.exists() and trainer.global_step == getattr(self, "_saved", None):
            return
        draft = self.folder / f".{path.name}.tmp"
        try:
            trainer.save_checkpoint(draft, weights_only=False)
            if trainer.is_global_zero:
                draft.replace(path)
                self._point_last_to(path)
        except (OSError, RuntimeError) as error:
            draft.unlink(missing_ok=True)
            raise CheckpointSaveError(
                f"could not save {path}: {error}; {self._last_good()}: "
                "free some space and go on with ckpt_path=last"
            ) from error
        self._saved = trainer.global_step
        if trainer.is_global_zero and self.keep is not None:
            for old in sorted(self.folder.glob("step_*.ckpt"))[: -self.keep]:
                old.unlink()

    def _point_last_to(self, path: Path) -> None:
        draft = self.folder / ".last.tmp"
        draft.unlink(missing_ok=True)
        os.link(path, draft)
        draft.replace(self.folder / "last.ckpt")

    def _last_good(self) -> str:
        last = self.folder / "last.ckpt"
        return f"the last good checkpoint is {last}" if last.exists() else "there is none before it"
