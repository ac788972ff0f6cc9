"""One pass over the stimuli gives every layer, pooled in every way that a benchmark asks for."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from jaxtyping import Bool, Float
from rich.progress import Progress
from torch import Tensor, distributed

from datamodules.stimuli import StimulusSet
from models.encoder import Encoder, Frames, StoredFeatures

T = TypeVar("T")
Pooling = Literal["mean", "mean_std", "quarters", "frames", "coarse_frames"]
FRAMES = ("frames", "coarse_frames")
"""Poolings that keep frames: as they are, or means of neighbours, about twenty a second."""
COARSE = 0.05


@dataclass(frozen=True)
class Features:
    """Features of one layer for all stimuli of a set, in stimulus order, on the CPU.

    Parameters
    ----------
    values : tensor of shape (stimuli, dim), or (stimuli, frames, dim) where frames are kept
    lengths : tensor of shape (stimuli,), optional
        Valid frames, where frames are kept.
    rate, offset : float, optional
        Frame rate (Hz) and centre of frame 0 (s), where frames are kept.
    """

    values: Tensor
    lengths: Tensor | None = None
    rate: float | None = None
    offset: float | None = None


def extract(
    encoder: Encoder | StoredFeatures,
    stimuli: StimulusSet,
    poolings: Iterable[Pooling],
    device: torch.device | str = "cpu",
    batch_seconds: float = 64.0,
    progress: Progress | None = None,
) -> dict[Pooling, dict[str, Features]]:
    """Features of every layer for every stimulus.

    Stimuli are sorted by length and batched up to ``batch_seconds`` of padded audio, the same
    batches whatever the number of processes: each rank encodes its share, and all ranks return
    the whole.

    Returns
    -------
    dict
        ``features[pooling][layer]``.
    """
    wanted = sorted(set(poolings))
    if isinstance(encoder, StoredFeatures):
        return _look_up(encoder, stimuli, wanted)
    try:
        share: list[_Part] | Exception = _encode_share(
            encoder, stimuli, wanted, device, batch_seconds, progress
        )
    except Exception as error:  # every rank must reach the gathering, or the others would wait
        share = _portable(error)
    parts: list[_Part] = []
    for outcome in gather_objects(share):
        if isinstance(outcome, Exception):
            raise outcome
        parts += outcome
    return {
        pooling: {name: _join(parts, pooling, name, len(stimuli)) for name in encoder.layers}
        for pooling in wanted
    }


def _portable(error: Exception) -> Exception:
    """The error, or its text where it cannot be sent to other ranks, which would wait for it."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _look_up(
    encoder: StoredFeatures, stimuli: StimulusSet, poolings: list[Pooling]
) -> dict[Pooling, dict[str, Features]]:
    """Stored vectors are taken as they are; stored frames are pooled like computed ones."""
    found = encoder.lookup(stimuli.ids)
    if set(FRAMES) & set(poolings) and any(isinstance(value, Tensor) for value in found.values()):
        raise ValueError(f"{encoder.name} holds one vector a stimulus, this benchmark needs frames")
    return {
        pooling: {
            layer: Features(value) if isinstance(value, Tensor) else _pool(value, pooling)
            for layer, value in found.items()
        }
        for pooling in poolings
    }


_Part = tuple[list[int], dict[Pooling, dict[str, Features]]]


def _encode_share(
    encoder: Encoder,
    stimuli: StimulusSet,
    poolings: list[Pooling],
    device: torch.device | str,
    batch_seconds: float,
    progress: Progress | None,
) -> list[_Part]:
    """This rank's batches: the stimuli of each, and their pooled features."""
    rank, world = _rank_and_world()
    mine = list(_batches(stimuli, encoder.sample_rate, batch_seconds))[rank::world]
    bar = progress.add_task(f"Encoding {stimuli.name}", total=len(mine)) if progress else None
    parts: list[_Part] = []
    for indices in mine:
        waveforms = [stimuli.waveform(i, encoder.sample_rate) for i in indices]
        lengths = torch.tensor([len(w) for w in waveforms])
        audio = torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True)
        frames = encoder.encode(audio.to(device), lengths.to(device))
        if tuple(frames) != tuple(encoder.layers):
            raise ValueError(
                f"encoder {encoder.name} promises layers {list(encoder.layers)} "
                f"but returned {list(frames)}"
            )
        parts.append((indices, {p: {k: _pool(v, p) for k, v in frames.items()} for p in poolings}))
        if progress and bar is not None:
            progress.advance(bar)
    if progress and bar is not None:
        progress.remove_task(bar)
    return parts


def gather_objects(value: T) -> list[T]:
    """The value of every rank, in rank order."""
    _, world = _rank_and_world()
    if world == 1:
        return [value]
    everything: list[T | None] = [None] * world
    distributed.all_gather_object(everything, value)
    return everything  # type: ignore[return-value]


def _rank_and_world() -> tuple[int, int]:
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def _batches(stimuli: StimulusSet, sample_rate: int, seconds: float) -> Iterator[list[int]]:
    lengths = [len(stimuli.waveform(i, sample_rate)) for i in range(len(stimuli))]
    order = sorted(range(len(stimuli)), key=lambda i: lengths[i])
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) + 1) * lengths[index] > seconds * sample_rate:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch


def _mean(values: Float[Tensor, "b n d"], valid: Bool[Tensor, "b n"]) -> Float[Tensor, "b d"]:
    weight = valid[..., None].to(values.dtype)
    return (values * weight).sum(1) / weight.sum(1).clamp_min(1)


def _mean_std(values: Tensor, valid: Tensor) -> Tensor:
    mean = _mean(values, valid)
    variance = _mean((values - mean[:, None]).square(), valid)
    return torch.cat([mean, variance.sqrt()], -1)


def _quarters(values: Tensor, valid: Tensor) -> Tensor:
    """Mean over each quarter of the clip, in order: what a mean loses of time."""
    count = valid.sum(1, keepdim=True)
    position = torch.arange(valid.shape[1], device=valid.device).expand_as(valid)
    means = []
    for quarter in range(4):
        first = (count * quarter) // 4
        last = torch.maximum((count * (quarter + 1)) // 4, first + 1)
        inside = (position >= first) & (position < last) & valid
        means.append(_mean(values, inside))
    return torch.cat(means, -1)


POOLED: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "mean": _mean,
    "mean_std": _mean_std,
    "quarters": _quarters,
}


def _pool(frames: Frames, pooling: Pooling) -> Features:
    if pooling not in POOLED and pooling not in FRAMES:
        raise ValueError(f"pooling {pooling!r}: expected one of {[*POOLED, *FRAMES]}")
    values = frames.values.float()
    position = torch.arange(values.shape[1], device=values.device)
    valid = position < frames.lengths[:, None].to(values.device)
    # What stands behind a clip's end may be anything, also not a number.
    values = values.masked_fill(~valid[..., None], 0.0)
    if pooling == "frames":
        return Features(values.cpu(), frames.lengths.cpu(), frames.rate, frames.offset)
    if pooling == "coarse_frames":
        return _coarse(values, valid, frames.rate, frames.offset)
    return Features(POOLED[pooling](values, valid).cpu())


def _coarse(values: Tensor, valid: Tensor, rate: float, offset: float) -> Features:
    """Means of as many neighbouring frames as make 50 ms; the last may be of fewer."""
    count = max(1, round(COARSE * rate))
    spare = -values.shape[1] % count
    parts = torch.nn.functional.pad(values, (0, 0, 0, spare)).unflatten(1, (-1, count))
    number = torch.nn.functional.pad(valid, (0, spare)).unflatten(1, (-1, count)).sum(2)
    means = parts.sum(2) / number.clamp_min(1)[..., None]
    centre = offset + (count - 1) / 2 / rate
    return Features(means.cpu(), (number > 0).sum(1).cpu(), rate / count, centre)


def _join(
    parts: list[_Part],
    pooling: Pooling,
    layer: str,
    n: int,
) -> Features:
    """Put the batches of one layer back into stimulus order."""
    pieces = [(torch.tensor(indices), features[pooling][layer]) for indices, features in parts]
    first = pieces[0][1]
    longest = max(piece.values.shape[1] for _, piece in pieces)
    shape = (n, longest, *first.values.shape[2:]) if pooling in FRAMES else (n, longest)
    values = torch.zeros(shape)
    lengths = torch.zeros(n, dtype=torch.long)
    for indices, piece in pieces:
        if pooling in FRAMES:
            values[indices, : piece.values.shape[1]] = piece.values
            lengths[indices] = piece.lengths.long()  # type: ignore[union-attr]
        else:
            values[indices] = piece.values
    if not torch.isfinite(values).all():
        raise ValueError(f"layer {layer} has features that are not finite")
    if pooling not in FRAMES:
        return Features(values)
    return Features(values, lengths, first.rate, first.offset)
