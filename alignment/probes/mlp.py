"""Multi-layer perceptrons as probes: a whole grid, with folds and seeds, trained as one model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alignment.probes.grid import Budget, Member, Setting, Split, grid
from alignment.probes.metrics import average_precision
from alignment.probes.training import Fit, Probe, ValidationScore

Targets = Int[Tensor, " rows"] | Float[Tensor, "rows classes"]


def accuracy_of_logits(logits: Tensor, targets: Tensor) -> Tensor:
    """Share of rows whose largest logit is the target, (members, classes, rows) to (members,)."""
    return (logits.argmax(1) == targets).double().mean(-1)


def precision_of_logits(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean average precision over classes with a positive row, (members, …) to (members,)."""
    return average_precision(logits, targets).nanmean(-1)


def fit_probes(
    x: Float[Tensor, "n layers dim"],
    targets: Targets,
    splits: Sequence[Split],
    members: Sequence[Member],
    classes: int,
    budget: Budget | None = None,
    score: ValidationScore | None = None,
    standardise: bool = True,
    chunk: int = 16,
) -> list[Probe]:
    """All members, trained side by side; `each_probe` says how, this keeps them all."""
    found = each_probe(x, targets, splits, members, classes, budget, score, standardise, chunk)
    return [probe for _, probe in sorted(found, key=lambda pair: pair[0])]


def each_probe(
    x: Float[Tensor, "n layers dim"],
    targets: Targets,
    splits: Sequence[Split],
    members: Sequence[Member],
    classes: int,
    budget: Budget | None = None,
    score: ValidationScore | None = None,
    standardise: bool = True,
    chunk: int = 16,
) -> Iterator[tuple[int, Probe]]:
    """Train members of equal shape as one model, and give each with its place among members.

    ``[Linear → BatchNorm → Dropout → ReLU] x hidden → Linear`` under Adam and cross-entropy
    (binary with multilabel targets). A member stops, and no longer changes, after ``patience``
    checks without a better validation score; the weights of its best check are what it returns.
    Its result depends on its own seed alone, up to rounding, not on who is trained beside it.

    Parameters
    ----------
    x : tensor of shape (n, layers, dim)
        Pooled features; trained in their dtype and on their device.
    targets : tensor of shape (n,) of class numbers, or (n, classes) of 0.0 and 1.0
        The second is multilabel.
    splits, members : sequences
    classes : int
    budget : Budget, optional
    score : callable, optional
        Validation score of (members, classes, rows) logits; accuracy, or mean average precision
        of multilabel targets.
    standardise : bool
        Features to mean 0 and deviation 1 in training rows; off to do as the paper does.
    chunk : int
        Members trained at once: bounds memory, about six copies of their weights.

    Raises
    ------
    ValueError
        If features are not finite or do not match targets, or a split has fewer than two training
        rows or no validation row.
    """
    _check(x, targets, splits, classes)
    budget = budget or Budget()
    if score is None:
        score = precision_of_logits if targets.is_floating_point() else accuracy_of_logits
    groups: dict[object, list[int]] = {}
    for place, member in enumerate(members):
        split, setting = splits[member.split], member.setting
        shape = (setting.hidden, setting.dropout, member.layer is None)
        groups.setdefault((*shape, len(split.train), len(split.valid)), []).append(place)
    for places in groups.values():
        places.sort(key=lambda i: (members[i].split, members[i].seed, members[i].setting.lr))
        for start in range(0, len(places), chunk):
            some = places[start : start + chunk]
            fit = Fit(x, targets, splits, [members[i] for i in some], classes, standardise)
            yield from zip(some, fit.run(budget, score), strict=True)


@dataclass(frozen=True, eq=False)
class Chosen:
    """The setting with the best validation score on the first split, trained on every split.

    Attributes
    ----------
    setting : Setting
    valid : tensor of shape (settings,)
        Validation scores on the first split, in the order of the settings.
    probes : tuple of Probe
        One for each split.
    """

    setting: Setting
    valid: Float[Tensor, " settings"]
    probes: tuple[Probe, ...]


def search_grid(
    x: Float[Tensor, "n layers dim"],
    targets: Targets,
    splits: Sequence[Split],
    classes: int,
    layers: Sequence[int | None] = (None,),
    settings: Sequence[Setting] | None = None,
    seed: int = 0,
    budget: Budget | None = None,
    score: ValidationScore | None = None,
    standardise: bool = True,
    chunk: int = 16,
) -> list[Chosen]:
    """Choose a setting on the first split and train it on the others, as arXiv 2511.16849 does.

    Parameters
    ----------
    x, targets, splits, classes, budget, score, standardise, chunk
        See `each_probe`.
    layers : sequence of int or None
        What a probe is trained on: one layer, or a learned mix of all (None). Each has a choice
        of its own.
    settings : sequence of Setting, optional
        All 16 of `grid`.
    seed : int
        Of all members.

    Returns
    -------
    list of Chosen
        One for each of ``layers``. The first of equal settings is chosen.

    Raises
    ------
    ValueError
        If no setting of a layer has a validation score that is a number, or as `each_probe`.
    """
    settings = tuple(settings or grid())
    first = [Member(setting, 0, seed, layer) for layer in layers for setting in settings]
    valid = torch.full((len(layers), len(settings)), float("nan"), dtype=torch.float64)
    leading: dict[int, tuple[int, Probe]] = {}
    rest = (classes, budget, score, standardise, chunk)
    for place, probe in each_probe(x, targets, splits, first, *rest):
        row, column = divmod(place, len(settings))
        valid[row, column] = probe.valid
        rank, rival = leading.get(row, (-1, None))
        tied = rival is not None and probe.valid == rival.valid and column < rank
        if probe.best_epoch and (rival is None or probe.valid > rival.valid or tied):
            leading[row] = column, probe
    lost = [layer for row, layer in enumerate(layers) if row not in leading]
    if lost:
        raise ValueError(f"no validation score of layer {lost[0]} is a number: check the features")
    found = [leading[row] for row in range(len(layers))]
    later = [
        Member(settings[column], split, seed, layer)
        for layer, (column, _) in zip(layers, found, strict=True)
        for split in range(1, len(splits))
    ]
    others = fit_probes(x, targets, splits, later, *rest)
    width = len(splits) - 1
    return [
        Chosen(settings[column], valid[row], (probe, *others[row * width : (row + 1) * width]))
        for row, (column, probe) in enumerate(found)
    ]


def _check(x: Tensor, targets: Tensor, splits: Sequence[Split], classes: int) -> None:
    if len(x) != len(targets):
        raise ValueError(f"{len(x)} feature rows but {len(targets)} targets: one for each row")
    if not x.isfinite().all():
        rows = (~x.isfinite()).flatten(1).any(1).sum().item()
        raise ValueError(f"{rows} of {len(x)} feature rows are not finite: leave them out")
    if targets.is_floating_point():
        if targets.ndim != 2 or targets.shape[1] != classes:
            raise ValueError(f"targets of shape {tuple(targets.shape)}, expected (n, {classes})")
    elif targets.min() < 0 or targets.max() >= classes:
        low, high = int(targets.min()), int(targets.max())
        raise ValueError(f"targets run from {low} to {high}, expected 0 to {classes - 1}")
    for number, split in enumerate(splits):
        if len(split.train) < 2 or not len(split.valid):
            raise ValueError(
                f"split {number} has {len(split.train)} training and {len(split.valid)} validation "
                "rows, expected at least 2 and 1"
            )
