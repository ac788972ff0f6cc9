"""Frames of features at the times of a response, and their principal components."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from evaluation.features import Features


def require_frames(features: Mapping[str, Features]) -> None:
    """Refuse layers that have one frame for a whole sound.

    Raises
    ------
    ValueError
    """
    for layer, feature in features.items():
        if feature.values.shape[1] < 2:
            raise ValueError(
                f"layer {layer} has one frame for a whole sound, but alignment in time needs "
                "frames: use encoder=logmel_frames, cochleagram or envelope"
            )


def bin_weights(centres: Tensor, times: Tensor, step: float) -> Float[Tensor, "times frames"]:
    """Weights that average the frames whose centre lies within half a step of each time.

    Where frames are sparser than times, the nearest frame is taken.
    """
    away = (centres - times[:, None]).abs()
    weight = (away <= step / 2 + 1e-9).double()
    empty = weight.sum(1) == 0
    weight[empty, away[empty].argmin(1)] = 1
    return weight / weight.sum(1, keepdim=True)


def frames_at(feature: Features, rate: float) -> list[Tensor]:
    """Frames of every stimulus at times 0, 1 / rate, …, as long as frames reach.

    Parameters
    ----------
    feature : Features
        With frames.
    rate : float
        Hz.

    Returns
    -------
    list of tensors of shape (times, dim), float64
    """
    assert feature.lengths is not None
    assert feature.rate is not None
    assert feature.offset is not None
    found = []
    for values, length in zip(feature.values, feature.lengths.tolist(), strict=True):
        centres = torch.arange(length, dtype=torch.float64) / feature.rate + feature.offset
        reach = float(centres[-1]) + 0.5 / feature.rate
        times = torch.arange(math.ceil(reach * rate - 1e-6), dtype=torch.float64) / rate
        found.append(bin_weights(centres, times, 1 / rate) @ values[:length].double())
    return found


def reduce_components(
    series: Sequence[Float[Tensor, "_ p"]],
    folds: Int[Tensor, " n"],
    components: int,
    fit_on: Sequence[Float[Tensor, "_ p"]] | None = None,
) -> list[Tensor]:
    """Principal components of every sentence's frames, fitted on the sentences of other folds.

    Columns have mean 0 and variance 1 over the frames that they were fitted on. As many as there
    are, where frames have fewer dimensions; sentences keep one number of columns.

    Parameters
    ----------
    fit_on : sequence of tensors of shape (t, p), optional
        Frames that the components are fitted on, of the same sentences; ``series`` by default.
    """
    sums = [_moments(x) for x in (series if fit_on is None else fit_on)]
    found: list[Tensor] = [series[0]] * len(series)
    count = min(components, series[0].shape[1])
    for fold in folds.unique():
        rest = [s for s, own in zip(sums, folds == fold, strict=True) if not own]
        if not rest:
            raise ValueError("components are fitted on other folds: there is only one fold")
        n, total, square = (sum(parts) for parts in zip(*rest, strict=True))
        mean = total / n
        s, axes = torch.linalg.eigh(square / n - torch.outer(mean, mean))
        s, axes = s.flip(0)[:count], axes.flip(1)[:, :count]
        scale = torch.where(s > s[0] * 1e-10, s.clamp_min(1e-300).rsqrt(), 0.0)
        for i in (folds == fold).nonzero().flatten().tolist():
            found[i] = (series[i] - mean) @ axes * scale
    return found


def _moments(x: Tensor) -> tuple[int, Tensor, Tensor]:
    return len(x), x.sum(0), x.T @ x
