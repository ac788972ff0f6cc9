"""Ridge regression with an exact leave-one-out choice of the penalty for every target."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


def penalties(log10: Sequence[int | float]) -> Float[Tensor, " a"]:
    """Penalties from ``10 ** low`` to ``10 ** high``, evenly spaced in their logarithm.

    Parameters
    ----------
    log10 : (low, high, steps)
    """
    low, high, steps = log10
    return torch.logspace(low, high, int(steps), dtype=torch.float64)


@dataclass(frozen=True)
class RidgeFit:
    """Predictions for the test rows and the penalty chosen for each target."""

    prediction: Float[Tensor, "*batch m v"]
    alpha: Float[Tensor, "*batch v"]


def loo_ridge(
    x_train: Float[Tensor, "*batch n p"],
    y_train: Float[Tensor, "*batch n v"],
    x_test: Float[Tensor, "*batch m p"],
    alphas: Float[Tensor, " a"],
    shared: bool = False,
) -> RidgeFit:
    """Ridge with intercept; the penalty minimises the exact leave-one-out squared error.

    ``min_b ||y - ybar - (X - xbar) b||² + alpha ||b||²`` for every alpha. With the centred
    kernel ``K = U S U'``, ``V = U'(y - ybar)`` and ``w = alpha / (S + alpha)`` the residual of
    row i, had it been left out, is ``e_i = (U (w V))_i / ((U∘U) w)_i`` over all eigenvectors but
    the constant one, so that no refit is made: the criterion of Tuckute et al. 2023 (PLoS Biol
    21(12) e3002366), for all targets and penalties at once. The smaller of the n x n and p x p
    decompositions is taken, in float64. Ties go to the larger penalty. Beside the inputs, one
    more array of the size of the features is held, and pieces of rows (64 MB each).

    Parameters
    ----------
    x_train : tensor of shape (…, n, p)
    y_train : tensor of shape (…, n, v)
    x_test : tensor of shape (…, m, p)
    alphas : tensor of shape (a,)
        Positive penalties, in any order.
    shared : bool
        One penalty for all targets (the one with the smallest error summed over targets).

    Returns
    -------
    RidgeFit
        prediction of shape (…, m, v) and alpha of shape (…, v), in the dtype of ``y_train``.
    """
    if x_train.shape[-2] != y_train.shape[-2]:
        raise ValueError(
            f"{x_train.shape[-2]} feature rows but {y_train.shape[-2]} response rows: "
            "check that both follow the order of the stimuli"
        )
    if not bool((alphas > 0).all()):
        raise ValueError(f"penalties must be positive, got {alphas.min().item()}")
    x, y = x_train.double(), y_train.double()
    x_mean, y_mean = x.mean(-2, keepdim=True), y.mean(-2, keepdim=True)
    x = x - x_mean
    basis = _decompose(x, y - y_mean, x_test.double() - x_mean)
    grid = alphas.double().sort(descending=True).values.to(y.device)
    error = basis.loo_errors(grid)
    if shared:
        error = error.sum(-1, keepdim=True).expand_as(error)
    alpha = grid[error.argmin(0)]
    coefficients = basis.v / (basis.s[..., None] + alpha[..., None, :])
    prediction = y_mean + basis.test @ coefficients
    return RidgeFit(prediction.to(y_train.dtype), alpha.to(y_train.dtype))


def crossvalidated_prediction(
    x: Float[Tensor, "n p"],
    y: Float[Tensor, "m v"],
    folds: Int[Tensor, " m"],
    alphas: Float[Tensor, " a"],
) -> Float[Tensor, "m v"]:
    """Prediction of every row of ``y`` by :func:`loo_ridge` fitted without the row's fold."""
    if len(x) != len(y):
        raise ValueError(
            f"{len(x)} feature rows but {len(y)} response rows: check the stimulus order"
        )
    prediction = torch.empty_like(y)
    for fold in folds.unique():
        test = folds == fold
        prediction[test] = loo_ridge(x[~test], y[~test], x[test], alphas).prediction
    return prediction


PIECE = 2**23
"""Numbers in a piece of rows: 64 MB."""


@dataclass(frozen=True)
class _Basis:
    """Eigenvectors u, eigenvalues s and rotated responses v of the centred kernel.

    ``rest`` is the part of y outside of u, where there may be one; the diagonal of the projection
    outside of u, ``spare``, is then the rest of ``1 - 1 / n``.
    """

    u: Tensor
    s: Tensor
    v: Tensor
    rest: Tensor | None
    test: Tensor

    def loo_errors(self, alphas: Tensor) -> Tensor:
        """Mean squared leave-one-out residual by penalty and target, shape (a, …, v)."""
        n = self.u.shape[-2]
        weights = [alpha / (self.s + alpha) for alpha in alphas]
        total = [torch.zeros_like(self.v[..., 0, :]) for _ in weights]
        for rows in _pieces(self.u, self.v):
            u = self.u[..., rows, :]
            squares = u.square()
            spare: Tensor | float = 0.0
            if self.rest is not None:
                spare = (1 - 1 / n - squares.sum(-1, keepdim=True)).clamp_min(1e-12)
            for k, w in enumerate(weights):
                residual = u @ (w[..., None] * self.v)
                if self.rest is not None:
                    residual += self.rest[..., rows, :]
                residual /= (squares @ w[..., None]) + spare
                total[k] += residual.square_().sum(-2)
        return torch.stack(total) / n


def _pieces(*arrays: Tensor) -> Iterator[slice]:
    """Slices of rows, of which none of the arrays (…, n, ·) has more than ``PIECE`` numbers."""
    n = arrays[0].shape[-2]
    widest = max(array.numel() // max(array.shape[-2], 1) for array in arrays)
    step = max(1, PIECE // max(widest, 1))
    return (slice(first, min(first + step, n)) for first in range(0, n, step))


def _decompose(x: Tensor, y: Tensor, x_test: Tensor) -> _Basis:
    """Of centred rows; ``x`` is written over."""
    n, p = x.shape[-2:]
    if p < n - 1:
        return _decompose_features(x, y, x_test)
    kernel = x @ x.mT
    # The constant vector becomes the eigenvector of the largest eigenvalue, and is left out.
    lift = 2 * kernel.diagonal(dim1=-2, dim2=-1).sum(-1) + 1
    s, u = torch.linalg.eigh(kernel + (lift / n)[..., None, None])
    s, u = s[..., :-1], u[..., :-1]
    # Directions without variance predict nothing; rounding would, at vanishing penalties.
    kept = s > s[..., -1:].clamp_min(1e-300) * 1e-12
    few = x_test.shape[-2] < p  # the order with fewer products
    rotated = (x_test @ x.mT) @ u if few else x_test @ (x.mT @ u)
    test = torch.where(kept[..., None, :], rotated, 0.0)
    return _Basis(u, torch.where(kept, s, 0.0), u.mT @ y, None, test)


def _decompose_features(x: Tensor, y: Tensor, x_test: Tensor) -> _Basis:
    s, axes = torch.linalg.eigh(x.mT @ x)
    s = s.clamp_min(0)
    # Directions without variance carry nothing: their eigenvectors in row space are undefined.
    kept = s > s[..., -1:] * 1e-13
    root = torch.where(kept, s, 1.0).sqrt()
    for rows in _pieces(x):
        u = (x[..., rows, :] @ axes) / root[..., None, :]
        x[..., rows, :] = torch.where(kept[..., None, :], u, 0.0)
    v = x.mT @ y
    return _Basis(x, s, v, y - x @ v, (x_test @ axes) * root[..., None, :])
