"""Tasks of events: what sounds from when to when in a recording."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from datamodules.stimuli import Provenance, StimulusSet
from datamodules.tasks.task import Split, splits_of


@dataclass(frozen=True)
class Event:
    """Something that is heard from ``start`` to ``end`` (s from the onset of the clip)."""

    label: str
    start: float
    end: float


@dataclass(frozen=True)
class EventTask:
    """Sounds with events in them and with fixed folds.

    Parameters
    ----------
    events : tuple of tuples of Event
        Those of each stimulus, in the order of the stimuli; a stimulus may have none.
    classes : tuple of str
        Every label that an event can have.
    folds : tensor of shape (stimuli,), int64
    fold_names : tuple of str
        As in `datamodules.tasks.task.Task`.
    metrics : tuple of str
        What the task is scored by, the first being what it is known by.
    median_seconds, shortest_seconds : tuple of float
        How detected events are smoothed: lengths of the median filter, and shortest events that
        are kept, to choose from. The defaults are those of HEAR 2021.
    """

    stimuli: StimulusSet
    events: tuple[tuple[Event, ...], ...]
    classes: tuple[str, ...]
    folds: Tensor
    provenance: Provenance
    fold_names: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ("event_onset_200ms_f1", "segment_1s_error_rate")
    median_seconds: tuple[float, ...] = (0.25,)
    shortest_seconds: tuple[float, ...] = (0.125, 0.25)

    def __post_init__(self) -> None:
        name, rows = self.stimuli.name, len(self.stimuli)
        if len(self.events) != rows or self.folds.shape != (rows,):
            raise ValueError(
                f"task {name}: {rows} stimuli but events of {len(self.events)} and folds "
                f"{tuple(self.folds.shape)}"
            )
        for clip, events in zip(self.stimuli.ids, self.events, strict=True):
            for event in events:
                if event.label not in self.classes or not 0 <= event.start <= event.end:
                    raise ValueError(
                        f"task {name}: {clip} has {event}, expected a label of the "
                        f"{len(self.classes)} classes that starts at 0 s or later and ends after "
                        "it starts"
                    )

    @property
    def splits(self) -> list[Split]:
        """What trains, validates and tests: see `datamodules.tasks.task.splits_of`."""
        return splits_of(self.folds, self.fold_names)
