"""Event tasks in the folder format of HEAR 2021 (see hear_files.py)."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from datamodules.stimuli import Provenance, StimulusSet
from datamodules.tasks.events import Event, EventTask
from datamodules.tasks.hear_files import HEAR, Listing, metric_names, read_listing

log = logging.getLogger(__name__)


def hear_event_task(
    folder: str | Path | None,
    sample_rate: int | None = None,
    name: str | None = None,
    source: str = HEAR,
    licence: str = "",
    paper: str = "",
    clips: int | None = None,
) -> EventTask:
    """An event task: what sounds when in each clip. The files hold milliseconds.

    Metrics, and how detected events are to be smoothed, are what the task says of itself.

    Parameters
    ----------
    folder, sample_rate, name, source, clips
        As in `datamodules.tasks.hear.hear_task`.

    Raises
    ------
    FileNotFoundError
        The folder, a split, a folder of sounds or a clip is missing.
    ValueError
        Clips have labels without times, a label is not in the vocabulary, a clip cannot be read,
        or there are fewer than ``clips``.
    """
    found = read_listing(folder, source, sample_rate, clips)
    events = tuple(
        _events(found, clip, content)
        for clip, content in zip(found.names, found.contents, strict=True)
    )
    smoothing = _smoothing(found.metadata)
    task = EventTask(
        StimulusSet(name or found.root.name, found.names, found.paths),
        events,
        tuple(found.classes),
        found.folds,
        Provenance(source=source, licence=licence, paper=paper, note=f"{found.sounds.name} Hz"),
        found.splits,
        metric_names(found.root, found.metadata),
        **smoothing,
    )
    count = sum(map(len, events))
    log.info("%s: %d events in %d clips", found.root.name, count, len(found.names))
    return task


def _events(found: Listing, clip: str, content: list[Any]) -> tuple[Event, ...]:
    if not all(isinstance(event, dict) for event in content):
        raise ValueError(
            f"{found.root.name}: {clip} has labels without times: hear_task reads such scenes"
        )
    for event in content:
        found.index(clip, event["label"])
    return tuple(Event(str(e["label"]), e["start"] / 1000, e["end"] / 1000) for e in content)


def _smoothing(metadata: dict[str, Any]) -> dict[str, tuple[float, ...]]:
    """Median filters and shortest events to choose from (s), where the task names its own."""
    grid = (metadata.get("evaluation_params") or {}).get("event_postprocessing_grid") or {}
    ours = {"median_filter_ms": "median_seconds", "min_duration": "shortest_seconds"}
    return {ours[key]: tuple(ms / 1000 for ms in grid[key]) for key in ours if key in grid}
