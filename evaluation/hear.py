"""Probes for a folder of tasks in HEAR's format."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from datamodules.tasks.hear import hear_task
from datamodules.tasks.hear_files import hear_folders
from evaluation.features import Pooling
from evaluation.probing import ClassificationProbe


def hear_probes(
    folder: str | Path | None,
    name: str = "probe/hear",
    pooling: Pooling = "mean",
    sample_rate: int | None = None,
    licence: str = "",
) -> dict[str, Callable[[], ClassificationProbe]]:
    """A probe for every task in HEAR's format in a folder, by the name of the task's folder.

    Parameters
    ----------
    folder : path
        A folder of task folders, or one task folder.
    sample_rate : int, optional
        Which of a task's folders of sounds to read (Hz); the highest by default.

    Returns
    -------
    dict
        Functions that make the probes: one task that cannot be read does not hinder the others.
    """

    def made(place: Path) -> ClassificationProbe:
        task = hear_task(place, sample_rate, licence=licence)
        return ClassificationProbe(f"{name}/{place.name}", task, pooling)

    return {place.name: partial(made, place) for place in hear_folders(folder)}
