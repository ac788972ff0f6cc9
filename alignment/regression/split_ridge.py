"""Ridge regression over many splits of the same rows: one decomposition serves all targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

RANK_TOLERANCE = 1e-12
"""Eigenvalues below this share of the largest are rounding."""


def gram(x: Float[Tensor, "n p"]) -> Float[Tensor, "n n"]:
    """Inner products of the rows about their common mean, in float64."""
    centred = x.double() - x.double().mean(0)
    return centred @ centred.T


@dataclass(frozen=True)
class SplitRidge:
    """Kernel ridge with intercept for every split of one layer's rows.

    With training rows T and test rows E of a split, ``K = U S U'`` is the centred kernel of T
    without its constant eigenvector, and ``project = K_ET U``. A response y is predicted by
    ``ybar + project (U'(y - ybar) / (S + alpha))``. Voxels, scans and penalties share U and S
    (alignment/ridge.py states the leave-one-out criterion).

    Attributes
    ----------
    train, test : tensors of shape (splits, a) and (splits, b)
        Row numbers.
    u, s, project : tensors of shape (splits, a, r), (splits, r) and (splits, b, r)
    """

    train: Int[Tensor, "splits a"]
    test: Int[Tensor, "splits b"]
    u: Float[Tensor, "splits a r"]
    s: Float[Tensor, "splits r"]
    project: Float[Tensor, "splits b r"]

    @classmethod
    def of(
        cls,
        kernel: Float[Tensor, "n n"],
        train: Int[Tensor, "splits a"],
        test: Int[Tensor, "splits b"],
    ) -> SplitRidge:
        """Decompose the training part of ``kernel`` (from :func:`gram`) for every split."""
        inner = kernel[train[:, :, None], train[:, None, :]]
        column = inner.mean(-2, keepdim=True)
        cross = kernel[test[:, :, None], train[:, None, :]]
        cross = cross - cross.mean(-1, keepdim=True) - column + column.mean(-1, keepdim=True)
        inner = inner - column - column.mT + column.mean(-1, keepdim=True)
        # The constant vector becomes the eigenvector of the largest eigenvalue, and is left out.
        lift = 2 * inner.diagonal(dim1=-2, dim2=-1).sum(-1) + 1
        s, u = torch.linalg.eigh(inner + (lift / inner.shape[-1])[:, None, None])
        s, u = s[:, :-1], u[:, :, :-1].contiguous()
        # Directions without variance predict nothing; rounding would, at vanishing penalties.
        kept = s > s[:, -1:].clamp_min(1e-300) * RANK_TOLERANCE
        project = torch.where(kept[:, None, :], cross @ u, 0.0)
        return cls(train, test, u, torch.where(kept, s, 0.0), project)

    def rotate(
        self, y: Float[Tensor, "n v"], split: int
    ) -> tuple[Float[Tensor, "r v"], Float[Tensor, "1 v"]]:
        """``U'(y - ybar)`` over a split's training rows, and ``ybar``."""
        rows = y[self.train[split]]
        mean = rows.mean(0, keepdim=True)
        return self.u[split].T @ (rows - mean), mean

    def predict(
        self, v: Float[Tensor, "r v"], mean: Tensor, alpha: Float[Tensor, "*v"], split: int
    ) -> Float[Tensor, "b v"]:
        """Predicted test rows of a split, one penalty a target or one for all."""
        return mean + self.project[split] @ (v / (self.s[split][:, None] + alpha))

    def leave_one_out(
        self, split: int, alphas: Float[Tensor, " a"]
    ) -> Float[Tensor, "alphas rows r"]:
        """Matrices that turn ``U'(y - ybar)`` into the leave-one-out residuals, by penalty."""
        w = alphas[:, None] / (self.s[split] + alphas[:, None])
        leverage = w @ self.u[split].square().T
        return self.u[split] * w[:, None, :] / leverage[..., None]


def scan_predictions(
    ridge: SplitRidge,
    scans: Float[Tensor, "n v k"],
    alphas: Float[Tensor, " a"],
    chunk: int = 1024,
) -> Iterator[tuple[int, slice, Float[Tensor, "fits b c"]]]:
    """Predictions from every scan alone and from their mean, penalties by leave-one-out.

    The residuals of the mean are the mean of the scans' residuals, so that k + 1 fits cost k.
    Every target's penalty minimises its own exact leave-one-out squared error; ties go to the
    larger penalty.

    Parameters
    ----------
    scans : tensor of shape (n, v, k)
        Responses of v targets in k scans.
    chunk : int
        Targets held at once: memory is about ``alphas x a x chunk x k`` numbers.

    Yields
    ------
    split : int
    targets : slice
    prediction : tensor of shape (k + 1, b, targets), or (1, b, targets) for k = 1
        Scans in order, then their mean (one scan is its own mean).
    """
    n, count, k = scans.shape
    grid = alphas.double().sort(descending=True).values.to(scans.device)
    pieces = [slice(first, min(first + chunk, count)) for first in range(0, count, chunk)]
    for split in range(len(ridge.train)):
        residual_of = ridge.leave_one_out(split, grid).flatten(0, 1).T.contiguous()
        for piece in pieces:
            y = scans[:, piece].permute(0, 2, 1).reshape(n, -1).double()
            v, mean = ridge.rotate(y, split)
            # Rows are the innermost axis, over which the squares are summed.
            residual = (v.T @ residual_of).view(k, -1, len(grid), len(v) + 1)
            fits = torch.linalg.vector_norm(residual, dim=-1)
            v, mean = v.view(len(v), k, -1), mean.view(1, k, -1)
            if k > 1:
                whole = torch.linalg.vector_norm(residual.mean(0, keepdim=True), dim=-1)
                fits = torch.cat([fits, whole])
                v = torch.cat([v, v.mean(1, keepdim=True)], 1)
                mean = torch.cat([mean, mean.mean(1, keepdim=True)], 1)
            alpha = grid[fits.argmin(-1)]
            prediction = ridge.predict(v.flatten(1), mean.flatten(1), alpha.flatten(), split)
            yield split, piece, prediction.view(len(prediction), *alpha.shape).transpose(0, 1)
