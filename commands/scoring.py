"""Score one encoder on benchmarks, or check whether it keeps its promises."""

from __future__ import annotations

import logging
import secrets
import sys
from pathlib import Path
from typing import Any

import torch
import wandb
from omegaconf import DictConfig

from commands.building import build, build_benchmarks, build_encoder, build_loggers, to_plain
from commands.errors import explain
from commands.sweep import JobResult
from evaluation.benchmark import Benchmark
from evaluation.cache import FeatureCache
from evaluation.check.selfcheck import self_check
from evaluation.contrast import contrasts
from evaluation.downstream.controls import control_scores
from evaluation.evaluate import Evaluation, evaluate
from evaluation.rows import Failure, Score, append_rows, replace_rows
from evaluation.scored import Scored, write_failures
from reporting.profiles.figure import write_profiles
from reporting.selfcheck import print_findings
from reporting.tables import score_table
from reporting.terminal import print_scores, print_tasks
from tracking.display import score_keys

log = logging.getLogger(__name__)


def score_or_exit(cfg: DictConfig) -> None:
    """Score one encoder on the benchmarks of the config; exit code 1 if anything failed."""
    if run_probe(cfg).failures:
        sys.exit(1)


def run_probe(cfg: DictConfig) -> JobResult:
    """Score one encoder on those benchmarks of the config that its folder has no scores of."""
    folder = Path(cfg.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    benchmarks, failures = build_benchmarks(cfg)
    result, controls = Evaluation(failures=failures), Evaluation()
    skipped: set[str] = set()
    kept: list[Score] = []
    cache = FeatureCache(cfg.cache) if cfg.cache else None
    try:
        device = device_of(cfg.device)
        encoder = _move_encoder(build_encoder(cfg.encoder, cfg.name), device)
    except Exception as error:
        result.failures.append(Failure("", explain(error), cfg.name))
    else:
        beside = [to_plain(cfg[key]) for key in ("reference", "controls") if cfg.get(key)]
        scored = Scored(folder, encoder, to_plain(cfg.encoder), beside)
        rest = scored.rest(benchmarks.values(), cfg.again)
        skipped = set(benchmarks) - {benchmark.name for benchmark in rest}
        kept = scored.kept(skipped)
        if skipped:
            names = ", ".join(sorted(skipped))
            log.info("scored before and skipped: %s; again=true scores them again", names)
        wanted: list[Benchmark] = [*rest]
        try:
            if "reference" in cfg and rest:
                wanted += contrasts(
                    rest, _move_encoder(build_encoder(cfg.reference), device), device, cache
                )
        except Exception as error:
            result.failures.append(Failure("", explain(error), "reference"))
        step = getattr(encoder, "step", None)
        options = {"progress": True, "cache": cache, "batch_seconds": cfg.batch_seconds}
        done = evaluate(
            encoder, wanted, step, device, cfg.time_budget, on_part=scored.write, **options
        )
        result.scores += done.scores
        result.failures += done.failures
        if rest:
            controls = _controls(cfg, encoder, wanted, device, options)
        scored.settle(rest, [*result.failures, *controls.failures])
    append_rows(folder / "scores.jsonl", [])  # is there whatever fails
    append_rows(folder / "controls.jsonl", controls.scores)
    failed = [*result.failures, *controls.failures]
    write_failures(folder / "failures.jsonl", benchmarks, failed)
    table = score_table([*kept, *result.scores])
    print_scores(table, failed)
    print_tasks(table, score_table(controls.scores))
    write_profiles(table, folder / "figures")
    _log(cfg, result)
    _say_where(folder, bool(kept or result.scores), bool(failed))
    new = {row.benchmark for row in result.scores}
    return JobResult(sorted(new), sorted(skipped), failed)


def _say_where(folder: Path, scored: bool, failed: bool) -> None:
    if scored:
        log.info("scores are in %s", folder / "scores.jsonl")
    elif failed:
        log.info("nothing was scored: the reasons are in %s", folder / "failures.jsonl")
    else:
        log.warning("nothing was scored: choose with benchmark=[…] or suite=…, see list=benchmarks")


def check(cfg: DictConfig) -> None:
    """Show whether the encoder keeps its promises; exit code 1 if it does not."""
    if run_check(cfg).failures:
        sys.exit(1)


def run_check(cfg: DictConfig) -> JobResult:
    """Show whether the encoder keeps its promises."""
    folder = Path(cfg.output_dir)
    folder.mkdir(parents=True, exist_ok=True)
    device = device_of(cfg.device)
    encoder = _move_encoder(build_encoder(cfg.encoder, cfg.name), device)
    findings = self_check(encoder, device)
    replace_rows(folder / "selfcheck.jsonl", findings)
    bad = print_findings(encoder.name, findings)
    said = [f"{row['check']} {row['layer']}: {row['found']}" for row in bad]
    return JobResult(["selfcheck"], failures=[Failure("selfcheck", text) for text in said])


def _controls(
    cfg: DictConfig,
    encoder: Any,
    benchmarks: list[Benchmark],
    device: torch.device,
    options: dict[str, Any],
) -> Evaluation:
    if not cfg.get("controls"):
        return Evaluation()
    encoders, copies = build(cfg.controls.encoders), build(cfg.controls.copies)
    return control_scores(encoder, benchmarks, encoders, copies, device, **options)


def _log(cfg: DictConfig, result: Evaluation) -> None:
    """Send headline scores to the loggers of the config."""
    if not result.scores:
        return
    keys = score_keys(result.scores)
    try:
        for logger in build_loggers(cfg, secrets.token_hex(4)):
            logger.log_metrics(keys, result.scores[0].step or 0)
            logger.save()
    finally:
        wandb.finish()


def _move_encoder(encoder: Any, device: torch.device) -> Any:
    return encoder.to(device) if isinstance(encoder, torch.nn.Module) else encoder


def device_of(name: str) -> torch.device:
    """The device of that name; ``auto`` is the GPU where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return torch.device(name)
    except RuntimeError:
        raise ValueError(f"device={name}: expected auto, cpu, cuda or such as cuda:1") from None
