"""Contrasts of prosody: is one kind of sentence followed less, or more, than another?"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from alignment.inference import mean_interval
from alignment.nulls import sign_flips
from evaluation.quantities import Quantity
from evaluation.rows import SELECTED, Score
from evaluation.time.prosody import Prosody
from evaluation.time.rows import TimeRows
from evaluation.time.statistics import AgainstSurrogates

log = logging.getLogger(__name__)

FEWEST_PAIRS = 5
VALENCE = ("negative", "neutral", "difference")
AROUSAL = ("aroused", "calm", "arousal_difference")
"""``target`` of both sides and of their difference."""


def contrast_rows(
    rows: TimeRows, prosody: Prosody, tested: Mapping[str, AgainstSurrogates]
) -> Iterator[Score]:
    """Is a sentence of one prosody followed less, or more, than one of another as long?

    ``metric=prosody_NAME``, layer ``selected``, ``target`` negative, neutral, difference, and
    aroused, calm, arousal_difference: what lies above the surrogates, mean over pieces and
    subjects of each sentence, at the layer and lag that the other folds chose. p of a difference:
    signs of pairs turned, each contrast by itself.
    """
    for name, found in tested.items():
        excess = found.held_out(found.excess).mean(1)
        value = {i: excess[rows.sentence == i].mean() for i in rows.sentence.unique().tolist()}
        for targets, matched in (
            (VALENCE, prosody.pairs),
            (AROUSAL, prosody.arousal_pairs),
        ):
            pairs = [pair for pair in matched.tolist() if all(i in value for i in pair)]
            if len(pairs) < FEWEST_PAIRS:
                log.warning(
                    "%s: %d pairs of %s and %s sentences of one duration, expected at "
                    "least %d: prosody_%s is left out",
                    rows.name, len(pairs), *targets[:2], FEWEST_PAIRS, name,
                )  # fmt: skip
                continue
            yield from _contrast(rows, name, targets, value, pairs)


def _contrast(
    rows: TimeRows,
    name: str,
    targets: Sequence[str],
    value: Mapping[int, Tensor],
    pairs: Sequence[Sequence[int]],
) -> Iterator[Score]:
    """Means of both sides of the pairs, and of their differences."""
    one, other = (torch.stack([value[pair[k]] for pair in pairs]) for k in (0, 1))
    what = Quantity(name, "prosody", "excess")
    for target, values in zip(targets, (one, other, one - other), strict=True):
        low, high = mean_interval(values)
        p = float(sign_flips(values).p) if target == targets[2] else None
        fields = {"target": target, "ci_low": low, "ci_high": high, "p": p}
        yield rows.one(what, SELECTED, float(values.mean()), **fields)
