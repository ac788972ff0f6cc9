"""Events in HEAR's folder format: what is written is read again, and what is wrong is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from datamodules.tasks.events import Event
from datamodules.tasks.hear import hear_task, write_hear_task
from datamodules.tasks.hear_events import hear_event_task
from datamodules.tasks.task import TRAIN_VALID_TEST
from tests.datamodules.test_hear import N, rewrite, task


def event_folder(tmp_path: Path, **metadata: Any) -> tuple[Path, dict[str, list[Event]]]:
    made = task()
    events = {name: [Event("ant", 0.125, 0.5), Event("10", 0.25, 1.0)] for name in made.stimuli.ids}
    events[made.stimuli.ids[1]] = []
    folder = write_hear_task(made, tmp_path, 8000, events=events)
    rewrite(folder / "task_metadata.json", **metadata)
    return folder, events


def test_events_are_written_in_milliseconds_and_read_in_seconds(tmp_path: Path) -> None:
    folder, events = event_folder(tmp_path)
    stored = json.loads((folder / "train.json").read_text())
    assert stored["sounds__0.wav"][0] == {"label": "ant", "start": 125.0, "end": 500.0}
    found = hear_event_task(folder, source="here", licence="CC0-1.0")
    assert len(found.events) == len(found.stimuli) == N
    held = dict(zip(found.stimuli.ids, found.events, strict=True))
    assert list(held["train/sounds__0.wav"]) == events[task().stimuli.ids[0]]
    assert held["train/sounds__1.wav"] == ()
    assert found.classes == task().classes
    assert found.fold_names == TRAIN_VALID_TEST
    (split,) = found.splits
    assert torch.equal(split.test, found.folds == 2)
    assert (found.provenance.source, found.provenance.licence) == ("here", "CC0-1.0")
    assert found.metrics == ("event_onset_200ms_f1", "segment_1s_error_rate")
    with pytest.raises(ValueError, match=r"embedding_type 'event'.*hear_event_task reads events"):
        hear_task(folder)


def test_events_are_smoothed_as_the_task_says(tmp_path: Path) -> None:
    folder, _ = event_folder(tmp_path)
    default = hear_event_task(folder)
    assert (default.median_seconds, default.shortest_seconds) == ((0.25,), (0.125, 0.25))
    grid = {"median_filter_ms": [150], "min_duration": [50]}
    rewrite(
        folder / "task_metadata.json",
        evaluation=["event_onset_50ms_fms", "event_onset_offset_50ms_20perc_fms"],
        evaluation_params={"event_postprocessing_grid": grid},
    )
    found = hear_event_task(folder)
    assert (found.median_seconds, found.shortest_seconds) == ((0.15,), (0.05,))
    assert found.metrics == ("event_onset_50ms_f1", "event_onset_offset_50ms_20pct_f1")


def test_scenes_have_no_events(tmp_path: Path) -> None:
    folder = write_hear_task(task(), tmp_path, 8000)
    with pytest.raises(ValueError, match="labels without times: hear_task reads such scenes"):
        hear_event_task(folder)


def test_an_event_without_a_label_or_a_length_is_refused(tmp_path: Path) -> None:
    folder, _ = event_folder(tmp_path)
    rewrite(folder / "train.json", **{"sounds__0.wav": [{"label": "cow", "start": 0, "end": 1}]})
    with pytest.raises(ValueError, match=r"label 'cow' of train/sounds__0\.wav is not in"):
        hear_event_task(folder)
    rewrite(folder / "train.json", **{"sounds__0.wav": [{"label": "ant", "start": 9, "end": 1}]})
    with pytest.raises(ValueError, match=r"sounds__0\.wav has Event\(.*ends after it starts"):
        hear_event_task(folder)


def test_events_and_folds_are_of_the_stimuli(tmp_path: Path) -> None:
    found = hear_event_task(event_folder(tmp_path)[0])
    with pytest.raises(ValueError, match=r"12 stimuli but events of 11 and folds \(12,\)"):
        replace(found, events=found.events[1:])


@pytest.mark.parametrize("reader", [hear_task, hear_event_task])
def test_a_part_of_a_task_is_not_taken_for_the_whole(reader: Any, tmp_path: Path) -> None:
    scenes = reader is hear_task
    folder = write_hear_task(task(), tmp_path, 8000) if scenes else event_folder(tmp_path)[0]
    assert len(reader(folder, clips=N).stimuli) == N
    assert len(reader(folder, clips=None).stimuli) == N
    with pytest.raises(ValueError, match=r"has 12 of 49,060 clips: unpack all .*clips=null"):
        reader(folder, clips=49_060)
