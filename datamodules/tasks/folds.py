"""Folds of labelled clips: made where none are given, checked where they are."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

from datamodules.tasks.task import Task


def stratified_folds(names: Sequence[str], labels: Tensor, folds: int = 5) -> Tensor:
    """Folds in which every class is as frequent as in the whole, to within one clip.

    Clips are dealt out class by class, the rarest class first, each to the fold that has the
    fewest clips of that class, and among those to the smallest. The order within a class is that
    of the SHA-256 of the names: the same clips get the same folds on every machine, in whatever
    order they are listed.

    Parameters
    ----------
    names : sequence of str
        One a clip, each different.
    labels : tensor of shape (n,), int64, or of shape (n, classes), bool
        With several labels a clip is dealt out by the rarest of them.

    Returns
    -------
    tensor of shape (n,), int64
    """
    member = labels if labels.ndim == 2 else torch.nn.functional.one_hot(labels).bool()
    frequency = member.sum(0)
    # Of equally rare classes the first; a clip without a label counts as of a class of its own.
    rank = torch.empty_like(frequency)
    rank[frequency.argsort(stable=True)] = torch.arange(len(frequency))
    rarest = torch.where(member, rank, len(rank)).amin(1).tolist()
    order = sorted(
        range(len(names)),
        key=lambda i: (rarest[i], hashlib.sha256(names[i].encode()).hexdigest()),
    )
    sizes = [0] * folds
    dealt = torch.zeros(folds, len(rank) + 1, dtype=torch.int64)
    ranked = torch.zeros(len(names), len(rank) + 1, dtype=torch.int64)
    ranked[:, rank] = member.long()
    ranked[:, -1] = ~member.any(1)
    assigned = torch.empty(len(names), dtype=torch.int64)
    for index in order:
        own = dealt[:, rarest[index]].tolist()
        fold = min(range(folds), key=lambda k: (own[k], sizes[k], k))
        assigned[index] = fold
        dealt[fold] += ranked[index]
        sizes[fold] += 1
    return assigned


def check_folds(task: Task, where: object) -> None:
    """Raise where a class is tested in a split and has no clip outside of the tested fold.

    Parameters
    ----------
    where : object
        The file or folder to name in the error.
    """
    found = untaught(task)
    if found:
        name, held = found
        raise ValueError(
            f"{where}: all clips of class {name} are in fold {held}, so none is left to learn "
            "it from when that fold is tested: move some to another fold, or leave the "
            "class out"
        )


def untaught(task: Task) -> tuple[str, str] | None:
    """The first class that is tested though no other fold has a clip of it, and that fold."""
    for split in task.splits:
        alone = task.member[split.test].any(0) & ~task.member[~split.test].any(0)
        if alone.any():
            fold = int(task.folds[split.test][0])
            held = task.fold_names[fold] if task.fold_names else str(fold)
            return task.classes[int(alone.nonzero()[0])], held
    return None
