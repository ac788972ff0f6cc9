"""A checkpoint says where it comes from, and random numbers go on as if nothing had happened."""

from __future__ import annotations

import io
import random
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from callbacks.provenance import Provenance, git_revision

TRAINER: Any = SimpleNamespace(
    datamodule=SimpleNamespace(fingerprint="data", hours_per_batch=0.5),
    estimated_stepping_batches=100.0,
    world_size=2,
    accumulate_grad_batches=3,
    is_global_zero=True,
    loggers=[],
)
MODULE: Any = SimpleNamespace(target=SimpleNamespace(digest=lambda: "codes"))


def draws() -> list[object]:
    return [
        torch.rand(4).tolist(),
        np.random.randn(3).tolist(),  # noqa: NPY002 - the generator that Lightning seeds
        random.gauss(0, 1),
    ]


def through_a_checkpoint(content: Any) -> Any:
    file = io.BytesIO()
    torch.save(content, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def test_random_numbers_go_on_where_the_checkpoint_was_written() -> None:
    draws()  # an odd number of normal deviates: numpy and python keep half a pair
    state = through_a_checkpoint(Provenance({}, "run").state_dict())
    expected = draws()
    draws()
    resumed = Provenance({}, "run")
    resumed.load_state_dict(state)
    draws()  # between loading and the first step Lightning may draw
    resumed.on_train_start(TRAINER, MODULE)
    assert draws() == expected


def test_a_new_run_keeps_its_seed() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    Provenance({}, "run").on_train_start(TRAINER, MODULE)
    assert torch.equal(torch.rand(2), expected)


def test_the_origin_stands_in_the_checkpoint_as_plain_containers() -> None:
    config = {"model": {"encoder": {"layers": 2}}, "seed": 42}
    checkpoint: dict[str, Any] = {}
    Provenance(config, "abcd").on_save_checkpoint(TRAINER, MODULE, checkpoint)
    assert through_a_checkpoint(checkpoint)["entrain"] == {
        "config": config,
        "git_revision": git_revision(),
        "data_fingerprint": "data",
        "run_id": "abcd",
        "target_digest": "codes",
        "last_step": 100,
        "hours_per_step": 3.0,
    }


def test_revision_is_a_commit_marked_where_files_differ(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def git(*words: str) -> str:
        identity = ["-c", "user.name=test", "-c", "user.email=test@example.org"]
        command = ["git", "-C", str(tmp_path), *identity, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    git("init", "--quiet")
    code = tmp_path / "callbacks" / "provenance.py"
    code.parent.mkdir()
    code.write_text("first\n")
    git("add", ".")
    git("commit", "--quiet", "--message", "first")
    monkeypatch.setattr("callbacks.provenance.__file__", str(code))
    commit = git("rev-parse", "HEAD")
    assert re.fullmatch("[0-9a-f]{40}", commit)
    assert git_revision() == commit
    (tmp_path / "notes.txt").write_text("not of the code")
    assert git_revision() == commit
    code.write_text("second\n")
    assert git_revision() == commit + "+"


def test_revision_is_unknown_without_git_or_a_checkout(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("callbacks.provenance.__file__", str(tmp_path / "provenance.py"))
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_revision() == "unknown"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_revision() == "unknown"
