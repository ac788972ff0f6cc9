"""Which benchmarks a folder has scores of, so that nothing is scored twice."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import nn

from evaluation.benchmark import Benchmark
from evaluation.evaluate import Evaluation, fingerprint
from evaluation.identity import UnknownIdentityError, identity, settings_hash
from evaluation.ledger import Entry, read_entries
from evaluation.rows import Failure, Score, append_rows, read_lines, read_scores, replace_rows
from models.encoder import Encoder, StoredFeatures

log = logging.getLogger(__name__)

SCORES, SCORED = "scores.jsonl", "scored.jsonl"
WITHOUT_EFFECT = frozenset({"name", "path", "revision", "source", "licence", "verified"})
WITHOUT_EFFECT |= {"family", "trained_on", "objective", "parameters", "hours", "install"}
"""Settings of an encoder that change no feature, or that the hash of its weights has."""


class Scored:
    """Scores of one encoder in a folder, and which benchmarks need not be scored again.

    A benchmark is passed over where the folder has scores of the same encoder (name and
    fingerprint) that were made with the same settings: those of the encoder, those and the data of
    the benchmark as it was built, its code, and ``others``. Sounds are known by their names alone.
    What failed, or lacks its controls, is scored again.

    Parameters
    ----------
    folder : Path
        Is made.
    encoder
        If nothing tells what its features depend on, nothing is passed over.
    settings : mapping
        Of the encoder, as configured; some, such as its path, do not count.
    others : object
        Plain values on which scores or what is written beside them depend.
    """

    def __init__(
        self,
        folder: Path,
        encoder: Encoder | StoredFeatures,
        settings: Mapping[str, Any],
        others: object = None,
    ) -> None:
        self.folder, self.name = folder, encoder.name
        folder.mkdir(parents=True, exist_ok=True)
        append_rows(folder / SCORES, [])
        self._weights = fingerprint(encoder)
        self._known = _identity_of(encoder, self._weights)
        self._settings = (_effective_settings(settings), others)
        self._marks: dict[str, str] = {}

    def rest(self, benchmarks: Iterable[Benchmark], again: bool = False) -> list[Benchmark]:
        """Those that are to be scored: all that are not, or ``again`` all."""
        benchmarks = list(benchmarks)
        if self._known is None:
            return benchmarks
        self._marks = {b.name: settings_hash(self._known, self._settings, b) for b in benchmarks}
        entries = read_entries(self.folder / SCORED)
        found = {(entry.benchmark, entry.settings) for entry in entries}
        whole = {row.benchmark for row in self._rows()}
        return [
            benchmark
            for benchmark in benchmarks
            if again
            or benchmark.name not in whole
            or (benchmark.name, self._marks[benchmark.name]) not in found
        ]

    def kept(self, names: Iterable[str]) -> list[Score]:
        """Rows that the folder has of the encoder on those benchmarks."""
        wanted = set(names)
        return [row for row in self._rows() if row.benchmark in wanted]

    def write(self, part: Evaluation) -> None:
        """Append rows of scores."""
        append_rows(self.folder / SCORES, part.scores)

    def settle(self, benchmarks: Iterable[Benchmark], failures: Iterable[Failure]) -> None:
        """Record the benchmarks that completed: those that no failure names.

        A failure that names no benchmark is one of all.
        """
        failed = {failure.benchmark for failure in failures}
        names = [benchmark.name for benchmark in benchmarks]
        done = [name for name in names if name in self._marks and not {name, ""} & failed]
        counts = Counter(row.benchmark for row in self._rows())
        own = self.name, None
        entries = [
            Entry(*own, name, self._weights, self._marks[name], counts[name]) for name in done
        ]
        append_rows(self.folder / SCORED, entries)

    def _rows(self) -> list[Score]:
        """All that the folder has of the encoder."""
        own = self.name, self._weights
        rows = read_scores(self.folder / SCORES)
        return [row for row in rows if (row.encoder, row.fingerprint) == own]


def write_failures(path: Path, evaluated: Iterable[str], failures: Sequence[Failure]) -> None:
    """Append failures; earlier ones of what was evaluated now, or of no benchmark, are gone."""
    over = {*evaluated, ""}
    earlier = read_lines(path) if path.exists() else []
    others = [Failure(**line) for line in earlier if line["benchmark"] not in over]
    replace_rows(path, [*others, *failures])


def _identity_of(encoder: Encoder | StoredFeatures, weights: str) -> str | None:
    """Hash of the weights; of an encoder without weights, of its code and attributes."""
    own = [*encoder.parameters(), *encoder.buffers()] if isinstance(encoder, nn.Module) else None
    if own or (own is None and weights):
        return weights
    try:
        return identity(encoder)  # type: ignore[arg-type]
    except UnknownIdentityError as error:
        log.info("%s is always scored again: %s", encoder.name, error)
        return None


def _effective_settings(settings: Any) -> Any:
    """Settings that count, also of an encoder within another."""
    if isinstance(settings, Mapping):
        return {k: _effective_settings(v) for k, v in settings.items() if k not in WITHOUT_EFFECT}
    return settings
