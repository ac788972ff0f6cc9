"""Checkpoints of a run that may still be going on, as they appear."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

from models.checkpoint import step_of

log = logging.getLogger(__name__)

Mark = tuple[int, int]


class Arrivals:
    """Checkpoints in the order of their steps, each once.

    What has its final name is whole (:mod:`callbacks.checkpoints`). Drafts are passed over, and
    ``last.ckpt``, which is a second name of the newest. One that is removed before its turn
    comes all the same: who opens it finds out. One that is rewritten comes again.

    Parameters
    ----------
    folder : Path
        May be made later.
    every : float
        Seconds between two looks.
    until_idle : float, optional
        Seconds without anything new after which there is an end; without it, only ``finished``.
    """

    def __init__(self, folder: Path, every: float = 5.0, until_idle: float | None = None) -> None:
        if every <= 0 or (until_idle is not None and until_idle < 0):
            raise ValueError(
                f"watch_every={every}, watch_until_idle={until_idle}: expected seconds above 0"
            )
        self.folder, self.every, self.until_idle = folder, every, until_idle
        self.finished = False
        """Set by the consumer after the last step; iteration stops when the queue is empty."""

    def __iter__(self) -> Iterator[Path]:
        taken: dict[Path, Mark] = {}
        waiting: dict[Path, Mark] = {}
        since = time.monotonic()
        while True:
            present = self._present()
            waiting |= {path: m for path, m in present.items() if taken.get(path) != m}
            if waiting:
                path = min(waiting, key=step_of)
                taken[path] = waiting.pop(path)
                yield path
                since = time.monotonic()
            elif self.finished:
                return
            elif self.until_idle is not None and time.monotonic() - since >= self.until_idle:
                log.info("nothing new for %g s", self.until_idle)
                return
            else:
                time.sleep(self.every)

    def _present(self) -> dict[Path, Mark]:
        """Paths, and what changes where a file is rewritten."""
        found = {}
        for path in self.folder.glob("step_*.ckpt"):
            try:
                stat = path.stat()
            except FileNotFoundError:  # deleted since
                continue
            found[path] = (stat.st_ino, stat.st_mtime_ns)
        return found
