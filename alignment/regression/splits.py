"""Random halves of stimuli, drawn as the published protocols draw them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor


@dataclass(frozen=True)
class Splits:
    """Row numbers of the training and test stimuli of every split."""

    train: Int[Tensor, "splits a"]
    test: Int[Tensor, "splits b"]


def random_halves(n: int = 165, n_splits: int = 10, seed: int = 0) -> Splits:
    """``n_splits`` random halves; the larger one trains (83 of 165, 82 test).

    NumPy's legacy generator, seeded once; each split draws the training rows and then the test
    rows without replacement (Tuckute et al. 2023). In the published run split 0 draws 45, 51,
    108, 7, 73, 62 first.
    """
    if n < 4:
        raise ValueError(f"{n} stimuli cannot be halved into training and test")
    generator = np.random.RandomState(seed)
    half, train, test = (n + 1) // 2, [], []
    for _ in range(n_splits):
        chosen = generator.choice(n, half, replace=False)
        rest = np.setdiff1d(np.arange(n), chosen)
        train.append(chosen)
        test.append(generator.choice(rest, n - half, replace=False))
    return Splits(torch.from_numpy(np.stack(train)), torch.from_numpy(np.stack(test)))
