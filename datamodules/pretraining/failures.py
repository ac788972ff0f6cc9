"""Account of the files that could not be used: each is named once, too many are an error."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

log = logging.getLogger(__name__)


class BadFiles:
    """Count, log and write down files that cannot be decoded.

    Parameters
    ----------
    path : Path, optional
        JSON lines are appended here, ``{"path": …, "error": …}``.
    total : int
        Files in the collection.
    max_share : float
        Largest tolerated share of ``total``; more bad files than this raise ``ValueError``.
    """

    def __init__(self, path: Path | str | None, total: int, max_share: float) -> None:
        self.path = None if path is None else Path(path)
        self.total = total
        self.max_share = max_share
        self.errors: dict[str, str] = {}

    def add(self, name: str, error: str) -> None:
        """Record that ``name`` is bad; a second time is ignored."""
        if name in self.errors:
            return
        self.errors[name] = error
        log.warning("skipped %s: %s", name, error)
        if self.path is not None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            line = json.dumps({"path": name, "error": error}) + "\n"
            # one write in append mode: ranks that share the file cannot tear each other's lines
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
            try:
                os.write(descriptor, line.encode())
            finally:
                os.close(descriptor)

    def check(self) -> None:
        """Raise ``ValueError`` if more than ``max_share`` of the files are bad."""
        if len(self.errors) > self.max_share * self.total:
            name, error = next(iter(self.errors.items()))
            listed = "" if self.path is None else f"; all are listed in {self.path}"
            raise ValueError(
                f"{len(self.errors)} of {self.total} audio files cannot be decoded, at most "
                f"{self.max_share:.0%} are tolerated (first: {name}: {error}{listed}): repair or "
                "remove them, or raise data.max_bad_share"
            )
