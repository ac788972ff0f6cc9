"""What is observed beside what surrogates give: p-values and held-out choices."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alignment.nulls import share_of_draws


@dataclass(frozen=True)
class AgainstSurrogates:
    """Observed statistics, and means over sentences and subjects under the null hypothesis.

    Where only the mean over subjects was asked for, it stands for one subject.

    Attributes
    ----------
    observed : tensor of shape (pieces, layers, subjects, lags)
    level : tensor of shape (pieces, layers, subjects, lags)
        Mean of a piece over all its surrogates and what is observed: the same for every draw, so
        that what lies above it may be compared with draws.
    responses : tensor of shape (pieces,)
        How many responses, the own among them, ``level`` is the mean of.
    null : tensor of shape (folds, draws, layers, lags)
        Sums over the pieces of a fold of means over subjects.
    folds : tensor of shape (pieces,)
        Number of the fold of each piece.
    """

    observed: Float[Tensor, "n layers subjects lags"]
    level: Float[Tensor, "n layers subjects lags"]
    responses: Int[Tensor, " n"]
    null: Float[Tensor, "folds draws layers lags"]
    folds: Int[Tensor, " n"]

    @property
    def excess(self) -> Float[Tensor, "n layers subjects lags"]:
        """What lies above the mean of the surrogates, without what is observed."""
        count = self.responses.double()
        share = count / (count - 1)
        return (self.observed - self.level) * share[:, None, None, None]

    def p(self) -> Float[Tensor, "layers lags"]:
        """One-sided, uncorrected; the observed value counts as one of the draws."""
        return share_of_draws(self.null_means() >= self.observed.mean((0, 2)))

    def p_max(self) -> Float[Tensor, "layers lags"]:
        """Corrected for all lags: the share of draws whose largest lag is as large."""
        draws = self.null_means()
        # Lags differ in their null level: what lies above it is what is compared.
        level = self.level.mean((0, 2))
        largest = (draws - level).amax(-1, keepdim=True)
        return share_of_draws(largest >= self.observed.mean((0, 2)) - level)

    def at(self, lag: int) -> AgainstSurrogates:
        """At one lag alone."""
        observed, level, null = (
            part[..., lag : lag + 1] for part in (self.observed, self.level, self.null)
        )
        return replace(self, observed=observed, level=level, null=null)

    def highest(self) -> int:
        """The lag at which some layer lies highest above its surrogates."""
        return int(self.excess.mean((0, 2)).amax(0).argmax())

    def choices(self) -> list[tuple[int, int]]:
        """Layer and lag that lie highest above their surrogates on all folds but each."""
        lags, excess = self.level.shape[-1], (self.observed - self.level).mean(2).flatten(1)
        best = [int(excess[self.folds != fold].mean(0).argmax()) for fold in range(len(self.null))]
        return [(place // lags, place % lags) for place in best]

    def held_out(self, values: Float[Tensor, "n layers subjects lags"]) -> Tensor:
        """Values of each piece at what the other folds choose: (pieces, subjects)."""
        found = torch.empty(values.shape[0], values.shape[2], dtype=values.dtype)
        for fold, (layer, lag) in enumerate(self.choices()):
            own = self.folds == fold
            found[own] = values[own][:, layer, :, lag]
        return found

    def selected_p(self) -> float:
        """One-sided p of what lies above the surrogates where the other folds choose.

        Draws choose as the observed statistics do.
        """
        level = torch.zeros(len(self.null), *self.level.shape[1:2], self.level.shape[3])
        level = level.to(self.level).index_add_(0, self.folds, self.level.mean(2))
        draws = (self.null - level[:, None]).flatten(2)
        total, held = draws.sum(0), torch.zeros(draws.shape[1], dtype=draws.dtype)
        for own in draws:
            held += own.gather(1, (total - own).argmax(1, keepdim=True))[:, 0]
        observed = self.held_out(self.observed - self.level).mean(1).sum()
        return float(share_of_draws((held >= observed)[:, None])[0])

    def null_means(self) -> Float[Tensor, "draws layers lags"]:
        """Means over pieces and subjects."""
        return self.null.sum(0) / len(self.folds)
