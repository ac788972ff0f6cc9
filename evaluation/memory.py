"""Work in batches, retried in halves when memory runs out."""

from __future__ import annotations

import gc
import logging
import math
from collections.abc import Callable, Sequence

import torch

log = logging.getLogger(__name__)

SIGNS = ("out of memory", "can't allocate memory", "ALLOC_FAILED")
"""Parts of what CUDA and its libraries, Metal, and torch's allocator of the CPU say."""


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that there was too little memory, on whatever device."""
    if isinstance(error, MemoryError | torch.cuda.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in SIGNS)


class Halving:
    """Does work batch by batch, and retries a batch in halves when it runs out of memory.

    A size that was too much once is not tried again.

    Parameters
    ----------
    work : callable
        Is given the members of a batch. It must be possible to call it again with some of them
        where it ran out of memory.
    lengths : sequence of int
        Samples of every member; the size of a batch is that of its padded audio.
    """

    def __init__(self, work: Callable[[list[int]], object], lengths: Sequence[int]) -> None:
        self._work, self._lengths = work, lengths
        self._too_much = math.inf

    def __call__(self, batch: list[int]) -> None:
        """Work on all members of a batch, at once or in parts.

        Raises
        ------
        Exception
            That of the work, where it is another one or a single member is too much.
        """
        waiting = [batch]
        while waiting:
            part = waiting.pop()
            size = len(part) * max(self._lengths[i] for i in part)
            if (len(part) > 1 and size >= self._too_much) or not self._done(part):
                self._too_much = min(self._too_much, size)
                middle = len(part) // 2
                waiting += [part[middle:], part[:middle]]

    def _done(self, part: list[int]) -> bool:
        try:
            self._work(part)
            return True
        except Exception as error:
            if len(part) == 1 or not out_of_memory(error):
                raise
        # Out of the except clause, so that what the failed pass still held is free.
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        log.warning("out of memory with batch size %d: retrying with smaller batches", len(part))
        return False
