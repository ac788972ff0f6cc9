"""What W&B keeps of a whole run."""

from __future__ import annotations

from pathlib import Path

import pytest
import wandb
from pytorch_lightning.loggers import CSVLogger

from evaluation.rows import Score
from tracking.offline import wandb_logger
from tracking.summary import lineage, log_checkpoint_paths, log_provenance, update_summary


def test_lineage_has_a_row_for_every_step() -> None:
    rows = [
        Score(name, "r2", layer, 0.1, step=step, fingerprint=f"weights {step}")
        for step, names in ((10, ("fmri/a", "fmri/b")), (0, ("fmri/a",)))
        for name in names
        for layer in ("one", "two")
    ]
    found = lineage([*rows, Score("fmri/a", "r2", "one", 0.2, encoder="logmel")])
    assert found.to_numpy().tolist() == [
        [0, "step_00000000.ckpt", "weights 0", 2, 1],
        [10, "step_00000010.ckpt", "weights 10", 4, 2],
    ]


def test_nothing_is_in_the_way_without_wandb(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WANDB_MODE", "disabled")
    off = wandb_logger("entrain", "made", tmp_path, run_id="abcd1234")
    loggers = [off, CSVLogger(tmp_path)]
    try:
        for revision in ("first", "second"):
            log_provenance(loggers, {"git_revision": revision, "config": {"lr": 1}})
        update_summary(loggers, {0: {"align/a/r2": 0.1}, 4: {"align/a/r2": 0.3}})
        log_checkpoint_paths(loggers, {"last": "step_00000004.ckpt"})
        assert dict(off.experiment.config)["origin"] == {"git_revision": "second"}
        assert dict(off.experiment.summary) == {
            "align/a/r2/best_optimistic": 0.3,
            "align/a/r2/final": 0.3,
            "align/a/r2/area": pytest.approx(0.2),
            "checkpoints/last": "step_00000004.ckpt",
        }
    finally:
        wandb.finish()
    assert not list(tmp_path.rglob("*.csv"))
