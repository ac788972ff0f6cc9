"""Evaluate the checkpoints of a run in a process of its own."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from pytorch_lightning.loggers import Logger, WandbLogger

from callbacks.evaluation import applies_to, full_forms
from evaluation.benchmark import Benchmark
from evaluation.evaluate import Encoder, Evaluation, evaluate, fingerprint
from evaluation.ledger import Entry, Ledger, read_entries
from evaluation.rows import Failure, Score, append_rows
from models.checkpoint import read_checkpoint, step_of
from reporting.downstream import global_keys
from reporting.tables import score_table
from tracking.display import (
    cost_keys,
    keys_of_steps,
    log_score_table,
    log_step,
    score_keys,
    show_profiles,
    show_trajectory,
)
from tracking.offline import FLUSH_SECONDS
from tracking.summary import log_provenance, update_summary

log = logging.getLogger(__name__)


@dataclass
class Plan:
    """What is done with the checkpoints of one run.

    ``settings(name, full=…)`` names how a benchmark is set, and whether it takes its full form;
    ``missing`` are benchmarks that cannot be built, ``skipped`` steps whose checkpoints are gone.
    """

    title: str
    benchmarks: Sequence[Benchmark]
    settings: Callable[..., str]
    missing: Sequence[Failure] = ()
    baselines: Sequence[Encoder] = ()
    loggers: Sequence[Logger] = ()
    full_at_end: bool = True
    skipped: Sequence[int] = ()


class Watcher:
    """Scores of checkpoints, kept so that nothing is lost by a kill and nothing scored twice.

    Parameters
    ----------
    folder : Path
        Gets the files that training writes when it evaluates: ``scores.jsonl``,
        ``baselines.jsonl``, ``failures.jsonl`` (of this start: what failed is tried again),
        ``trajectory.html`` and ``.png``, ``figures/``. Of each step, ``logged.jsonl`` says what
        the loggers were given.
    plan : function
        From what a checkpoint says of its run (``checkpoint["entrain"]``) to the plan for all.
    load : function
        From the path of a checkpoint to the model.
    device : torch.device
    time_budget : float, optional
        Seconds for one evaluation.
    progress : bool
    """

    def __init__(
        self,
        folder: Path,
        plan: Callable[[Mapping[str, Any]], Plan],
        load: Callable[[Path], Any],
        device: torch.device,
        time_budget: float | None = None,
        progress: bool = True,
    ) -> None:
        self.folder, self.device = folder, device
        self.ledger = Ledger(folder / "scores.jsonl")
        self.floor = Ledger(folder / "baselines.jsonl")
        self.failures: list[Failure] = []
        self.last_step: int | None = None
        self._make_plan, self._load = plan, load
        self._plan: Plan | None = None
        self._evaluate = partial(
            evaluate, device=device, time_budget=time_budget, progress=progress
        )
        self._logged = set(read_entries(folder / "logged.jsonl"))
        self._headlines: dict[int, dict[str, float]] | None = None
        self._told = False  # whether the loggers were given anything by this process
        (folder / "failures.jsonl").write_text("")

    def visit(self, path: Path) -> bool:
        """Evaluate one checkpoint; whether it is that of the run's last step."""
        try:
            origin = read_checkpoint(path)["entrain"]
            encoder = self._load(path).to(self.device)
        except Exception as error:
            self._unreadable(path, error)
        else:
            self._evaluate_checkpoint(encoder, origin)
        return self.last_step is not None and step_of(path) >= self.last_step

    def close(self) -> None:
        """Give W&B all rows as a table, if it was given anything."""
        if self._plan is not None and self._told and self.ledger.scores:
            step = max(row.step or 0 for row in self.ledger.scores)
            log_score_table(self._plan.loggers, self.ledger.scores, step)

    # ---- evaluating ---------------------------------------------------------------------------

    def _evaluate_checkpoint(self, encoder: Any, origin: Mapping[str, Any]) -> None:
        step = int(encoder.step)
        self.last_step = int(origin.get("last_step") or origin["config"]["max_steps"])
        plan = self._begin(origin)
        full = plan.full_at_end and step >= self.last_step
        benchmarks = full_forms(plan.benchmarks) if full else plan.benchmarks
        result = self._score(self.ledger, encoder, step, benchmarks, full)
        self._show(plan, step, result, origin)

    def _begin(self, origin: Mapping[str, Any]) -> Plan:
        """The plan, made at the first checkpoint, and the floor evaluated."""
        if self._plan is None:
            plan = self._plan = self._make_plan(origin)
            self._fail(plan.missing)
            gone = [step for step in plan.skipped if not self.ledger.at(step)]
            self._fail(
                [
                    Failure("", "its checkpoint was deleted before it was scored", step=step)
                    for step in gone
                ]
            )
            for encoder in plan.baselines:
                if isinstance(encoder, torch.nn.Module):
                    encoder.to(self.device)
                applicable = [b for b in plan.benchmarks if applies_to(encoder, b)]
                self._score(self.floor, encoder, None, applicable, False)
        return self._plan

    def _score(
        self,
        ledger: Ledger,
        encoder: Encoder,
        step: int | None,
        benchmarks: Sequence[Benchmark],
        full: bool,
    ) -> Evaluation:
        """Score what the ledger does not have yet."""
        assert self._plan is not None
        settings = partial(self._plan.settings, full=full)
        mark = fingerprint(encoder)
        if step is not None:
            ledger.forget_others(step, mark)
        wanted = {
            b.name: Entry(encoder.name, step, b.name, mark, settings(b.name)) for b in benchmarks
        }
        due = [b for b in benchmarks if not ledger.has(wanted[b.name])]
        if not due:
            return Evaluation()

        def keep(part: Evaluation) -> None:
            ledger.add(part.scores, settings)

        result = self._evaluate(encoder, due, step, on_part=keep)
        self._fail(result.failures)
        return result

    def _unreadable(self, path: Path, error: Exception) -> None:
        text = f"{path.name}: {' '.join(str(error).split())}"
        if not path.exists():
            if self.ledger.at(step_of(path)):
                return
            text = f"{path.name} was deleted before it was scored"
        self._fail([Failure("", text, step=step_of(path))])

    def _fail(self, failures: Sequence[Failure]) -> None:
        self.failures += failures
        append_rows(self.folder / "failures.jsonl", failures)
        for failure in failures:
            if not failure.benchmark:  # evaluate() has told of the others
                log.warning("step %s: %s", failure.step, failure.error)

    # ---- what is shown -----------------------------------------------------------------------

    def _show(self, plan: Plan, step: int, result: Evaluation, origin: Mapping[str, Any]) -> None:
        """Log what was not logged yet, then note that it was; refresh the page."""
        entries = self.ledger.at(step)
        news = [entry for entry in entries if entry not in self._logged]
        if not news and not result.failures:
            return
        hours = origin.get("hours_per_step")
        rows = [row for row in self.ledger.scores if row.step == step]
        fresh = {entry.benchmark for entry in news}
        keys = score_keys(row for row in rows if row.benchmark in fresh)
        keys |= global_keys(score_table(rows)) | (cost_keys(result) if result.seconds else {})
        log_step(plan.loggers, keys, step, hours)
        self._summarise(plan, rows, origin)
        show_profiles(plan.loggers, self.folder, step, rows, plan.benchmarks)
        told = (self.ledger.scores, self.floor.scores, self.failures, hours)
        show_trajectory(plan.loggers, self.folder, plan.title, step, *told)
        self._told = True
        if any(isinstance(logger, WandbLogger) for logger in plan.loggers):
            time.sleep(2 * FLUSH_SECONDS)  # until it is on disk whatever happens
        append_rows(self.folder / "logged.jsonl", news)  # type: ignore[arg-type]
        self._logged |= set(news)
        log.info("step %d: %d benchmarks, %.1f s", step, len(entries), result.seconds)

    def _summarise(self, plan: Plan, rows: Sequence[Score], origin: Mapping[str, Any]) -> None:
        """Tell W&B of the whole run; the headlines of each step are made once."""
        if self._headlines is None:
            self._headlines = keys_of_steps(self.ledger.scores)
        else:
            self._headlines |= keys_of_steps(rows)
        log_provenance(plan.loggers, origin)
        update_summary(plan.loggers, self._headlines)
