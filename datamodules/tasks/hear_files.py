"""The files of a task in the folder format of HEAR 2021, and what is wrong with them.

A task is a folder ``<name>-<version>-<mode>`` with ``task_metadata.json``,
``labelvocabulary.csv`` (idx, label), one ``<split>.json`` a split and the sounds at
``<sample rate>/<split>/<file>.wav`` (hearbenchmark/hear-eval-kit, heareval 2021.1.3).
"""

from __future__ import annotations

import csv
import json
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datamodules.sound_files import check_readable
from datamodules.tasks.task import TRAIN_VALID_TEST

METADATA, VOCABULARY = "task_metadata.json", "labelvocabulary.csv"
HEAR = "https://github.com/hearbenchmark/hear-eval-kit"
METRICS = {
    "top1_acc": "accuracy",
    "pitch_acc": "pitch_accuracy",
    "chroma_acc": "chroma_accuracy",
    "mAP": "map",
    "d_prime": "d_prime",
    "aucroc": "auc",
    "event_onset_200ms_fms": "event_onset_200ms_f1",
    "event_onset_50ms_fms": "event_onset_50ms_f1",
    "event_onset_offset_50ms_20perc_fms": "event_onset_offset_50ms_20pct_f1",
    "segment_1s_er": "segment_1s_error_rate",
}
"""Our name of each metric of HEAR (heareval, score.py)."""

log = logging.getLogger(__name__)


def hear_folders(folder: str | Path | None) -> list[Path]:
    """Task folders: the folder itself where it is one, otherwise all that lie in it, by name."""
    if folder is None:
        raise ValueError("hear is not set: give hear=FOLDER, a task in HEAR's format or many")
    root = Path(folder)
    if (root / METADATA).is_file():
        return [root]
    found = sorted(file.parent for file in root.glob(f"*/{METADATA}"))
    if not found:
        raise FileNotFoundError(
            f"no {METADATA} in {root} or in a folder of it: give the folder tasks/ of an archive "
            f"in HEAR's format, see {HEAR}"
        )
    return found


@dataclass(frozen=True)
class Listing:
    """The clips that a task's files list, those of the first split first.

    Attributes
    ----------
    root, sounds : path
        The task's folder and that of its sounds at one rate.
    names, paths, contents : lists
        ``split/file``, the sound, and labels or events as they are written there.
    folds : tensor of shape (clips,), int64
        Place of each clip's split in ``splits``.
    classes : dict
        Index of each label.
    """

    root: Path
    sounds: Path
    metadata: dict[str, Any]
    names: list[str]
    paths: list[Path]
    contents: list[list[Any]]
    folds: Tensor
    splits: tuple[str, ...]
    classes: dict[str, int]

    def index(self, clip: str, label: object) -> int:
        """Number of a label that a clip has."""
        if str(label) not in self.classes:
            raise ValueError(
                f"{self.root.name}: label {label!r} of {clip} is not in {VOCABULARY} "
                f"({len(self.classes)} labels): add it there, or fix the label"
            )
        return self.classes[str(label)]


def read_listing(
    folder: str | Path | None, source: str, sample_rate: int | None, clips: int | None
) -> Listing:
    """What a task's files list, with every sound in its place.

    Parameters
    ----------
    clips : int, optional
        How many there should be.
    """
    if folder is None:
        raise ValueError("hear is not set: give hear=FOLDER, a task in HEAR's format or many")
    root = task_folder(Path(folder), source)
    metadata = read_metadata(root)
    classes = read_vocabulary(root)
    splits = split_names(root, metadata)
    sounds = sound_folder(root, sample_rate)
    listed = [
        (fold, f"{split}/{file}", content)
        for fold, split in enumerate(splits)
        for file, content in read_json(root, f"{split}.json").items()
    ]
    names = [name for _, name, _ in listed]
    paths = [sounds / name for name in names]
    _check(root, paths, clips)
    folds = torch.tensor([fold for fold, _, _ in listed], dtype=torch.long)
    contents = [content for _, _, content in listed]
    return Listing(root, sounds, metadata, names, paths, contents, folds, tuple(splits), classes)


def _check(root: Path, paths: list[Path], clips: int | None) -> None:
    if clips is not None and len(paths) < clips:
        raise ValueError(
            f"{root.name} has {len(paths):,} of {clips:,} clips: unpack all of the archive, or set "
            "benchmark.probe.NAME.task.clips=null to go on with these"
        )
    gone = [path for path in paths if not path.is_file()]
    if gone:
        raise FileNotFoundError(
            f"{root.name} lists {gone[0].parent.name}/{gone[0].name}, which is not at {gone[0]} "
            f"({len(gone)} of {len(paths)} clips missing): unpack the archive again"
        )
    for path in paths:
        check_readable(path)


def task_folder(folder: Path, source: str) -> Path:
    """The task's folder: the one that matches, where the name holds a ``*``."""
    matches = sorted(folder.parent.glob(folder.name)) if "*" in folder.name else [folder]
    tasks = [match for match in matches if (match / METADATA).is_file()]
    if len(tasks) > 1:
        raise ValueError(
            f"{len(tasks)} tasks are named {folder}: {', '.join(t.name for t in tasks)}; "
            "keep one, or give the folder of one"
        )
    if not tasks:
        raise FileNotFoundError(
            f"no task in HEAR's format at {folder}: get it from {source} and unpack it there, so "
            f"that the folder holds {METADATA}, or set ENTRAIN_DATA to where it is"
        )
    return tasks[0]


def read_json(root: Path, file: str) -> dict[str, Any]:
    """Content of a file of the task."""
    path = root / file
    if not path.is_file():
        raise FileNotFoundError(f"{root} has no {file}: unpack the archive of the task again")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path} is no JSON ({error}): unpack the archive again") from error
    if not isinstance(content, dict):
        raise ValueError(f"{path} holds a {type(content).__name__}, expected names with values")
    return content


def read_metadata(root: Path) -> dict[str, Any]:
    """What the task says of itself."""
    return read_json(root, METADATA)


def metric_names(root: Path, metadata: dict[str, Any]) -> tuple[str, ...]:
    """Our names of the metrics that the task is scored by, the one it is known by first."""
    named = metadata.get("evaluation") or []
    unknown = [str(name) for name in named if name not in METRICS]
    if unknown:
        known = ", ".join(METRICS)
        log.warning("%s: no metric %s is known, only %s", root.name, ", ".join(unknown), known)
    return tuple(METRICS[name] for name in named if name in METRICS)


def split_names(root: Path, metadata: dict[str, Any]) -> list[str]:
    """Names of the splits: train, valid and test, or folds."""
    mode = metadata.get("split_mode")
    if mode == "trainvaltest":
        return list(TRAIN_VALID_TEST)
    folds = metadata.get("splits") or [f"fold{k:02d}" for k in range(metadata.get("nfolds") or 0)]
    if mode not in ("new_split_kfold", "presplit_kfold") or len(folds) < 2:
        raise ValueError(
            f"{root / METADATA} has split_mode {mode!r} and splits {folds}, expected trainvaltest, "
            "or new_split_kfold or presplit_kfold with at least two folds"
        )
    return sorted(folds)


def read_vocabulary(root: Path) -> dict[str, int]:
    """Index of each label, from 0, in the order of the indices."""
    path = root / VOCABULARY
    if not path.is_file():
        raise FileNotFoundError(f"{root} has no {VOCABULARY}: unpack the archive of the task again")
    with path.open(newline="", encoding="utf-8-sig") as handle:
        rows = [(row.get("idx"), row.get("label")) for row in csv.DictReader(handle)]
    if sorted(str(idx) for idx, _ in rows) != sorted(map(str, range(len(rows)))) or not rows:
        raise ValueError(f"{path} does not number its labels from 0: expected columns idx,label")
    return {str(label): i for i, label in sorted((int(str(idx)), label) for idx, label in rows)}


def sound_folder(root: Path, sample_rate: int | None) -> Path:
    """The folder of sounds at the rate that is wanted, or at the highest."""
    rates = sorted(int(p.name) for p in root.iterdir() if p.is_dir() and p.name.isdecimal())
    if not rates or sample_rate not in (None, *rates):
        wanted = "sounds, such as 48000/" if sample_rate is None else f"folder {sample_rate}/"
        mend = f"there are {rates}" if rates else "unpack the archive with its sounds"
        raise FileNotFoundError(f"{root} has no {wanted}: {mend}")
    return root / str(sample_rate or rates[-1])
