"""The one row that everything else is made from, and the files that hold such rows."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.quantities import Kind, Quantity, parse_name

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

log = logging.getLogger(__name__)

VERSION = 2
"""Of the rows that are written. Rows of version 1 had no ``kind``, ``analysis`` and ``of``."""
SELECTED = "selected"
"""Layer of the rows for which the benchmark chose the layer itself, on data that are not scored."""
LINES_AT_ONCE = 50_000
COLUMNS = {
    "benchmark": "str",
    "metric": "str",
    "layer": "str",
    "value": "float64",
    "subject": "str",
    "target": "str",
    "window": "str",
    "ceiling": "float64",
    "chance": "float64",
    "ci_low": "float64",
    "ci_high": "float64",
    "p": "float64",
    "n": "Int64",
    "simulated": "bool",
    "encoder": "str",
    "fingerprint": "str",
    "step": "Int64",
    "seconds": "float64",
    "kind": "str",
    "analysis": "str",
    "of": "str",
}
"""Columns of a table of scores and their types: the fields of a score but its version."""


@dataclass(frozen=True)
class Score:
    """One tidy row.

    ``metric`` is the name that people see; what the number means stands in three other fields.
    ``of`` is the metric of :data:`evaluation.metrics.METRICS` that it was computed by,
    ``analysis`` how that was applied (over delays, by words, by which probe …) and ``kind`` what
    the number is (:mod:`evaluation.quantities`). ``value`` is raw; ``ceiling`` is the best value
    that noise in the responses allows, and ``chance`` what features without information score,
    both on the same scale. Fields that do not apply are empty strings or None. ``encoder``,
    ``fingerprint``, ``step`` and ``seconds`` say which encoder was evaluated: its name, a hash of
    its weights, its training step (None for an encoder made elsewhere) and the seconds that the
    benchmark took.
    """

    benchmark: str
    metric: str
    layer: str
    value: float
    subject: str = ""
    target: str = ""
    window: str = ""
    ceiling: float | None = None
    chance: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p: float | None = None
    n: int | None = None
    simulated: bool = False
    encoder: str = ""
    fingerprint: str = ""
    step: int | None = None
    seconds: float | None = None
    kind: Kind = "score"
    analysis: str = ""
    of: str = ""
    version: int = field(default=VERSION, repr=False)

    def __post_init__(self) -> None:
        if not self.of:
            object.__setattr__(self, "of", self.metric)
        for name in ("value", "ceiling", "chance", "ci_low", "ci_high", "p"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                what = self.metric if name == "value" else f"{name} of {self.metric}"
                raise ValueError(
                    f"{self.benchmark}: {what} of layer {self.layer} is {number}; "
                    "a benchmark that cannot score raises an error that says why"
                )


@dataclass(frozen=True)
class Failure:
    """A benchmark or encoder that could not be scored, and why."""

    benchmark: str
    error: str
    encoder: str = ""
    step: int | None = None


# ---- meaning -------------------------------------------------------------------------------------


def meaning(quantity: Quantity) -> dict[str, Any]:
    """The fields of a score that say what its number is."""
    return {
        "metric": quantity.name,
        "kind": quantity.kind,
        "analysis": quantity.analysis,
        "of": quantity.of,
    }


def with_meaning(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row of an older version with what its number is, read from the name of its metric.

    Raises
    ------
    ValueError
        If a newer version wrote it.
    """
    version = row.get("version", 1)
    if version == VERSION or "metric" not in row:
        return row
    if version > VERSION:
        raise ValueError(
            f"a score of version {version}, but this Entrain reads up to {VERSION}: update it"
        )
    benchmark, metric = str(row.get("benchmark", "")), str(row["metric"])
    read = parse_name(metric, benchmark.startswith("probe/"), bool(row.get("target")))
    return {**row, **meaning(read), "metric": metric, "version": VERSION}


def as_score(row: Mapping[str, Any]) -> Score:
    """A row of a file or a checkpoint, of any version; fields that a score does not have go."""
    names = {one.name for one in fields(Score)}
    return Score(**{key: value for key, value in with_meaning(row).items() if key in names})


# ---- files ---------------------------------------------------------------------------------------


def append_rows(path: Path, rows: Iterable[DataclassInstance]) -> None:
    """Append rows to a jsonl file, one a line; a partial last line of a killed run is removed."""
    with path.open("a+b") as file:
        file.seek(max(0, file.tell() - 1))
        if file.read(1) not in (b"", b"\n"):
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
    with path.open("a") as file:
        file.write("".join(json.dumps(asdict(row)) + "\n" for row in rows))


def replace_rows(path: Path, rows: Iterable[DataclassInstance]) -> None:
    """Write a jsonl file of these rows alone, which replaces another in one step."""
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))
    draft.replace(path)


def read_scores(path: Path) -> list[Score]:
    """Rows of a ``scores.jsonl`` of any version; an incomplete last line is left out."""
    return [as_score(row) for _, rows in read_score_rows(path) for row in rows]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Rows of any jsonl file of ours as mappings; an incomplete last line is left out."""
    return [row for _, rows in read_chunks(path, log.debug) for row in rows]


def read_score_rows(
    path: Path, note: Callable[[str], object] = log.info
) -> Iterator[tuple[int, list[Mapping[str, Any]]]]:
    """Rows of a ``scores.jsonl`` of any version, as :func:`read_chunks` gives them.

    Rows of older versions get their meaning from :func:`with_meaning`; one note says so.
    """
    noted = False
    for first, rows in read_chunks(path, note):
        old = sum(row.get("version") != VERSION for row in rows)
        if old and not noted:
            noted = True
            note(
                f"{path}: rows of an older version (1, this is {VERSION}): what they mean is read "
                "from the names of their metrics"
            )
        try:
            yield first, ([with_meaning(row) for row in rows] if old else [*rows])
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error


def read_chunks(
    path: Path, note: Callable[[str], object]
) -> Iterator[tuple[int, list[dict[str, Any]]]]:
    """Rows of a jsonl file, many at once, and the number of their first line.

    An incomplete last line (a killed run) is left out, and ``note`` is told.

    Raises
    ------
    ValueError
        If another line is not JSON, or no mapping.
    """
    lines = path.read_bytes().splitlines()
    for start in range(0, len(lines), LINES_AT_ONCE):
        some = lines[start : start + LINES_AT_ONCE]
        try:
            rows = json.loads(b"[%s]" % b",".join(some))  # in one go: half the time
        except ValueError:
            rows = list(_read_one_by_one(path, some, start, len(lines), note))
        bad = next((i for i, row in enumerate(rows) if not isinstance(row, dict)), None)
        if bad is not None:
            what = str(rows[bad])[:60]
            raise ValueError(f"{path} line {start + bad + 1} is no row of a score file: {what}")
        if rows:
            yield start + 1, rows


def _read_one_by_one(
    path: Path, lines: list[bytes], start: int, last: int, note: Callable[[str], object]
) -> Iterator[Any]:
    for number, line in enumerate(lines, start=start + 1):
        try:
            yield json.loads(line)
        except ValueError as error:
            if number < last:
                raise ValueError(
                    f"{path} line {number} is not JSON ({error}): a killed run leaves only its "
                    "last line incomplete; fix or remove this one"
                ) from error
            note(f"{path}: the last line is incomplete (a killed run?) and left out")
