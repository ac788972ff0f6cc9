"""Where curves over layers are highest."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from alignment.inference import unit_counts


@dataclass(frozen=True)
class Peak:
    """Where a curve over layers is highest.

    Attributes
    ----------
    depth : float
        From 0, the first layer, to 1, the last; the mean of them where several layers tie.
    tied : bool
        More than one layer is as high, so that the depth says little.
    flat : bool
        All layers are, so that it says nothing.
    """

    depth: float
    tied: bool
    flat: bool


def peak_depth(curves: Float[Tensor, "*units layers"], tolerance: float = 0.0) -> Peak:
    """Relative depth ``l / (layers - 1)`` of the highest layer of the mean curve over units.

    Parameters
    ----------
    curves : tensor of shape (units…, layers)
        Scores of subjects, or of subjects and sentences.
    tolerance : float
        Layers this close to the highest count as tied; rounding always does.
    """
    _check_curves(curves)
    mean = curves.double().flatten(0, -2).mean(0)
    highest = _highest(mean, tolerance)
    count = int(highest.sum())
    return Peak(float(_depth(highest)), tied=count > 1, flat=count == len(mean))


def peak_draws(
    curves: Float[Tensor, "*units layers"], n: int = 2000, seed: int = 0, tolerance: float = 0.0
) -> Float[Tensor, " n"]:
    """Relative depth of the peak of the mean over units drawn with replacement.

    The same units are drawn for curves of the same units and the same seed.

    Raises
    ------
    ValueError
        For fewer than two units on every axis.
    """
    units = curves.shape[:-1]
    if max(units) < 2:
        raise ValueError(f"{max(units)} unit: a bootstrap needs two or more")
    weights = [unit_counts(size, n, seed + axis) / size for axis, size in enumerate(units)]
    return _depth(_highest(_means(curves.cpu().double(), weights), tolerance))


def _check_curves(curves: Tensor) -> None:
    if curves.ndim < 2 or bool(curves.isnan().any()):
        raise ValueError(
            f"curves of shape {tuple(curves.shape)}: expected (units, layers), without NaN"
        )


def _highest(curves: Float[Tensor, "*n layers"], tolerance: float) -> Tensor:
    """Which layers of each curve are as high as its highest."""
    slack = tolerance + 1e-12 * curves.abs().amax(-1, keepdim=True)
    return curves >= curves.amax(-1, keepdim=True) - slack


def _depth(highest: Tensor) -> Tensor:
    depth = torch.linspace(0, 1, highest.shape[-1], dtype=torch.float64, device=highest.device)
    return (highest * depth).sum(-1) / highest.sum(-1)


def _means(curves: Tensor, weights: list[Tensor]) -> Float[Tensor, "n layers"]:
    """Mean curve of each draw, one unit axis after the other."""
    means = torch.tensordot(weights[0], curves, 1)
    for weight in weights[1:]:
        means = torch.einsum("nu,nu...->n...", weight, means)
    return means
