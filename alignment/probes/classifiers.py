"""Cheap classifiers for probes: nearest neighbours and ridge to one-hot labels."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from alignment.ridge import PIECE, loo_ridge


def knn(
    x_train: Float[Tensor, "n p"],
    labels: Int[Tensor, " n"],
    x_test: Float[Tensor, "m p"],
    classes: int,
    k: int = 10,
    temperature: float = 0.07,
) -> Int[Tensor, " m"]:
    """Class with the largest sum of ``exp(cosine / temperature)`` over the k nearest rows.

    Features are standardised with the training rows before the cosine is taken.
    """
    weight, rows = _nearest(x_train, x_test, k, temperature)
    votes = torch.zeros(len(x_test), classes, dtype=x_train.dtype, device=x_train.device)
    votes.scatter_add_(1, labels[rows], weight)
    return votes.argmax(-1)


def knn_shares(
    x_train: Float[Tensor, "n p"],
    labels: Bool[Tensor, "n c"],
    x_test: Float[Tensor, "m p"],
    k: int = 10,
    temperature: float = 0.07,
) -> Float[Tensor, "m c"]:
    """Share of the k nearest rows that has each label, between 0 and 1.

    ``sum_i w_i l_ic / sum_i w_i`` with ``w = exp(cosine / temperature)``, the weights of
    :func:`knn`, for rows that may have several labels.
    """
    weight, rows = _nearest(x_train, x_test, k, temperature)
    votes = torch.einsum("mk,mkc->mc", weight, labels[rows].to(weight.dtype))
    return votes / weight.sum(1, keepdim=True)


def _nearest(
    x_train: Float[Tensor, "n p"], x_test: Float[Tensor, "m p"], k: int, temperature: float
) -> tuple[Float[Tensor, "m k"], Int[Tensor, "m k"]]:
    """Weights and rows of the nearest training rows by cosine of standardised features.

    Test rows are compared a piece at a time, so that no more than 64 MB of cosines are held.
    """
    x_train, x_test = standardise(x_train, x_test)
    for rows in (x_train, x_test):
        rows /= rows.norm(dim=-1, keepdim=True).clamp_min(1e-12)
    k, step = min(k, len(x_train)), max(1, PIECE // len(x_train))
    near = [(some @ x_train.T).topk(k, dim=-1) for some in x_test.split(step)]
    values = torch.cat([found.values for found in near])
    return (values / temperature).exp(), torch.cat([found.indices for found in near])


def ridge_decisions(
    x_train: Float[Tensor, "n p"],
    labels: Bool[Tensor, "n c"],
    x_test: Float[Tensor, "m p"],
    alphas: Float[Tensor, " a"],
) -> Float[Tensor, "m c"]:
    """Outputs of a ridge regression to 0 and 1 of each label, one leave-one-out penalty for all."""
    x_train, x_test = standardise(x_train, x_test)
    return loo_ridge(x_train, labels.double(), x_test, alphas, shared=True).prediction


def standardise(
    x_train: Float[Tensor, "n p"], x_test: Float[Tensor, "m p"]
) -> tuple[Float[Tensor, "n p"], Float[Tensor, "m p"]]:
    """Both with the training rows' mean 0 and standard deviation 1; constant columns become 0."""
    mean, std = x_train.mean(0), x_train.std(0)
    scale = torch.where(std > 1e-8, 1 / std.clamp_min(1e-8), 0.0)
    return (x_train - mean).mul_(scale), (x_test - mean).mul_(scale)
