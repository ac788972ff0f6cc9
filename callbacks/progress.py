"""The bar that people watch while a model trains."""

from __future__ import annotations

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar


class TrainingBar(RichProgressBar):
    """Steps done and to do, time left, and the loss; no version number of a logger."""

    @property
    def total_train_batches(self) -> int | float:
        """Batches of the whole run: the stream of clips itself has no end."""
        trainer = self.trainer
        if trainer.max_steps < 0:
            return super().total_train_batches
        return trainer.max_steps * trainer.accumulate_grad_batches

    def get_metrics(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Metrics beside the bar."""
        shown = super().get_metrics(trainer, pl_module)
        shown.pop("v_num", None)
        return shown

    def _get_train_description(self, current_epoch: int) -> str:
        return "Training"
