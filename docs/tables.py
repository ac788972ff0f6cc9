"""Make the tables of README and docs anew from score files.

``python docs/tables.py FOLDER…`` reads every ``scores.jsonl`` and ``baselines.jsonl`` below the
folders. Between its marks, ``<!-- numbers: NAME -->`` and ``<!-- end -->`` in README.md and docs,
it writes each table whose encoders all have scores; the commands that make these stand beside it.
Runs of the trained model differ in their seed: a cell is their mean, and the change has Student's
interval over them.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1]))
from evaluation.rows import read_score_rows
from reporting.statistics.estimates import Estimate, mean_estimate, short
from reporting.tables import headlines, score_table, target_headlines

HOME = Path(__file__).parents[1]
FILES = ("scores.jsonl", "baselines.jsonl")
TRAINED = "pretrain_mix_tiny"
COMPONENTS = ("lowfreq", "highfreq", "envsounds", "pitch", "speech", "music")


@dataclass(frozen=True)
class Table:
    """Scores, ``BENCHMARK METRIC`` or ``BENCHMARK METRIC TARGET``, of encoders.

    Attributes
    ----------
    encoders : dict
        Name of each column's encoder.
    trained : bool
        With the first and the last step of all runs of :data:`TRAINED`, and the change.
    """

    rows: tuple[str, ...]
    encoders: Mapping[str, str]
    trained: bool = False

    @property
    def needed(self) -> set[str]:
        """Encoders without which the table stays as it is."""
        return {*self.encoders.values(), *([TRAINED] if self.trained else [])}


TABLES = {
    "trajectory": Table(
        (
            "fmri/nh2015_components r2",
            "fmri/nh2015_components rsa",
            "ecog/nh2022_time excess_lag_rsa_spearman",
            "ecog/nh2022_time excess_lag_cka_debiased",
            "probe/fsdd linear_accuracy",
            "probe/fsdd knn_accuracy",
            "probe/philharmonia_instrument linear_accuracy",
            "probe/philharmonia_instrument knn_accuracy",
        ),
        {"log-mel": "logmel"},
        trained=True,
    ),
    "floors": Table(
        (
            "fmri/nh2015_components r2",
            *(f"fmri/nh2015_components r2 {part}" for part in COMPONENTS),
            "fmri/nh2015_components_tuckute2023 r2",
            "fmri/nh2015_components_pepino2025 r2",
            "fmri/nh2015_components_rsa rsa",
            "ecog/nh2022_components r2",
            "ecog/nh2022_components rsa",
            "ecog/nh2022_electrodes r2",
        ),
        {"log-mel": "logmel", "cochleagram": "cochleagram", "spectrotemporal": "spectrotemporal"},
    ),
}


def read_heads(folders: Sequence[Path]) -> pd.DataFrame:
    """Headlines of all score files below the folders, of means over targets and of targets.

    Files below the folder of a training run belong to that run.

    Raises
    ------
    FileNotFoundError
        If there is none.
    """
    files: dict[Path, list[Path]] = {}
    for path in sorted(path for folder in folders for path in folder.rglob("*.jsonl")):
        if path.name in FILES:
            runs = [place for place in path.parents if (place / "checkpoints").is_dir()]
            files.setdefault(runs[-1] if runs else path.parent, []).append(path)
    if not files:
        raise FileNotFoundError(f"no {' or '.join(FILES)} below {', '.join(map(str, folders))}")
    parts = []
    for run, paths in files.items():
        rows = score_table(
            row for path in paths for _, some in read_score_rows(path) for row in some
        )
        for heads in (headlines(rows).assign(target=""), target_headlines(rows)):
            parts.append(heads.assign(run=str(run)))
    found = pd.concat(parts, ignore_index=True)
    names = found["benchmark"] + " " + found["metric"] + " " + found["target"]
    return found.assign(score=names.str.strip())


def write_table(table: Table, heads: pd.DataFrame) -> Iterator[str]:
    """Lines of a Markdown table; a dash where there is no score.

    Runs are compared at the first and the last step that all of them have.
    """
    steps = _shared_steps(heads) if table.trained else []
    heading = [*table.encoders, *(f"step {step}" for step in steps)]
    if steps:
        seeds = heads.loc[heads["encoder"] == TRAINED, "run"].nunique()
        heading.append(f"change, {seeds} seeds, 95 %" if seeds > 1 else "change, one seed")
    yield f"| | {' | '.join(heading)} |"
    yield "|" + "---|" * (1 + len(heading))
    for row in table.rows:
        mine = heads[heads["score"] == row]
        cells = [
            mine.loc[mine["encoder"] == name, "value"].mean() for name in table.encoders.values()
        ]
        runs = [_by_run(mine, step) for step in steps]
        texts = [short(cell, 3) for cell in (*cells, *(values.mean() for values in runs))]
        if runs:
            texts.append(_signed(mean_estimate((runs[-1] - runs[0]).dropna().to_numpy())))
        yield f"| {_label(row)} | {' | '.join(texts)} |"


def _shared_steps(heads: pd.DataFrame) -> list[int]:
    """First and last step that all trained runs have."""
    steps = heads[heads["encoder"] == TRAINED].groupby("run")["step"].unique()
    shared = set.intersection(*(set(map(int, some)) for some in steps))
    return [min(shared), max(shared)]


def _by_run(rows: pd.DataFrame, step: int) -> pd.Series:
    mine = rows[(rows["encoder"] == TRAINED) & (rows["step"] == step)]
    return mine.set_index("run")["value"]


def _label(row: str) -> str:
    benchmark, metric, *target = row.split()
    return f"… {target[0]}" if target else f"`{benchmark}` {metric}"


def _signed(found: Estimate) -> str:
    ends = [short(x, 3) for x in (found.value, found.low, found.high) if not math.isnan(x)]
    ends = [end if end.startswith("−") else f"+{end}" for end in ends]
    return f"{ends[0]} ({ends[1]} … {ends[2]})" if len(ends) == 3 else (ends or ["–"])[0]


def main() -> None:
    """Write every table whose marks are in README or docs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path)
    heads = read_heads(parser.parse_args().folders)
    known = {*heads["encoder"]}
    whole = {name: table for name, table in TABLES.items() if known.issuperset(table.needed)}
    for page in (HOME / "README.md", *sorted((HOME / "docs").glob("*.md"))):
        text = page.read_text()
        for name, table in whole.items():
            mark = f"<!-- numbers: {name} -->\n"
            before, found, after = text.partition(mark)
            if found:
                lines = "\n".join(write_table(table, heads))
                text = f"{before}{mark}{lines}\n<!-- end -->{after.partition('<!-- end -->')[2]}"
        page.write_text(text)


if __name__ == "__main__":
    main()
