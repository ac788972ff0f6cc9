"""Evaluate the model at every checkpoint and log the trajectory."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities.seed import isolate_rng

from evaluation.benchmark import Benchmark, Extensible
from evaluation.evaluate import Encoder, Evaluation, evaluate
from evaluation.rows import Failure, Score, append_rows, as_score, replace_rows
from evaluation.schedule import Schedule
from tracking.display import (
    cost_keys,
    keys_of_steps,
    log_score_table,
    log_step,
    score_keys,
    show_profiles,
    show_trajectory,
)
from tracking.summary import update_summary


class EvaluationCallback(pl.Callback):
    """Run ``evaluate`` on the model that is being trained.

    Scores are computed before the checkpoint of the same step is written and are part of this
    callback's state, so that checkpoint N holds the scores of step N and a resumed run goes on
    from them. Other callbacks find the newest in ``trainer.callback_metrics`` under the names that
    loggers are given. Random number generators, train mode and weights are left as they were: a
    run with and without evaluation gives the same weights, bit by bit.

    Parameters
    ----------
    benchmarks : mapping from name to Benchmark
    schedule : Schedule
        The same as the checkpoints'.
    folder : path
        Run folder; gets ``scores.jsonl``, ``baselines.jsonl``, ``failures.jsonl``,
        ``trajectory.html``, ``trajectory.png`` and ``figures/`` of benchmarks in time.
    on_error : {"continue", "raise"}
    time_budget : float, optional
        Seconds for one evaluation.
    title : str
    progress : bool
    baselines : mapping from name to Encoder
        Evaluated once at the start and drawn beside the trajectory.
    full_at_end : bool
        At the last step, benchmarks that have a quick and a full form take the full one.
    """

    def __init__(
        self,
        benchmarks: dict[str, Benchmark],
        schedule: Schedule,
        folder: str | Path,
        on_error: str = "continue",
        time_budget: float | None = None,
        title: str = "Trajectory",
        progress: bool = True,
        baselines: dict[str, Encoder] | None = None,
        full_at_end: bool = True,
    ) -> None:
        self.benchmarks: Sequence[Benchmark] = list(benchmarks.values())
        self.schedule = schedule
        self.folder = Path(folder)
        self.on_error, self.time_budget = on_error, time_budget
        self.title, self.progress, self.full_at_end = title, progress, full_at_end
        self.baselines: Sequence[Encoder] = list((baselines or {}).values())
        self.baseline_scores: list[Score] = []
        self.scores: list[Score] = []
        self.failures: list[Failure] = []
        self.visited: list[int] = []
        self.headlines: dict[int, dict[str, float]] = {}
        """By step, what the loggers were given."""
        self._spent = 0.0
        self._begun = time.perf_counter()

    # ---- state -------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        return {
            "scores": [asdict(row) for row in self.scores],
            "baseline_scores": [asdict(row) for row in self.baseline_scores],
            "failures": [asdict(row) for row in self.failures],
            "visited": list(self.visited),
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.scores = [as_score(row) for row in state_dict["scores"]]
        self.baseline_scores = [as_score(row) for row in state_dict["baseline_scores"]]
        self.failures = [Failure(**row) for row in state_dict["failures"]]
        self.visited = list(state_dict["visited"])
        self.headlines = keys_of_steps(self.scores)

    # ---- when --------------------------------------------------------------------------------

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._begun = time.perf_counter()
        started = trainer.global_step == 0 and 0 not in self.visited
        if started:
            self._evaluate_baselines(trainer, pl_module)
        if trainer.is_global_zero:
            self._rewrite_rows()
        if started:
            self._visit(trainer, pl_module)
        elif self.headlines:
            _publish_metrics(trainer, {}, self.headlines[max(self.headlines)])

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, *_: object
    ) -> None:
        if self.schedule.due(trainer.global_step, int(trainer.estimated_stepping_batches)):
            self._visit(trainer, pl_module)

    def _visit(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        step = trainer.global_step
        if not self.benchmarks or step in self.visited:
            return
        benchmarks = self.benchmarks
        if self.full_at_end and step == int(trainer.estimated_stepping_batches):
            benchmarks = full_forms(benchmarks)
        result = self._evaluate(trainer, pl_module, pl_module, step, benchmarks)  # type: ignore[arg-type]
        self.visited.append(step)
        self.scores += result.scores
        self.failures += result.failures
        self._spent += result.seconds
        before = self.headlines.get(max(self.headlines, default=0), {})
        self.headlines[step] = score_keys(result.scores)
        _publish_metrics(trainer, before, self.headlines[step])
        keys = self.headlines[step] | self._cost(result)
        if trainer.is_global_zero:
            append_rows(self.folder / "scores.jsonl", result.scores)
            append_rows(self.folder / "failures.jsonl", result.failures)
            self._report(trainer, keys, step)
            show_profiles(trainer.loggers, self.folder, step, result.scores, self.benchmarks)

    def _evaluate_baselines(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        for encoder in self.baselines:
            if isinstance(encoder, torch.nn.Module):
                encoder.to(pl_module.device)
            applicable = [b for b in self.benchmarks if applies_to(encoder, b)]
            result = self._evaluate(trainer, pl_module, encoder, None, applicable)
            self.baseline_scores += result.scores
            self.failures += result.failures

    def _evaluate(
        self,
        trainer: pl.Trainer,
        pl_module: pl.LightningModule,
        encoder: Encoder,
        step: int | None,
        benchmarks: Sequence[Benchmark],
    ) -> Evaluation:
        """Evaluate in full precision, leaving every random number generator as it was."""
        with isolate_rng(), torch.autocast(pl_module.device.type, enabled=False):
            return evaluate(
                encoder,
                benchmarks,
                step=step,
                device=pl_module.device,
                time_budget=self.time_budget,
                on_error=self.on_error,
                progress=self.progress and trainer.is_global_zero,
            )

    # ---- what is shown -----------------------------------------------------------------------

    def _cost(self, result: Evaluation) -> dict[str, float]:
        wall = max(time.perf_counter() - self._begun, 1e-9)
        return cost_keys(result) | {"eval/share_of_wall_time": min(1.0, self._spent / wall)}

    def _report(self, trainer: pl.Trainer, keys: dict[str, float], step: int) -> None:
        hours = hours_per_step(trainer)
        log_step(trainer.loggers, keys, step, hours)
        update_summary(trainer.loggers, self.headlines)
        rows = (self.scores, self.baseline_scores, self.failures)
        show_trajectory(trainer.loggers, self.folder, self.title, step, *rows, hours)

    def _rewrite_rows(self) -> None:
        """Rows on disk become those of the checkpoint: later ones will be computed again."""
        self.folder.mkdir(parents=True, exist_ok=True)
        files: dict[str, Sequence[Score | Failure]] = {
            "scores.jsonl": self.scores,
            "baselines.jsonl": self.baseline_scores,
            "failures.jsonl": self.failures,
        }
        for name, rows in files.items():
            replace_rows(self.folder / name, rows)

    def on_train_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self.scores and trainer.is_global_zero:
            log_score_table(trainer.loggers, self.scores, trainer.global_step)


def _publish_metrics(
    trainer: pl.Trainer, old: Mapping[str, float], new: Mapping[str, float]
) -> None:
    """Let other callbacks monitor the newest scores, to the last bit, on every rank.

    ``LightningModule.log`` would round them to 32 bits, and at the end of the epoch give those of
    step 0 again. Scores of earlier steps are removed, so that no monitor reads a
    stale value.
    """
    metrics = trainer.callback_metrics
    for name in old:
        metrics.pop(name, None)
    metrics.update({name: torch.tensor(value, dtype=torch.float64) for name, value in new.items()})


def hours_per_step(trainer: pl.Trainer) -> float:
    """Hours of audio in one optimiser step, over all ranks."""
    per_batch = trainer.datamodule.hours_per_batch  # type: ignore[attr-defined]
    return float(per_batch) * trainer.world_size * trainer.accumulate_grad_batches


def full_forms(benchmarks: Sequence[Benchmark]) -> list[Benchmark]:
    """The full form of the benchmarks that have one, the others as they are."""
    return [b.in_full() if isinstance(b, Extensible) else b for b in benchmarks]


def applies_to(baseline: Encoder, benchmark: Benchmark) -> bool:
    """Baselines that say whether they are ``in_time`` take the benchmarks that say the same."""
    wanted = getattr(baseline, "in_time", None)
    return wanted is None or wanted == getattr(benchmark, "in_time", False)
