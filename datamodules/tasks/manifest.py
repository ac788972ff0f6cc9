"""Labelled clips listed in a csv file: path, label and, where they are fixed, folds."""

from __future__ import annotations

import csv
from pathlib import Path

import torch
from torch import Tensor

from datamodules.sound_files import check_readable
from datamodules.stimuli import Provenance, StimulusSet
from datamodules.tasks.folds import check_folds, stratified_folds
from datamodules.tasks.task import TRAIN_VALID_TEST, Task

SEPARATOR = "|"
"""Between the labels of a clip that has several."""


def manifest_task(
    manifest: str | Path | None,
    label: str = "label",
    fold: str | None = "fold",
    name: str | None = None,
    max_seconds: float | None = 5.0,
    rms: float | None = None,
    source: str = "",
    licence: str = "",
    paper: str = "",
    modulo: int | None = None,
) -> Task:
    """A task from a manifest.

    Where any label holds a ``|``, as in ``dog|rain``, clips may have several labels, or none.
    Without a column ``fold`` five stratified folds are made from the paths and labels
    (:func:`datamodules.tasks.folds.stratified_folds`); write the column where clips of one
    speaker or recording must stay together. Folds named train, valid and test, or train and
    test, are one split.

    Parameters
    ----------
    manifest : path
        A csv file with the columns ``path`` (relative to the manifest), ``label`` and ``fold``.
    label, fold : str
        Columns to use instead. ``fold=None`` makes folds though there is a column.
    max_seconds : float, optional
        Clips are cut to this length.
    rms : float, optional
        Level that every clip is scaled to.
    modulo : int, optional
        Labels are whole numbers, of which the class is the remainder: 12 makes chroma of MIDI
        pitch.

    Raises
    ------
    FileNotFoundError
        There is no manifest, or no clip where it says.
    ValueError
        A column, label or fold is missing, a clip cannot be read, or all clips of a class are
        in one fold.
    """
    if manifest is None:
        raise ValueError("manifest is not set: give manifest=FILE.csv with columns path and label")
    file = Path(manifest)
    rows, columns = _read(file)
    if fold == "fold" and fold not in columns:
        fold = None
    absent = [column for column in ("path", label, fold) if column and column not in columns]
    if absent:
        raise ValueError(
            f"{file} has columns {columns} but no column {absent[0]}: its first line names the "
            "columns, such as path,label,fold"
        )
    if not rows:
        raise ValueError(f"{file} lists no clips: write one a line below the names of columns")
    for number, row in enumerate(rows, 2):
        short = [column for column in ("path", fold) if column and not row[column]]
        if short:
            raise ValueError(f"{file} line {number} has no {short[0]}: fill it in")
    names = [row["path"] for row in rows]
    paths = _clips(file, names)
    stimuli = StimulusSet(name or file.parent.name, names, paths, max_seconds, rms)
    labels, classes = _labels(file, [row[label] or "" for row in rows], modulo)
    if len(classes) < 2:
        raise ValueError(f"{file} has one class, {classes[0]}: at least two are needed")
    folds, fold_names = _folds(file, [row[fold] for row in rows]) if fold else (None, ())
    if folds is None:
        folds = stratified_folds(names, labels)
    provenance = Provenance(source=source or file.name, licence=licence, paper=paper)
    task = Task(stimuli, labels, classes, folds, provenance, fold_names)
    check_folds(task, file)
    return task


def _read(file: Path) -> tuple[list[dict[str, str]], list[str]]:
    if not file.is_file():
        raise FileNotFoundError(
            f"no manifest at {file}: set ENTRAIN_DATA to the folder that holds it, "
            "or give the task's manifest=FILE.csv with columns path, label and fold"
        )
    try:
        with file.open(newline="", encoding="utf-8-sig") as handle:
            reader = csv.DictReader(handle)
            return list(reader), list(reader.fieldnames or [])
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{file} is no UTF-8 text ({error.reason} at byte {error.start}): save it as a csv "
            "file in UTF-8"
        ) from error


def _clips(file: Path, names: list[str]) -> list[Path]:
    paths = [file.parent / name for name in names]
    gone = next((path for path in paths if not path.is_file()), None)
    if gone is not None:
        raise FileNotFoundError(
            f"{file} lists {gone.name}, which is not at {gone}: paths are relative to the manifest"
        )
    for path in paths:
        check_readable(path)
    return paths


def _labels(file: Path, given: list[str], modulo: int | None) -> tuple[Tensor, tuple[str, ...]]:
    """Labels as a task has them, and the classes in order."""
    if modulo is not None:
        bad = next((text for text in given if not text.isdecimal()), None)
        if bad is not None:
            raise ValueError(f"{file}: label {bad!r} is no whole number, as modulo={modulo} needs")
        given = [str(int(text) % modulo) for text in given]
    several = any(SEPARATOR in text for text in given)
    if not several and "" in given:
        raise ValueError(f"{file} line {given.index('') + 2} has no label: fill it in")
    held = [{part.strip() for part in text.split(SEPARATOR)} - {""} for text in given]
    classes = sorted(set().union(*held), key=_numbers_first)
    if several:
        return torch.tensor([[one in clip for one in classes] for clip in held]), tuple(classes)
    index = {one: number for number, one in enumerate(classes)}
    return torch.tensor([index[next(iter(clip))] for clip in held]), tuple(classes)


def _folds(file: Path, given: list[str]) -> tuple[Tensor, tuple[str, ...]]:
    """Folds and their names; train, valid and test in this order."""
    names = sorted(set(given), key=_numbers_first)
    if {"train", "test"} <= set(names) <= set(TRAIN_VALID_TEST):
        names = list(TRAIN_VALID_TEST)
    if len(names) < 2:
        raise ValueError(
            f"{file}: one fold only, expected at least two: number more of them, or take the "
            "column away to have five made"
        )
    index = {one: number for number, one in enumerate(names)}
    return torch.tensor([index[one] for one in given]), tuple(names)


def _numbers_first(label: str) -> tuple[bool, int, str]:
    """Sort key that puts class 2 before class 10."""
    return not label.isdecimal(), int(label) if label.isdecimal() else 0, label
