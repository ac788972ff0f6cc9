"""Metrics of downstream tasks: classes, pitches, labels and events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, floor

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching
from scipy.special import ndtri
from sklearn.metrics import accuracy_score, average_precision_score, roc_auc_score
from torch import Tensor

Event = tuple[str, float, float]
"""Label, onset and offset in seconds."""


def accuracy(predicted: Int[Tensor, " n"], labels: Int[Tensor, " n"]) -> float:
    """Share of rows whose class is the right one; of MIDI numbers, the pitch accuracy."""
    return float(accuracy_score(labels.cpu(), predicted.cpu()))


def chroma_accuracy(predicted: Int[Tensor, " n"], labels: Int[Tensor, " n"]) -> float:
    """Share of rows whose MIDI number has the right remainder by 12, whatever the octave."""
    return accuracy(predicted % 12, labels % 12)


@dataclass(frozen=True)
class MacroMean:
    """Mean over classes, with how many could not be scored.

    Attributes
    ----------
    value : float
        NaN if no class could be scored.
    per_class : tensor of shape (classes,)
        NaN where a class was left out.
    left_out : int
        Classes without a positive row; for AUC and d' also those without a negative one.
    """

    value: float
    per_class: Float[Tensor, " classes"]
    left_out: int


def mean_average_precision(
    scores: Float[Tensor, "n classes"], targets: Bool[Tensor, "n classes"]
) -> MacroMean:
    """Average precision ``Σ_k (R_k - R_{k-1}) P_k``, mean over classes with a positive row."""
    return _macro(average_precision_score, scores, targets, targets.any(0))


def macro_auc(scores: Float[Tensor, "n classes"], targets: Bool[Tensor, "n classes"]) -> MacroMean:
    """Area under the ROC curve, mean over classes with a positive and a negative row."""
    return _macro(roc_auc_score, scores, targets, targets.any(0) & ~targets.all(0))


def d_prime(scores: Float[Tensor, "n classes"], targets: Bool[Tensor, "n classes"]) -> MacroMean:
    """``√2 Φ⁻¹(AUC)``, mean over classes with a positive and a negative row.

    As in HEAR, a class that is told apart without an error is infinite, and so is then the mean.
    """
    auc = macro_auc(scores, targets)
    per_class = torch.from_numpy(2**0.5 * ndtri(auc.per_class.numpy()))
    return MacroMean(float(per_class.nanmean()), per_class, auc.left_out)


def _macro(
    metric: Callable[..., float], scores: Tensor, targets: Tensor, scored: Tensor
) -> MacroMean:
    truth, values = targets.cpu().numpy(), scores.detach().cpu().numpy()
    per_class = torch.full((targets.shape[1],), float("nan"), dtype=torch.float64)
    for c in scored.nonzero()[:, 0].tolist():
        per_class[c] = float(metric(truth[:, c], values[:, c]))
    return MacroMean(float(per_class.nanmean()), per_class, int((~scored).sum()))


def average_precision(
    scores: Float[Tensor, "*batch n"], targets: Float[Tensor, "*batch n"]
) -> Float[Tensor, "*batch"]:
    """Average precision along the last axis; NaN without a positive.

    The value of scikit-learn's ``average_precision_score``, ties included, batched on any device
    for use while probes train.

    Parameters
    ----------
    scores : tensor of shape (…, n)
    targets : tensor of shape (…, n)
        0 or 1.
    """
    falling, order = (-scores).contiguous().sort(-1)
    positive = targets.expand_as(scores).gather(-1, order).double()
    last = torch.searchsorted(falling, falling, right=True)
    precision = positive.cumsum(-1).gather(-1, last - 1) / last
    return (precision * positive).sum(-1) / positive.sum(-1)


def matched_f1(
    guessed: NDArray[np.float64],
    true: NDArray[np.float64],
    tolerance: float,
    offset_share: float | None = None,
) -> float:
    """`onset_f1` of events in arrays of shape (events, 3): kind, onset and offset (s).

    Events are of one kind where a whole number, such as one for each clip and label, is the same.
    """
    found = len(guessed) + len(true)
    if not found:
        return float("nan")
    near = _near(guessed, true, tolerance, offset_share)
    return 2 * int((maximum_bipartite_matching(near, perm_type="column") >= 0).sum()) / found


def _near(
    guessed: NDArray[np.float64],
    true: NDArray[np.float64],
    tolerance: float,
    offset_share: float | None,
) -> csr_array:
    """Which guessed events, in rows, may stand for which true ones, in columns."""
    slack = tolerance + 1e-9  # seconds that were read from decimals
    true = true[np.lexsort((true[:, 1], true[:, 0]))]
    # On one line on which clips and labels lie far apart, neighbours are a range of rows.
    apart = 2 + tolerance + max(np.abs(table[:, 1]).max(initial=0) for table in (guessed, true))
    places = [table[:, 0] * 2 * apart + table[:, 1] for table in (guessed, true)]
    first, last = (np.searchsorted(places[1], places[0] + way * (slack + 0.001)) for way in (-1, 1))
    count = last - first
    row = np.repeat(np.arange(len(guessed)), count)
    column = np.arange(count.sum()) + np.repeat(first - (count.cumsum() - count), count)
    a, b = guessed[row], true[column]
    held = (a[:, 0] == b[:, 0]) & (np.abs(a[:, 1] - b[:, 1]) <= slack)
    if offset_share is not None:
        room = np.maximum(slack, offset_share * (b[:, 2] - b[:, 1]))
        held &= np.abs(a[:, 2] - b[:, 2]) <= room
    pairs = (np.ones(held.sum(), dtype=bool), (row[held], column[held]))
    return csr_array(pairs, shape=(len(guessed), len(true)))


def segment_error_rate(
    predicted: Mapping[str, Sequence[Event]],
    reference: Mapping[str, Sequence[Event]],
    seconds: float = 1.0,
) -> float:
    """Substitutions, deletions and insertions of labels in segments, per label to be found.

    ``Σ (max(N_reference, N_predicted) - TP) / Σ N_reference`` over segments of all clips, the
    counts being labels active anywhere in a segment (Mesaros et al. 2016). 0 is perfect; it can
    exceed 1, where silence scores 1.

    Returns
    -------
    float
        NaN where nothing is to be found.

    Raises
    ------
    ValueError
        If an event was predicted for a clip that the reference does not know.
    """
    errors = total = 0
    for guessed, true in _clips(predicted, reference):
        heard, there = _active(guessed, seconds), _active(true, seconds)
        total += sum(map(len, there.values()))
        for segment in heard.keys() | there.keys():
            a, b = heard.get(segment, set()), there.get(segment, set())
            errors += max(len(a), len(b)) - len(a & b)
    return errors / total if total else float("nan")


def _active(events: Sequence[Event], seconds: float) -> dict[int, set[str]]:
    """Labels that are active in each segment."""
    found: dict[int, set[str]] = {}
    for label, onset, offset in events:
        for segment in range(floor(onset / seconds), ceil(offset / seconds)):
            found.setdefault(segment, set()).add(label)
    return found


def _clips(
    predicted: Mapping[str, Sequence[Event]], reference: Mapping[str, Sequence[Event]]
) -> list[tuple[Sequence[Event], Sequence[Event]]]:
    unknown = sorted(predicted.keys() - reference.keys())
    if unknown:
        raise ValueError(
            f"events were predicted for {len(unknown)} clips that the reference does not know, "
            f"{unknown[0]!r} first: list clips without events with an empty sequence"
        )
    return [(predicted.get(clip, ()), events) for clip, events in reference.items()]
