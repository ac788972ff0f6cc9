"""Labelled clips listed in a csv file: path, label, fold."""

from __future__ import annotations

import csv
from pathlib import Path

import torch

from datamodules.stimuli import Provenance, StimulusSet, Task


def manifest_task(
    manifest: str | Path,
    label: str = "label",
    fold: str = "fold",
    name: str | None = None,
    max_seconds: float | None = 5.0,
    rms: float | None = None,
    source: str = "",
    licence: str = "",
    paper: str = "",
) -> Task:
    """A task from a manifest.

    Parameters
    ----------
    manifest : path
        A csv file with the columns ``path`` (relative to the manifest), ``label`` and ``fold``.
    label, fold : str
        Columns to use instead.
    max_seconds : float, optional
        Clips are cut to this length.
    rms : float, optional
        Level that every clip is scaled to.
    """
    file = Path(manifest)
    if not file.is_file():
        raise FileNotFoundError(
            f"no manifest at {file}: set ENTRAIN_DATA to the folder that holds it, "
            "or give the task's manifest=FILE.csv with columns path, label and fold"
        )
    with file.open(newline="", encoding="utf-8-sig") as handle:
        reader = csv.DictReader(handle)
        rows = list(reader)
        columns = reader.fieldnames or []
    absent = [column for column in ("path", label, fold) if column not in columns]
    if absent:
        raise ValueError(f"{file} has columns {columns} but no column {absent[0]}")
    if not rows:
        raise ValueError(f"{file} lists no clips")
    paths = [file.parent / row["path"] for row in rows]
    gone = next((path for path in paths if not path.is_file()), None)
    if gone is not None:
        raise FileNotFoundError(f"{file} lists {gone.name}, which is not at {gone}")
    classes = sorted({row[label] for row in rows}, key=_numbers_first)
    folds = sorted({row[fold] for row in rows})
    if len(folds) < 2:
        raise ValueError(f"{file}: one fold only, expected at least two")
    stimuli = StimulusSet(
        name or file.parent.name, [row["path"] for row in rows], paths, max_seconds, rms
    )
    return Task(
        stimuli,
        torch.tensor([classes.index(row[label]) for row in rows]),
        tuple(classes),
        torch.tensor([folds.index(row[fold]) for row in rows]),
        Provenance(source=source, licence=licence, paper=paper),
    )


def _numbers_first(label: str) -> tuple[bool, int, str]:
    """Sort key that puts class 2 before class 10."""
    return not label.isdecimal(), int(label) if label.isdecimal() else 0, label
