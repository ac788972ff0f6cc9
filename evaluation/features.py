"""One pass over the stimuli gives every layer, pooled in every way that a benchmark asks for."""

from __future__ import annotations

import math
import pickle
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from rich.progress import Progress
from torch import Tensor

from datamodules.stimuli import StimulusSet
from evaluation.memory import Halving
from evaluation.pooling import (
    FRAMES,
    Allocate,
    Collected,
    Features,
    Part,
    Pooling,
    in_memory,
    pool,
)
from evaluation.processes import gather_objects, rank_and_world
from models.encoder import Encoder, Frames, StoredFeatures


def extract(
    encoder: Encoder | StoredFeatures,
    stimuli: StimulusSet,
    poolings: Iterable[Pooling],
    device: torch.device | str = "cpu",
    batch_seconds: float = 64.0,
    progress: Progress | None = None,
    allocate: Allocate = in_memory,
) -> dict[Pooling, dict[str, Features]]:
    """Features of every layer for every stimulus.

    Stimuli are sorted by length and batched up to ``batch_seconds`` of padded audio, the same
    batches whatever the number of processes: each rank encodes its share, and all ranks return
    the whole. A batch that is too much for the memory is halved. Vectors go into one array a
    pooling and layer, made by ``allocate``, so that no more than these and one batch are held.

    Returns
    -------
    dict
        ``features[pooling][layer]``.

    Raises
    ------
    ValueError
        Where a feature is not finite: names the layer and the stimulus.
    """
    wanted = sorted(set(poolings))
    if isinstance(encoder, StoredFeatures):
        return _look_up(encoder, stimuli, wanted)
    collected = Collected(stimuli.ids, encoder.layers, wanted, allocate)
    try:
        _encode_share(encoder, stimuli, collected, device, batch_seconds, progress)
        share: Part | Exception | None = collected.part() if rank_and_world()[1] > 1 else None
    except Exception as error:  # every rank must reach the gathering, or the others would wait
        share = _portable(error)
    for outcome in gather_objects(share):
        if isinstance(outcome, Exception):
            raise outcome
        if outcome is not None:
            collected.take(outcome)
    return {pooling: collected.features(pooling) for pooling in wanted}


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
            layer: Features(value) if isinstance(value, Tensor) else pool(value, pooling)
            for layer, value in found.items()
        }
        for pooling in poolings
    }


def _encode_share(
    encoder: Encoder,
    stimuli: StimulusSet,
    collected: Collected,
    device: torch.device | str,
    batch_seconds: float,
    progress: Progress | None,
) -> None:
    """Encode this rank's batches and collect their features."""
    rank, world = rank_and_world()
    rate = encoder.sample_rate
    with count_progress(progress, f"Measuring {stimuli.name}", len(stimuli)) as advance:
        lengths = []
        for index in range(len(stimuli)):
            lengths.append(stimuli.length(index, rate))
            advance()
    mine = list(_batches(lengths, batch_seconds * rate))[rank::world]
    # Short sounds come first: only their seconds, not their number, tell how much is left.
    seconds = [sum(lengths[i] for i in indices) / rate for indices in mine]
    collect = Halving(
        lambda some: collected.add(some, _encode(encoder, stimuli, some, device)), lengths
    )
    total = math.ceil(sum(seconds))
    with count_progress(progress, f"Encoding {stimuli.name} (s)", total) as advance:
        for indices, heard in zip(mine, seconds, strict=True):
            collect(indices)
            advance(heard)


def _encode(
    encoder: Encoder, stimuli: StimulusSet, indices: list[int], device: torch.device | str
) -> dict[str, Frames]:
    waveforms = [stimuli.waveform(i, encoder.sample_rate) for i in indices]
    lengths = torch.tensor([len(w) for w in waveforms])
    audio = torch.nn.utils.rnn.pad_sequence(waveforms, batch_first=True)
    frames = encoder.encode(audio.to(device), lengths.to(device))
    values = frames.values() if isinstance(frames, Mapping) else [frames]
    strange = next((type(value).__name__ for value in values if not isinstance(value, Frames)), "")
    if strange:
        raise TypeError(
            f"encode of encoder {encoder.name} returned {strange}, expected a mapping from the "
            "name of each layer to Frames (docs/adding.md, An encoder)"
        )
    if tuple(frames) != tuple(encoder.layers):
        raise ValueError(
            f"encoder {encoder.name} declares layers {list(encoder.layers)} "
            f"but returned {list(frames)}"
        )
    for layer, of in frames.items():
        most = int(of.lengths.max())
        if of.values.ndim != 3 or len(of.values) != len(indices) or most > of.values.shape[1]:
            raise ValueError(
                f"encoder {encoder.name}: layer {layer} has values {tuple(of.values.shape)} and up "
                f"to {most} valid frames of {len(indices)} clips, expected (clips, frames, dim)"
            )
    return frames


@contextmanager
def count_progress(
    progress: Progress | None, what: str, total: int
) -> Iterator[Callable[..., object]]:
    """A bar for as long as something takes; gives the function that moves it on, by 1 or more."""
    if progress is None:
        yield lambda amount=1: None
        return
    task = progress.add_task(what, total=total)
    try:
        yield lambda amount=1: progress.advance(task, amount)
    finally:
        progress.remove_task(task)


def _batches(lengths: Sequence[int], samples: float) -> Iterator[list[int]]:
    order = sorted(range(len(lengths)), key=lambda i: lengths[i])
    batch: list[int] = []
    for index in order:
        if batch and (len(batch) + 1) * lengths[index] > samples:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch
