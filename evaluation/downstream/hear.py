"""Probes for a whole folder of tasks in HEAR's format."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from datamodules.tasks.hear import hear_task
from datamodules.tasks.hear_events import hear_event_task
from datamodules.tasks.hear_files import hear_folders, read_metadata
from evaluation.downstream.events import EventProbe
from evaluation.downstream.probing import ClassificationProbe
from evaluation.features import Pooling


def hear_probes(
    folder: str | Path | None,
    name: str = "probe/hear",
    pooling: Pooling = "mean",
    sample_rate: int | None = None,
    licence: str = "",
) -> dict[str, Callable[[], ClassificationProbe | EventProbe]]:
    """A probe for every task in HEAR's format in a folder, by the name of the task's folder.

    Parameters
    ----------
    folder : path
        A folder of task folders, or one task folder.
    pooling : str
        What a clip becomes where whole clips are classified.
    sample_rate : int, optional
        Which of a task's folders of sounds to read (Hz); the highest by default.

    Returns
    -------
    dict
        Functions that make the probes: one task that cannot be read does not hinder the others.
    """

    def make_probe(place: Path) -> ClassificationProbe | EventProbe:
        whole = f"{name}/{place.name}"
        if read_metadata(place).get("embedding_type") == "event":
            return EventProbe(whole, hear_event_task(place, sample_rate, licence=licence))
        return ClassificationProbe(whole, hear_task(place, sample_rate, licence=licence), pooling)

    return {place.name: partial(make_probe, place) for place in hear_folders(folder)}
