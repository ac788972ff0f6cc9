"""Many encoders, of which none stops another; run again, nothing is computed."""

from __future__ import annotations

import importlib.util
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from commands import sweep
from commands.errors import explain
from commands.folders import CONF
from commands.sweep import JobResult, SweepStart, report_sweep, run_job
from evaluation.rows import Failure, read_scores
from reporting.sweep import Outcome, print_outcomes
from tests.composing import composed

BRAIN = ["benchmark=[fmri/simulated]", "+benchmark.fmri.simulated.responses.n_sounds=30"]
PLANTED = {
    "noting": {"_target_": "tests.planted_encoders.Noting"},
    "hungry": {"_target_": "tests.planted_encoders.Hungry", "most": 4},
    "killed_once": {"_target_": "tests.planted_encoders.Hungry", "most": 1, "killed": True},
    "killed": {"_target_": "tests.planted_encoders.Hungry", "most": 0, "killed": True},
}


# ---- one job -------------------------------------------------------------------------------------


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Runs a job as a sweep does; gives its outcome and the lines of its failures."""
    monkeypatch.setenv(sweep.NUMBER, "7")
    monkeypatch.delenv(sweep.PATTERN, raising=False)

    def run(job: sweep.Job, **encoder: Any) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        hydra = {
            "runtime": {"output_dir": str(tmp_path / "mine")},
            "sweep": {"dir": str(tmp_path)},
            "job": {"num": 3},
        }
        monkeypatch.setattr(HydraConfig, "get", lambda: OmegaConf.create(hydra))
        (tmp_path / "mine").mkdir(exist_ok=True)
        cfg = {"encoder": encoder, "output_dir": "x", "name": "mine", "batch_seconds": 64.0}
        run_job(job, OmegaConf.create(cfg))
        failures = tmp_path / "mine" / "failures.jsonl"
        lines = failures.read_text().splitlines() if failures.exists() else []
        outcome = json.loads((tmp_path / ".outcomes" / "7" / "3.json").read_text())
        return outcome, [json.loads(line) for line in lines]

    return run


@pytest.mark.parametrize(
    ("evaluated", "outcome", "reason"),
    [
        (JobResult(["a", "b"], ["c"]), "done", ""),
        (JobResult([], ["c"]), "skipped", "already scored"),
        (JobResult(), "skipped", "no benchmark is chosen"),
        (JobResult(["a"], [], [Failure("b", "no\n data")]), "failed", "b: no data"),
        (JobResult([], [], [Failure("", "x"), Failure("b", "y")]), "failed", "x (and 1 more)"),
    ],
)
def test_what_became_of_a_job(run: Any, evaluated: JobResult, outcome: str, reason: str) -> None:
    row, _ = run(lambda cfg: evaluated)
    assert (row["job"], row["outcome"], row["reason"]) == ("mine", outcome, reason)
    assert (row["scored"], row["before"]) == (len(evaluated.scored), len(evaluated.skipped))


def test_an_error_is_an_outcome_and_a_failure(run: Any) -> None:
    def job(cfg: DictConfig) -> JobResult:
        raise ValueError(f"nothing in {Path(cfg.output_dir).name}")

    row, (failure,) = run(job)
    assert (row["outcome"], row["reason"]) == ("failed", "nothing in mine")
    assert (failure["encoder"], failure["error"]) == ("mine", "nothing in mine")


def test_a_job_that_is_killed_is_tried_with_single_sounds(run: Any, tmp_path: Path) -> None:
    def job(cfg: DictConfig) -> JobResult:
        with (tmp_path / "tried").open("a") as file:
            file.write(f"{cfg.batch_seconds}\n")
        os.kill(os.getpid(), signal.SIGKILL)
        return JobResult()

    row, (failure,) = run(job)
    assert (tmp_path / "tried").read_text().split() == ["64.0", str(sweep.ONE_BY_ONE)]
    assert row["outcome"] == "failed"
    assert row["reason"] == failure["error"] == "killed by SIGKILL: too little memory?"


@pytest.mark.parametrize(
    ("end", "reason"),
    [
        (lambda: os._exit(9), "the process ended with exit code 9"),
        (lambda: os.kill(os.getpid(), signal.SIGTERM), "killed by SIGTERM"),
        (lambda: sys.exit(0), "the process ended with exit code 1"),
    ],
)
def test_a_process_that_ends_is_an_outcome(
    run: Any, end: Callable[[], object], reason: str
) -> None:
    row, _ = run(lambda cfg: end())
    assert (row["outcome"], row["reason"]) == ("failed", reason)


def test_jobs_leave_nothing_behind_in_the_process_of_the_sweep(run: Any) -> None:
    def job(cfg: DictConfig) -> JobResult:
        os.environ["LEFT_BEHIND"] = str(os.getpid())
        return JobResult(["a"])

    assert run(job)[0]["outcome"] == "done"
    assert "LEFT_BEHIND" not in os.environ


def test_without_fork_a_job_runs_here(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def job(cfg: DictConfig) -> JobResult:
        if cfg.encoder.bad:
            raise MemoryError
        return JobResult([str(os.getpid())])

    monkeypatch.setattr("multiprocessing.get_all_start_methods", lambda: ["spawn"])
    assert run(job, bad=False)[0]["outcome"] == "done"
    assert run(job, bad=True)[0]["reason"] == "MemoryError"


def test_encoders_that_need_a_path_are_left_out_of_a_pattern_only(
    run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def job(cfg: DictConfig) -> JobResult:
        return JobResult(failures=[Failure("", f"no path: {cfg.encoder.path}")])

    assert run(job, path="???")[0]["outcome"] == "failed"
    monkeypatch.setenv(sweep.PATTERN, "1")
    row, _ = run(job, path="???", of={"path": "???"})
    assert (row["outcome"], row["reason"]) == ("skipped", "needs encoder.of.path=…")
    assert run(job, path="there")[0]["outcome"] == "failed"


def test_an_interruption_ends_the_sweep(run: Any, tmp_path: Path) -> None:
    def job(cfg: DictConfig) -> JobResult:
        os.kill(os.getppid(), signal.SIGINT)
        time.sleep(60)
        return JobResult()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in the background
    try:
        with pytest.raises(SystemExit) as exit:
            run(job)
    finally:
        signal.signal(signal.SIGINT, before)
    assert exit.value.code == 130
    assert "interrupted" in (tmp_path / ".outcomes" / "7" / "3.json").read_text()


# ---- the table -----------------------------------------------------------------------------------


def started(folder: Path, *overrides: str) -> DictConfig:
    """A sweep has started in this process."""
    lists = {"overrides": {"hydra": [], "task": list(overrides)}, "sweep": {"dir": str(folder)}}
    config = OmegaConf.create({"hydra": lists})
    SweepStart().on_multirun_start(config)
    return config


@pytest.fixture(autouse=True)
def no_sweep(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweep, "_running", [])


@pytest.mark.parametrize(
    ("encoders", "pattern"),
    [("encoder=glob(*)", 1), ("encoder=glob([a*,b*])", 1), ("encoder=a,b", 0), ("a=glob(*)", 0)],
)
def test_jobs_are_told_of_their_sweep(tmp_path: Path, encoders: str, pattern: int) -> None:
    told = started(tmp_path, encoders).hydra.overrides.hydra
    (number, *others) = told
    assert number == f"+hydra.job.env_set.ENTRAIN_SWEEP='{sweep._running[0][1]}'"
    assert others == ["+hydra.job.env_set.ENTRAIN_SWEEP_PATTERN='1'"] * pattern


@pytest.mark.parametrize(("last", "code"), [("done", 0), ("skipped", 0), ("failed", 1)])
def test_a_sweep_ends_with_a_table_and_exit_code_1_if_a_job_failed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], last: str, code: int
) -> None:
    started(tmp_path)
    place = tmp_path / ".outcomes" / sweep._running[0][1]
    place.mkdir(parents=True)
    for number, outcome in [(10, last), (9, "done")]:
        row = {"job": f"encoder{number}", "outcome": outcome, "reason": f"because {number}"}
        (place / f"{number}.json").write_text(json.dumps(row))
    with pytest.raises(SystemExit) as exit, report_sweep():
        pass
    assert exit.value.code == code
    shown = capsys.readouterr().out
    assert shown.index("encoder9") < shown.index("encoder10")
    assert "2 jobs: " in shown
    rows = [json.loads(line) for line in (tmp_path / "sweep.jsonl").read_text().splitlines()]
    assert [(row["job"], row["outcome"]) for row in rows] == [
        ("encoder9", "done"),
        ("encoder10", last),
    ]
    assert not (tmp_path / ".outcomes").exists()


def test_an_exit_code_is_kept(tmp_path: Path) -> None:
    started(tmp_path)
    with pytest.raises(SystemExit) as exit, report_sweep():
        sys.exit(130)
    assert exit.value.code == 130
    assert not (tmp_path / "sweep.jsonl").exists()


def test_a_pattern_that_matches_nothing_is_an_error(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    started(tmp_path)
    with pytest.raises(SystemExit) as exit, report_sweep():
        pass
    assert exit.value.code == 1
    assert "list=encoders" in caplog.text


def test_the_table_says_what_there_was_and_why() -> None:
    console = Console(width=100, record=True, file=io.StringIO())
    rows = [
        Outcome("a", "done", 3, 1, 61.25),
        Outcome("b", "failed", 0, 0, 2.0, "no [weights]"),
        Outcome("c", "skipped", 0, 4, 1.0, "already scored"),
    ]
    print_outcomes(rows, console)
    lines = console.export_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("│ ").split("│")] for line in lines]
    assert ["a", "done", "3", "1", "61.2", ""] in [[*row, ""][:6] for row in cells]
    assert ["b", "failed", "0", "0", "2.0", "no [weights]"] in cells
    assert lines[-1] == "3 jobs: 1 done, 1 skipped, 1 failed."


# ---- launchers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("launcher", "package"),
    [
        ("joblib", "hydra-joblib-launcher"),
        ("submitit_slurm", "hydra-submitit-launcher"),
        ("parallel", "hydra-joblib-launcher"),
        ("slurm", "hydra-submitit-launcher"),
    ],
)
def test_a_launcher_that_is_not_installed_is_named_with_its_package(
    launcher: str, package: str
) -> None:
    if importlib.util.find_spec("hydra_plugins"):
        pytest.skip("plugins of Hydra are installed")
    with pytest.raises(Exception) as caught:  # noqa: PT011
        composed(Path("x"), f"hydra/launcher={launcher}", config="probe")
    assert f"pip install {package} " in explain(caught.value)


def test_our_settings_of_launchers_are_ones_they_have() -> None:
    """Fields of hydra-joblib-launcher 1.2 and hydra-submitit-launcher 1.2."""
    known = {
        "parallel": ("joblib", "n_jobs verbose timeout"),
        "slurm": (
            "submitit_slurm",
            "partition timeout_min cpus_per_task gpus_per_node mem_gb array_parallelism",
        ),
    }
    for ours, (theirs, names) in known.items():
        yaml = OmegaConf.load(CONF / "hydra" / "launcher" / f"{ours}.yaml")
        assert isinstance(yaml, DictConfig)
        assert yaml.defaults == [theirs]
        assert set(yaml) <= {"defaults", *names.split()}


# ---- whole sweeps --------------------------------------------------------------------------------


class Sweep:
    """Sweeps over planted encoders through the command line."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.heard = folder, folder / "heard"
        (folder / "conf" / "encoder").mkdir(parents=True)
        for name, config in PLANTED.items():
            self.plant(name, {**config, "heard": str(self.heard)})
        missing = {"_target_": "tests.planted_encoders.unreadable", "path": "nowhere"}
        self.plant("unreadable", missing)
        self.plant("needing", {**missing, "path": "???"})

    def plant(self, name: str, config: dict[str, Any]) -> None:
        OmegaConf.save(OmegaConf.create(config), self.folder / "conf" / "encoder" / f"{name}.yaml")

    def run(self, *overrides: str, path: str = "") -> tuple[int, dict[str, dict[str, Any]], str]:
        """Exit code, rows of the table by job, and what was printed."""
        own = [f"hydra.searchpath=[file://{self.folder}/conf]", f"paths.runs={self.folder}/runs"]
        script = str(CONF.parent / "probe.py")
        done = subprocess.run(
            [sys.executable, script, "-m", *own, "device=cpu", "cache=null", *overrides],
            cwd=CONF.parent,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=300,
        )
        table = self.folder / "runs" / "sweep-encoders" / "sweep.jsonl"
        assert table.exists(), done.stdout + done.stderr
        rows = [json.loads(line) for line in table.read_text().splitlines()]
        shown = done.stdout + done.stderr
        return done.returncode, {row["job"].split(",")[0]: row for row in rows}, shown


@pytest.mark.slow
def test_no_encoder_stops_another_and_nothing_is_scored_twice(tmp_path: Path) -> None:
    planted = Sweep(tmp_path)
    names = [*PLANTED, "unreadable", "needing"]
    chosen = f"encoder={','.join(names)}"
    code, rows, shown = planted.run(chosen, *BRAIN)
    assert code == 1, shown
    assert list(rows) == names
    found = {name: (row["outcome"], row["scored"], row["before"]) for name, row in rows.items()}
    good = ("noting", "hungry", "killed_once")
    assert found == {name: (("done", 1, 0) if name in good else ("failed", 0, 0)) for name in names}
    assert "killed by SIGKILL" in rows["killed"]["reason"]
    assert rows["unreadable"]["reason"] == "no weights at nowhere"
    assert "encoder.path is not set" in rows["needing"]["reason"]
    assert "6 jobs: 3 done, 0 skipped, 3 failed." in shown
    folders = {f.name.split(",")[0]: f for f in (tmp_path / "runs/sweep-encoders").iterdir()}
    scores = {name: read_scores(folders[name] / "scores.jsonl") for name in good}
    values = {name: [(r.metric, r.target) for r in rows] for name, rows in scores.items()}
    assert values["hungry"] == values["noting"] == values["killed_once"]
    for name in good:  # less memory makes no other score
        for one, other in zip(scores[name], scores["noting"], strict=True):
            assert one.value == pytest.approx(other.value, abs=1e-3)
    heard = planted.heard.read_text()
    code, rows, shown = planted.run(chosen, *BRAIN)
    assert code == 1, shown
    found = {name: (row["outcome"], row["scored"], row["before"]) for name, row in rows.items()}
    assert found == {
        name: (("skipped", 0, 1) if name in good else ("failed", 0, 0)) for name in names
    }
    assert planted.heard.read_text() == heard, "something was computed again"
    assert {name: read_scores(folders[name] / "scores.jsonl") for name in good} == scores


@pytest.mark.slow
def test_jobs_beside_each_other_in_other_processes_make_one_table(tmp_path: Path) -> None:
    planted = Sweep(tmp_path)
    path = str(CONF.parent / "tests" / "launchers")
    beside = [*BRAIN, "hydra/launcher=parallel"]
    code, rows, shown = planted.run("encoder=glob([logmel64,prec*])", *beside, path=path)
    assert code == 0, shown
    found = {name: (row["outcome"], row["reason"]) for name, row in rows.items()}
    assert found == {"logmel64": ("done", ""), "precomputed": ("skipped", "needs encoder.path=…")}
    code, rows, shown = planted.run("encoder=logmel64,unreadable", *beside, path=path)
    assert code == 1, shown
    found = {name: (row["outcome"], row["reason"]) for name, row in rows.items()}
    assert found == {
        "logmel64": ("skipped", "already scored"),
        "unreadable": ("failed", "no weights at nowhere"),
    }
