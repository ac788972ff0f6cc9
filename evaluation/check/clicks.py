"""When the frames of a layer are, measured with short bursts of noise at known times."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import theilslopes
from torch import Tensor

from models.encoder import Encoder

BURST, LEVEL, FLOOR = 0.005, 0.1, 0.05
"""Seconds and amplitude of a burst, and amplitude of the noise whose place it takes.

So little louder that what is normalised by the loudness of the clip does not change elsewhere.
"""
SECONDS = (3.0, 10.0)
FRAMES = 20
"""Clips are long enough for so many frames of the slowest layer, within ``SECONDS``."""


@dataclass(frozen=True)
class Timing:
    """Where one layer hears bursts.

    Parameters
    ----------
    rate : float
        Frames per second along which bursts are heard (Hz).
    offset : float
        Centre of frame 0 (s) at the rate that the encoder says it has.
    scatter : float
        Typical distance from the line (s).
    span : float
        Frames between the first and the last burst.
    """

    rate: float
    offset: float
    scatter: float
    span: float


@torch.no_grad()
def timings(
    encoder: Encoder, slowest: float, device: torch.device | str = "cpu", count: int = 24
) -> dict[str, Timing | None]:
    """The timing of every layer; None where a clip has too few frames to tell.

    The same noise is encoded with and without a burst at each of ``count`` times. A burst is
    heard in the frame whose features change most. A line through frames and times, by the median
    of the slopes between all pairs (Theil 1950), gives the rate, and the median distance from the
    line of the said rate the offset.

    Parameters
    ----------
    slowest : float
        Lowest rate among the layers (Hz).
    """
    rate = encoder.sample_rate
    seconds = min(max(SECONDS[0], FRAMES / slowest), SECONDS[1])
    samples = round(seconds * rate)
    random = np.random.default_rng(0)
    starts = np.sort(random.uniform(0.15, 0.85, count)) * samples
    noise = FLOOR * random.standard_normal(samples)
    burst = LEVEL * random.standard_normal(max(1, round(BURST * rate)))
    plain = _encode(encoder, noise, device)
    heard: dict[str, list[float]] = {layer: [] for layer in encoder.layers}
    for start in starts.astype(int):
        clip = noise.copy()
        clip[start : start + len(burst)] = burst
        for layer, values in _encode(encoder, clip, device).items():
            heard[layer].append(_place((values - plain[layer]).norm(dim=1)))
    times = starts.astype(int) / rate + BURST / 2
    said = encoder.encode(*_batch(noise, device))
    return {
        layer: _line(np.array(frames), times, said[layer].rate) if len(plain[layer]) >= 8 else None
        for layer, frames in heard.items()
    }


def _encode(encoder: Encoder, clip: np.ndarray, device: torch.device | str) -> dict[str, Tensor]:
    found = encoder.encode(*_batch(clip, device))
    return {k: f.values[0, : int(f.lengths[0])].float().cpu() for k, f in found.items()}


def _batch(clip: np.ndarray, device: torch.device | str) -> tuple[Tensor, Tensor]:
    audio = torch.from_numpy(clip.astype(np.float32))[None].to(device)
    return audio, torch.tensor([audio.shape[1]], device=device)


def _place(change: Float[Tensor, " frames"]) -> float:
    """Centre of the peak of a change, between frames where it has two sides."""
    top = int(change.argmax())
    near = slice(max(0, top - 1), top + 2)
    weight = change[near].double().square()
    where = torch.arange(near.start, near.start + len(weight))
    total = float(weight.sum())
    return float((weight * where).sum()) / total if total > 0 else math.nan


def _line(frames: np.ndarray, times: np.ndarray, said_rate: float) -> Timing | None:
    if not np.isfinite(frames).all() or np.ptp(frames) == 0:
        return None
    slope, start = (float(value) for value in theilslopes(times, frames)[:2])
    offset = float(np.median(times - frames / said_rate))
    scatter = float(np.median(np.abs(times - start - slope * frames)))
    return Timing(1 / slope if slope else math.inf, offset, scatter, float(np.ptp(frames)))
