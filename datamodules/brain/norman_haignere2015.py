"""Norman-Haignere, Kanwisher & McDermott 2015: 165 natural sounds and six fMRI components."""

from __future__ import annotations

import csv
from pathlib import Path

import torch
from scipy.io import loadmat

from datamodules.stimuli import Provenance, ResponseSet, StimulusSet

PROVENANCE = Provenance(
    source="https://github.com/snormanhaignere/natsound165-neuron2015",
    paper="doi:10.1016/j.neuron.2015.11.035",
    licence="none stated: not to be redistributed",
    device="fMRI",
    subjects=10,
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
    folder = _existing(Path(root) / "wav")
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
    content = loadmat(str(_existing(Path(root) / "components.mat")))
    names = [str(cell[0]) for cell in content["stim_names"].ravel()]
    targets = tuple(str(cell[0]) for cell in content["component_names"].ravel())
    row = {name: index for index, name in enumerate(names)}
    missing = [name for name in sounds.ids if name not in row]
    if missing:
        raise ValueError(f"components.mat has no response to {missing[0]} ({len(missing)} missing)")
    order = [row[name] for name in sounds.ids]
    values = torch.from_numpy(content["R"].astype("float64"))[order]
    return ResponseSet(sounds, values, targets, _folds(Path(root), sounds), PROVENANCE)


def _folds(root: Path, sounds: StimulusSet) -> torch.Tensor:
    with _existing(root / "folds_5x33.csv").open() as file:
        fold = {row["stimulus"]: int(row["fold"]) for row in csv.DictReader(file)}
    numbers = {str(stimulus_number(name)): name for name in sounds.ids}
    named = {numbers.get(key, key): value for key, value in fold.items()}
    missing = [name for name in sounds.ids if name not in named]
    if missing:
        raise ValueError(f"folds_5x33.csv has no fold for {missing[0]} ({len(missing)} missing)")
    return torch.tensor([named[name] for name in sounds.ids])


def _existing(path: Path) -> Path:
    if not path.exists():
        raise FileNotFoundError(
            f"no {path.name} at {path}: get it from {PROVENANCE.source} "
            "and set ENTRAIN_DATA to the folder that holds brain/natsound165"
        )
    return path
