"""Gap masking: runs of frames are hidden until an exact share of each clip is masked."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def gap_mask(
    lengths: Int[Tensor, " batch"],
    frames: int,
    share: float = 0.5,
    gap: int = 15,
    generator: torch.Generator | None = None,
) -> Bool[Tensor, "batch frames"]:
    """Mask exactly ``floor(share * length)`` frames of each clip, in gaps of ``gap`` frames.

    The distribution of EnCodecMAE's sequential sampler (habla-liaa/encodecmae, ``Masker``),
    drawn for the whole batch at once on the generator's device. Starts are uniform over
    ``0 … max(0, length - gap)``; gaps are added, overlapping as they fall, until the count is
    reached; what is masked too much is taken back from the beginning of the first drawn gap
    whose start lies before ``longest - gap``.

    Instead of counting after each draw, every frame gets the index of the first draw that
    covers it; the draw at which the count is reached is then an order statistic of those
    indices. Draws past the expected need are followed by a sweep over the whole clip, so that
    the count is always reached without asking the device.

    Parameters
    ----------
    lengths : tensor of shape (batch,)
        Valid frames of each clip; frames past them are never masked.
    frames : int
        Frames of the padded batch.
    share : float
        Share of the valid frames to mask, in [0, 1).
    gap : int
        Frames of one gap.
    generator : torch.Generator, optional
        On the device where the mask is wanted.

    Returns
    -------
    mask : bool tensor of shape (batch, frames)
        True where a frame is masked.
    """
    if not 0 <= share < 1:
        raise ValueError(f"share of masked frames is {share}, expected 0 <= share < 1")
    device = generator.device if generator is not None else lengths.device
    lengths = lengths.to(device)
    batch = len(lengths)
    latest = (lengths - gap).clamp_min(0)
    # On average -ln(1 - share) * frames / gap gaps are needed, hardly ever four times that.
    draws = 16 + math.ceil(-4 * math.log1p(-share) * frames / gap)
    uniform = torch.rand(batch, draws, generator=generator, device=device)
    drawn = (uniform * (latest + 1)[:, None]).long().minimum(latest[:, None])
    sweep = torch.arange(0, frames, gap, device=device).expand(batch, -1)
    starts = torch.cat([drawn, sweep], 1)

    position = torch.arange(frames, device=device)
    valid = position < lengths[:, None]
    order = _first_cover(starts, position, gap).masked_fill(~valid, starts.shape[1])
    wanted = (lengths.double() * share).floor().long()  # as int(length * share) in Python
    ranked = order.sort(1).values
    last = ranked.gather(1, (wanted - 1).clamp_min(0)[:, None])
    mask = (order <= last) & valid & (wanted > 0)[:, None]

    excess = mask.sum(1) - wanted
    used = torch.arange(starts.shape[1], device=device) <= last
    trimmable = used & (starts < (lengths.max() - gap))
    chosen = torch.where(trimmable.any(1), trimmable.int().argmax(1), 0)
    begin = starts.gather(1, chosen[:, None])
    trim = (position >= begin) & (position < begin + excess[:, None])
    return mask & ~trim


def _first_cover(
    starts: Int[Tensor, "batch draws"], position: Int[Tensor, " frames"], gap: int
) -> Int[Tensor, "batch frames"]:
    """Index of the first draw whose gap covers each frame (``draws`` where none does)."""
    after = position - starts[:, :, None]
    covered = (after >= 0) & (after < gap)
    return torch.where(covered.any(1), covered.int().argmax(1), starts.shape[1])
