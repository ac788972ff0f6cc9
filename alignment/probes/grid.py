"""What probes are to be trained: settings of the grid, budget, splits and members."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

from jaxtyping import Int
from torch import Tensor

from alignment.probes.stack import Init


@dataclass(frozen=True)
class Setting:
    """One point of the grid.

    Attributes
    ----------
    lr : float
        Adam's learning rate.
    hidden : tuple of int
        Width of each hidden layer.
    init : {"uniform", "normal"}
        Xavier initialisation from either distribution.
    dropout : float
    """

    lr: float
    hidden: tuple[int, ...] = (1024,)
    init: Init = "uniform"
    dropout: float = 0.1


def grid(
    widths: Sequence[tuple[int, ...]] = ((1024,), (1024, 1024)),
    rates: Sequence[float] = (3.2e-3, 1e-3, 3.2e-4, 1e-4),
    inits: Sequence[Init] = ("uniform", "normal"),
    dropout: float = 0.1,
) -> tuple[Setting, ...]:
    """Every combination; the default is the 16 settings of HEAR and of arXiv 2511.16849."""
    return tuple(Setting(lr, w, init, dropout) for w, lr, init in product(widths, rates, inits))


@dataclass(frozen=True)
class Budget:
    """How long a probe is trained; the default is that of arXiv 2511.16849.

    Attributes
    ----------
    epochs : int
        At most.
    patience : int
        Checks without a better validation score after which training stops.
    check_every : int
        Epochs between two checks.
    batch_size : int
        Rows that fit one batch are not shuffled; a last batch of a single row is left out.
    """

    epochs: int = 200
    patience: int = 20
    check_every: int = 1
    batch_size: int = 1024


STOCK_HEAR = Budget(epochs=500, patience=20, check_every=3)


@dataclass(frozen=True, eq=False)
class Split:
    """Rows that train a probe and rows that decide when it stops."""

    train: Int[Tensor, " train"]
    valid: Int[Tensor, " valid"]


@dataclass(frozen=True)
class Member:
    """One probe to train: a setting on a split from a seed, on one layer or on a learned mix.

    Attributes
    ----------
    setting : Setting
    split : int
        Place in the list of splits.
    seed : int
        Gives initial weights, order of rows and dropout, each from a stream of its own; members
        with one seed share them, so settings and layers are compared under the same draws.
    layer : int, optional
        None mixes all layers, ``Σ |v_l| x_l / Σ |v_l|`` with v learned from 1.
    """

    setting: Setting
    split: int = 0
    seed: int = 0
    layer: int | None = None
