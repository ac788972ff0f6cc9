"""Moments of sentences that an encoding model predicts, and how well it predicts those held out."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from itertools import combinations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alignment.lags import delay
from alignment.nulls import share_of_draws
from alignment.series.encoding import (
    FoldSums,
    HeldOutModel,
    pair_correlations,
    shared_correlations,
)
from datamodules.sentences import SentenceResponses
from evaluation.time.pieces import FEWEST, Draws, TooShort, draw_partners
from evaluation.time.statistics import AgainstSurrogates

log = logging.getLogger(__name__)

WIDER = math.sqrt(2)
"""How much more a sum over held-out folds varies than one over independent predictions."""


class HeldOut:
    """Rows of every sentence whose lags stay inside of it, in folds; and pieces of them.

    Row t of a sentence is the response ``t + max(lags)`` samples after its onset, so that all its
    delayed frames are of the same sentence: no row of one fold shares a frame with another, and
    the rows of sentences that follow each other are as far apart as the lags reach (the embargo).
    Times that fewer than four sentences of some training set reach are left out.

    Pieces of equal length, of the same position in the sentence and of the same fold may take
    each other's responses: none of them was seen by the model that predicts them.

    Parameters
    ----------
    name : str
        Of the benchmark, for messages.
    responses : SentenceResponses
    lags : sequence of int
        Samples by which the response follows.
    frames : tensor of shape (sentences,)
        Frames that there are of every sentence.
    length : int
        Samples of a piece.
    draws : Draws
    """

    def __init__(
        self,
        name: str,
        responses: SentenceResponses,
        lags: Sequence[int],
        frames: Int[Tensor, " sentences"],
        length: int,
        draws: Draws,
    ) -> None:
        self.name, self.responses, self.lags, self.length = name, responses, [*lags], length
        self.lead = max(0, max(lags))
        zero = round(-responses.start * responses.rate)
        self.first = zero + self.lead
        heard = torch.tensor([values.shape[1] - zero for values in responses.values])
        rows = torch.minimum(frames + min(0, min(lags)), heard) - self.lead
        _, self.fold = responses.folds.unique(return_inverse=True)
        self.folds = int(self.fold.max()) + 1
        if self.folds < 3:
            raise ValueError(
                f"{name}: {self.folds} folds, expected at least 3: penalties are chosen on others"
            )
        self.rows = rows.clamp(0, self._reached(rows))
        self.times = int(self.rows.max())
        self._cut(draws)

    def _reached(self, rows: Tensor) -> int:
        """Rows that enough sentences of every training set have: all folds but two."""
        least = int(rows.max())
        for out in combinations(range(self.folds), 2):
            inside = rows[~torch.isin(self.fold, torch.tensor(out))].sort(descending=True).values
            least = min(least, int(inside[FEWEST - 1]) if len(inside) >= FEWEST else 0)
        return max(least, 0)

    def _cut(self, draws: Draws) -> None:
        pieces = [
            (i, k * self.length)
            for i, rows in enumerate(self.rows.tolist())
            for k in range(rows // self.length)
        ]
        group = torch.tensor([int(self.fold[i]) * (self.times + 1) + at for i, at in pieces])
        kept = [k for k in range(len(pieces)) if (group == group[k]).sum() > 1]
        self.sentence = torch.tensor([pieces[k][0] for k in kept], dtype=torch.long)
        self.position = torch.tensor([pieces[k][1] for k in kept], dtype=torch.long)
        heard, every = len(self.sentence.unique()), len(self.rows)
        least = (self.length + self.lead - min(0, min(self.lags))) / self.responses.rate
        if heard < FEWEST or len(self.fold[self.sentence].unique()) < self.folds:
            raise TooShort(
                f"{self.name}: {heard} sentences of {least:.2f} s or more, of which every fold "
                "needs two: set seconds or lags lower"
            )
        if heard < every:
            log.warning(
                "%s: %d of %d sentences are shorter than %.2f s (or alone of their length in their "
                "fold) and are trained on, but not scored", self.name, every - heard, every, least,
            )  # fmt: skip
        self.group = group[torch.tensor(kept)]
        self.partner = draw_partners(self.group, draws)

    @property
    def piece_fold(self) -> Int[Tensor, " pieces"]:
        return self.fold[self.sentence]

    def sums(self, frames: Sequence[Float[Tensor, "_ p"]]) -> list[FoldSums]:
        """Of delayed frames with the channels of every subject, by fold."""
        k = frames[0].shape[1] * len(self.lags)
        v = len(self.responses.subjects) * len(self.responses.channels)

        def rows(fold: int) -> Iterator[tuple[Tensor, Tensor]]:
            for i in (self.fold == fold).nonzero().flatten().tolist():
                y = self._response(i, 0, int(self.rows[i]))
                yield self._delayed(frames[i], int(self.rows[i])), y.transpose(0, 1).flatten(1)

        return [FoldSums.of(rows(fold), k, v, self.times) for fold in range(self.folds)]

    def score(
        self, frames: Sequence[Float[Tensor, "_ p"]], models: Sequence[HeldOutModel]
    ) -> AgainstSurrogates:
        """Fisher's z of every piece's prediction with its response, and with those of others.

        Channels stand in the last axis, one layer in the second. Draws are wider by ``WIDER``
        about their mean than pairs that are drawn anew: ``sum_f y_f' X_f w_(-f)`` holds what two
        folds have to do with each other twice, once with each of them held out, while the draws
        turn the held-out side alone.
        """
        channels, people = len(self.responses.channels), len(self.responses.subjects)
        observed = torch.empty(len(self.group), 1, people, channels, dtype=torch.float64)
        level = torch.empty_like(observed)
        count = torch.empty(len(self.group), dtype=torch.long)
        draws = len(self.partner)
        null = torch.zeros(self.folds, draws, 1, channels, dtype=torch.float64)
        for fold, first, members in self._groups():
            model, own = models[fold], torch.arange(len(members))
            x = torch.stack(
                [
                    self._delayed(frames[i], first + self.length)[first:]
                    for i in self.sentence[members].tolist()
                ]
            )
            mean = torch.zeros(len(own), len(own), channels, dtype=torch.float64)
            prediction = model.predict(x, first)
            response = self._residual(members, first, model)
            for s in range(people):
                guess = prediction[..., s * channels : (s + 1) * channels]
                z = pair_correlations(guess, response[s])
                observed[members, 0, s], level[members, 0, s] = z[own, own], z.mean(1)
                mean += z / people
            place = torch.zeros(len(self.group), dtype=torch.long)
            place[members] = own
            null[fold, :, 0] += mean[own, place[self.partner[:, members]]].sum(1)
            count[members] = len(members)
        centre = null.mean(1, keepdim=True)
        null = centre + WIDER * (null - centre)
        return AgainstSurrogates(observed, level, count, null, self.piece_fold)

    def ceiling(
        self, models: Sequence[HeldOutModel]
    ) -> tuple[Float[Tensor, "n subjects c"], Float[Tensor, "n subjects c"]]:
        """Fisher's z of each subject with the mean of the others, and of all, by piece."""
        size = len(self.group), len(self.responses.subjects), len(self.responses.channels)
        lower, upper = (torch.empty(size, dtype=torch.float64) for _ in range(2))
        for fold, first, members in self._groups():
            shared = shared_correlations(self._residual(members, first, models[fold]))
            lower[members], upper[members] = shared
        return lower, upper

    def _groups(self) -> Iterator[tuple[int, int, Tensor]]:
        """Fold, first row and members of the pieces that may take each other's responses."""
        for number in self.group.unique():
            members = (self.group == number).nonzero().flatten()
            yield int(self.piece_fold[members[0]]), int(self.position[members[0]]), members

    def _delayed(self, frames: Tensor, rows: int) -> Float[Tensor, "rows k"]:
        """The first rows, whose frames lie inside of the sentence."""
        needed = frames[: self.lead + rows - min(0, min(self.lags))].double()
        return delay(needed, self.lags)[self.lead : self.lead + rows]

    def _response(self, sentence: int, first: int, rows: int) -> Float[Tensor, "subjects rows c"]:
        start = self.first + first
        return self.responses.values[sentence][:, start : start + rows].double()

    def _residual(
        self, members: Tensor, first: int, model: HeldOutModel
    ) -> Float[Tensor, "subjects m t c"]:
        """Responses to pieces less the mean course of the training sentences."""
        own = [self._response(i, first, self.length) for i in self.sentence[members].tolist()]
        course = model.course.y[first : first + self.length]
        shape = (len(course), len(self.responses.subjects), len(self.responses.channels))
        return torch.stack(own, 1) - course.view(shape).transpose(0, 1)[:, None]


def by_choice(found: Sequence[AgainstSurrogates], layers: Sequence[int]) -> AgainstSurrogates:
    """The layer that was chosen for each fold, as one layer."""
    first = found[0]
    observed, level, null = (torch.empty_like(x) for x in (first.observed, first.level, first.null))
    for fold, layer in enumerate(layers):
        own = first.folds == fold
        observed[own], level[own] = found[layer].observed[own], found[layer].level[own]
        null[fold] = found[layer].null[fold]
    return AgainstSurrogates(observed, level, first.responses, null, first.folds)


def largest_layer_p(layers: AgainstSurrogates, selected: AgainstSurrogates) -> float:
    """One-sided p of the chosen layer by the layer that is largest in each draw.

    Draws do not choose anew, since they are not fitted anew: a choice varies more than any one
    layer does (``bench/encoding.py``), but hardly more than the largest of them.
    """
    level = layers.level.mean((0, 2))[:, 0]
    largest = (layers.null_means()[..., 0] - level).amax(1)
    observed = (selected.observed - selected.level).mean()
    return float(share_of_draws((largest >= observed - 1e-10)[:, None])[0])


def over_channels(found: Sequence[AgainstSurrogates]) -> AgainstSurrogates:
    """Means over channels of several layers."""
    observed, level = (
        torch.cat([getattr(one, part).mean(3, keepdim=True) for one in found], 1)
        for part in ("observed", "level")
    )
    null = torch.cat([one.null.mean(3, keepdim=True) for one in found], 2)
    return AgainstSurrogates(observed, level, found[0].responses, null, found[0].folds)
