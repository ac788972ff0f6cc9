"""Temporal response functions: linear maps between two time courses over a range of delays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alignment.rsa import pearson
from alignment.series.sums import Sums, centred, ridge_path


def delay(x: Float[Tensor, "*batch t p"], lags: Sequence[int]) -> Float[Tensor, "*batch t q"]:
    """Delayed copies of a time course side by side, shape (…, t, lags * p).

    ``out[t, l * p + j] = x[t - lags[l], j]``, 0 where that lies outside of x: all features at the
    first lag, then all at the second, and so on. A negative lag looks ahead.

    Parameters
    ----------
    x : tensor of shape (…, t, p)
    lags : sequence of int
        In samples.
    """
    t = x.shape[-2]
    copies = []
    for lag in lags:
        moved = torch.zeros_like(x)
        if abs(lag) < t:
            moved[..., max(0, lag) : t + min(0, lag), :] = x[..., max(0, -lag) : t - max(0, lag), :]
        copies.append(moved)
    return torch.cat(copies, -1)


@dataclass(frozen=True)
class TRF:
    """A temporal response function and how well it predicts trials that it was not fitted on.

    Attributes
    ----------
    lags : tuple of int
        In samples.
    weights : tensor of shape (lags, p, v)
        Fitted on all trials, in units of y per unit of x.
    offset : tensor of shape (v,)
    alpha : tensor of shape (v,)
        Penalty of ``weights``: the one with the smallest squared error over left-out trials.
    gamma : tensor of shape (p, v)
        Weight that each feature's penalty was divided by; 1 without ``gammas``.
    r : tensor of shape (trials, v)
        Pearson correlation of each trial with its held-out prediction; NaN where one is constant.
    prediction : tuple of tensors of shape (t, v)
        Held-out prediction of each trial, by weights and a penalty from the other trials alone.
    """

    lags: tuple[int, ...]
    weights: Float[Tensor, "lags p v"]
    offset: Float[Tensor, " v"]
    alpha: Float[Tensor, " v"]
    gamma: Float[Tensor, "p v"]
    r: Float[Tensor, "trials v"]
    prediction: tuple[Float[Tensor, "_ v"], ...]

    def predict(self, x: Float[Tensor, "*batch t p"]) -> Float[Tensor, "*batch t v"]:
        """Prediction for another time course."""
        return delay(x.to(self.weights), self.lags) @ self.weights.flatten(0, 1) + self.offset


def fit_trf(
    x: Sequence[Float[Tensor, "_ p"]],
    y: Sequence[Float[Tensor, "_ v"]],
    lags: Sequence[int],
    alphas: Float[Tensor, " a"],
    penalty: Literal["ridge", "derivative"] = "ridge",
    gammas: Float[Tensor, "g p"] | None = None,
    standardise: bool = True,
    shared: bool = False,
) -> TRF:
    """Predict ``y[t]`` from ``x[t - lag]`` over a range of lags, leaving out one trial at a time.

    ``min_w sum_trials sum_t ||y[t] - b - sum_l x[t - lag_l] w_l||² + alpha P(w)``, and
    ``P = sum_lj w_lj² / gamma_j`` (ridge; Crosse et al. 2016, Front Hum Neurosci 10:604) or
    ``sum_lj (w_lj - w_(l-1)j)² / gamma_j`` with ``w_(-1) = 0`` (derivative: smooth over lags and
    rising from 0; the Tikhonov penalty of Lalor et al. 2006 leaves the first lag free).

    Encoding models take stimulus features as x, EEG as y and the lags by which the EEG follows.
    Decoding models take EEG as x, the stimulus as y and the same lags with a minus: they read
    the EEG that follows the stimulus.

    For every left-out trial the penalty is the one with the smallest squared error when the
    remaining trials are left out in turn (nested), so that no trial is both searched and scored.
    Rows whose lags reach over an end of their trial see zeros there, as in the mTRF-Toolbox: x
    should be centred. Everything is made from sums of products of each trial, in float64; all
    penalties share one eigen-decomposition, of which n trials need n (n + 1) / 2 + 1.

    Parameters
    ----------
    x : sequence of tensors of shape (t, p)
        One for each trial; lengths may differ.
    y : sequence of tensors of shape (t, v)
    lags : sequence of int
        In samples.
    alphas : tensor of shape (a,)
        Positive penalties; a single one is taken as it is.
    gammas : tensor of shape (g, p), optional
        Banded ridge (Nunez-Elizalde et al. 2019): candidates for positive weights of the
        features, among which is chosen together with the penalty. Equal within a band, such as
        acoustic features or those of a model.
    standardise : bool
        Penalise weights of delayed features at a variance of 1 in the training trials.
    shared : bool
        One penalty for all targets (the smallest error summed over targets at variance 1).
    """
    _check(x, y, alphas, gammas)
    features = x[0].shape[1]
    gammas = torch.ones(1, features) if gammas is None else gammas
    ordered = alphas.sort(descending=True).values
    device = x[0].device
    grid = _Grid(len(lags), ordered.to(device), gammas.to(device), penalty, standardise)
    sums = [Sums(delay(a.double(), lags), b.double()) for a, b in zip(x, y, strict=True)]
    spread = torch.cat(list(y)).double().var(0)

    def best(error: Tensor) -> Int[Tensor, " v"]:
        if shared:
            error = (error / spread).sum(1, keepdim=True).expand_as(error)
        return error.argmin(0)

    inner = _inner_errors(sums, grid)
    total = torch.zeros_like(inner[0])
    predictions = []
    for trial, a in enumerate(x):
        weights, offset = grid.fit(sums[:trial] + sums[trial + 1 :])
        total += sums[trial].error(weights, offset)
        chosen, shift = _pick(best(inner[trial]), weights, offset)
        predictions.append(delay(a.double(), lags) @ chosen + shift)
    choice = best(total)
    weights, offset = _pick(choice, *grid.fit(sums))
    alpha, gamma = grid.candidate(choice)
    r = [pearson(p.T, b.double().T) for p, b in zip(predictions, y, strict=True)]
    return TRF(
        tuple(lags),
        weights.unflatten(0, (len(lags), features)),
        offset,
        alpha,
        gamma,
        torch.stack(r),
        tuple(predictions),
    )


@dataclass(frozen=True)
class _Grid:
    """Candidate penalties; the candidates of gamma g are those from ``g * len(alphas)`` on.

    Weights are sought as ``w = T u`` with ``alpha P(w) = alpha ||u||²``: any penalty is ridge.
    """

    lags: int
    alphas: Float[Tensor, " a"]
    gammas: Float[Tensor, "g p"]
    penalty: str
    standardise: bool

    def __len__(self) -> int:
        return len(self.alphas) * len(self.gammas)

    def candidate(self, index: Int[Tensor, " v"]) -> tuple[Tensor, Tensor]:
        """Alpha (v,) and gamma (p, v)."""
        count = len(self.alphas)
        return self.alphas[index % count].double(), self.gammas[index // count].double().T

    def fit(self, sums: Sequence[Sums]) -> tuple[Tensor, Tensor]:
        """Weights (candidates, k, v) and offsets (candidates, v)."""
        x_mean, y_mean, xx, xy = centred(sums)
        variance = xx.diagonal() / sum(s.n for s in sums)
        # What never varies in training but for rounding gets no weight.
        varies = variance > 1e-12 * (variance + x_mean.square())
        unit = variance.clamp_min(1e-300).rsqrt() if self.standardise else torch.ones_like(variance)
        paths = []
        for gamma in self.gammas.to(xx):
            scale = torch.where(varies, unit * gamma.sqrt().repeat(self.lags), 0.0)[:, None]
            half = self._gathered(scale * xx).T
            inside = self._gathered(scale * half)
            u = ridge_path(inside, self._gathered(scale * xy), self.alphas.to(xx))
            paths.append(scale * self._spread(u))
        weights = torch.cat(paths)
        return weights, y_mean - x_mean @ weights

    def _spread(self, u: Float[Tensor, "a k v"]) -> Tensor:
        """From differences over lags to weights."""
        if self.penalty == "ridge":
            return u
        return u.unflatten(1, (self.lags, -1)).cumsum(1).flatten(1, 2)

    def _gathered(self, a: Float[Tensor, "k m"]) -> Tensor:
        """The transpose of :meth:`_spread`, applied to the rows of a."""
        if self.penalty == "ridge":
            return a
        return a.unflatten(0, (self.lags, -1)).flip(0).cumsum(0).flip(0).flatten(0, 1)


def _inner_errors(sums: Sequence[Sums], grid: _Grid) -> list[Tensor]:
    """Error of each candidate over all trials but one, each predicted without both."""
    errors = [torch.zeros(len(grid), len(sums[0].y)).to(sums[0].xy) for _ in sums]
    if len(grid) == 1:
        return errors
    for f in range(len(sums)):
        for g in range(f):
            # What is fitted without f and g serves either of them as the outer trial.
            fit = grid.fit([s for k, s in enumerate(sums) if k not in (f, g)])
            errors[f] += sums[g].error(*fit)
            errors[g] += sums[f].error(*fit)
    return errors


def _pick(choice: Tensor, weights: Tensor, offset: Tensor) -> tuple[Tensor, Tensor]:
    """Weights (k, v) and offset (v,) of each target's own candidate."""
    index = choice[None, None].expand(1, weights.shape[1], -1)
    return weights.gather(0, index)[0], offset.gather(0, choice[None])[0]


def _check(x: Sequence[Tensor], y: Sequence[Tensor], alphas: Tensor, gammas: Tensor | None) -> None:
    candidates = len(alphas) * (1 if gammas is None else len(gammas))
    least = 2 if candidates == 1 else 3
    if len(x) != len(y) or len(x) < least:
        raise ValueError(
            f"{len(x)} and {len(y)} trials, expected as many and at least {least}: one is left "
            "out to be predicted and, where a penalty is to be chosen, another one for that"
        )
    for trial, (a, b) in enumerate(zip(x, y, strict=True)):
        if len(a) != len(b):
            raise ValueError(f"trial {trial}: {len(a)} rows to predict {len(b)} rows from")
    if not bool((alphas > 0).all()) or not (gammas is None or bool((gammas > 0).all())):
        raise ValueError("penalties and gammas must be positive")
