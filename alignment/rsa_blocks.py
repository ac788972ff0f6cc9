"""Similarity analysis with the layer chosen on pairs of stimuli outside of the scored ones."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alignment.rsa import compare


def heldout_rdms(
    models: Float[Tensor, "layers pairs"],
    brains: Float[Tensor, "participants pairs"],
    folds: Int[Tensor, " n"],
    faithful: bool = False,
) -> Float[Tensor, "participants pairs"]:
    """For every participant, dissimilarities of layers that were chosen on other stimuli.

    For two folds (the same one twice, too) the layer with the largest Spearman correlation over
    the training pairs gives the held-out pairs; one Spearman correlation over all of them is the
    participant's score (Pepino et al. 2025).

    Parameters
    ----------
    models, brains : tensors of shape (…, n (n - 1) / 2)
        Dissimilarities, upper triangle row by row.
    folds : tensor of shape (n,)
    faithful : bool
        False: training pairs hold no stimulus of either fold, and the pairs between the two
        folds are written. True, as in the original code: training pairs are those whose first
        stimulus is not in fold i and whose second is not in fold j; every step (i, j) rewrites
        all rows of i and all columns of j, so that the last step that touches a pair decides.
    """
    names = folds.unique().tolist()
    if len(names) < 3:
        raise ValueError(f"{len(names)} folds: choosing a layer outside of two needs three")
    n = len(folds)
    row, column = torch.triu_indices(n, n, 1, device=models.device)
    first, second = folds[row], folds[column]
    assembled = torch.zeros_like(brains)
    for a, i in enumerate(names):
        for j in names[a:]:
            if faithful:
                train = (first != i) & (second != j)
                held = (first == i) | (second == j)
            else:
                train = ~((first == i) | (first == j) | (second == i) | (second == j))
                held = ((first == i) & (second == j)) | ((first == j) & (second == i))
            score = compare(models[:, None, train], brains[None, :, train])
            best = score.nan_to_num(-2.0).argmax(0)
            assembled[:, held] = models[best][:, held]
    return assembled
