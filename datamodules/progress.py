"""A bar for what takes long before the first score: shown once, and on a terminal alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console
from rich.progress import track

T = TypeVar("T")


def progress(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    """The items, with a bar on the terminal of the first rank.

    Parameters
    ----------
    total : int, optional
        How many there are, where they cannot be counted.
    """
    console = Console(stderr=True)
    hidden = getattr(rank_zero_only, "rank", 0) not in (None, 0) or not console.is_terminal
    return track(items, what, total, console=console, disable=hidden, transient=True)
