"""A peer: one member of the grid trained as hear-eval-kit does, by Lightning and a row at a time.

After heareval 2021.1.3, ``predictions/task_predictions.py``: a Trainer for every grid point, a
DataLoader over rows whose labels become binary vectors one by one, in file order, and at every
check a score by NumPy, early stopping and a checkpoint on disk; with Lightning's profiler, logger
and progress bar, which is not shown here.
"""

from __future__ import annotations

import logging
import os
import tempfile
import warnings
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from alignment.probes.grid import Budget, Member, Split

logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
Batch = tuple[Tensor, Tensor]


class Rows(Dataset[Batch]):
    """Features with the names of their labels."""

    def __init__(self, x: Tensor, labels: Tensor, classes: int) -> None:
        self.x, self.names = x, [[f"class{i}"] for i in labels.tolist()]
        self.index = {f"class{i}": i for i in range(classes)}

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, row: int) -> Batch:
        vector = torch.zeros(len(self.index))
        for name in self.names[row]:
            vector[self.index[name]] = 1
        return self.x[row], vector


class Predictor(pl.LightningModule):
    """A network with Adam, scored at the end of every validation."""

    def __init__(self, network: nn.Module, lr: float) -> None:
        super().__init__()
        self.network, self.lr = network, lr
        self.found: list[tuple[np.ndarray, np.ndarray]] = []

    def training_step(self, batch: Batch, index: int) -> Tensor:
        x, y = batch
        loss = nn.functional.cross_entropy(self.network(x), y.argmax(1))
        self.log("train_loss", loss)
        return loss

    def validation_step(self, batch: Batch, index: int) -> None:
        x, y = batch
        self.found.append((self.network(x).softmax(1).cpu().numpy(), y.cpu().numpy()))

    def on_validation_epoch_end(self) -> None:
        guessed, truth = map(np.concatenate, zip(*self.found, strict=True))
        self.found.clear()
        self.log("val_score", float((guessed.argmax(1) == truth.argmax(1)).mean()))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.network.parameters(), lr=self.lr)


def train_as_heareval(
    make: Callable[[], nn.Module],
    x: Tensor,
    labels: Tensor,
    split: Split,
    member: Member,
    classes: int,
    budget: Budget,
) -> None:
    """Epochs of one member."""
    parts = [Rows(x[rows], labels[rows], classes) for rows in (split.train, split.valid)]
    loaders = [DataLoader(part, budget.batch_size) for part in parts]
    with (
        tempfile.TemporaryDirectory() as folder,
        warnings.catch_warnings(),
        open(os.devnull, "w") as nowhere,
        redirect_stdout(nowhere),
        redirect_stderr(nowhere),
    ):
        warnings.simplefilter("ignore")
        trainer = pl.Trainer(
            accelerator="gpu" if x.is_cuda else "cpu",
            devices=1,
            max_epochs=budget.epochs,
            check_val_every_n_epoch=budget.check_every,
            callbacks=[
                ModelCheckpoint(folder, monitor="val_score", mode="max"),
                EarlyStopping("val_score", patience=budget.patience, mode="max"),
            ],
            default_root_dir=folder,
            profiler="simple",
        )
        trainer.fit(Predictor(make(), member.setting.lr), *loaders)
