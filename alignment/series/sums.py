"""Sums of products of frames, from which ridge regressions over many penalties follow."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


class Sums:
    """Count, sums and products of the rows of one trial or fold."""

    def __init__(self, x: Float[Tensor, "n k"], y: Float[Tensor, "n v"]) -> None:
        self.n = len(x)
        self.x, self.y = x.sum(0), y.sum(0)
        self.xx, self.xy, self.yy = x.T @ x, x.T @ y, y.square().sum(0)

    def error(
        self, weights: Float[Tensor, "a k v"], offset: Float[Tensor, "a v"]
    ) -> Float[Tensor, "a v"]:
        """Squared error of ``x w + o`` summed over the rows."""
        products = (self.xx @ weights).sub_(self.xy, alpha=2).mul_(weights).sum(1)
        through = self.x @ weights
        constant = self.n * offset.square() - 2 * offset * self.y
        return self.yy + products + 2 * offset * through + constant


def centred(sums: Sequence[Sums]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Means (k,) and (v,), and centred products (k, k) and (k, v) over several trials."""
    n = sum(s.n for s in sums)
    x, y, xx, xy = (sum(getattr(s, name) for s in sums) for name in ("x", "y", "xx", "xy"))
    return x / n, y / n, xx - torch.outer(x, x) / n, xy - torch.outer(x, y) / n


def ridge_path(
    xx: Float[Tensor, "k k"], xy: Float[Tensor, "k v"], alphas: Float[Tensor, " a"]
) -> Float[Tensor, "a k v"]:
    """``(xx + alpha I)^-1 xy`` for every alpha."""
    values, axes = torch.linalg.eigh(xx)
    rotated = axes.T @ xy
    return axes @ (rotated / (values.clamp_min(0)[:, None] + alphas[:, None, None]))
