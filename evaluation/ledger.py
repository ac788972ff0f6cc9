"""Which evaluations are complete: one line each, written after the rows it stands for.

:class:`Ledger` keeps a file in which each evaluation appears once, for a watch. scored.py beside
keeps every evaluation of a folder, for probes; both write an :class:`Entry` a line.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from evaluation.rows import Score, append_rows, read_scores, replace_rows

Place = tuple[str, int | None, str]
"""Encoder, step and benchmark."""


@dataclass(frozen=True)
class Entry:
    """One evaluation whose rows are whole: of one encoder, at one step, on one benchmark.

    ``settings`` names how the benchmark was set, ``rows`` how many rows it gave.
    """

    encoder: str
    step: int | None
    benchmark: str
    fingerprint: str
    settings: str
    rows: int = 0

    @property
    def place(self) -> Place:
        """Key: a later evaluation under it replaces the earlier one."""
        return self.encoder, self.step, self.benchmark


class Ledger:
    """A file of rows, and beside it which evaluations they are whole for.

    ``NAME.done.jsonl`` gets its line after the rows of ``NAME.jsonl`` were written. What a killed
    process left without that line is removed at the next start, and scored again.

    Parameters
    ----------
    path : Path
        The file of rows; its folder is made if missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.done = path.with_suffix(".done.jsonl")
        path.parent.mkdir(parents=True, exist_ok=True)
        self.scores = read_scores(path) if path.exists() else []
        self._entries = {entry.place: entry for entry in read_entries(self.done)}
        self._tidy()

    def has(self, entry: Entry) -> bool:
        """Whether that evaluation is complete here, with the same weights and settings."""
        known = self._entries.get(entry.place)
        return known is not None and (known.fingerprint, known.settings) == (
            entry.fingerprint,
            entry.settings,
        )

    def add(self, rows: Sequence[Score], settings: Callable[[str], str]) -> None:
        """Write the rows of complete evaluations, then mark them as complete.

        ``settings`` names the settings of a benchmark by its name.
        """
        entries = [
            Entry(encoder, step, benchmark, mark, settings(benchmark), count)
            for (encoder, step, benchmark, mark), count in _counts(rows).items()
        ]
        self._forget([entry.place for entry in entries])
        append_rows(self.path, rows)
        self.scores += rows
        append_rows(self.done, entries)  # type: ignore[arg-type]
        self._entries |= {entry.place: entry for entry in entries}

    def forget_others(self, step: int, fingerprint: str) -> None:
        """Remove the rows that other weights have left at a step."""
        self._forget([e.place for e in self.at(step) if e.fingerprint != fingerprint])

    def at(self, step: int) -> list[Entry]:
        """The evaluations of one step."""
        return [entry for entry in self._entries.values() if entry.step == step]

    def _forget(self, places: Iterable[Place]) -> None:
        known = [place for place in places if self._entries.pop(place, None) is not None]
        if known:
            self._tidy()

    def _tidy(self) -> None:
        """Drop rows of incomplete evaluations, and entries whose rows are missing."""
        counts = _counts(self.scores)
        for place, entry in list(self._entries.items()):
            if counts.get((*place, entry.fingerprint)) != entry.rows:
                del self._entries[place]
        whole = {(*place, entry.fingerprint) for place, entry in self._entries.items()}
        self.scores = [row for row in self.scores if _key(row) in whole]
        replace_rows(self.done, self._entries.values())
        replace_rows(self.path, self.scores)


def read_entries(path: Path) -> list[Entry]:
    """Entries of a file, none if it is missing; incomplete lines of a killed run are skipped."""
    entries = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            entries.append(Entry(**{"step": None, **json.loads(line)}))
        except (json.JSONDecodeError, TypeError):
            continue
    return entries


def _key(row: Score) -> tuple[str, int | None, str, str]:
    return row.encoder, row.step, row.benchmark, row.fingerprint


def _counts(rows: Iterable[Score]) -> dict[tuple[str, int | None, str, str], int]:
    counts: dict[tuple[str, int | None, str, str], int] = {}
    for row in rows:
        counts[_key(row)] = counts.get(_key(row), 0) + 1
    return counts
