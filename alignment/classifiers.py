"""Cheap classifiers for probes: nearest neighbours and ridge to one-hot labels."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alignment.ridge import loo_ridge


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
    x_train, x_test = standardise(x_train, x_test)
    unit = torch.nn.functional.normalize
    similarity = unit(x_test, dim=-1) @ unit(x_train, dim=-1).T
    near = similarity.topk(min(k, len(x_train)), dim=-1)
    votes = torch.zeros(len(x_test), classes, dtype=x_train.dtype, device=x_train.device)
    votes.scatter_add_(1, labels[near.indices], (near.values / temperature).exp())
    return votes.argmax(-1)


def ridge_classifier(
    x_train: Float[Tensor, "n p"],
    labels: Int[Tensor, " n"],
    x_test: Float[Tensor, "m p"],
    classes: int,
    alphas: Float[Tensor, " a"],
) -> Int[Tensor, " m"]:
    """Largest output of a ridge regression to one-hot labels, one leave-one-out penalty for all."""
    x_train, x_test = standardise(x_train, x_test)
    onehot = torch.nn.functional.one_hot(labels, classes).double()
    return loo_ridge(x_train, onehot, x_test, alphas, shared=True).prediction.argmax(-1)


def standardise(
    x_train: Float[Tensor, "n p"], x_test: Float[Tensor, "m p"]
) -> tuple[Float[Tensor, "n p"], Float[Tensor, "m p"]]:
    """Both with the training rows' mean 0 and standard deviation 1; constant columns become 0."""
    mean, std = x_train.mean(0), x_train.std(0)
    scale = torch.where(std > 1e-8, 1 / std.clamp_min(1e-8), 0.0)
    return (x_train - mean) * scale, (x_test - mean) * scale
