"""Seconds of a run; of training steps, and of the gaps in which the device waits for data."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytorch_lightning as pl
import torch

Moment = float | torch.cuda.Event


def timed(run: Callable[[], object], device: str) -> float:
    """Seconds of one run, work on a device included."""
    if device != "cpu":
        torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - start


class Stopwatch(pl.Callback):
    """Times batches and the gaps between them, by CUDA events where there is a GPU.

    A gap lasts from the end of one step's work on the device to the moment the device has the
    next batch. Events need no synchronisation, so a step is as fast as without them, and a loader
    that is late while the GPU still has work queued costs nothing, as in truth.

    Parameters
    ----------
    warmup : int
        First batches that do not count, at least 1.
    """

    def __init__(self, warmup: int) -> None:
        if warmup < 1:
            raise ValueError(f"warmup is {warmup}, expected at least 1: timing starts at its end")
        self.warmup = warmup
        self._starts: list[Moment] = []
        self._ends: list[Moment] = []

    def on_train_batch_start(self, trainer: pl.Trainer, *_: object) -> None:
        self._starts.append(_moment(trainer))

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        self._ends.append(_moment(trainer))

    @property
    def seconds(self) -> float:
        """Mean duration of a batch, its gap included."""
        steps = len(self._ends) - self.warmup
        return _elapsed(self._ends[self.warmup - 1], self._ends[-1]) / steps

    @property
    def waiting(self) -> float:
        """Share of the gaps in all of the time."""
        before, after = self._ends[self.warmup - 1 : -1], self._starts[self.warmup :]
        gaps = sum(_elapsed(end, start) for end, start in zip(before, after, strict=True))
        return gaps / (self.seconds * len(before))


def _moment(trainer: pl.Trainer) -> Moment:
    if trainer.strategy.root_device.type != "cuda":
        return time.perf_counter()
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def _elapsed(first: Moment, last: Moment) -> float:
    """Seconds between two moments of the same kind."""
    if isinstance(first, float) or isinstance(last, float):
        return last - first  # type: ignore[operator]
    last.synchronize()
    return first.elapsed_time(last) / 1000
