"""How far curves over layers, subjects and halves of the data agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from alignment.inference import unit_counts
from alignment.reliability import spearman_brown
from alignment.rsa import compare, pearson, ranks


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


@dataclass(frozen=True)
class PeakDifference:
    """How much deeper one curve peaks than another, with a bootstrap interval.

    Attributes
    ----------
    difference, low, high : float
        Relative depth of the peak of a minus that of b, and its percentile interval.
    draws : tensor of shape (n,)
    a, b : Peak
        Of the means over all units; look at ``tied`` and ``flat``.
    """

    difference: float
    low: float
    high: float
    draws: Float[Tensor, " n"]
    a: Peak
    b: Peak


@dataclass(frozen=True)
class Ceiling:
    """The range in which the best possible model would score (Nili et al. 2014)."""

    lower: Float[Tensor, "..."]
    upper: Float[Tensor, "..."]


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


def bootstrap_peak_difference(
    curves_a: Float[Tensor, "*units layers"],
    curves_b: Float[Tensor, "*units other_layers"],
    n: int = 2000,
    seed: int = 0,
    level: float = 0.95,
    tolerance: float = 0.0,
) -> PeakDifference:
    """Do two curves over layers peak at different relative depths?

    Each draw takes the same units of both curves, with replacement, and compares the peaks of
    the two means.

    Parameters
    ----------
    curves_a, curves_b : tensor of shape (units…, layers)
        With several unit axes, such as subjects and sentences, each is drawn from by itself. The
        numbers of layers may differ.

    Raises
    ------
    ValueError
        For a curve that holds NaN, or fewer than two units on every axis.
    """
    peaks = peak_depth(curves_a, tolerance), peak_depth(curves_b, tolerance)
    draws = peak_draws(curves_a, n, seed, tolerance) - peak_draws(curves_b, n, seed, tolerance)
    tails = torch.tensor([(1 - level) / 2, (1 + level) / 2], dtype=draws.dtype)
    low, high = draws.quantile(tails).tolist()
    return PeakDifference(peaks[0].depth - peaks[1].depth, low, high, draws, *peaks)


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


def intersubject_ceiling(
    values: Float[Tensor, "*batch subjects k"],
    method: Literal["pearson", "spearman"] = "pearson",
) -> Ceiling:
    """Noise ceiling of a model of the values that all subjects share (Nili et al. 2014).

    ``lower = mean_s corr(d_s, mean_{s' != s} d_s')``, ``upper = mean_s corr(d_s, mean_s' d_s')``,
    each subject's d (dissimilarities, or a time course) z-scored first. The lower bound is
    honest, the upper fits the subjects to themselves.

    Parameters
    ----------
    method : str
        ``spearman`` takes ranks before the z-scores, and compares with the ranks of their mean.

    Returns
    -------
    Ceiling
        Tensors of shape (…); NaN where a subject's values are constant.
    """
    subjects = values.shape[-2]
    if subjects < 2:
        raise ValueError(f"{subjects} subject: a ceiling over subjects needs two or more")
    d = ranks(values) if method == "spearman" else values
    d = (d - d.mean(-1, keepdim=True)) / d.std(-1, keepdim=True)
    total = d.sum(-2, keepdim=True)
    lower = compare(d, total - d, method).mean(-1)
    return Ceiling(lower, compare(d, total.expand_as(d), method).mean(-1))


def split_half_reliability(
    values: Float[Tensor, "*batch units k"], n_splits: int = 100, seed: int = 0
) -> Float[Tensor, "*batch"]:
    """Reliability of the mean over units (subjects, trials), from random halves of them.

    ``2 r / (1 + r)`` (Spearman-Brown), r the mean over splits of the correlation, over the k
    values, between the means of the two halves. The correction comes after the mean since it is
    steep for negative r. Of an odd number of units one is left out of each split.
    """
    units = values.shape[-2]
    if units < 2:
        raise ValueError(f"{units} unit: halves need two or more")
    generator = torch.Generator().manual_seed(seed)
    half = units // 2
    r = []
    for _ in range(n_splits):
        order = torch.randperm(units, generator=generator).to(values.device)
        first, second = values[..., order[:half], :], values[..., order[half : 2 * half], :]
        r.append(pearson(first.mean(-2), second.mean(-2)))
    return spearman_brown(torch.stack(r).mean(0), 2)


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
