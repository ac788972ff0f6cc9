"""Tasks in HEAR's format as benchmarks: every yaml, on a task that is written here."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from datamodules.events import Event
from datamodules.stimuli import TRAIN_VALID_TEST, Provenance, StimulusSet, Task
from datamodules.tasks.hear import write_hear_task
from evaluation.benchmark import Benchmark, read_scores
from launch import CONF, build_benchmarks
from probe import probe
from tests.composing import composed, config, options

N = 45
LABELS = torch.arange(N) % 3


def tone(index: int) -> tuple[Tensor, int]:
    hertz = (200, 700, 2400)[index % 3] + 0.1 * index
    time = torch.arange(4000) / 8000
    noise = torch.randn(4000, generator=torch.Generator().manual_seed(index))
    return 0.1 * torch.sin(2 * np.pi * hertz * time) + 0.02 * noise, 8000


def tones(labels: Tensor = LABELS, names: tuple[str, ...] = TRAIN_VALID_TEST) -> Task:
    stimuli = StimulusSet("tones", [str(i) for i in range(N)], [partial(tone, i) for i in range(N)])
    made = Provenance(source="made here", licence="CC0-1.0", simulated=True)
    folds = torch.arange(N) // 3 % (len(names) or 5)
    return Task(stimuli, labels, ("low", "middle", "high"), folds, made, names)


TABLE = torch.stack([LABELS == 0, LABELS > 0, LABELS == 2], 1)


def published() -> list[str]:
    """Benchmarks of one task in HEAR's format."""
    files = {n: CONF / "benchmark" / f"{n}.yaml" for n in options("benchmark", "probe/*.yaml")}
    return [name for name, file in files.items() if "tasks.hear.hear_task" in file.read_text()]


def test_the_six_tasks_of_the_paper_are_there() -> None:
    six = ("nsynth_pitch_50h", "gtzan", "speech_commands", "crema_d", "esc50", "fsd50k")
    assert set(published()) >= {f"probe/{name}" for name in six}


@pytest.mark.parametrize("name", published())
@pytest.mark.parametrize("labels", [LABELS, TABLE])
def test_a_benchmark_reads_the_task_of_its_name(name: str, labels: Tensor, tmp_path: Path) -> None:
    cfg = config(tmp_path, f"paths.data='{tmp_path}'", f"benchmark=[{name}]", script="probe")
    place = Path(cfg.benchmark.probe[name.removeprefix("probe/")].task.folder)
    assert place.parent == tmp_path / "hear" / "tasks"
    place.parent.mkdir(parents=True)
    written = write_hear_task(tones(labels), tmp_path, 8000)
    written.rename(place.parent / place.name.replace("*", "1.0"))
    benchmarks, failures = build_benchmarks(cfg)
    assert not failures
    made = benchmarks[name]
    assert isinstance(made, Benchmark)
    assert made.name == name
    assert len(made.stimuli or ()) == N
    assert made.task.provenance.source  # type: ignore[attr-defined]
    assert made.task.provenance.licence  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", published())
def test_what_is_missing_is_said_with_where_to_get_it(name: str, tmp_path: Path) -> None:
    cfg = config(tmp_path, f"paths.data='{tmp_path}'", f"benchmark=[{name}]", script="probe")
    benchmarks, (failure,) = build_benchmarks(cfg)
    assert not benchmarks
    assert "no task in HEAR's format at" in failure.error
    assert "hear-eval-kit" in failure.error
    assert "ENTRAIN_DATA" in failure.error


def test_all_tasks_of_a_folder_are_scored_and_what_is_wrong_is_reported(tmp_path: Path) -> None:
    write_hear_task(tones(), tmp_path / "tasks", 8000)
    write_hear_task(tones(TABLE, ()), tmp_path / "tasks", 8000, mode="several")
    events = {str(i): [Event(("low", "middle", "high")[i % 3], 0.0, 0.5)] for i in range(N)}
    write_hear_task(tones(), tmp_path / "tasks", 8000, mode="events", events=events)
    broken = write_hear_task(tones(), tmp_path / "tasks", 8000, mode="broken")
    (broken / "valid.json").unlink()
    options = ["benchmark=[probe/hear]", f"hear='{tmp_path}/tasks'", "device=cpu", "name=test"]
    options += [f"output_dir='{tmp_path}'", "encoder=logmel_frames"]
    with pytest.raises(SystemExit):
        probe(composed(tmp_path, *options, config="probe"))
    scores = read_scores(tmp_path / "scores.jsonl")
    rows = {(r.benchmark, r.metric): r for r in scores if not r.target}
    assert set(rows) == {
        ("probe/hear/tones-1.0.0-full", "knn_accuracy"),
        ("probe/hear/tones-1.0.0-full", "linear_accuracy"),
        ("probe/hear/tones-1.0.0-several", "knn_map"),
        ("probe/hear/tones-1.0.0-several", "linear_map"),
        ("probe/hear/tones-1.0.0-events", "event_onset_200ms_f1"),
        ("probe/hear/tones-1.0.0-events", "segment_1s_error_rate"),
    }
    for (name, metric), row in rows.items():
        assert row.value < 0.1 if metric == "segment_1s_error_rate" else row.value > 0.95
        folds = {r.target for r in scores if (r.benchmark, r.metric) == (name, metric) and r.target}
        several = name.endswith("several")
        assert folds == ({f"fold{k:02d}" for k in range(5)} if several else set())
    (line,) = (tmp_path / "failures.jsonl").read_text().splitlines()
    failure = json.loads(line)
    assert failure["benchmark"] == "probe/hear/tones-1.0.0-broken"
    assert "has no valid.json" in failure["error"]


def test_a_folder_that_is_not_given_is_asked_for(tmp_path: Path) -> None:
    _, (failure,) = build_benchmarks(config(tmp_path, "benchmark=[probe/hear]"))
    assert failure.benchmark == "probe/hear"
    assert failure.error.startswith("hear is not set: give hear=FOLDER")
