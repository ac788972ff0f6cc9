"""Where the files of a corpus are: a folder, or a manifest with one row per file."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Where = Mapping[str, str | Sequence[str]]
Settings = Mapping[str, str | Path | float | Where | None]
Entry = str | Path | Settings

SETTINGS = ("path", "manifest", "weight", "where")


@dataclass(frozen=True)
class Corpus:
    """Files of one corpus, sorted by path.

    Parameters
    ----------
    root : Path
        Folder that names of files are relative to.
    seconds : tuple of float or None, length len(paths)
        Durations (s) where a manifest gives them.
    weight : float, optional
        Share of all visits, on any scale common to the corpora.
    """

    name: str
    root: Path
    paths: tuple[Path, ...]
    seconds: tuple[float | None, ...]
    weight: float | None = None

    @classmethod
    def collect(
        cls, corpora: Mapping[str, Entry] | Sequence[str | Path], extensions: Sequence[str]
    ) -> list[Corpus]:
        """All corpora, each found in its place.

        Raises
        ------
        FileNotFoundError
            If a folder or manifest is missing or holds no audio.
        ValueError
            If settings are unknown or contradict each other.
        """
        if not isinstance(corpora, Mapping):
            corpora = {f"corpus{number}": path for number, path in enumerate(corpora)}
        if not corpora:
            raise ValueError("no corpus given: set data.source.corpora.main.path to a folder")
        found = [cls._find(name, entry, extensions) for name, entry in corpora.items()]
        without = [corpus.name for corpus in found if corpus.weight is None]
        if 0 < len(without) < len(found):
            raise ValueError(
                f"corpora {', '.join(without)} have no weight but others have: give every corpus a "
                "weight, or none for shares in proportion to duration"
            )
        return found

    @classmethod
    def _find(cls, name: str, entry: Entry, extensions: Sequence[str]) -> Corpus:
        where_set = f"data.source.corpora.{name}"
        settings: Settings = {"path": entry} if isinstance(entry, str | Path) else entry
        unknown = sorted(set(settings) - set(SETTINGS))
        if unknown:
            raise ValueError(
                f"{where_set} has {', '.join(unknown)}: expected {', '.join(SETTINGS)}"
            )
        path, manifest = settings.get("path"), settings.get("manifest")
        if (path is None) == (manifest is None):
            raise ValueError(f"{where_set} needs either path (a folder) or manifest (a CSV file)")
        weight = settings.get("weight")
        if weight is not None and not float(weight) > 0:  # type: ignore[arg-type]
            raise ValueError(f"{where_set}.weight is {weight}: expected a positive number")
        if manifest is not None:
            root = Path(str(manifest)).expanduser().absolute()
            rows = _manifest_rows(root, settings.get("where") or {}, where_set)
            root = root.parent
        else:
            if settings.get("where"):
                raise ValueError(f"{where_set}.where selects rows of a manifest, but path is given")
            root = Path(str(path)).expanduser().absolute()
            rows = [(found, None) for found in _folder(root, extensions, where_set)]
        rows.sort(key=lambda row: row[0])
        return cls(
            name=name,
            root=root,
            paths=tuple(found for found, _ in rows),
            seconds=tuple(seconds for _, seconds in rows),
            weight=None if weight is None else float(weight),  # type: ignore[arg-type]
        )


def _folder(root: Path, extensions: Sequence[str], where_set: str) -> list[Path]:
    if not root.is_dir():
        raise FileNotFoundError(f"no folder {root}: check {where_set}.path")
    wanted = {f".{extension.lower().lstrip('.')}" for extension in extensions}
    files = [path for path in _walk(root) if path.suffix.lower() in wanted]
    if not files:
        kinds = ", ".join(extensions)
        raise FileNotFoundError(f"no {kinds} file under {root}: check {where_set}.path")
    return files


def _walk(root: Path) -> Iterator[Path]:
    visited: set[str] = set()
    for folder, subfolders, names in os.walk(root, followlinks=True):
        # data sets are often linked into place; a link to a parent must not be followed for ever
        real = os.path.realpath(folder)
        if real in visited:
            subfolders.clear()
            continue
        visited.add(real)
        yield from (Path(folder, name) for name in names if not name.startswith("."))


def _manifest_rows(
    manifest: Path, where: object, where_set: str
) -> list[tuple[Path, float | None]]:
    if not manifest.is_file():
        raise FileNotFoundError(f"no manifest {manifest}: check {where_set}.manifest")
    assert isinstance(where, Mapping)
    selected = {
        column: {str(value)} if isinstance(value, str | int | float) else set(map(str, value))
        for column, value in where.items()
    }
    with manifest.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns = reader.fieldnames or []
        missing = sorted({"path", *selected} - set(columns))
        if missing:
            raise ValueError(
                f"{manifest} has no column {', '.join(missing)}, only {', '.join(columns)}: "
                f"check {where_set}"
            )
        rows = [
            (manifest.parent / row["path"], float(row["seconds"]) if row.get("seconds") else None)
            for row in reader
            if all(row[column] in values for column, values in selected.items())
        ]
    if not rows:
        conditions = f" with {dict(selected)}" if selected else ""
        raise FileNotFoundError(f"no row{conditions} in {manifest}: check {where_set}")
    return rows
