"""Tasks in HEAR's format as benchmarks: every yaml, on a task that is written here."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from omegaconf import DictConfig
from torch import Tensor

from commands.building import build_benchmarks
from commands.folders import CONF
from commands.scoring import score_or_exit as probe
from datamodules.stimuli import Provenance, StimulusSet
from datamodules.tasks.events import Event
from datamodules.tasks.hear import write_hear_task
from datamodules.tasks.task import TRAIN_VALID_TEST, Task
from evaluation.benchmark import Benchmark
from evaluation.rows import read_scores
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


def published(reader: str = "hear_task") -> list[str]:
    """Benchmarks of one task in HEAR's format."""
    files = {n: CONF / "benchmark" / f"{n}.yaml" for n in options("benchmark", "probe/*.yaml")}
    return [name for name, file in files.items() if f".{reader}\n" in file.read_text()]


SCENES, RECORDINGS = published(), published("hear_event_task")


def test_the_nineteen_tasks_of_hear_are_there() -> None:
    """With both directions of the beehives, which HEAR counts as one."""
    six = {"nsynth_pitch_50h", "gtzan", "speech_commands", "crema_d", "esc50", "fsd50k"}
    assert {f"probe/{name}" for name in six} < set(SCENES)
    assert len(SCENES) == 18
    assert RECORDINGS == ["probe/dcase2016", "probe/maestro"]


def placed(folder: Path, cfg: DictConfig, name: str) -> None:
    """Move a task to where a benchmark looks for it."""
    place = Path(cfg.benchmark.probe[name.removeprefix("probe/")].task.folder)
    place.parent.mkdir(parents=True)
    folder.rename(place.parent / place.name.replace("*", "1.0"))


def of(tmp_path: Path, name: str, *overrides: str) -> DictConfig:
    chosen = [f"paths.data='{tmp_path}'", f"benchmark=[{name}]", *overrides]
    return config(tmp_path, *chosen, script="probe")


@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("labels", [LABELS, TABLE])
def test_a_benchmark_reads_the_task_of_its_name(name: str, labels: Tensor, tmp_path: Path) -> None:
    cfg = of(tmp_path, name, f"benchmark.{name.replace('/', '.')}.task.clips=null")
    placed(write_hear_task(tones(labels), tmp_path, 8000), cfg, name)
    check(cfg, name)


@pytest.mark.parametrize("name", RECORDINGS)
def test_a_benchmark_reads_the_events_of_its_name(name: str, tmp_path: Path) -> None:
    cfg = of(tmp_path, name, f"benchmark.{name.replace('/', '.')}.task.clips=null")
    events = {str(i): [Event("low", 0.0, 0.5)] for i in range(N)}
    placed(write_hear_task(tones(), tmp_path, 8000, events=events), cfg, name)
    check(cfg, name)


def check(cfg: DictConfig, name: str) -> None:
    benchmarks, failures = build_benchmarks(cfg)
    assert not failures
    made = benchmarks[name]
    assert isinstance(made, Benchmark)
    assert made.name == name
    assert len(made.stimuli or ()) == N
    assert made.task.provenance.source  # type: ignore[attr-defined]
    assert made.task.provenance.licence  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["probe/esc50", "probe/maestro"])
def test_a_part_of_an_archive_is_not_scored_unasked(name: str, tmp_path: Path) -> None:
    cfg = of(tmp_path, name)
    events = {str(i): [Event("low", 0.0, 0.5)] for i in range(N)} if "maestro" in name else None
    placed(write_hear_task(tones(), tmp_path, 8000, events=events), cfg, name)
    _, (failure,) = build_benchmarks(cfg)
    number = "185" if events else "2,000"
    assert f"has 45 of {number} clips: unpack all of the archive" in failure.error
    assert "task.clips=null" in failure.error


@pytest.mark.parametrize("name", [*SCENES, *RECORDINGS])
def test_what_is_missing_is_said_with_where_to_get_it(name: str, tmp_path: Path) -> None:
    benchmarks, (failure,) = build_benchmarks(of(tmp_path, name))
    assert not benchmarks
    assert "no task in HEAR's format at" in failure.error
    assert "hearbenchmark.com/hear-tasks" in failure.error
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
