"""Event probes: what is planted is found, noise finds nothing, and the answer is the ceiling."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from alignment.probes.event_frames import label_frames
from datamodules.stimuli import Provenance, StimulusSet
from datamodules.tasks.events import Event, EventTask
from datamodules.tasks.hear import write_hear_task
from datamodules.tasks.hear_events import hear_event_task
from datamodules.tasks.hear_files import METRICS as OURS
from datamodules.tasks.task import TRAIN_VALID_TEST, Task
from evaluation.downstream.events import ERROR_RATE, METRICS, EventProbe
from evaluation.features import Features, extract
from evaluation.metrics import LOWER_IS_BETTER
from evaluation.rows import Score
from models.external.baselines.logmel import LogMelFrames

RATE, SECONDS, N = 16_000, 6.0, 18
HERTZ = {"low": 300.0, "middle": 1000.0, "high": 3000.0}
SHORT = ("event_onset_200ms_f1", "segment_1s_error_rate")


def planted(seed: int) -> list[Event]:
    """Events of known kind at known times; two may sound at once, of one kind one at a time."""
    draw = np.random.default_rng(seed)
    events = []
    for label in HERTZ:
        time = draw.uniform(0.2, 3.0)
        while time < SECONDS - 1:
            length = draw.uniform(0.4, 0.8)
            events.append(Event(label, round(time, 3), round(time + length, 3)))
            time += length + draw.uniform(1.0, 4.0)
    return events


def recording(seed: int) -> tuple[Tensor, int]:
    time = torch.arange(round(SECONDS * RATE)) / RATE
    sound = 0.01 * torch.randn(len(time), generator=torch.Generator().manual_seed(seed))
    for event in planted(seed):
        inside = (time >= event.start) & (time < event.end)
        sound += 0.1 * torch.sin(2 * torch.pi * HERTZ[event.label] * time) * inside
    return sound, RATE


def written(folder: Path, names: tuple[str, ...]) -> Path:
    ids = [str(seed) for seed in range(N)]
    stimuli = StimulusSet("tones", ids, [partial(recording, seed) for seed in range(N)])
    made = Provenance(source="made here", licence="CC0-1.0", simulated=True)
    folds = torch.arange(N) % (len(names) or 3)
    task = Task(stimuli, torch.zeros(N).long(), tuple(HERTZ), folds, made, names)
    events = {str(seed): planted(seed) for seed in range(N)}
    return write_hear_task(task, folder, RATE, events=events)


@pytest.fixture(scope="module", params=[TRAIN_VALID_TEST, ()], ids=["once", "folds"])
def task(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> EventTask:
    return hear_event_task(written(tmp_path_factory.mktemp("tasks"), request.param))


@pytest.fixture(scope="module")
def logmel(task: EventTask) -> dict[str, Features]:
    return extract(LogMelFrames(), task.stimuli, ["coarse_frames"])["coarse_frames"]


def values(probe: EventProbe, feature: Features) -> dict[str, float]:
    return {row.metric: row.value for row in over_folds(probe, feature)}


def over_folds(probe: EventProbe, feature: Features) -> list[Score]:
    return [row for row in probe.score({"layer": feature}) if not row.target]


def answers(task: EventTask, rate: float = 20.0) -> Features:
    """Features that are the answer: what sounds in each frame."""
    frames = round(SECONDS * rate)
    number = {label: i for i, label in enumerate(task.classes)}
    events = [[(number[e.label], e.start, e.end) for e in clip] for clip in task.events]
    grid = (len(number), frames, rate, 0.5 / rate)
    tables = [label_frames(torch.tensor(clip).double().view(-1, 3), *grid) for clip in events]
    return Features(torch.stack(tables).float(), torch.full((N,), frames), rate, 0.5 / rate)


def noise_like(feature: Features) -> Features:
    draw = torch.Generator().manual_seed(0)
    return replace(feature, values=torch.randn((*feature.values.shape[:2], 16), generator=draw))


def test_tones_are_found_in_a_spectrogram(task: EventTask, logmel: dict[str, Features]) -> None:
    (feature,) = logmel.values()
    assert feature.rate == pytest.approx(20, abs=2)
    rows = over_folds(EventProbe("probe/tones", task), feature)
    assert [row.metric for row in rows] == list(SHORT)
    for row in rows:
        assert row.n == N
        assert (row.ci_low is None) == (task.fold_names == TRAIN_VALID_TEST)
    onset, errors = (row.value for row in rows)
    assert onset > 0.95
    assert errors < 0.1


def test_the_answer_is_the_ceiling(task: EventTask) -> None:
    found = values(EventProbe("probe/tones", task, METRICS), answers(task))
    assert found.pop("segment_1s_error_rate") < 0.06  # a half frame may reach into a next second
    assert set(found.values()) == {1.0}
    fine = values(EventProbe("probe/tones", task), answers(task, rate=200.0))
    assert fine["segment_1s_error_rate"] < 0.01


def test_noise_finds_as_little_as_events_of_other_clips(
    task: EventTask, logmel: dict[str, Features]
) -> None:
    found = values(EventProbe("probe/tones", task), noise_like(answers(task)))
    shuffled = replace(task, events=task.events[1:] + task.events[:1])
    floor = values(EventProbe("probe/tones", shuffled), logmel["logmel"])
    for nothing in (found, floor):
        assert nothing["event_onset_200ms_f1"] < 0.25
        assert nothing["segment_1s_error_rate"] > 0.7
    assert found["event_onset_200ms_f1"] == pytest.approx(floor["event_onset_200ms_f1"], abs=0.15)


def test_dense_frames_as_they_are_do_as_well(task: EventTask) -> None:
    kept = extract(LogMelFrames(), task.stimuli, ["frames"])["frames"]
    found = values(EventProbe("probe/tones", task), next(iter(kept.values())))
    assert found["event_onset_200ms_f1"] > 0.95


def test_value_and_interval_are_over_folds(logmel: dict[str, Features], task: EventTask) -> None:
    probe = EventProbe("probe/tones", task)
    (feature,) = logmel.values()
    draw = torch.Generator().manual_seed(1)
    noise = 3 * torch.randn(feature.values.shape, generator=draw)
    harder = replace(feature, values=feature.values + noise)
    each, _ = probe._values(probe._frames(harder))
    onset, *folds = [
        row for row in probe.score({"layer": harder}) if row.metric == "event_onset_200ms_f1"
    ]
    assert [row.value for row in folds] == (each[:, 0].tolist() if len(each) > 1 else [])
    assert sum(row.n or 0 for row in folds) == (N if len(each) > 1 else 0)
    assert len(each) == len(task.splits)
    assert onset.value == pytest.approx(float(each[:, 0].mean()))
    if len(each) > 1:
        bounds = stats.t.interval(0.95, len(each) - 1, each[:, 0].mean(), stats.sem(each[:, 0]))
        assert (onset.ci_low, onset.ci_high) == pytest.approx(bounds)


def test_tested_clips_neither_train_nor_choose(task: EventTask) -> None:
    turned = {"low": "middle", "middle": "high", "high": "low"}
    split = task.splits[0]
    events = tuple(
        tuple(replace(e, label=turned[e.label]) for e in clip) if tested else clip
        for clip, tested in zip(task.events, split.test.tolist(), strict=True)
    )
    probe, other = (EventProbe("probe/tones", t) for t in (task, replace(task, events=events)))
    right, wrong = (p._values(p._frames(answers(task)))[0][0, 0] for p in (probe, other))
    assert right == 1
    assert wrong < 0.4


def test_what_is_minimised_is_known_to_the_tables() -> None:
    assert {ERROR_RATE} == LOWER_IS_BETTER & set(METRICS)
    assert set(METRICS) <= set(OURS.values())


def test_a_task_that_is_known_by_its_errors_has_few(task: EventTask) -> None:
    found = values(EventProbe("probe/tones", task, ["segment_1s_error_rate"]), answers(task))
    assert found["segment_1s_error_rate"] < 0.06


def test_what_cannot_be_scored_is_explained(task: EventTask) -> None:
    with pytest.raises(ValueError, match=r"no metric 'accuracy': choose from event_on"):
        EventProbe("probe/tones", task, ["accuracy"])
    two = replace(task, folds=task.folds % 2, fold_names=())
    with pytest.raises(ValueError, match="2 folds leave no clips to choose a threshold on"):
        EventProbe("probe/tones", two)
    tested = task.splits[0].test.tolist()
    silent = replace(
        task, events=tuple(() if t else e for e, t in zip(task.events, tested, strict=True))
    )
    with pytest.raises(ValueError, match="probe/tones: no clip of a tested fold has an event"):
        EventProbe("probe/tones", silent).score({"layer": answers(task)})


def test_one_frame_a_recording_is_too_few(task: EventTask) -> None:
    whole = Features(torch.randn(N, 1, 4), torch.ones(N).long(), 1 / SECONDS, SECONDS / 2)
    with pytest.raises(ValueError, match=r"one frame a recording.*such as logmel_frames"):
        EventProbe("probe/tones", task).score({"layer": whole})


@pytest.mark.long
def test_the_layer_that_is_best_in_validation_is_selected(task: EventTask) -> None:
    good = answers(task)
    layers = {"noise": noise_like(good), "answer": good}
    rows = EventProbe("probe/tones", task, METRICS).score(layers)
    for metric in METRICS:
        of = {row.layer: row.value for row in rows if row.metric == metric and not row.target}
        assert list(of) == ["noise", "answer", "selected"]
        assert of["selected"] == of["answer"] != of["noise"]
    alone = EventProbe("probe/tones", task, METRICS).score({"answer": good})
    assert {row.layer for row in alone} == {"answer"}
