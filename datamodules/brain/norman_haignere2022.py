"""Norman-Haignere et al. 2022 (song): ECoG responses to the 165 natural sounds, over time."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from scipy.io import loadmat
from torch import Tensor

from datamodules.brain import norman_haignere2015
from datamodules.stimuli import Provenance, StimulusSet, TimedResponseSet, require_path

PROVENANCE = Provenance(
    source="https://github.com/snormanhaignere/song-ecog-current-biology",
    paper="doi:10.1016/j.cub.2022.01.069",
    licence="none stated: not to be redistributed",
    device="ECoG, high-gamma power",
    subjects=15,
    note="averages over repetitions: no noise ceiling",
)
HINT = (
    f"get it from {PROVENANCE.source} "
    "and set ENTRAIN_DATA to the folder that holds brain/song_ecog2022"
)


def components(root: str | Path, sounds: str | Path, rms: float | None = None) -> TimedResponseSet:
    """Fifteen components at 25 Hz, 0 to 2.96 s.

    Parameters
    ----------
    root : path
        Folder with ``data/ecog_component_responses.mat``.
    sounds : path
        Folder of the sounds and folds of Norman-Haignere et al. 2015.
    """
    stimuli = norman_haignere2015.stimuli(sounds, rms)
    content = _read(Path(root) / "data" / "ecog_component_responses.mat", stimuli)
    count = content["R"].shape[-1]
    return TimedResponseSet(
        stimuli,
        torch.from_numpy(content["R"].astype("float64")),
        _times(content),
        tuple(f"component_{k + 1:02d}" for k in range(count)),
        norman_haignere2015.folds(sounds, stimuli),
        PROVENANCE,
    )


def electrodes(
    root: str | Path, sounds: str | Path, rms: float | None = None, rate: int = 25
) -> TimedResponseSet:
    """The 33 song-, music- and speech-selective electrodes, averaged from 100 Hz to ``rate``.

    They were selected for these preferences with these sounds.
    """
    stimuli = norman_haignere2015.stimuli(sounds, rms)
    folder = Path(root) / "data" / "individual-electrodes"
    files = sorted(require_path(folder, HINT).glob("*-elec*-response.mat"), key=_electrode)
    if not files:
        raise FileNotFoundError(f"no *-elec<k>-response.mat in {folder}: {HINT}")
    contents = [_read(file, stimuli) for file in files]
    times = _times(contents[0])
    values = torch.stack([torch.from_numpy(c["R"].astype("float64")) for c in contents], -1)
    step = round(1 / (rate * float(times[1] - times[0])))
    bins = len(times) // step
    return TimedResponseSet(
        stimuli,
        values[:, : bins * step].unflatten(1, (bins, step)).mean(2),
        times[: bins * step].view(bins, step).mean(1),
        tuple(file.name.removesuffix("-response.mat") for file in files),
        norman_haignere2015.folds(sounds, stimuli),
        PROVENANCE,
    )


def _electrode(file: Path) -> tuple[str, int]:
    name = re.match(r"(\w+)-elec(\d+)", file.name)
    return (name[1], int(name[2])) if name else (file.name, 0)


def _times(content: dict[str, Any]) -> Tensor:
    return torch.from_numpy(content["t"].astype("float64").ravel())


def _read(path: Path, stimuli: StimulusSet) -> dict[str, Any]:
    """A file's arrays; ``R`` in the order of the sounds, joined by name, and that ``order``."""
    content: dict[str, Any] = loadmat(str(require_path(path, HINT)))
    names = [str(cell[0]).removesuffix(".wav") for cell in content["stim_names"].ravel()]
    if sorted(names) != sorted(stimuli.ids):
        missing = sorted(set(stimuli.ids) - set(names))
        raise ValueError(f"{path.name} has no response to {missing[:1]} ({len(missing)} missing)")
    order = [names.index(name) for name in stimuli.ids]
    return content | {"R": content["R"][order], "order": order}
