"""Norman-Haignere, Kanwisher & McDermott 2015: fMRI responses to 165 natural sounds."""

from __future__ import annotations

import csv
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from scipy.io import loadmat

from datamodules.brain.auditory_brain_dnn import (
    load_array,
    region_table,
    subjects_of,
    voxel_ids,
    voxel_scans,
)
from datamodules.stimuli import Provenance, ResponseSet, StimulusSet, require_path
from datamodules.tasks.task import Task

PROVENANCE = Provenance(
    source="https://github.com/snormanhaignere/natsound165-neuron2015",
    paper="doi:10.1016/j.neuron.2015.11.035",
    licence="none stated: not to be redistributed",
    device="fMRI",
    subjects=10,
)
HINT = (
    f"get it from {PROVENANCE.source} "
    "and set ENTRAIN_DATA to the folder that holds brain/natsound165"
)


def stimuli(root: str | Path, rms: float | None = None) -> StimulusSet:
    """The 165 sounds of two seconds, in ascending order of their number.

    Parameters
    ----------
    root : path
        Folder with ``wav/``, ``components.mat`` and ``folds_5x33.csv``.
    rms : float, optional
        Level that every sound is scaled to (they come at .01).
    """
    folder = require_path(Path(root) / "wav", HINT)
    files = sorted(folder.glob("stim*.wav"), key=lambda file: stimulus_number(file.stem))
    if len(files) != 165:
        raise ValueError(f"{len(files)} sounds in {folder}, expected 165 files stim<ID>_<name>.wav")
    return StimulusSet("nh2015", [file.stem for file in files], files, max_seconds=2.0, rms=rms)


def stimulus_number(name: str) -> int:
    """``stim12_background_speech`` -> 12."""
    return int(name.removeprefix("stim").split("_", 1)[0])


def components(root: str | Path, rms: float | None = None) -> ResponseSet:
    """Responses of the six components (lowfreq … music) to the 165 sounds.

    Rows of ``components.mat`` are joined by stimulus name; the published five folds of 33
    follow the numeric order of the stimuli.
    """
    sounds = stimuli(root, rms)
    content = loadmat(str(require_path(Path(root) / "components.mat", HINT)))
    targets = tuple(str(cell[0]) for cell in content["component_names"].ravel())
    values = _responses(content, sounds)
    return ResponseSet(sounds, values, targets, folds(root, sounds), PROVENANCE)


def category_task(root: str | Path, minimum: int = 10, rms: float | None = None) -> Task:
    """Category of the sounds, of those categories that have at least ``minimum`` of them.

    With ten: 149 sounds of eight categories, in the published folds.

    Parameters
    ----------
    root : path
        Folder with ``wav/``, ``category_labels.csv`` and ``folds_5x33.csv``.
    minimum : int
    rms : float, optional
        Level that every sound is scaled to.
    """
    sounds = stimuli(root, rms)
    file = require_path(Path(root) / "category_labels.csv", HINT)
    with file.open(newline="", encoding="utf-8") as handle:
        category = dict(csv.reader(handle))
    missing = [name for name in sounds.ids if name not in category]
    if missing:
        raise ValueError(f"{file} has no category of {missing[0]} ({len(missing)} missing)")
    count = Counter(category[name] for name in sounds.ids)
    classes = sorted(name for name, sounds_of in count.items() if sounds_of >= minimum)
    if len(classes) < 2:
        raise ValueError(
            f"{len(classes)} categories have {minimum} sounds or more, at least two are needed: "
            f"give minimum={sorted(count.values())[-2]} or less"
        )
    rows = [row for row, name in enumerate(sounds.ids) if category[name] in classes]
    kept = replace(
        sounds,
        name="nh2015_categories",
        ids=[sounds.ids[row] for row in rows],
        sources=[sounds.sources[row] for row in rows],
    )
    labels = torch.tensor([classes.index(category[name]) for name in kept.ids])
    return Task(kept, labels, tuple(classes), folds(root, sounds)[rows], PROVENANCE)


def reconstructed_voxels(root: str | Path, rms: float | None = None) -> ResponseSet:
    """Six components times voxel weights: 11,065 voxels of rank six, without noise.

    Not measured voxels: no scans, no participants, no ceiling.
    """
    sounds = stimuli(root, rms)
    content = loadmat(str(require_path(Path(root) / "components.mat", HINT)))
    values = _responses(content, sounds) @ torch.from_numpy(content["W"].astype("float64"))
    names = tuple(f"voxel_{index:05d}" for index in range(values.shape[1]))
    provenance = replace(PROVENANCE, note="reconstructed from six components, not measured")
    return ResponseSet(sounds, values, names, folds(root, sounds), provenance)


def voxels(
    root: str | Path,
    arrays: str | Path,
    rms: float | None = None,
    unpickle: bool = False,
) -> ResponseSet:
    """Measured voxels with three scans each (7,694 of 8 participants).

    Parameters
    ----------
    root : path
        Folder of the sounds and folds, as in :func:`components`.
    arrays : path
        Folder with ``voxel_features_array.npy``, ``voxel_features_meta.npy`` and
        ``neural_stim_meta.npy`` and, for regions, ``df_roi_meta.csv`` or ``.pkl``.
    unpickle : bool
        Read ``df_roi_meta.pkl``: unpickling executes what the file says.
    """
    sounds, folder = stimuli(root, rms), Path(arrays)
    names = [_text(row[0]) for row in load_array(folder / "neural_stim_meta.npy")]
    row = {name.removesuffix(".wav"): index for index, name in enumerate(names)}
    order = _order(row, sounds, "neural_stim_meta.npy")
    scans, meta = voxel_scans(folder, len(names))
    regions = region_table(folder, unpickle)
    ids = voxel_ids(meta)
    return ResponseSet(
        sounds,
        scans[order].mean(-1),
        tuple(f"voxel_{key}" for key in ids),
        folds(root, sounds),
        replace(PROVENANCE, subjects=8),
        scans=scans[order],
        subjects=subjects_of(meta, regions),
        regions=tuple(regions.get(key, ("", ""))[1] for key in ids) if regions else None,
    )


def _text(value: object) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _responses(content: dict[str, Any], sounds: StimulusSet) -> torch.Tensor:
    """Component responses in the order of the sounds, float64."""
    names = [str(cell[0]) for cell in content["stim_names"].ravel()]
    order = _order({name: index for index, name in enumerate(names)}, sounds, "components.mat")
    return torch.from_numpy(content["R"].astype("float64"))[order]


def _order(row: dict[str, int], sounds: StimulusSet, file: str) -> list[int]:
    missing = [name for name in sounds.ids if name not in row]
    if missing:
        raise ValueError(f"{file} has no response to {missing[0]} ({len(missing)} missing)")
    return [row[name] for name in sounds.ids]


def folds(root: str | Path, sounds: StimulusSet) -> torch.Tensor:
    """The published stratified folds, 33 sounds each."""
    root = Path(root)
    with require_path(root / "folds_5x33.csv", HINT).open() as file:
        fold = {row["stimulus"]: int(row["fold"]) for row in csv.DictReader(file)}
    numbers = {str(stimulus_number(name)): name for name in sounds.ids}
    named = {numbers.get(key, key): value for key, value in fold.items()}
    missing = [name for name in sounds.ids if name not in named]
    if missing:
        raise ValueError(f"folds_5x33.csv has no fold for {missing[0]} ({len(missing)} missing)")
    return torch.tensor([named[name] for name in sounds.ids])
