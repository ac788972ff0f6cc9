"""Weights & Biases: online with a login, offline without, and never a question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import wandb

from tracking.offline import has_login, wandb_logger


@pytest.fixture(autouse=True)
def no_login(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Nobody is logged in; the path of the netrc file, which is not there."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    netrc = tmp_path / "netrc"
    monkeypatch.setenv("NETRC", str(netrc))
    return netrc


def test_a_login_is_a_key_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_login()
    monkeypatch.setenv("WANDB_API_KEY", "x" * 40)
    assert has_login()


def test_a_login_is_a_line_in_netrc(no_login: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_login.write_text("machine example.org login user password secret\n")
    no_login.chmod(0o600)
    assert not has_login()
    no_login.write_text("machine api.wandb.ai login user password secret\n")
    assert has_login()
    monkeypatch.setenv("WANDB_BASE_URL", "https://wandb.example.org")
    assert not has_login()


@pytest.mark.long
def test_without_a_login_the_run_is_offline_in_its_folder(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    logger = wandb_logger("entrain", "made", tmp_path / "run", run_id="abcd1234", tags=["test"])
    try:
        logger.log_metrics({"loss": 1.0}, step=3)
        run = logger.experiment
        assert run.offline
        assert (run.id, run.name) == ("abcd1234", "made")
    finally:
        wandb.finish()
    assert len(list((tmp_path / "run" / "wandb").glob("offline-run-*-abcd1234"))) == 1
    assert capfd.readouterr() == ("", "")


ONLINE = {"WANDB_API_KEY": "x" * 40}


@pytest.mark.parametrize(
    ("environment", "mode", "resume"),
    [
        ({}, "offline", "allow"),
        (ONLINE, "online", "allow"),
        (ONLINE | {"WANDB_MODE": "offline"}, "offline", "allow"),
        ({"WANDB_MODE": "disabled"}, "disabled", None),
    ],
)
def test_mode_follows_login_and_environment(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    environment: dict[str, str],
    mode: str,
    resume: str | None,
) -> None:
    given = settings_given(monkeypatch, tmp_path, environment)
    assert given["settings"].mode == mode
    assert given["settings"].x_primary
    assert not given["settings"].x_disable_stats
    assert (given["id"], given["resume"], given["log_model"]) == ("abcd1234", resume, False)


@pytest.mark.parametrize(
    ("shared", "begun", "environment", "first", "second"),
    [
        (False, True, ONLINE, "online", "offline"),  # two writers would lose points
        (True, True, ONLINE, "shared", "shared"),
        (True, False, ONLINE, "shared", "offline"),  # the first is offline: no run to share
        (True, True, {}, "offline", "offline"),
        (True, True, ONLINE | {"WANDB_MODE": "disabled"}, "disabled", "disabled"),
    ],
)
def test_the_second_writer_of_a_run_never_gets_in_the_way_of_the_first(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    shared: bool,
    begun: bool,
    environment: dict[str, str],
    first: str,
    second: str,
) -> None:
    training = settings_given(monkeypatch, tmp_path, environment, shared=shared)
    kind = "run" if begun else "offline-run"
    (tmp_path / "wandb" / f"{kind}-20260101_000000-abcd1234").mkdir(parents=True)
    watching = settings_given(monkeypatch, tmp_path, environment, shared=shared, beside=True)
    assert (training["settings"].mode, watching["settings"].mode) == (first, second)
    assert training["settings"].x_primary
    assert not watching["settings"].x_primary
    assert not watching["settings"].x_update_finish_state
    assert watching["settings"].x_disable_stats
    assert (training["settings"].x_label, watching["settings"].x_label) == (
        "train" if first == "shared" else None,
        "watch" if second == "shared" else None,
    )


def settings_given(
    monkeypatch: pytest.MonkeyPatch, folder: Path, environment: dict[str, str], **changes: bool
) -> dict[str, Any]:
    """What W&B will be given once something is logged."""
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    logger = wandb_logger("entrain", "made", folder, run_id="abcd1234", **changes)  # type: ignore[arg-type]
    return logger._wandb_init | {"log_model": logger._log_model}
