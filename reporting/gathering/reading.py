"""Score files of many runs, read fast into one small table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from glob import glob, has_magic
from operator import itemgetter
from pathlib import Path
from typing import Any

import pandas as pd
from pandas.api.types import union_categoricals

from evaluation.rows import COLUMNS, read_chunks, read_score_rows

SCORES, BASELINES, FAILURES = "scores.jsonl", "baselines.jsonl", "failures.jsonl"
NEEDED = ("benchmark", "metric", "layer", "value", "encoder")
TEXT = [name for name, dtype in COLUMNS.items() if dtype == "str"]


@dataclass(frozen=True)
class Found:
    """Rows of every file, failures beside them, and what was odd about the files.

    ``scores`` has the columns of :data:`reporting.tables.COLUMNS` and ``run``, texts as
    categories; ``folders`` maps a run's name to its folder.
    """

    scores: pd.DataFrame
    failures: pd.DataFrame
    folders: dict[str, Path]
    notes: list[str]


def score_files(patterns: Sequence[str]) -> tuple[list[Path], list[str]]:
    """Files that the patterns name, and patterns that name none.

    A pattern is a file, a folder (its own ``scores.jsonl``, or else all below it), or either with
    wildcards; ``**`` is any depth.

    Raises
    ------
    FileNotFoundError
        If no pattern names a file; says where was looked.
    """
    files: dict[Path, None] = {}
    without = []
    for pattern in patterns:
        places = map(Path, sorted(glob(str(Path(pattern).expanduser()), recursive=True)))
        wild = has_magic(Path(pattern).name)
        found = [file for place in places for file in _files(place, wild)]
        files |= dict.fromkeys(found)
        if not found:
            without.append(pattern)
    if not files:
        looked = ", ".join(map(str, patterns)) or "nothing"
        raise FileNotFoundError(
            f"no {SCORES} in {looked} (seen from {Path.cwd()}): give runs=[FOLDER,…] of train.py "
            "or probe.py, score files, or patterns of either such as 'runs=[runs/*/*]'"
        )
    return list(files), without


def _files(place: Path, wild: bool) -> list[Path]:
    if place.is_file():  # that of a wildcard may be anything
        return [place] if place.name.endswith(SCORES) or not wild else []
    own = place / SCORES
    return [own] if own.is_file() else sorted(place.rglob(SCORES))


def read_runs(
    patterns: Sequence[str], advance: Callable[[int, int], object] = lambda done, of: None
) -> Found:
    """Scores, baselines and failures of every run that the patterns name.

    Parameters
    ----------
    patterns : sequence of str
        See :func:`score_files`.
    advance : function
        Told the number of files that are read, and of all.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no file or no score, or a file is no score file.
    """
    files, without = score_files(patterns)
    notes = [f"{pattern} names no {SCORES}" for pattern in without]
    parts, failures, folders = [], [], {}
    for done, file in enumerate(files):
        run, folder = _run(file), file.parent
        folders[run] = folder
        beside = folder / BASELINES
        rows = [read_scores(each, notes) for each in (file, beside) if each.is_file()]
        if not len(rows[0]):
            notes.append(f"{file} is empty")
        parts += [each.assign(run=pd.Categorical([run] * len(each))) for each in rows if len(each)]
        if file.name == SCORES and (folder / FAILURES).is_file():
            failures += [{**row, "run": run} for row in _rows(folder / FAILURES, notes)]
        advance(done + 1, len(files))
    if not parts:
        raise ValueError(
            f"no score in {several(files)}: nothing was scored there yet, or these are no score "
            "files (docs/scores.md)"
        )
    columns = ["run", "encoder", "benchmark", "error", "step"]
    failed = pd.DataFrame(failures, columns=columns).astype({"step": "Int64"})
    kept = failed.drop_duplicates(ignore_index=True)
    return Found(_together(parts), kept, folders, fold_notes(notes, [*map(str, files)]))


def fold_notes(notes: Sequence[str], files: Sequence[str]) -> list[str]:
    """Notes, those that say the same of several files as one that names the first of them."""
    said: dict[str, list[str]] = {}
    for note in notes:
        file = next((name for name in files if note.startswith(f"{name}: ")), "")
        said.setdefault(note.removeprefix(f"{file}: ") if file else note, []).append(file)
    found = []
    for text, names in said.items():
        more = f" and {len(names) - 1} more" if len(names) > 1 else ""
        found.append(f"{names[0]}{more}: {text}" if names[0] else text)
    return found


def _run(file: Path) -> str:
    """A run is called by its folder; a file of another name by itself."""
    return str(file.parent if file.name == SCORES else file)


def read_scores(path: Path, notes: list[str]) -> pd.DataFrame:
    """Rows of a score file as :func:`reporting.tables.score_table` gives them, texts as categories.

    Raises
    ------
    ValueError
        If a line other than the last is not JSON, or is no score.
    """
    parts = [_columns(rows, first, path) for first, rows in read_score_rows(path, notes.append)]
    return _together(parts) if parts else pd.DataFrame(columns=list(COLUMNS))


def _rows(path: Path, notes: list[str]) -> list[dict[str, Any]]:
    return [row for _, rows in read_chunks(path, notes.append) for row in rows]


def _columns(rows: Sequence[Mapping[str, Any]], first: int, path: Path) -> pd.DataFrame:
    try:
        columns = zip(*map(itemgetter(*COLUMNS), rows), strict=True)
    except KeyError:
        lacking = [(i, [n for n in NEEDED if n not in row]) for i, row in enumerate(rows, first)]
        line, names = next(((i, names) for i, names in lacking if names), (0, []))
        if names:
            raise ValueError(
                f"{path} is no score file: line {line} lacks {', '.join(names)}; expected rows of "
                "train.py or probe.py (docs/scores.md)"
            ) from None
        columns = zip(*([row.get(name) for name in COLUMNS] for row in rows), strict=True)
    return pd.DataFrame(
        {
            name: _column(values, dtype, f"{path}: {name}")
            for (name, dtype), values in zip(COLUMNS.items(), columns, strict=True)
        }
    )


def _column(values: tuple[Any, ...], dtype: str, what: str) -> Any:
    if dtype == "str":
        return pd.Categorical(["" if value is None else str(value) for value in values])
    if dtype == "bool":
        return [value is True for value in values]
    try:
        return pd.array(values, dtype=dtype) if dtype == "Int64" else pd.Series(values, dtype=dtype)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} is not a number everywhere ({error})") from error


def _together(parts: list[pd.DataFrame]) -> pd.DataFrame:
    """One table; categories become those of all parts."""
    if len(parts) == 1:
        return parts[0].reset_index(drop=True)
    table = pd.concat([part.drop(columns=[*TEXT, "run"], errors="ignore") for part in parts])
    table = table.reset_index(drop=True)
    for name in [*TEXT, *(["run"] if "run" in parts[0] else [])]:
        table[name] = union_categoricals([part[name] for part in parts])
    return table[list(parts[0].columns)]


def several(names: Iterable[object], most: int = 4) -> str:
    """Names in a row; of many, the first few and how many more."""
    texts = list(map(str, names))
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
