"""Compare training runs and probes: answers, tables and figures as one page."""

from __future__ import annotations

import logging
import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import wandb
from omegaconf import DictConfig, OmegaConf
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from commands.building import as_list, build, build_loggers, to_plain
from commands.catalogue import encoder_configs
from commands.errors import explain
from commands.facts import facts_of, not_runnable
from models.checkpoint import read_checkpoint
from reporting.gathering.gather import gather
from reporting.gathering.gathered import Gathered
from reporting.gathering.origins import FACTS
from reporting.report.page import write_report
from reporting.report.section import Section
from reporting.terminal import print_answers
from tracking.comparison import log_comparison

log = logging.getLogger(__name__)


def compare(cfg: DictConfig) -> None:
    """Gather, answer, write and log; exit code 1 if a section failed."""
    folder = Path(cfg.output_dir)
    overrides = {} if cfg.facts is None else facts_of_file(Path(cfg.facts))
    with _bar() as bar:
        reading = bar.add_task("Reading", total=None)
        gathered = gather(
            as_list(cfg.runs),
            facts=facts_of_encoders(),
            overrides=overrides,
            controls=as_list(cfg.controls),
            names=other_names(as_list(cfg.names)),
            include={key: as_list(value) for key, value in cfg.include.items()},
            exclude=as_list(cfg.exclude),
            describe=facts_of_checkpoints,
            advance=lambda done, of: bar.update(reading, completed=done, total=of),
        )
        sections, failed = _answers(cfg, gathered, bar)
        writing = bar.add_task("Writing", total=len(sections))
        page = write_report(
            gathered, sections, folder, cfg.title, lambda what: bar.advance(writing)
        )
    print_answers(sections)
    _log(cfg, gathered, sections, folder)
    log.info("the report is %s", page)
    if failed:
        sys.exit(1)


def _answers(cfg: DictConfig, gathered: Gathered, bar: Progress) -> tuple[list[Section], bool]:
    """Every section of the config; one that fails says so in its place."""
    sections, failed = [], False
    task = bar.add_task("Answering", total=len(cfg.sections))
    for name, config in cfg.sections.items():
        try:
            sections.append(build(config)(gathered, seed=cfg.seed))
        except Exception as error:
            log.warning("section %s failed: %s", name, explain(error))
            log.debug("", exc_info=True)
            failed = True
            why = f"This section failed: {type(error).__name__}: {explain(error)}"
            sections.append(Section(str(name), str(name).capitalize(), why))
        bar.advance(task)
    return [section for section in sections if section is not None], failed


def other_names(pairs: list[str]) -> dict[str, str]:
    """``["NAME=OTHER", …]`` as a mapping.

    Raises
    ------
    ValueError
        If an entry is not of that form.
    """
    parts = [str(pair).rpartition("=") for pair in pairs]
    for pair, (name, _, other) in zip(pairs, parts, strict=True):
        if not (name and other):
            raise ValueError(f'names: got {pair}, expected NAME=OTHER, as in names=["w0=small"]')
    return {name: other for name, _, other in parts}


def facts_of_encoders() -> dict[str, dict[str, Any]]:
    """What is known of encoders, by the name of the yaml and by the name in score rows.

    Also of those that cannot run here, whose features may be scored under their name.
    """
    facts = {name: _pick_facts(row) for name, row in not_runnable().items()}
    for choice, said in encoder_configs():
        known = _pick_facts(facts_of(choice, said))
        if known:
            facts[choice] = known
            if not OmegaConf.is_missing(said, "name") and said.get("name"):
                facts[said.name] = known
    return facts


def _pick_facts(known: dict[str, Any]) -> dict[str, Any]:
    return {key: known[key] for key in FACTS if key in known}


def facts_of_file(path: Path) -> dict[str, dict[str, Any]]:
    """A csv file of facts, by encoder.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, it is no csv, or a column is not known.
    """
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: check facts=")
    try:
        table = pd.read_csv(path)
        table = table.astype({key: "float" for key in ("parameters", "hours") if key in table})
    except ValueError as error:
        raise ValueError(f"{path} is no csv of facts ({error}): see docs/compare.md") from error
    unknown = sorted(set(table.columns) - {"encoder", "control", *FACTS})
    if "encoder" not in table or unknown:
        raise ValueError(
            f"{path} has the columns {', '.join(table.columns)}: expected encoder and any of "
            f"{', '.join([*FACTS, 'control'])}"
        )
    return {str(row.pop("encoder")): row for row in table.to_dict("records")}


def facts_of_checkpoints(folder: Path) -> dict[str, Any]:
    """Parameters, origin of the training data and files of a run, from its last checkpoint."""
    files = sorted((folder / "checkpoints").glob("step_*.ckpt"))
    if not files:
        return {}
    steps = {int(file.stem.removeprefix("step_")): str(file) for file in files}
    try:
        content = read_checkpoint(files[-1])
    except ValueError as error:
        log.warning("%s", error)
        return {"checkpoint": steps}
    weights = content["state_dict"]
    return {
        "checkpoint": steps,
        "parameters": sum(v.numel() for k, v in weights.items() if k.startswith("encoder.")),
        "data_fingerprint": content["entrain"].get("data_fingerprint"),
        "revision": content["entrain"].get("git_revision"),
    }


def _log(cfg: DictConfig, gathered: Gathered, sections: list[Section], folder: Path) -> None:
    try:
        loggers = build_loggers(cfg, secrets.token_hex(4))
        for logger in loggers:
            logger.log_hyperparams(to_plain(cfg))
        if loggers:
            log_comparison(loggers, gathered, sections, folder)
    finally:
        wandb.finish()


@contextmanager
def _bar() -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(
        *columns, TimeElapsedColumn(), console=Console(stderr=True), transient=True
    ) as bar:
        yield bar
