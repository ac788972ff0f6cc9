"""The main job through the real configs: train, evaluate, save, resume."""

from __future__ import annotations

import csv
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pytorch_lightning.callbacks import ModelCheckpoint

from callbacks.checkpoints import CheckpointSaveError
from commands.building import build_benchmarks
from commands.errors import explain
from commands.training import train
from evaluation.evaluate import evaluate
from evaluation.rows import read_scores
from models.checkpoint import read_checkpoint
from models.external.checkpoint import load_checkpoint
from reporting.tables import log_keys, score_table
from tests.composing import TINY, composed, tiny


class Crash(pl.Callback):
    """Stand-in for kill -9: nothing more of this process is written after a step."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_step == self.step:
            raise InterruptedError("killed")


def kill(folder: Path, *overrides: str) -> None:
    """A run of six steps that ends in the sixth."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            "commands.training.Provenance.on_train_batch_start",
            Crash(5).on_train_batch_start,
            raising=False,
        )
        with pytest.raises(InterruptedError):
            train(tiny(folder, *overrides))


def weights(folder: Path, step: int) -> dict[str, torch.Tensor]:
    return read_checkpoint(folder / "checkpoints" / f"step_{step:08d}.ckpt")["state_dict"]


def losses(folder: Path) -> dict[int, str]:
    """Training loss of each step as written; a resumed run writes a file of its own."""
    rows: dict[int, str] = {}
    for file in sorted((folder / "metrics").glob("version_*/metrics.csv")):
        for row in csv.DictReader(file.read_text().splitlines()):
            if row.get("train/loss"):
                rows[int(row["step"])] = row["train/loss"]
    return rows


def rows(folder: Path) -> list[tuple[object, ...]]:
    found = read_scores(folder / "scores.jsonl")
    return [(r.benchmark, r.metric, r.layer, r.target, r.step, r.value) for r in found]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of an uninterrupted run of six steps."""
    folder = tmp_path_factory.mktemp("run")
    train(tiny(folder))
    return folder


def test_run_leaves_scores_checkpoints_and_figures(finished: Path) -> None:
    assert {row[4] for row in rows(finished)} == {0, 2, 4, 6}
    assert sorted(p.name for p in (finished / "checkpoints").iterdir()) == [
        "last.ckpt",
        *(f"step_{step:08d}.ckpt" for step in (0, 2, 4, 6)),
    ]
    assert (finished / "trajectory.png").stat().st_size > 10_000
    assert "simulated" in (finished / "trajectory.html").read_text()
    assert len(losses(finished)) == 6


def test_checkpoints_load_safely_and_say_where_they_come_from(finished: Path) -> None:
    for path in (finished / "checkpoints").iterdir():
        origin = torch.load(path, weights_only=True)["entrain"]
        assert origin["config"]["model"]["encoder"]["dim"] == 16
        assert len(origin["data_fingerprint"]) == 64
        assert origin["git_revision"]
        assert origin["run_id"]


def test_targets_stay_as_they_were(finished: Path) -> None:
    digests = {
        read_checkpoint(path)["entrain"]["target_digest"]
        for path in (finished / "checkpoints").iterdir()
    }
    assert len(digests) == 1
    assert weights(finished, 0)["target.codebook"].equal(weights(finished, 6)["target.codebook"])


@pytest.mark.long
def test_killed_and_resumed_run_equals_the_uninterrupted_one(
    finished: Path, tmp_path: Path
) -> None:
    kill(tmp_path)
    assert not (tmp_path / "checkpoints" / "step_00000006.ckpt").exists()
    train(tiny(tmp_path, "ckpt_path=last"))
    whole = read_checkpoint(finished / "checkpoints" / "last.ckpt")
    resumed = read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    for name, value in whole["state_dict"].items():
        assert value.equal(resumed["state_dict"][name]), name
    for key, state in whole["optimizer_states"][0]["state"].items():
        other = resumed["optimizer_states"][0]["state"][key]
        assert all(torch.equal(value, other[name]) for name, value in state.items())
    assert whole["lr_schedulers"] == resumed["lr_schedulers"]
    assert whole["PretrainingData"] == resumed["PretrainingData"]
    assert losses(finished) == losses(tmp_path)
    assert rows(finished) == rows(tmp_path)


@pytest.mark.long
def test_a_resumed_run_that_accumulates_gradients_keeps_its_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def go(folder: Path, *changes: str, kill: int | None = None) -> None:
        config = composed(
            folder, *TINY, "suite=none", "trainer.accumulate_grad_batches=3", "max_steps=4"
        )
        with monkeypatch.context() as patch:
            if kill is not None:
                patch.setattr(
                    "commands.training.Provenance.on_train_batch_start",
                    killed_at(kill),
                    raising=False,
                )
            train(OmegaConf.merge(config, OmegaConf.from_dotlist(list(changes))))

    def killed_at(batch: int) -> Callable[..., None]:
        def check(self: pl.Callback, trainer: pl.Trainer, *rest: object) -> None:
            if rest[-1] == batch:
                raise InterruptedError("killed")

        return check

    go(tmp_path / "whole")
    with pytest.raises(InterruptedError):
        go(tmp_path / "killed", kill=8)
    with pytest.raises(InterruptedError):  # in the middle of the batches of one step
        go(tmp_path / "killed", "ckpt_path=last", kill=8)
    checkpoint = read_checkpoint(tmp_path / "killed" / "checkpoints" / "step_00000002.ckpt")
    assert checkpoint["PretrainingData"]["batches"] == 6
    go(tmp_path / "killed", "ckpt_path=last")
    resumed = weights(tmp_path / "killed", 4)
    assert all(v.equal(resumed[name]) for name, v in weights(tmp_path / "whole", 4).items())


@pytest.mark.long
def test_a_resumed_run_follows_its_own_settings(finished: Path, tmp_path: Path) -> None:
    middle = finished / "checkpoints" / "step_00000004.ckpt"
    changes = ["lr=0.01", "weight_decay=0.2", "schedule=constant", "decay_all=true"]
    settings = [f"model.optimisation.{change}" for change in changes]
    train(
        composed(tmp_path, *TINY, "suite=none", f"ckpt_path='{middle}'", "max_steps=8", *settings)
    )
    last = read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")
    assert last["global_step"] == 8
    groups = last["optimizer_states"][0]["param_groups"]
    assert [(group["lr"], group["weight_decay"]) for group in groups] == [(0.01, 0.2)] * 2


@pytest.mark.long
def test_evaluation_leaves_the_weights_bit_identical(finished: Path, tmp_path: Path) -> None:
    train(composed(tmp_path, *TINY, "suite=none"))
    assert not (tmp_path / "scores.jsonl").read_text()
    with_scores, without = weights(finished, 6), weights(tmp_path, 6)
    assert all(value.equal(without[name]) for name, value in with_scores.items())


def test_evaluations_can_be_left_to_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    changes = ["callbacks.evaluation=null", "max_steps=4", "schedule.every=4", "schedule.early=1"]
    train(tiny(tmp_path, *changes, "+benchmark.probe.simulated_vowel.no_such_setting=1"))
    assert f"results are in {tmp_path}" in caplog.text
    assert not (tmp_path / "scores.jsonl").exists()
    saved = sorted((tmp_path / "checkpoints").glob("step_*.ckpt"))
    assert [int(path.stem.removeprefix("step_")) for path in saved] == [0, 2, 4]
    origin = read_checkpoint(saved[0])["entrain"]
    assert origin["last_step"] == 4
    assert origin["hours_per_step"] == pytest.approx(4 * 1.0 / 3600)


@pytest.mark.parametrize("change", ["max_steps=ten", "max_steps=-5", "seed=abc"])
def test_numbers_that_are_none_are_refused(tmp_path: Path, change: str) -> None:
    with pytest.raises(ValueError, match=f"^{change}: expected a whole number, 0 or more"):
        train(composed(tmp_path, "name=test", change))


def test_a_folder_of_sounds_that_is_not_given_is_asked_for(tmp_path: Path) -> None:
    with pytest.raises(OmegaConfBaseException) as caught:
        train(composed(tmp_path, "name=test", "data=audio"))
    assert explain(caught.value) == "paths.audio is not set: give paths.audio=…"


@pytest.mark.long
def test_scores_of_saved_checkpoints_equal_the_logged_ones(finished: Path) -> None:
    benchmarks, _ = build_benchmarks(tiny(finished))
    recomputed = []
    for step in (0, 2, 4, 6):
        model = load_checkpoint(finished / "checkpoints" / f"step_{step:08d}.ckpt")
        recomputed += evaluate(model, list(benchmarks.values()), step=step).scores
    logged = read_scores(finished / "scores.jsonl")
    strip = [(r.benchmark, r.metric, r.layer, r.target, r.step, r.value) for r in recomputed]
    assert strip == rows(finished)
    assert [r.fingerprint for r in recomputed] == [r.fingerprint for r in logged]


@pytest.mark.long
def test_failing_benchmark_is_reported_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(self: object, features: object) -> None:
        raise ValueError("no responses today")

    monkeypatch.setattr("evaluation.fmri.response_alignment.ResponseAlignment.score", broken)
    train(tiny(tmp_path, "max_steps=2"))
    assert "no responses today" in (tmp_path / "failures.jsonl").read_text()
    assert {row[0] for row in rows(tmp_path)} == {"probe/simulated_vowel"}
    with pytest.raises(RuntimeError, match="no responses today"):
        train(tiny(tmp_path / "strict", "callbacks.evaluation.on_error=raise"))


@pytest.mark.long
def test_full_disk_leaves_the_last_good_checkpoint_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = pl.Trainer.save_checkpoint

    def full(self: pl.Trainer, path: Path, **kwargs: object) -> None:
        if self.global_step < 4:
            return save(self, path, **kwargs)  # type: ignore[arg-type]
        Path(path).write_bytes(b"half a checkpoint")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pl.Trainer, "save_checkpoint", full)
    with pytest.raises(CheckpointSaveError, match=r"No space left.*last\.ckpt.*ckpt_path=last"):
        train(tiny(tmp_path))
    assert read_checkpoint(tmp_path / "checkpoints" / "last.ckpt")["global_step"] == 2
    assert not list((tmp_path / "checkpoints").glob(".*"))


def test_checkpoint_of_another_shape_is_refused(finished: Path, tmp_path: Path) -> None:
    last = finished / "checkpoints" / "last.ckpt"
    with pytest.raises(ValueError, match="trained with another model"):
        train(tiny(tmp_path, f"ckpt_path='{last}'", "model.encoder.layers=3"))


@pytest.mark.long
def test_keep_bounds_the_number_of_checkpoints(tmp_path: Path) -> None:
    train(composed(tmp_path, *TINY, "suite=none", "callbacks.checkpoint.keep=1"))
    kept = [path.name for path in (tmp_path / "checkpoints").glob("step_*")]
    assert kept == ["step_00000006.ckpt"]


MONITOR = "align/fmri/simulated/r2"
BEST = [
    f"callbacks.checkpoint.monitor={MONITOR}",
    "callbacks.checkpoint.keep=1",
    "+callbacks.best._target_=pytorch_lightning.callbacks.ModelCheckpoint",
    f"+callbacks.best.monitor={MONITOR}",
    "+callbacks.best.mode=max",
    "+callbacks.best.every_n_train_steps=${schedule.every}",
    "+callbacks.best.dirpath=${paths.run}/lightning",
]


@pytest.mark.long
@pytest.mark.filterwarnings("ignore:Checkpoint directory")
def test_the_best_checkpoint_is_kept_also_after_a_kill(finished: Path, tmp_path: Path) -> None:
    kill(tmp_path, *BEST)
    trainer = train(tiny(tmp_path, *BEST, "ckpt_path=last"))
    assert rows(tmp_path) == rows(finished)
    table = score_table(tmp_path / "scores.jsonl")
    values = {step: log_keys(table[table["step"] == step])[MONITOR] for step in (0, 2, 4, 6)}
    best = max(values, key=lambda step: values[step])
    kept = [p.name for p in sorted((tmp_path / "checkpoints").glob("step_*"))]
    assert kept == [f"step_{step:08d}.ckpt" for step in sorted({best, 6})]
    named = {name: tmp_path / "checkpoints" / f"{name}.ckpt" for name in ("best", "last")}
    assert {n: read_checkpoint(p)["global_step"] for n, p in named.items()} == {
        "best": best,
        "last": 6,
    }
    assert all(v.equal(weights(tmp_path, 6)[name]) for name, v in weights(finished, 6).items())
    # Lightning's own sees no step 0, which is no end of a batch.
    (theirs,) = (c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint))
    later = max((2, 4, 6), key=lambda step: values[step])
    assert theirs.best_model_score == values[later]
    assert read_checkpoint(theirs.best_model_path)["global_step"] == later
    assert len(list((tmp_path / "lightning").iterdir())) == 1


@pytest.mark.long
def test_wandb_is_offline_without_a_login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_API_KEY", "WANDB_MODE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NETRC", str(tmp_path / "no-netrc"))
    train(tiny(tmp_path, "logger=wandb", "max_steps=2"))
    files = list(tmp_path.glob("wandb/offline-run-*/run-*.wandb"))
    assert len(files) == 1
    # W&B's own process writes the file and may still be at it.
    deadline = time.monotonic() + 60
    while files[0].stat().st_size <= 10_000 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert files[0].stat().st_size > 10_000
