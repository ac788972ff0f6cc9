"""What processes do together: who they are, and what each gives to all."""

from __future__ import annotations

from typing import TypeVar

from torch import distributed

T = TypeVar("T")


def gather_objects(value: T) -> list[T]:
    """The value of every rank, in rank order."""
    _, world = rank_and_world()
    if world == 1:
        return [value]
    everything: list[T | None] = [None] * world
    distributed.all_gather_object(everything, value)
    return everything  # type: ignore[return-value]


def is_first_rank() -> bool:
    """Whether this is the only process, or the first of several."""
    return rank_and_world()[0] == 0


def rank_and_world() -> tuple[int, int]:
    """Number of this process, and how many there are."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1
