"""Several encoders one after the other, ``python probe.py -m encoder=A,B``: none stops another.

Every job runs in a process of its own where the system can fork, so that a model that is killed
when memory runs out leaves the others alone. Its outcome is written into the folder of the sweep,
wherever the job ran. The first process prints the table of all outcomes.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import re
import secrets
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, open_dict
from rich.console import Console

from commands.errors import explain
from commands.launch import silence_tips
from evaluation.rows import Failure, append_rows, replace_rows
from reporting.sweep import Outcome, print_outcomes

log = logging.getLogger(__name__)

OUTCOMES, TABLE = ".outcomes", "sweep.jsonl"
NUMBER, PATTERN = "ENTRAIN_SWEEP", "ENTRAIN_SWEEP_PATTERN"
"""Variables by which jobs know, on whatever machine, to which sweep they belong, and whether its
encoders were chosen by a pattern: one that is named is wanted, a pattern takes what there is."""
ONE_BY_ONE = 0.001
"""Seconds of audio in a batch: every sound is one."""


@dataclass
class JobResult:
    """Benchmarks that were scored, those that were scored before, and what failed."""

    scored: list[str] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)


Job = Callable[[DictConfig], JobResult]


# ---- one job -------------------------------------------------------------------------------------


def in_sweep() -> bool:
    """Whether this run is a job of a sweep."""
    return HydraConfig.initialized() and HydraConfig.get().mode == RunMode.MULTIRUN


def run_job(job: Job, cfg: DictConfig) -> None:
    """Run one job of a sweep and write what became of it; raises nothing but an interruption."""
    hydra = HydraConfig.get()
    with open_dict(cfg):
        cfg.output_dir = hydra.runtime.output_dir
    file = Path(hydra.sweep.dir) / OUTCOMES / os.environ.get(NUMBER, "") / f"{hydra.job.num}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    name, started = Path(cfg.output_dir).name, time.perf_counter()

    def write(outcome: str, reason: str, result: JobResult) -> None:
        seconds = round(time.perf_counter() - started, 1)
        counts = len(result.scored), len(result.skipped)
        draft = file.with_suffix(".draft")
        draft.write_text(json.dumps(asdict(Outcome(name, outcome, *counts, seconds, reason))))
        draft.rename(file)

    silence_tips()
    missing = sorted(OmegaConf.missing_keys(cfg.encoder))
    if missing and os.environ.get(PATTERN):
        write("skipped", f"needs {missing[0]}=…", JobResult())
        return
    write("failed", "exited without a result, or still running", JobResult())
    try:
        result = _run_isolated(job, cfg)
    except KeyboardInterrupt:
        write("failed", "interrupted", JobResult())
        Console(stderr=True).print("interrupted: the same command continues where it stopped")
        sys.exit(130)
    write(*_summary(result), result)


def _summary(result: JobResult) -> tuple[str, str]:
    """Outcome and reason."""
    failures = result.failures
    if failures:
        first = failures[0]
        what = f"{first.benchmark}: " if first.benchmark else ""
        more = f" (and {len(failures) - 1} more)" if len(failures) > 1 else ""
        return "failed", f"{what}{' '.join(first.error.split())}{more}"
    if result.scored:
        return "done", ""
    return "skipped", "already scored" if result.skipped else "no benchmark is chosen"


def _run_isolated(job: Job, cfg: DictConfig) -> JobResult:
    """The job in a process of its own; killed, it is run once more with a sound at a time."""
    alone = "fork" in multiprocessing.get_all_start_methods() and sys.platform != "darwin"
    if not alone or multiprocessing.current_process().daemon:
        return _run_caught(job, cfg)
    found = _run_forked(job, cfg)
    if found == -signal.SIGKILL and cfg.batch_seconds > ONE_BY_ONE:
        log.warning("%s was killed (out of memory?): retrying with batch size 1", cfg.name)
        cfg.batch_seconds = ONE_BY_ONE
        found = _run_forked(job, cfg)
    if isinstance(found, JobResult):
        return found
    reason = f"the process ended with exit code {found}"
    if found < 0:
        reason = f"killed by {signal.Signals(-found).name}"
        reason += ": too little memory?" if found == -signal.SIGKILL else ""
    failure = Failure("", reason, cfg.name)
    append_rows(Path(cfg.output_dir) / "failures.jsonl", [failure])
    return JobResult(failures=[failure])


def _run_caught(job: Job, cfg: DictConfig) -> JobResult:
    try:
        return job(cfg)
    except Exception as error:
        log.debug("", exc_info=True)
        failure = Failure("", explain(error), cfg.name)
        append_rows(Path(cfg.output_dir) / "failures.jsonl", [failure])
        return JobResult(failures=[failure])


def _run_forked(job: Job, cfg: DictConfig) -> JobResult | int:
    """What the job gives in a process of its own, or the exit code of that process."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(theirs, job, cfg))
    process.start()
    theirs.close()
    try:
        found = ours.recv()
    except EOFError:
        found = None
    except KeyboardInterrupt:
        process.terminate()
        raise
    finally:
        process.join()
        ours.close()
    return process.exitcode or 1 if found is None else found


def _answer(connection: Connection, job: Job, cfg: DictConfig) -> None:
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        connection.send(_run_caught(job, cfg))
    except KeyboardInterrupt:
        sys.exit(130)


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


# ---- the sweep -----------------------------------------------------------------------------------


_running: list[tuple[Path, str]] = []
"""Folder and number of the sweep that this process has started."""


class SweepStart(Callback):
    """Gives the sweep a number, and its jobs a way to know it."""

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        number = f"{time.strftime('%Y-%m-%d_%H-%M-%S')}-{secrets.token_hex(2)}"
        variables = {NUMBER: number}
        if any(re.match(r"encoder=.*glob\(", given) for given in config.hydra.overrides.task):
            variables[PATTERN] = "1"
        for name, value in variables.items():
            config.hydra.overrides.hydra.append(f"+hydra.job.env_set.{name}='{value}'")
        _running.append((Path(config.hydra.sweep.dir), number))


@contextmanager
def report_sweep() -> Iterator[None]:
    """Show the table of a sweep when all its jobs are done; exit code 1 if one of them failed."""
    code: Any = 0
    try:
        yield
    except SystemExit as stop:
        code = stop.code
    stopped = bool(code)
    for folder, number in _running:
        outcomes = _collect_outcomes(folder, number)
        code = code or int(not outcomes or any(row.outcome == "failed" for row in outcomes))
        if outcomes:
            print_outcomes(outcomes)
            log.info("the table is in %s", folder / TABLE)
        elif not stopped:
            log.error("no job was run: see what there is with list=encoders")
    sys.exit(code)


def _collect_outcomes(folder: Path, number: str) -> list[Outcome]:
    """What became of every job, in their order, written into one file of the sweep's folder."""
    place = folder / OUTCOMES / number
    files = sorted(place.glob("*.json"), key=lambda file: int(file.stem))
    rows = [Outcome(**json.loads(file.read_text())) for file in files]
    if rows:
        replace_rows(folder / TABLE, rows)
        shutil.rmtree(place)
        with suppress(OSError):  # of another sweep that is going on
            place.parent.rmdir()
    return rows
