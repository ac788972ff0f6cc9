"""What is known of the data of benchmarks before they are read: ``conf/benchmarks.csv``."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from glob import iglob
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from commands.folders import CONF

TABLE = CONF / "benchmarks.csv"
COLUMNS = ("benchmark", "stimuli", "licence", "source", "needs")
HEAR_NEEDS = ("task.folder/task_metadata.json",)
"""What a task in HEAR's format needs; its yaml says the rest."""


@dataclass(frozen=True)
class DataFacts:
    """What is known of a benchmark's data without reading them.

    Attributes
    ----------
    stimuli : int, optional
        Clips, recordings or sounds, where their number is fixed.
    licence, source : str
        Of the data. The source of simulated ones is ``generated``, that of a user's ``your own``.
    needs : tuple of str
        Files without which it cannot be scored, each below a setting of the benchmark that is a
        folder or file: ``responses.root/components.mat``. A ``*`` stands for what varies.
    """

    stimuli: int | None
    licence: str
    source: str
    needs: tuple[str, ...]

    @property
    def own(self) -> bool:
        """Whether they are the user's, so that only reading them tells what they are."""
        return self.source == "your own"

    @property
    def simulated(self) -> bool:
        """Whether the data are generated."""
        return self.source == "generated"


def data_facts(name: str, config: DictConfig) -> DataFacts | None:
    """Facts of a benchmark by its row of the table and its yaml; None where neither says enough.

    Parameters
    ----------
    name : str
        Such as ``probe/esc50``.
    config : DictConfig
        Of the benchmark. Its task may say ``clips``, ``licence`` and ``source``.
    """
    row = read_table(TABLE).get(name)
    said = config.get("task") or {}
    if row is None and not (said.get("folder") and said.get("clips")):
        return None
    row = row or DataFacts(None, "", "", HEAR_NEEDS)
    return DataFacts(
        row.stimuli or said.get("clips"),
        row.licence or _text(said, "licence") or _text(config, "licence"),
        row.source or _text(said, "source"),
        row.needs,
    )


def _text(said: Mapping[Any, Any], key: str) -> str:
    return str(said.get(key) or "")


def missing_data(name: str, config: DictConfig, facts: DataFacts, data: str) -> str:
    """The first file that a benchmark needs and that is not there, in a line; empty if none.

    Parameters
    ----------
    name : str
        Such as ``fmri/nh2015_components``.
    config : DictConfig
        Of the benchmark, which says where its files lie.
    facts : DataFacts
    data : str
        ``paths.data``, the folder of all data sets.
    """
    for need in facts.needs:
        setting, _, below = need.partition("/")
        root = OmegaConf.select(config, setting)
        if root is None:
            given = _given_by(config, setting)
            return f"{given} is not set: give {given}=…"
        path = Path(root) / below
        if next(iglob(str(path)), None) is None:
            folder = Path(root) if below else Path(root).parent
            inside = folder.is_relative_to(data) and str(folder.relative_to(data))
            get = "" if facts.own else f"get it from {facts.source} and "
            own = f"benchmark.{name.replace('/', '.')}.{setting}"
            where = f"ENTRAIN_DATA to the folder that holds {inside}" if inside else own
            return f"no {path.name} at {path}: {get}set {where}"
    return ""


def _given_by(config: DictConfig, setting: str) -> str:
    """The setting to give: that at the top which a setting of a benchmark repeats, or itself."""
    parent, _, key = setting.rpartition(".")
    group: Any = OmegaConf.select(config, parent) if parent else config
    raw = group._get_node(key)._value() if key in group else None
    repeated = re.fullmatch(r"\$\{(\w+)\}", str(raw))
    return repeated[1] if repeated else setting


@cache
def read_table(path: Path) -> dict[str, DataFacts]:
    """Rows by the name of the benchmark.

    Raises
    ------
    ValueError
        If columns are others, or the number of stimuli is none.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if tuple(reader.fieldnames or ()) != COLUMNS:
            got = ", ".join(reader.fieldnames or ())
            raise ValueError(f"{path} has the columns {got}: expected {', '.join(COLUMNS)}")
        return {row["benchmark"]: _facts(row, f"{path}, line {reader.line_num}") for row in reader}


def _facts(row: dict[str, str], where: str) -> DataFacts:
    if row["stimuli"] and not row["stimuli"].isdigit():
        raise ValueError(f"{where}: stimuli is {row['stimuli']}, expected a number or nothing")
    needs: Sequence[str] = [need.strip() for need in row["needs"].split(";")]
    stimuli = int(row["stimuli"]) if row["stimuli"] else None
    return DataFacts(stimuli, row["licence"], row["source"], tuple(filter(None, needs)))
