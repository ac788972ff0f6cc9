"""Representational similarity between layers and responses, by two published protocols."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from alignment.inference import mean_interval
from alignment.nulls import NullTest, shuffled_pairs, shuffles
from alignment.regression.splits import random_halves
from alignment.rsa import compare, rdm, zscore
from alignment.rsa_blocks import heldout_rdms
from datamodules.stimuli import ResponseSet
from evaluation.contrast import similarity_difference
from evaluation.features import Features, Pooling
from evaluation.quantities import Quantity
from evaluation.rows import SELECTED, Score
from evaluation.summaries import new_row, participants

Pair = tuple[Tensor, Tensor]
CHUNK = 50
"""Shuffled copies of the responses compared at once."""


class Similarity:
    """Spearman correlation of the dissimilarities (1 - Pearson) of all pairs of stimuli.

    ``metric=rsa`` (Pepino et al. 2025): units z-scored over all stimuli. Layer ``selected``: for
    every pair of folds the layer is chosen on pairs of stimuli outside of both, and one
    correlation is taken over all held-out pairs (alignment/rsa_blocks.py).

    ``metric=rsa_halves`` (Tuckute et al. 2023): units z-scored with the training half; the median
    over ten halves of the correlation on the test half. Layer ``selected`` is the best one on
    the training half of each split.

    Each participant's voxels make one matrix; rows without a participant hold the mean over
    participants and an interval by Student's t over them. The ceiling is that of one participant
    by the mean of the others, in Spearman like the scores. ``metric=ceiling_pearson`` has the
    published ceiling of the halves, which is Pearson's and must not divide a Spearman score.

    Parameters
    ----------
    name : str
    responses : ResponseSet
    faithful : bool
        Blocks as in the original code, whose training pairs share stimuli with the held-out ones.
    seed, n_splits : int
        Of the halves.
    permutations : int
        Random orders of the stimuli, for the p-value of ``rsa`` (mean over participants); none
        by default.
    """

    def __init__(
        self,
        name: str,
        responses: ResponseSet,
        faithful: bool = False,
        seed: int = 0,
        n_splits: int = 10,
        pooling: Pooling = "mean",
        permutations: int = 0,
    ) -> None:
        self.permutations = permutations
        self.name = name
        self.responses = responses
        self.stimuli = responses.stimuli
        self.faithful = faithful
        self.pooling: Pooling = pooling
        self.splits = random_halves(len(responses.stimuli), n_splits, seed)
        self.groups = _units(responses)

    def score(self, features: Mapping[str, Features]) -> list[Score]:
        layers = {name: feature.values.double() for name, feature in features.items()}
        return [*self._whole(layers), *self._halves(layers)]

    def difference(
        self, features: Mapping[str, Features], reference: Mapping[str, Features]
    ) -> list[Score]:
        """Held-out dissimilarities of one encoder against those of another."""
        brains = _rdms(self.groups.values())
        a, b = (
            heldout_rdms(
                _rdms(f.values.double() for f in found.values()),
                brains,
                self.responses.folds,
                self.faithful,
            )
            for found in (features, reference)
        )
        return similarity_difference(self.name, self.responses, a, b, brains)

    def _whole(self, layers: Mapping[str, Tensor]) -> list[Score]:
        brains, models = _rdms(self.groups.values()), _rdms(layers.values())
        values = compare(models[:, None], brains[None])
        folds, rows = self.responses.folds, []
        chosen = compare(heldout_rdms(models, brains, folds, self.faithful), brains)
        ceiling = _ceiling(brains, "spearman")
        for layer, found in [*zip(layers, values, strict=True), (SELECTED, chosen)]:
            rows += self._rows("rsa", layer, found, ceiling)
        return self._tested(rows, models, brains) if self.permutations else rows

    def _tested(self, rows: list[Score], models: Tensor, brains: Tensor) -> list[Score]:
        """The rows, those of the mean over participants with a p-value."""
        orders = shuffles(len(self.stimuli), self.permutations)
        parts = [self._means(models, shuffled_pairs(brains, some)) for some in orders.split(CHUNK)]
        test = NullTest.upper(self._means(models, brains[None])[0], torch.cat(parts))
        p = iter(test.p.tolist())
        return [row if row.subject else replace(row, p=next(p)) for row in rows]

    def _means(self, models: Tensor, brains: Tensor) -> Tensor:
        """Mean over participants for every layer and the chosen one: (draws, layers + 1)."""
        flat = brains.flatten(0, 1)
        held = heldout_rdms(models, flat, self.responses.folds, self.faithful)
        values = torch.cat([compare(models[:, None], flat[None]), compare(held, flat)[None]])
        return values.unflatten(1, brains.shape[:2]).mean(2).T

    def _halves(self, layers: Mapping[str, Tensor]) -> list[Score]:
        train, test = self.splits.train, self.splits.test
        brains = [_half_rdms(y, train, test) for y in self.groups.values()]
        models = [_half_rdms(x, train, test) for x in layers.values()]
        on_train = _table(models, brains, 0)
        on_test = _table(models, brains, 1)
        best = on_train.argmax(0, keepdim=True)
        chosen = on_test.gather(0, best)[0].quantile(0.5, -1)
        tests = torch.stack([pair[1] for pair in brains])
        spearman, pearson = (_split_ceiling(tests, method) for method in ("spearman", "pearson"))
        rows = []
        for layer, found in zip(layers, on_test.quantile(0.5, -1), strict=True):
            rows += self._rows("rsa_halves", layer, found, spearman)
        rows += self._rows("rsa_halves", SELECTED, chosen, spearman)
        if pearson is not None:
            rows += self._rows(Quantity("pearson", kind="ceiling"), "responses", pearson, None)
        return rows

    def _rows(
        self, metric: str | Quantity, layer: str, values: Tensor, ceiling: Tensor | None
    ) -> list[Score]:
        def row(value: Tensor, **fields: object) -> Score:
            return new_row(self.name, self.responses, metric, layer, float(value), **fields)

        if ceiling is None:
            tops: Sequence[float | None] = [None] * len(values)
        else:
            tops = ceiling.tolist()
        if len(values) == 1:
            return [row(values[0], ceiling=tops[0])]
        triples = zip(self.groups, values, tops, strict=True)
        rows = [row(value, subject=name, ceiling=top) for name, value, top in triples]
        low, high = mean_interval(values)
        top = None if ceiling is None else float(ceiling.mean())
        return [*rows, row(values.mean(), ceiling=top, ci_low=low, ci_high=high)]


def _units(responses: ResponseSet) -> dict[str, Tensor]:
    """Responses (stimuli, units) of every participant; of one without a name if unknown."""
    people = participants(responses)
    if people is None:
        return {"": responses.values.double()}
    names, of = people
    return {name: responses.values[:, of == i].double() for i, name in enumerate(names)}


def _rdms(units: Iterable[Tensor]) -> Tensor:
    """Dissimilarities over all stimuli, z-scored: (sets of units, pairs)."""
    return torch.stack([rdm(zscore(x)) for x in units])


def _half_rdms(x: Tensor, train: Tensor, test: Tensor) -> Pair:
    """Dissimilarities within the training and within the test half of every split."""
    rows = x[train]
    mean, scale = rows.mean(1, keepdim=True), rows.std(1, correction=0, keepdim=True) + 1e-10
    return rdm((rows - mean) / scale), rdm((x[test] - mean) / scale)


def _table(models: Sequence[Pair], brains: Sequence[Pair], half: int) -> Tensor:
    """Spearman of every layer, participant and split: (layers, participants, splits)."""
    a = torch.stack([pair[half] for pair in models])
    b = torch.stack([pair[half] for pair in brains])
    return compare(a[:, None], b[None])


def _ceiling(brains: Tensor, method: str) -> Tensor | None:
    """Each participant's matrix against the mean of the others', shape (participants, …)."""
    count = len(brains)
    if count < 2:
        return None
    others = (brains.sum(0) - brains) / (count - 1)
    return compare(brains, others, method)  # type: ignore[arg-type]


def _split_ceiling(tests: Tensor, method: str) -> Tensor | None:
    found = _ceiling(tests, method)
    return None if found is None else found.quantile(0.5, -1)
