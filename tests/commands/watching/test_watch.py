"""A watch beside a run: the same rows, the same W&B run, and plain words where it cannot be."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import wandb
from omegaconf import DictConfig, OmegaConf

import probe
from commands.training import train
from commands.watching import watch as watching
from commands.watching.watch import (
    check_targets,
    check_watch,
    exclusive_lock,
    missed_steps,
    plan,
    requested_benchmarks,
    run_loggers,
    settings_hash,
    watch,
)
from evaluation.evaluate import Evaluation
from tests.composing import composed, tiny
from tests.wandb_files import parts

CPU = torch.device("cpu")


@pytest.fixture(scope="module", autouse=True)
def offline() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "offline")
        patch.setattr("commands.watching.watcher.FLUSH_SECONDS", 0.0)
        yield


def config(run: Path, *overrides: str, encoder: str = "checkpoint") -> DictConfig:
    own = [f"encoder={encoder}", f"watch='{run}'", "name=x", f"output_dir='{run}/out'"]
    return composed(run / "out", *own, "watch_every=0.01", *overrides, config="probe")


def rows(path: Path) -> list[dict[str, Any]]:
    """Rows as they stand in a file, but for the seconds they took."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    return [{**line, "seconds": None} for line in lines]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two steps that has evaluated itself, and that was watched."""
    folder = tmp_path_factory.mktemp("run")
    train(tiny(folder, "max_steps=2", "logger=wandb", "callbacks.evaluation.full_at_end=true"))
    watch(config(folder), CPU)
    return folder


@pytest.mark.long
def test_rows_equal_those_of_training_bit_for_bit(run: Path) -> None:
    for name in ("scores.jsonl", "baselines.jsonl"):
        in_training = rows(run / name)
        assert in_training
        assert rows(run / "watch" / name) == in_training
    assert {row["step"] for row in rows(run / "watch" / "scores.jsonl")} == {0, 2}
    assert (run / "watch" / "failures.jsonl").read_text() == ""
    assert (run / "watch" / "trajectory.png").stat().st_size > 10_000
    assert "simulated" in (run / "watch" / "trajectory.html").read_text()


@pytest.mark.long
def test_points_are_in_the_same_run_of_wandb_at_their_steps(run: Path) -> None:
    training, watched = parts(run)
    assert watched.run_id == training.run_id
    assert watched.name == training.name == "test"
    assert watched.resume  # sent later, it follows the other instead of taking its place
    assert watched.axes == training.axes
    assert watched.axes["*"] == "trainer/global_step"
    expected = training.values("align/", "probe/", "train/hours")
    assert {step for step, _ in expected} == {0, 2}
    assert watched.values("align/", "probe/", "train/hours") == expected
    assert all(len(values) == 1 for values in expected.values())
    assert watched.values("figures/").keys() == training.values("figures/").keys()
    assert not watched.values("train/loss")


@pytest.mark.long
def test_summaries_and_lineage_are_read_back_from_both_offline_parts(run: Path) -> None:
    training, watched = parts(run)
    logged = training.values("align/", "probe/")
    keys = {key for _, key in logged}
    assert {"align/fmri/simulated/r2", "probe/simulated_vowel/knn_accuracy"} <= keys
    for key in keys:
        (first,), (last,) = (logged.get((step, key), [None]) for step in (0, 2))
        expected = {"final": last, "best_optimistic": last if first is None else max(first, last)}
        if first is not None:
            expected["area"] = pytest.approx((first + last) / 2)
        for part in (training, watched):
            told = {n: part.summary.get(f"{key}/{n}") for n in ("best_optimistic", "final", "area")}
            assert {n: value for n, value in told.items() if value is not None} == expected
    content = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["entrain"]
    names = ("data_fingerprint", "git_revision", "target_digest", "run_id")
    expected = {name: content[name] for name in names}
    assert training.config["origin"] == watched.config["origin"] == expected
    assert training.config["max_steps"] == 2
    assert training.summary["checkpoints/last"] == "step_00000002.ckpt"
    for part in (training, watched):
        (table,) = (row["lineage/path"] for row in part.history if "lineage/path" in row)
        file = next(run.glob(f"wandb/*/files/{table}"))  # of one content, in both
        told = json.loads(file.read_text())
        assert told["columns"] == ["step", "checkpoint", "fingerprint", "scores", "benchmarks"]
        assert [line[:2] for line in told["data"]] == [
            [0, "step_00000000.ckpt"],
            [2, "step_00000002.ckpt"],
        ]
        marks = {row["fingerprint"] for row in rows(run / "scores.jsonl")}
        assert {line[2] for line in told["data"]} == marks
        assert sum(line[3] for line in told["data"]) == len(rows(run / "scores.jsonl"))


@pytest.mark.long
def test_a_second_watch_scores_and_logs_nothing(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr("models.encodecmae.EncodecMAE.encode", None)
    before = {path: path.read_bytes() for path in (run / "watch").glob("*.jsonl")}
    watch(config(run), CPU)
    assert all(path.read_bytes() == content for path, content in before.items())
    assert len(parts(run)) == 2
    assert "fmri/simulated" in capsys.readouterr().out


@pytest.mark.long
def test_a_watch_with_a_failure_has_exit_code_1(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkpoints").mkdir()
    for path in (run / "checkpoints").glob("step_*"):
        (tmp_path / "checkpoints" / path.name).write_bytes(path.read_bytes())
    (tmp_path / "checkpoints" / "step_00000001.ckpt").write_bytes(b"half")
    monkeypatch.setattr("commands.watching.watcher.evaluate", lambda *_, **__: Evaluation())
    with pytest.raises(SystemExit) as exit:
        watch(config(tmp_path), CPU)
    assert exit.value.code == 1
    (failure,) = rows(tmp_path / "watch" / "failures.jsonl")
    assert (failure["step"], failure["benchmark"]) == (1, "")


@pytest.mark.long
def test_an_interrupted_watch_says_so(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("commands.watching.watcher.Watcher.visit", interrupted)
    with pytest.raises(SystemExit) as exit:
        watch(config(run), CPU)
    assert exit.value.code == 130
    assert wandb.run is None


ORIGIN = {
    "name": "mine",
    "benchmark": {
        "probe": {
            "simulated_vowel": {"_target_": "evaluation.downstream.probing.ClassificationProbe"}
        }
    },
    "optional": [],
    "full": False,
    "probes": None,
    "logger": {"csv": {"_target_": "pytorch_lightning.loggers.CSVLogger", "save_dir": "elsewhere"}},
}


def chosen(monkeypatch: pytest.MonkeyPatch, *overrides: str) -> None:
    """Pretend that the command line says this."""
    names = {override.split("=")[0] for override in overrides}
    target = "commands.watching.watch.is_overridden"
    monkeypatch.setattr(target, lambda *groups: bool(names & set(groups)))


@pytest.mark.parametrize(
    ("said", "groups"),
    [
        ([], set()),
        (["encoder=checkpoint", "watch=runs/a/b", "watch_every=1"], set()),
        (["suite=quick"], {"suite"}),
        (["+benchmark.probe.mine.folds=2", "logger=[csv,wandb]"], {"benchmark", "logger"}),
    ],
)
def test_what_the_command_line_names_is_chosen(
    monkeypatch: pytest.MonkeyPatch, said: list[str], groups: set[str]
) -> None:
    assert not watching.is_overridden("benchmark", "suite", "logger")  # outside a run of Hydra
    running = SimpleNamespace(overrides=SimpleNamespace(task=said))
    monkeypatch.setattr(
        "commands.watching.watch.HydraConfig",
        SimpleNamespace(initialized=lambda: True, get=lambda: running),
    )
    assert {
        g for g in ("benchmark", "suite", "logger", "full") if watching.is_overridden(g)
    } == groups


def test_benchmarks_are_the_runs_own_or_those_that_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = requested_benchmarks(config(tmp_path), ORIGIN)
    assert OmegaConf.to_container(own) == {
        key: ORIGIN[key] for key in ("benchmark", "optional", "full", "probes")
    }
    chosen(monkeypatch, "probes", "full")
    changed = requested_benchmarks(config(tmp_path, "probes=[linear]", "full=true"), ORIGIN)
    assert changed.benchmark == own.benchmark
    assert (changed.probes, changed.full) == (["linear"], True)
    chosen(monkeypatch, "benchmark")
    named = requested_benchmarks(config(tmp_path, "benchmark=[fmri/simulated]"), ORIGIN)
    assert list(named.benchmark) == ["fmri"]


def test_loggers_are_the_runs_own_in_its_folder_or_those_that_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = run_loggers(config(tmp_path), ORIGIN, tmp_path)
    assert own.logger.csv.save_dir == str(tmp_path)
    chosen(monkeypatch, "logger")
    named = run_loggers(config(tmp_path, "logger=wandb"), ORIGIN, tmp_path).logger.wandb
    assert (named.save_dir, named.name) == (str(tmp_path), "mine")


def test_a_run_without_benchmarks_asks_for_some(tmp_path: Path) -> None:
    origin = {"config": {**ORIGIN, "benchmark": {}, "trainer": {}}, "run_id": "abcd"}
    with pytest.raises(ValueError, match=r"names no benchmarks: give suite=… or benchmark="):
        plan(config(tmp_path), tmp_path, origin)


def test_other_settings_have_another_name(tmp_path: Path) -> None:
    first = settings_hash(requested_benchmarks(config(tmp_path), ORIGIN))
    names = {first("probe/simulated_vowel/part", full) for full in (False, True)}
    other = settings_hash(requested_benchmarks(config(tmp_path), {**ORIGIN, "probes": ["mlp"]}))
    names.add(other("probe/simulated_vowel", full=False))
    assert len(names) == 3
    assert first("probe/simulated_vowel", full=False) in names


def test_steps_that_are_gone_are_known_from_the_schedule(tmp_path: Path) -> None:
    said = {"schedule": {"_target_": "x", "every": 8, "early": 2}, "max_steps": 20}
    assert missed_steps(tmp_path, said) == []
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "step_00000008.ckpt").touch()
    assert missed_steps(tmp_path, said) == [0, 2, 4]
    assert missed_steps(tmp_path, {**said, "ckpt_path": "other.ckpt"}) == []


@pytest.mark.parametrize(
    "target",
    ["os.system", "evaluation.evaluate.time.sleep", "models.external.hear.Hear", "builtins.eval"],
)
def test_a_run_cannot_have_anything_called(target: str) -> None:
    with pytest.raises(ValueError, match="refused to call"):
        check_targets({"benchmark": [{"probe": {"mine": {"_target_": target}}}]})


@pytest.mark.parametrize(
    ("overrides", "encoder", "message"),
    [
        ([], "logmel", "scores checkpoints of train.py: add encoder=checkpoint"),
        (["encoder.path=one.ckpt"], "checkpoint", "leave encoder.path out"),
        (["controls=all"], "checkpoint", "leave controls and reference out"),
        (["encoder@reference=logmel"], "checkpoint", "leave controls and reference out"),
    ],
)
def test_what_a_watch_does_not_do_is_refused(
    tmp_path: Path, overrides: list[str], encoder: str, message: str
) -> None:
    (tmp_path / "checkpoints").mkdir()
    with pytest.raises(ValueError, match=message):
        check_watch(config(tmp_path, *overrides, encoder=encoder))


def test_a_watch_is_no_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe, "in_sweep", lambda: True)
    with pytest.raises(ValueError, match="leave -m out, and start one watch for each run"):
        probe.stand_alone(config(tmp_path))
    with pytest.raises(ValueError, match="watch= and list= stand alone"):
        probe.stand_alone(composed(tmp_path, "list=encoders", "output_dir=x", config="probe"))


def test_a_folder_that_is_no_run_is_refused_and_one_inside_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected the folder of a run .* in it$"):
        check_watch(config(tmp_path / "none"))
    inside = tmp_path / "mine" / "2026-01-01_00-00-00"
    (inside / "checkpoints").mkdir(parents=True)
    with pytest.raises(FileNotFoundError, match=f"did you mean watch={inside}"):
        check_watch(config(tmp_path / "mine"))
    with pytest.raises(FileNotFoundError, match=f"did you mean watch={inside}\\?"):
        check_watch(config(inside / "checkpoints"))
    assert not (tmp_path / "mine" / "watch").exists()
    assert check_watch(config(inside)) == inside


def test_a_run_that_has_not_saved_yet_is_waited_for(tmp_path: Path) -> None:
    (tmp_path / ".hydra").mkdir()
    (tmp_path / ".hydra" / "config.yaml").write_text("output_dir: x\n")  # one of probe.py
    with pytest.raises(FileNotFoundError):
        check_watch(config(tmp_path))
    (tmp_path / ".hydra" / "config.yaml").write_text("schedule: {every: 100}\n")
    assert check_watch(config(tmp_path)) == tmp_path


def test_two_watches_of_one_run_are_refused(tmp_path: Path) -> None:
    with (
        exclusive_lock(tmp_path / "watch"),
        pytest.raises(RuntimeError, match="another process watches"),
        exclusive_lock(tmp_path / "watch"),
    ):
        pass
    with exclusive_lock(tmp_path / "watch") as folder:
        assert folder.is_dir()
