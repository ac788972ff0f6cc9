"""Ridge regression that says of every frame which classes sound, from sums over frames alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

ALWAYS, NEVER = 2.0, -1.0


@dataclass(frozen=True, eq=False)
class Sums:
    """What a regression needs of frames x and their labels y; those of two sets can be added.

    Attributes
    ----------
    n : int
        Frames.
    x, y, xx, xy : tensors of shape (dim,), (classes,), (dim, dim) and (dim, classes), float64
        ``Σ x, Σ y, Σ x xᵀ, Σ x yᵀ``.
    """

    n: int
    x: Float[Tensor, " dim"]
    y: Float[Tensor, " classes"]
    xx: Float[Tensor, "dim dim"]
    xy: Float[Tensor, "dim classes"]

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.n + other.n,
            self.x + other.x,
            self.y + other.y,
            self.xx + other.xx,
            self.xy + other.xy,
        )


def sums_of(x: Float[Tensor, "frames dim"], y: Bool[Tensor, "frames classes"]) -> Sums:
    """Sums over the frames of one clip."""
    x, labels = x.double(), y.double()
    return Sums(len(x), x.sum(0), labels.sum(0), x.T @ x, x.T @ labels)


def total(sums: Iterable[Sums]) -> Sums:
    """Sums over all frames of several sets."""
    first, *rest = sums
    for other in rest:
        first = first + other
    return first


@dataclass(frozen=True, eq=False)
class FrameDetector:
    """Linear detectors, one a class: 0 at the mean of silent frames, 1 at that of sounding ones.

    Attributes
    ----------
    weights, bias : tensors of shape (dim, classes) and (classes,)
    alpha : tensor of shape (classes,)
        Penalty of each class.
    """

    weights: Float[Tensor, "dim classes"]
    bias: Float[Tensor, " classes"]
    alpha: Float[Tensor, " classes"]

    def __call__(self, x: Float[Tensor, "frames dim"]) -> Float[Tensor, "frames classes"]:
        """Decisions in the dtype of x."""
        return x @ self.weights.to(x) + self.bias.to(x)


def fit_detector(train: Sums, valid: Sums, alphas: Float[Tensor, " a"]) -> FrameDetector:
    """Ridge regression to 0 and 1, each class with the penalty that predicts validation best.

    ``argmin_w ‖y - ȳ - Z w‖² + α ‖w‖²`` on features Z of mean 0 and deviation 1 in training
    frames, by one eigendecomposition for all α. Decisions are then stretched so that the means of
    silent and of sounding training frames lie at 0 and 1: a rare class has the same scale as a
    common one. A class that never (or always) sounds in training is never (always) detected.

    Parameters
    ----------
    train, valid : Sums
        The second gives the squared error of each α without a pass over its frames.
    alphas : tensor of shape (a,)
    """
    mean, rate = train.x / train.n, train.y / train.n
    deviation = (train.xx.diagonal() / train.n - mean.square()).clamp_min(0).sqrt()
    varies = deviation > 1e-8 + 1e-6 * mean.abs()  # below lies what rounding leaves
    scale = torch.where(varies, 1 / deviation.clamp_min(1e-8), 0.0)
    gram, cross = _centred(train, mean, rate, scale)
    valid_gram, valid_cross = _centred(valid, mean, rate, scale)
    values, axes = torch.linalg.eigh(gram)
    along, valid_along = axes.T @ cross, axes.T @ valid_cross
    valid_gram = axes.T @ valid_gram @ axes
    best = torch.full_like(rate, float("inf"))
    weights, alpha = torch.zeros_like(along), torch.zeros_like(rate)
    for one in alphas.tolist():
        tried = along / (values.clamp_min(0) + one)[:, None]
        error = (tried * (valid_gram @ tried - 2 * valid_along)).sum(0)
        better = error < best
        best = torch.where(better, error, best)
        alpha = torch.where(better, one, alpha)
        weights = torch.where(better, tried, weights)
    return _stretched(axes @ weights, cross, train, mean, scale, alpha)


def _centred(sums: Sums, mean: Tensor, rate: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """``Zᵀ Z`` and ``Zᵀ (y - ȳ)`` with the means and deviations of the training frames."""
    outer = torch.outer(sums.x, mean)
    gram = sums.xx - outer - outer.T + sums.n * torch.outer(mean, mean)
    cross = sums.xy - torch.outer(mean, sums.y) - torch.outer(sums.x - sums.n * mean, rate)
    return gram * scale * scale[:, None], cross * scale[:, None]


def _stretched(
    weights: Tensor, cross: Tensor, train: Sums, mean: Tensor, scale: Tensor, alpha: Tensor
) -> FrameDetector:
    on, off = train.y, train.n - train.y
    # cross is Σ z over sounding frames, and -Σ z over silent ones, as z has mean 0.
    along = (weights * cross).sum(0)
    low, high = -along / off.clamp_min(1), along / on.clamp_min(1)
    told = (on > 0) & (off > 0) & (high - low > 1e-9)
    span = torch.where(told, high - low, 1.0)
    weights = torch.where(told, weights * scale[:, None] / span, 0.0)
    constant = torch.where(off > 0, torch.full_like(on, NEVER), ALWAYS)
    bias = torch.where(told, -low / span - mean @ weights, constant)
    return FrameDetector(weights, bias, alpha)
