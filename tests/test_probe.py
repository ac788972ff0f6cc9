"""The evaluation of any encoder through the real configs: scores, failures, exit codes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from omegaconf import DictConfig

from commands.building import build
from commands.scoring import score_or_exit as probe
from commands.training import train
from evaluation.rows import Score, read_scores
from tests.composing import SIMULATED, composed, tiny

BOTH = {"fmri/simulated", "probe/simulated_vowel"}


def config(folder: Path, *overrides: str, encoder: str = "logmel") -> DictConfig:
    return composed(
        folder / "runs",
        *SIMULATED,
        f"encoder={encoder}",
        f"name={encoder}",
        f"output_dir='{folder}'",
        "device=cpu",
        *overrides,
        config="probe",
    )


def failures(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "failures.jsonl").read_text().splitlines()]


def values(folder: Path) -> list[tuple[str, str, str, str, float]]:
    rows = read_scores(folder / "scores.jsonl")
    return [(r.benchmark, r.metric, r.layer, r.target, r.value) for r in rows]


@pytest.mark.long
def test_scores_are_one_a_line_and_nothing_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    probe(config(tmp_path))
    lines = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    rows = [Score(**line) for line in lines]
    assert {row.benchmark for row in rows} == BOTH
    assert {row.metric for row in rows} == {"r2", "rsa", "knn_accuracy", "linear_accuracy"}
    assert {(row.encoder, row.layer, row.step) for row in rows} == {("logmel", "logmel", None)}
    assert all(row.simulated for row in rows)
    assert failures(tmp_path) == []
    shown = capsys.readouterr().out
    assert "fmri/simulated (simulated)" in shown
    assert "linear_accuracy" in shown


@pytest.mark.long
def test_rows_of_a_second_evaluation_are_appended(tmp_path: Path) -> None:
    only = "benchmark=[probe/simulated_vowel]"
    small = "+benchmark.probe.simulated_vowel.task.n_sounds=64"
    for _ in range(2):
        own = ["name=x", f"output_dir='{tmp_path}'", "again=true"]
        probe(composed(tmp_path / "runs", only, small, *own, config="probe"))
    found = values(tmp_path)
    half = len(found) // 2
    assert len([row for row in found if not row[3]]) == 4
    assert found[:half] == found[half:]


def test_the_same_encoder_hears_the_same_sounds_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only = ["~benchmark.fmri", "encoder.bands=32"]
    probe(config(tmp_path, *only))
    monkeypatch.setattr("models.external.baselines.logmel.LogMelStatistics.encode", None)
    probe(config(tmp_path, *only, "+encoder.name=other"))
    found = values(tmp_path)
    assert found[: len(found) // 2] == found[len(found) // 2 :]
    for change in ("encoder.bands=33", "cache=null"):
        with pytest.raises(SystemExit):
            probe(config(tmp_path, *only, change, "again=true"))
    assert values(tmp_path) == found


@pytest.mark.long
def test_a_benchmark_that_fails_gives_exit_code_1_and_the_others_score(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(self: object, features: object) -> None:
        raise ValueError("no labels today")

    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setattr("evaluation.downstream.probing.ClassificationProbe.score", broken)
    with pytest.raises(SystemExit) as exit:
        probe(config(tmp_path))
    assert exit.value.code == 1
    (failure,) = failures(tmp_path)
    assert (failure["benchmark"], failure["encoder"]) == ("probe/simulated_vowel", "logmel")
    assert "no labels today" in failure["error"]
    assert {row[0] for row in values(tmp_path)} == {"fmri/simulated"}
    assert "probe/simulated_vowel failed" in capsys.readouterr().out


@pytest.mark.long
def test_a_benchmark_without_its_data_gives_exit_code_1_and_the_others_score(
    tmp_path: Path,
) -> None:
    with pytest.raises(SystemExit) as exit:
        probe(
            config(
                tmp_path,
                f"paths.data='{tmp_path}'",
                "benchmark=[fmri/simulated,fmri/nh2015_components,probe/simulated_vowel]",
            )
        )
    assert exit.value.code == 1
    (failure,) = failures(tmp_path)
    assert failure["benchmark"] == "fmri/nh2015_components"
    assert "ENTRAIN_DATA" in failure["error"]
    assert {row[0] for row in values(tmp_path)} == BOTH


@pytest.mark.long
def test_an_encoder_that_cannot_be_loaded_gives_exit_code_1(tmp_path: Path) -> None:
    missing = tmp_path / "none.ckpt"
    with pytest.raises(SystemExit) as exit:
        probe(config(tmp_path, f"encoder.path='{missing}'", encoder="checkpoint"))
    assert exit.value.code == 1
    (failure,) = failures(tmp_path)
    assert failure["encoder"] == "checkpoint"
    assert f"no checkpoint at {missing}" in failure["error"]
    assert values(tmp_path) == []


@pytest.mark.long
def test_a_reference_adds_a_row_with_the_difference_and_its_p(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "160")
    similarity = "benchmark.fmri.simulated._target_=evaluation.fmri.similarity.Similarity"
    bare = "~benchmark.fmri.simulated.metrics"
    probe(config(tmp_path, similarity, bare, "encoder@reference=cochleagram"))
    rows = read_scores(tmp_path / "scores.jsonl")
    (row,) = [row for row in rows if row.metric == "rsa_over_cochleagram"]
    assert (row.encoder, row.layer, row.n) == ("logmel", "selected", 30)
    assert row.ci_low is not None
    assert row.ci_high is not None
    assert row.ci_low < row.value < row.ci_high
    assert f"{row.p:.3f}" in capsys.readouterr().out
    assert (tmp_path / "figures" / "fmri_simulated.png").exists()


@pytest.mark.long
def test_a_reference_that_tests_nothing_is_a_failure_and_the_scores_stay(tmp_path: Path) -> None:
    with pytest.raises(SystemExit) as exit:
        probe(config(tmp_path, "encoder@reference=cochleagram"))
    assert exit.value.code == 1
    (failure,) = failures(tmp_path)
    assert failure["encoder"] == "reference"
    assert "tests a difference" in failure["error"]
    assert {row[0] for row in values(tmp_path)} == BOTH


@pytest.mark.long
def test_a_time_budget_that_is_used_up_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        probe(config(tmp_path, "time_budget=0"))
    assert {failure["benchmark"] for failure in failures(tmp_path)} == BOTH


@pytest.mark.long
def test_headlines_go_to_the_loggers(tmp_path: Path) -> None:
    probe(config(tmp_path, "logger=csv", f"paths.run='{tmp_path}'"))
    (file,) = tmp_path.glob("metrics/version_0/metrics.csv")
    assert "align/fmri/simulated/r2" in file.read_text()


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> dict[str, np.ndarray]:
    """Two layers for the sounds of both benchmarks; the second one holds their names' numbers."""
    cfg = config(tmp_path_factory.mktemp("names"))
    names: list[str] = []
    for group in cfg.benchmark.values():
        for value in group.values():
            names += build(value).stimuli.ids
    random = np.random.default_rng(0)
    return {
        "stimuli": np.array(names),
        "first": random.normal(size=(len(names), 6)),
        "second": random.normal(size=(len(names), 3)) + np.arange(len(names))[:, None],
    }


def probed(folder: Path, arrays: dict[str, np.ndarray]) -> Path:
    folder.mkdir()
    np.savez(folder / "made.npz", **arrays)  # type: ignore[arg-type]
    probe(config(folder, f"encoder.path='{folder}/made.npz'", encoder="precomputed"))
    return folder


@pytest.mark.long
def test_stored_features_are_matched_by_name(tmp_path: Path, stored: dict[str, np.ndarray]) -> None:
    order = np.random.default_rng(1).permutation(len(stored["stimuli"]))
    shuffled = {name: array[order] for name, array in stored.items()}
    folders = {"one": stored, "two": shuffled}
    one, two = (values(probed(tmp_path / name, arrays)) for name, arrays in folders.items())
    assert {row[0] for row in one} == BOTH
    assert {row[2] for row in one} == {"first", "second", "selected"}
    assert one == two
    mixed = {**shuffled, "stimuli": stored["stimuli"]}  # rows without their names
    assert values(probed(tmp_path / "three", mixed)) != one


@pytest.mark.long
def test_a_stimulus_that_is_not_stored_is_named(
    tmp_path: Path, stored: dict[str, np.ndarray]
) -> None:
    gone = str(stored["stimuli"][3])
    rest = {name: np.delete(array, 3, axis=0) for name, array in stored.items()}
    with pytest.raises(SystemExit) as exit:
        probed(tmp_path / "run", rest)
    assert exit.value.code == 1
    (failure,) = failures(tmp_path / "run")
    assert failure["benchmark"] == "fmri/simulated"
    assert f"no features of stimulus {gone}" in failure["error"]
    assert {row[0] for row in values(tmp_path / "run")} == {"probe/simulated_vowel"}


@pytest.mark.long
def test_a_checkpoint_scores_as_it_did_in_training(tmp_path: Path) -> None:
    run = tmp_path / "run"
    train(tiny(run, "max_steps=2", "callbacks.evaluation.full_at_end=true"))
    for step in (0, 2):
        folder = tmp_path / f"step{step}"
        path = run / "checkpoints" / f"step_{step:08d}.ckpt"
        folder.mkdir()
        full = f"full={str(step == 2).lower()}"  # as at the last step
        probe(config(folder, f"encoder.path='{path}'", full, encoder="checkpoint"))

        def plain(rows: list[Score], step: int = step) -> list[Score]:
            kept = [{**vars(row), "seconds": None} for row in rows if row.step == step]
            return [Score(**row) for row in kept]

        logged = plain(read_scores(run / "scores.jsonl"))
        assert logged
        assert plain(read_scores(folder / "scores.jsonl")) == logged


@pytest.mark.long
@pytest.mark.parametrize(
    ("labels", "metrics"),
    [
        (("low", "high"), {"knn_accuracy", "linear_accuracy"}),
        (("low|quiet", "high"), {"knn_map", "linear_map"}),
    ],
)
def test_labelled_clips_of_ones_own_are_scored(
    tmp_path: Path, labels: tuple[str, str], metrics: set[str]
) -> None:
    lines = ["path,label"]
    for i in range(20):
        time = np.arange(4000) / 8000
        clip = np.sin(2 * np.pi * (200 + 20 * i + 1500 * (i % 2)) * time)
        soundfile.write(tmp_path / f"{i}.wav", 0.1 * clip, 8000)
        lines.append(f"{i}.wav,{labels[i % 2]}")
    file = tmp_path / "clips.csv"
    file.write_text("\n".join(lines))
    options = ["benchmark=[probe/manifest]", f"manifest='{file}'"]
    probe(
        composed(
            tmp_path,
            f"output_dir='{tmp_path}'",
            "device=cpu",
            "name=test",
            *options,
            config="probe",
        )
    )
    rows = read_scores(tmp_path / "scores.jsonl")
    assert {row.metric for row in rows} == metrics
    assert all(row.value == pytest.approx(1) for row in rows)
    assert {row.n for row in rows if not row.target} == {20}


def test_a_manifest_that_is_not_given_is_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    only = ["benchmark=[probe/manifest]", f"output_dir='{tmp_path}'", "device=cpu", "name=test"]
    with pytest.raises(SystemExit), caplog.at_level("INFO"):
        probe(composed(tmp_path, *only, config="probe"))
    (failure,) = failures(tmp_path)
    assert failure["error"].startswith("manifest is not set: give manifest=FILE.csv")
    assert "scores are in" not in caplog.text
    assert f"the reasons are in {tmp_path}/failures.jsonl" in caplog.text


def test_no_benchmark_leaves_no_scores_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    only = ["suite=none", f"output_dir='{tmp_path}'", "device=cpu", "name=test"]
    probe(composed(tmp_path, *only, config="probe"))
    assert "nothing was scored: choose with benchmark=[…]" in caplog.text
    assert values(tmp_path) == []


def test_a_device_that_is_none_is_told_with_those_there_are(tmp_path: Path) -> None:
    only = ["suite=none", f"output_dir='{tmp_path}'", "device=gpu", "name=test"]
    with pytest.raises(SystemExit):
        probe(composed(tmp_path, *only, config="probe"))
    (failure,) = failures(tmp_path)
    assert failure["error"] == "device=gpu: expected auto, cpu, cuda or such as cuda:1"
