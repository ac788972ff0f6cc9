"""Tasks in the folder format of HEAR 2021 (see hear_files.py), read and written."""

from __future__ import annotations

import csv
import json
import logging
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import soundfile
import torch
from torch import Tensor

from datamodules.stimuli import (
    TRAIN_VALID_TEST,
    Provenance,
    StimulusSet,
    Task,
    check_readable,
)
from datamodules.tasks.hear_files import (
    HEAR,
    METADATA,
    METRICS,
    VOCABULARY,
    metric_names,
    read_json,
    read_metadata,
    read_vocabulary,
    sound_folder,
    split_names,
    task_folder,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Event:
    """Something that is heard from ``start`` to ``end`` (s from the onset of the clip)."""

    label: str
    start: float
    end: float


def hear_task(
    folder: str | Path | None,
    sample_rate: int | None = None,
    name: str | None = None,
    max_seconds: float | None = None,
    rms: float | None = None,
    source: str = HEAR,
    licence: str = "",
    paper: str = "",
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

    Raises
    ------
    FileNotFoundError
        The folder, a split, a folder of sounds or a clip is missing.
    ValueError
        It is a task of events, a label is not in the vocabulary, or a clip cannot be read.
    """
    if folder is None:
        raise ValueError("hear is not set: give hear=FOLDER, a task in HEAR's format or many")
    root = task_folder(Path(folder), source)
    metadata = read_metadata(root)
    kind = metadata.get("embedding_type")
    if kind != "scene":
        raise ValueError(
            f"{root.name} is a task with embedding_type {kind!r}, and probes classify whole clips: "
            "choose a task of embedding_type 'scene'; hear_events reads events"
        )
    classes = read_vocabulary(root)
    splits = split_names(root, metadata)
    sounds = sound_folder(root, sample_rate)
    several = metadata.get("prediction_type") == "multilabel"
    names, paths, rows, folds = [], [], [], []
    for fold, split in enumerate(splits):
        for file, labels in read_json(root, f"{split}.json").items():
            names.append(f"{split}/{file}")
            paths.append(sounds / split / file)
            rows.append(_row(root, f"{split}/{file}", labels, classes, several))
            folds.append(fold)
    _check(root, paths)
    task = Task(
        StimulusSet(name or root.name, names, paths, max_seconds, rms),
        _labels(rows, len(classes), several),
        tuple(classes),
        torch.tensor(folds),
        Provenance(source=source, licence=licence, paper=paper, note=f"{sounds.name} Hz"),
        tuple(splits),
        metric_names(root, metadata),
    )
    log.info("%s: %d clips at %s Hz", root.name, len(names), sounds.name)
    return task


def hear_events(folder: str | Path) -> dict[str, list[Event]]:
    """Events of every clip of an event task, by ``split/file``, in the order of the file.

    The files hold milliseconds.
    """
    root = task_folder(Path(folder), HEAR)
    classes = read_vocabulary(root)
    found = {}
    for split in split_names(root, read_metadata(root)):
        for file, events in read_json(root, f"{split}.json").items():
            clip = f"{split}/{file}"
            if not all(isinstance(event, dict) for event in events):
                raise ValueError(
                    f"{root / split}.json: {file} has labels without times: hear_task reads scenes"
                )
            for event in events:
                _index(root, clip, event["label"], classes)
            found[clip] = [
                Event(str(e["label"]), e["start"] / 1000, e["end"] / 1000) for e in events
            ]
    return found


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
        return ["event_onset_200ms_fms"]
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


def _row(
    root: Path, clip: str, labels: list[Any], classes: dict[str, int], several: bool
) -> list[int]:
    if not several and len(labels) != 1:
        raise ValueError(
            f"{root.name}: {clip} has {len(labels)} labels, expected one in a multiclass task: "
            "its prediction_type may be multilabel"
        )
    return [_index(root, clip, label, classes) for label in labels]


def _index(root: Path, clip: str, label: object, classes: dict[str, int]) -> int:
    if str(label) not in classes:
        raise ValueError(
            f"{root.name}: label {label!r} of {clip} is not in {VOCABULARY} ({len(classes)} "
            "labels): add it there, or mend the label"
        )
    return classes[str(label)]


def _labels(rows: list[list[int]], classes: int, several: bool) -> Tensor:
    if not several:
        return torch.tensor([label for (label,) in rows])
    table = torch.zeros(len(rows), classes, dtype=torch.bool)
    for row, held in enumerate(rows):
        table[row, held] = True
    return table


def _check(root: Path, paths: list[Path]) -> None:
    gone = [path for path in paths if not path.is_file()]
    if gone:
        raise FileNotFoundError(
            f"{root.name} lists {gone[0].parent.name}/{gone[0].name}, which is not at {gone[0]} "
            f"({len(gone)} of {len(paths)} clips missing): unpack the archive again"
        )
    for path in paths:
        check_readable(path)
