"""Tasks in the folder format of HEAR 2021 (see hear_files.py), read and written."""

from __future__ import annotations

import csv
import json
import logging
from dataclasses import asdict
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch import Tensor

from datamodules.stimuli import Provenance, StimulusSet
from datamodules.tasks.events import Event
from datamodules.tasks.folds import untaught
from datamodules.tasks.hear_files import (
    HEAR,
    METADATA,
    METRICS,
    VOCABULARY,
    Listing,
    metric_names,
    read_listing,
)
from datamodules.tasks.task import TRAIN_VALID_TEST, Task

log = logging.getLogger(__name__)


def hear_task(
    folder: str | Path | None,
    sample_rate: int | None = None,
    name: str | None = None,
    max_seconds: float | None = None,
    rms: float | None = None,
    source: str = HEAR,
    licence: str = "",
    paper: str = "",
    clips: int | None = None,
) -> Task:
    """A scene task: one label a clip, or several.

    Classes are in the order of the vocabulary, whether a split has them or not. Tasks of train,
    valid and test are tested once; those of folds once a fold. Clips are named ``split/file`` and
    are resampled to the encoder's rate when they are read.

    Parameters
    ----------
    folder : path
        The task's folder. Its last part may hold ``*`` for what is not known, the version.
    sample_rate : int, optional
        Which of the folders of sounds to read (Hz); the highest by default.
    name : str, optional
        Of the stimuli; by default the folder's.
    max_seconds, rms : float, optional
        Clips are cut to this length and scaled to this level.
    source : str
        Where the task is had from, named where it is missing.
    clips : int, optional
        How many there should be: a part of the task has scores of its own.

    Raises
    ------
    FileNotFoundError
        The folder, a split, a folder of sounds or a clip is missing.
    ValueError
        It is a task of events, a label is not in the vocabulary, a clip cannot be read, or there
        are fewer than ``clips``.
    """
    found = read_listing(folder, source, sample_rate, clips)
    kind = found.metadata.get("embedding_type")
    if kind != "scene":
        raise ValueError(
            f"{found.root.name} is a task with embedding_type {kind!r}, expected 'scene', whole "
            "clips with labels: hear_event_task reads events"
        )
    several = found.metadata.get("prediction_type") == "multilabel"
    rows = [
        _row(found, clip, labels, several)
        for clip, labels in zip(found.names, found.contents, strict=True)
    ]
    task = Task(
        StimulusSet(name or found.root.name, found.names, found.paths, max_seconds, rms),
        _labels(rows, len(found.classes), several),
        tuple(found.classes),
        found.folds,
        Provenance(source=source, licence=licence, paper=paper, note=f"{found.sounds.name} Hz"),
        found.splits,
        metric_names(found.root, found.metadata),
    )
    if lost := untaught(task):
        log.warning("%s: class %s is in %s alone: it cannot be learned", found.root.name, *lost)
    log.info("%s: %d clips at %s Hz", found.root.name, len(found.names), found.sounds.name)
    return task


def write_hear_task(
    task: Task,
    root: str | Path,
    sample_rate: int,
    version: str = "1.0.0",
    mode: str = "full",
    events: dict[str, list[Event]] | None = None,
) -> Path:
    """Write a task as ``root/<name>-<version>-<mode>``, and return that folder.

    Sounds are written at ``sample_rate`` as 32 bit float: nothing is clipped or rounded. Folds
    other than train, valid and test become ``fold00``, ``fold01``, ….

    Parameters
    ----------
    events : dict, optional
        Events of each stimulus, by its name: an event task is written, and the labels of clips
        are not.
    """
    stimuli = task.stimuli
    folder = Path(root) / f"{stimuli.name}-{version}-{mode}"
    whole = task.fold_names == TRAIN_VALID_TEST
    indices = range(3) if whole else task.folds.unique().tolist()
    splits = {k: TRAIN_VALID_TEST[k] if whole else f"fold{i:02d}" for i, k in enumerate(indices)}
    labels: dict[str, dict[str, list[Any]]] = {split: {} for split in splits.values()}
    seconds = set()
    for index, (name, fold) in enumerate(zip(stimuli.ids, task.folds.tolist(), strict=True)):
        split = splits[fold]
        file = name.removeprefix(f"{split}/").removesuffix(".wav").replace("/", "__") + ".wav"
        if file in labels[split]:
            raise ValueError(f"two clips of {split} would be written as {file}: rename one")
        held = _events(events[name]) if events else _names(task, index)
        labels[split][file] = held
        place = folder / str(sample_rate) / split / file
        place.parent.mkdir(parents=True, exist_ok=True)
        waveform = stimuli.waveform(index, sample_rate)
        soundfile.write(place, waveform.numpy(), sample_rate, subtype="FLOAT")
        seconds.add(len(waveform) / sample_rate)
    metadata = {
        "task_name": stimuli.name,
        "version": version,
        "mode": mode,
        "embedding_type": "event" if events else "scene",
        "prediction_type": "multilabel" if task.multilabel or events else "multiclass",
        "split_mode": "trainvaltest" if whole else "presplit_kfold",
        "splits": list(splits.values()),
        "nfolds": None if whole else len(splits),
        "sample_duration": seconds.pop() if len(seconds) == 1 else None,
        "evaluation": _measures(task, bool(events)),
    }
    _write(folder / METADATA, metadata)
    for split, content in labels.items():
        _write(folder / f"{split}.json", content)
    with (folder / VOCABULARY).open("w", newline="", encoding="utf-8") as handle:
        csv.writer(handle).writerows([("idx", "label"), *enumerate(task.classes)])
    return folder


def _measures(task: Task, events: bool) -> list[str]:
    if events:
        return ["event_onset_200ms_fms", "segment_1s_er"]
    theirs = {ours: name for name, ours in METRICS.items()}
    return [theirs[m] for m in task.metrics] or ["mAP" if task.multilabel else "top1_acc"]


def _names(task: Task, index: int) -> list[str]:
    """Labels of a stimulus."""
    row = task.labels[index]
    chosen = row.nonzero().flatten().tolist() if task.multilabel else [int(row)]
    return [task.classes[label] for label in chosen]


def _events(events: list[Event]) -> list[dict[str, Any]]:
    return [{**asdict(e), "start": e.start * 1000, "end": e.end * 1000} for e in events]


def _write(path: Path, content: dict[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=1), encoding="utf-8")


def _row(found: Listing, clip: str, labels: list[Any], several: bool) -> list[int]:
    if not several and len(labels) != 1:
        raise ValueError(
            f"{found.root.name}: {clip} has {len(labels)} labels, expected one in a multiclass "
            "task: its prediction_type may be multilabel"
        )
    return [found.index(clip, label) for label in labels]


def _labels(rows: list[list[int]], classes: int, several: bool) -> Tensor:
    if not several:
        return torch.tensor([label for (label,) in rows])
    table = torch.zeros(len(rows), classes, dtype=torch.bool)
    for row, held in enumerate(rows):
        table[row, held] = True
    return table
