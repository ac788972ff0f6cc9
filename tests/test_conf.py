"""Every yaml under conf/ composes and resolves, and suites, data, trainers, loggers are built."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from pytorch_lightning.loggers import Logger

from commands.building import build, build_loggers, to_plain
from commands.folders import CONF
from commands.training import build_callbacks
from evaluation.time.settings import BOTH, PAPER, Analyses
from tests.composing import config, options


def everything() -> list[str]:
    """Every yaml that can be chosen, such as ``model/target/kmeans``."""
    inside = [name for name in options("", "**/*.yaml") if "/" in name]
    return [name for name in inside if not name.startswith("hydra/")]


def chosen(name: str) -> str:
    group, _, option = name.rpartition("/")
    if name.startswith("benchmark/"):
        return f"benchmark=[{name.removeprefix('benchmark/')}]"
    return f"{group}={option}"


def scripts_of(name: str) -> list[str]:
    """Scripts whose config knows the group of an option."""
    groups = {
        script: [path.split(":")[0] for path in (CONF / f"{script}.yaml").read_text().split("- ")]
        for script in ("train", "probe")
    }
    return [script for script, known in groups.items() if name.split("/")[0] in known]


@pytest.mark.long
@pytest.mark.parametrize("name", everything())
def test_every_option_composes_and_resolves(name: str, tmp_path: Path) -> None:
    scripts = scripts_of(name)
    assert scripts, f"no script has the group of {name}"
    for script in scripts:
        content = to_plain(config(tmp_path, chosen(name), script=script))
        assert content["name"]


@pytest.mark.parametrize("script", ["train", "probe"])
def test_scripts_compose_as_they_are(script: str, tmp_path: Path) -> None:
    content = to_plain(config(tmp_path, script=script))
    assert set(content["benchmark"]) == {"fmri", "eeg", "probe"}


# ---- encoders and the parts of a model -----------------------------------------------------------


@cache
@pytest.mark.parametrize("name", options("suite"))
def test_suites_name_benchmarks_that_exist(name: str, tmp_path: Path) -> None:
    known = set(options("benchmark", "*/*.yaml"))
    for script in ("train", "probe"):
        cfg = config(tmp_path, f"suite={name}", script=script)
        named = {
            f"{kind}/{n}" for kind, group in (cfg.get("benchmark") or {}).items() for n in group
        }
        assert named <= known
        assert bool(named) == (name != "none")


# ---- the rest of a run ---------------------------------------------------------------------------


def test_synthetic_data_gives_batches(tmp_path: Path) -> None:
    small = [
        "data.source.n_clips=20",
        "data.batch_size=4",
        "data.num_workers=0",
        "data.val_clips=2",
    ]
    data = build(config(tmp_path, "data=synthetic", *small).data)
    assert isinstance(data, pl.LightningDataModule)
    batch = next(iter(data.train_dataloader()))
    assert batch["audio"].shape == (4, 4 * 24_000)
    assert batch["audio"].dtype == torch.float32
    assert batch["lengths"].tolist() == [4 * 24_000] * 4
    assert len(data.fingerprint) == 64


@pytest.mark.parametrize("name", options("trainer"))
def test_trainers_end_at_max_steps(name: str, tmp_path: Path) -> None:
    cfg = config(tmp_path, f"trainer={name}", "max_steps=7").trainer
    assert cfg.max_steps == 7
    if name == "cpu":
        trainer = build(cfg, logger=False, enable_progress_bar=False)
        assert isinstance(trainer, pl.Trainer)
        assert trainer.max_steps == 7
        assert trainer.accelerator.__class__.__name__ == "CPUAccelerator"


def test_validation_comes_with_the_schedule_where_gradients_accumulate(tmp_path: Path) -> None:
    cfg = config(tmp_path, "trainer.accumulate_grad_batches=4", "schedule.every=50")
    assert cfg.trainer.val_check_interval == 200  # batches
    assert config(tmp_path, "schedule.every=50").trainer.val_check_interval == 50
    short = config(tmp_path, "schedule.every=50", "max_steps=20")
    assert short.trainer.val_check_interval == 20  # its end is validated too


@pytest.mark.parametrize("name", options("logger"))
def test_loggers_write_into_the_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    (logger,) = build_loggers(config(tmp_path, f"logger={name}"), "abcd1234")
    assert isinstance(logger, Logger)
    if name != "wandb":  # tests/callbacks/test_tracking.py writes that one
        logger.log_metrics({"loss": 0.25}, 1)
        logger.save()
        logger.finalize("success")
        assert any(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())


@pytest.mark.parametrize("name", options("callbacks"))
def test_callbacks_are_built_with_one_schedule(name: str, tmp_path: Path) -> None:
    cfg = config(tmp_path, f"callbacks={name}", "schedule.every=12", "schedule.early=1")
    callbacks = build_callbacks(cfg, {}, "abcd1234")
    assert all(isinstance(callback, pl.Callback) for callback in callbacks)
    schedules = [c.schedule for c in callbacks if hasattr(c, "schedule")]
    assert len(schedules) >= 2
    assert len(set(schedules)) == 1
    assert schedules[0].due(6, 100)
    assert callbacks[-1].config["schedule"]["every"] == 12


def test_the_published_experiment_has_the_published_values(tmp_path: Path) -> None:
    content = to_plain(
        config(tmp_path, "experiment=encodecmae_base_published", "paths.audio=sounds")
    )
    model = content["model"]
    optimisation = model["optimisation"]
    assert optimisation["lr"] == 1e-4
    assert optimisation["schedule"] == "constant"
    assert optimisation["warmup_share"] == 0
    assert optimisation["decay_all"] is True
    assert optimisation["betas"] == [0.9, 0.95]
    assert optimisation["weight_decay"] == 0.05
    assert content["data"]["batch_size"] == 128
    assert content["data"]["crop_seconds"] == 4.0
    assert content["max_steps"] == content["trainer"]["max_steps"] == 500_000
    assert content["trainer"]["gradient_clip_val"] is None
    assert model["masking"]["share"] == 0.5
    assert model["masking"]["gap"] == 15
    assert model["masking"]["token"] == "zeros"
    assert model["masked_weight"] == 0.9
    assert model["target"]["_target_"] == "models.targets.EncodecTarget"
    assert model["target"]["codec"]["codebooks"] == 8
    assert model["target"]["weights"] is None
    assert model["frontend"]["bands"] == 256
    for part, layers in (("encoder", 10), ("decoder", 2)):
        shape = {k: model[part][k] for k in ("layers", "dim", "heads", "hidden", "tie_ff", "norm")}
        assert shape == {
            "layers": layers,
            "dim": 768,
            "heads": 12,
            "hidden": 4096,
            "tie_ff": True,
            "norm": "residual",
        }


def test_metrics_of_one_analysis_are_chosen_alone(tmp_path: Path) -> None:
    chosen = "benchmark.eeg.simulated.metrics={lag: paper, map: [cka]}"
    cfg = config(tmp_path, "benchmark=[eeg/simulated]", "suite=none", chosen, script="probe")
    found = Analyses.read("eeg/simulated", to_plain(cfg.benchmark.eeg.simulated.metrics))
    assert found.lag == PAPER
    assert found.map == ("cka",)
    assert found.plain == BOTH
    assert found.word == ()
