"""What the decisions of a probe are scored by: value, chance and how far clips move it."""

from __future__ import annotations

import torch
from torch import Tensor

from alignment.probes.intervals import accuracy_replicates, precision_replicates
from alignment.probes.metrics import d_prime, macro_auc, mean_average_precision
from datamodules.tasks.task import Task

HITS = ("accuracy", "pitch_accuracy", "chroma_accuracy")
"""Shares of clips that are right; the others are means over classes."""


def measures(task: Task, all_of_them: bool = False) -> tuple[str, ...]:
    """Names of what a task is scored by, the one it is known by first.

    Those of its authors; where they name none, the accuracy, or with several labels a clip the
    mean average precision, and if all are wanted also the area under the ROC curve and d'.
    """
    named = tuple(m for m in task.metrics if not (task.multilabel and m in HITS))
    if named:
        return named
    if not task.multilabel:
        return ("accuracy",)
    return ("map", "auc", "d_prime") if all_of_them else ("map",)


def value(measure: str, decisions: Tensor, truth: Tensor, classes: tuple[str, ...]) -> float:
    """One number; not finite where no class could be scored, or d' has no error.

    Parameters
    ----------
    decisions : tensor of shape (clips, classes)
    truth : bool tensor of shape (clips, classes)
        Which labels each clip has.
    """
    if measure in HITS:
        return float(_hits(measure, decisions, truth, classes).double().mean())
    if measure == "map":
        return mean_average_precision(decisions, truth).value
    if measure == "auc":
        return macro_auc(decisions, truth).value
    if measure == "d_prime":
        return d_prime(decisions, truth).value
    known = ", ".join((*HITS, "map", "auc", "d_prime"))
    raise ValueError(f"metric {measure!r}: expected one of {known}")


def chance(measure: str, truth: Tensor, classes: tuple[str, ...]) -> float:
    """What decisions without information score.

    One over the number of classes (of chroma, of those that occur among them); the mean
    prevalence of tested labels for average precision; one half for the area under the ROC curve
    and 0 for d'.
    """
    if measure == "chroma_accuracy":
        return 1 / len(_chroma(classes).unique())
    if measure in HITS:
        return 1 / len(classes)
    if measure == "map":
        return float(truth[:, truth.any(0)].double().mean())
    return {"auc": 0.5, "d_prime": 0.0}[measure]


def replicates(
    measure: str, decisions: Tensor, truth: Tensor, classes: tuple[str, ...], seed: int = 0
) -> Tensor | None:
    """Values over bootstrap samples of the clips; None for areas and d', which have no interval."""
    if measure in HITS:
        return accuracy_replicates(_hits(measure, decisions, truth, classes), seed=seed)
    return precision_replicates(decisions, truth, seed=seed) if measure == "map" else None


def _hits(measure: str, decisions: Tensor, truth: Tensor, classes: tuple[str, ...]) -> Tensor:
    found, labels = decisions.argmax(-1), truth.long().argmax(-1)
    if measure == "chroma_accuracy":
        chroma = _chroma(classes)
        found, labels = chroma[found], chroma[labels]
    return found == labels


def _chroma(classes: tuple[str, ...]) -> Tensor:
    """Remainder by 12 of the MIDI numbers that the classes are named by."""
    wrong = next((name for name in classes if not name.isdecimal()), None)
    if wrong is not None:
        raise ValueError(
            f"class {wrong!r} is no MIDI number, as chroma_accuracy needs: name classes by them"
        )
    return torch.tensor([int(name) % 12 for name in classes])
