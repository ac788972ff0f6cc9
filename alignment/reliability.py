"""Reliability of repeated measurements, and scores corrected for it."""

from __future__ import annotations

from itertools import combinations

import torch
from jaxtyping import Float
from torch import Tensor

from alignment.inference import positive_r2
from alignment.rsa import pearson

RESPONSE_FLOOR, PREDICTION_FLOOR = 0.182, 0.183
"""r with p < .05 (one-sided) for the 83 training and the 82 test sounds."""


def spearman_brown(r: Float[Tensor, "*batch"], k: int | float) -> Float[Tensor, "*batch"]:
    """Reliability of the mean of ``k`` measurements, from ``r`` of one: ``k r / (1 + (k-1) r)``.

    Meant for r >= 0: below -1/(k - 1) the formula gives large positive numbers.
    """
    return k * r / (1 + (k - 1) * r)


def pair_reliability(scans: Float[Tensor, "*batch k n v"]) -> Float[Tensor, "*batch v"]:
    """Median over pairs of scans of the Pearson correlation over rows; NaN pairs are left out.

    A pair is NaN where a scan is constant or holds NaN; the result is NaN where all pairs are.
    """
    columns = scans.mT
    pairs = combinations(range(scans.shape[-3]), 2)
    r = torch.stack([pearson(columns[..., i, :, :], columns[..., j, :, :]) for i, j in pairs])
    return nanmedian(r, 0)


def nanmedian(x: Tensor, dim: int) -> Tensor:
    """Median over ``dim`` without NaN, the mean of the middle two of an even number."""
    return x.nanquantile(0.5, dim)


def noise_corrected_r2(
    prediction: Float[Tensor, "*batch k m v"],
    response: Float[Tensor, "*batch k m v"],
    mean_prediction: Float[Tensor, "*batch m v"] | None = None,
    response_reliability: Float[Tensor, "*batch v"] | None = None,
    floors: tuple[float, float] = (RESPONSE_FLOOR, PREDICTION_FLOOR),
    clip_negative: bool = True,
    square_negative: bool = False,
) -> Float[Tensor, "*batch v"]:
    """R² that a prediction would have, were responses and predictions free of noise.

    ``R²_c = R² / (rho_v rho_p)`` (Tuckute et al. 2023, Methods; Schoppe et al. 2016): R² is the
    squared positive correlation with the mean of the k scans; rho are Spearman-Brown corrected
    medians over pairs of scans of the correlation of responses (v) and of the predictions made
    from each scan alone (p), kept at or above ``floors``. Not clipped: it may exceed 1.

    Parameters
    ----------
    prediction : tensor of shape (…, k, m, v)
        Predictions of m test sounds by models that were fitted to each of the k scans.
    response : tensor of shape (…, k, m, v)
        Responses to these sounds in each scan.
    mean_prediction : tensor of shape (…, m, v), optional
        Predictions by the model of the mean over scans; by default the mean of ``prediction``.
    response_reliability : tensor of shape (…, v), optional
        rho_v, in the protocol that of the training sounds (:func:`reliability`); by default that
        of ``response``.
    floors : (float, float)
        Least rho_v and rho_p.
    clip_negative : bool
        Negative correlations of scans count as 0. False is the original, where r = -.6 gives
        rho = 9.
    square_negative : bool
        Square a negative correlation with the response instead of counting it as 0.
    """
    k = prediction.shape[-3]
    if k < 2:
        raise ValueError(f"{k} scan: a reliability needs at least two")
    mean = prediction.mean(-3) if mean_prediction is None else mean_prediction
    r2 = positive_r2(mean, response.mean(-3), square_negative)
    rho_v = response_reliability
    if rho_v is None:
        rho_v = reliability(response, floors[0], clip_negative)
    return r2 / (rho_v * reliability(prediction, floors[1], clip_negative))


def reliability(
    scans: Float[Tensor, "*batch k n v"], floor: float, clip_negative: bool = True
) -> Float[Tensor, "*batch v"]:
    """Spearman-Brown corrected reliability of the mean over scans, at least ``floor``."""
    r = pair_reliability(scans)
    if clip_negative:
        r = r.clamp_min(0)
    return spearman_brown(r, scans.shape[-3]).nan_to_num(floor).clamp_min(floor)
