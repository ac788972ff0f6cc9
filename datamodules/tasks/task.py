"""Labelled sounds with fixed folds: what a downstream task is."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from datamodules.stimuli import Provenance, StimulusSet

TRAIN_VALID_TEST = ("train", "valid", "test")
"""Names of the folds of a task that is tested once, on the last of them."""


@dataclass(frozen=True)
class Split:
    """Which stimuli train, choose and test: three masks of shape (stimuli,) that do not overlap.

    ``valid`` may be empty; who chooses nothing on it trains on ``~test``.
    """

    train: Tensor
    valid: Tensor
    test: Tensor


def splits_of(folds: Tensor, fold_names: tuple[str, ...] = ()) -> list[Split]:
    """One split for train, valid and test; otherwise one a fold.

    Fold k is tested, the next one (the first after the last) validates, the rest trains, as in
    HEAR 2021. With two folds there is none left to validate.

    Parameters
    ----------
    folds : tensor of shape (stimuli,), int64
    fold_names : tuple of str
        Of each fold, where they have names.
    """
    if fold_names == TRAIN_VALID_TEST:
        train, valid, test = (folds == index for index in range(3))
        return [Split(train, valid, test)]
    names = folds.unique().tolist()
    splits = []
    for k, name in enumerate(names):
        test, valid = folds == name, folds == names[(k + 1) % len(names)]
        if len(names) < 3:
            valid = torch.zeros_like(test)
        splits.append(Split(~(test | valid), valid, test))
    return splits


@dataclass(frozen=True)
class Task:
    """Labelled sounds with fixed folds.

    Parameters
    ----------
    labels : tensor of shape (stimuli,), int64, or of shape (stimuli, classes), bool
        Index into ``classes``; or, where a sound may have several labels or none, which it has.
    classes : tuple of str
    folds : tensor of shape (stimuli,), int64
        Fold of each stimulus, 0-based.
    fold_names : tuple of str
        Name of each fold. Folds named train, valid and test make one split; any others are
        tested in turn.
    metrics : tuple of str
        What the task is scored by where its authors say so, the first being what it is known by:
        ``accuracy``, ``pitch_accuracy``, ``chroma_accuracy``, ``map``, ``auc`` or ``d_prime``.
    """

    stimuli: StimulusSet
    labels: Tensor
    classes: tuple[str, ...]
    folds: Tensor
    provenance: Provenance
    fold_names: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        rows = len(self.stimuli)
        shape = (rows, len(self.classes)) if self.multilabel else (rows,)
        if self.labels.shape != shape or self.folds.shape != (rows,):
            raise ValueError(
                f"task {self.stimuli.name}: {rows} stimuli but labels {tuple(self.labels.shape)} "
                f"and folds {tuple(self.folds.shape)}"
            )
        if self.multilabel and self.labels.dtype != torch.bool:
            raise ValueError(
                f"task {self.stimuli.name}: labels of several classes are {self.labels.dtype}, "
                "expected bool of shape (stimuli, classes)"
            )

    @property
    def multilabel(self) -> bool:
        """Whether a sound may have several labels."""
        return self.labels.ndim == 2

    @property
    def member(self) -> Tensor:
        """Which labels each sound has, bool of shape (stimuli, classes)."""
        if self.multilabel:
            return self.labels
        return torch.nn.functional.one_hot(self.labels, len(self.classes)).bool()

    @property
    def splits(self) -> list[Split]:
        """What trains, validates and tests: see `splits_of`."""
        return splits_of(self.folds, self.fold_names)
