"""Make the tables of README and docs anew from score files.

``python docs/numbers.py FOLDER…`` reads every ``scores.jsonl`` and ``baselines.jsonl`` below the
folders, and writes each table between its marks ``<!-- numbers: NAME -->`` and ``<!-- end -->`` in
README.md and docs/*.md. Encoders of one name at one step are seeds: a cell is their mean, and the
change from the first step to the last has Student's interval over them. docs/numbers.md lists the
commands that made the score files.
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
STEPS = {"step 0": (TRAINED, "first"), "last step": (TRAINED, "last")}
"""Heading: name of an encoder, and which of its steps."""
LOGMEL = {"log-mel": ("logmel", "")}
FLOORS = {
    **LOGMEL,
    "cochleagram": ("cochleagram", ""),
    "spectrotemporal": ("spectrotemporal", ""),
    "permuted": (f"{TRAINED}_permuted", ""),
}
COMPONENTS = ("lowfreq", "highfreq", "envsounds", "pitch", "speech", "music")


@dataclass(frozen=True)
class Table:
    """Scores, ``BENCHMARK METRIC`` or ``BENCHMARK METRIC TARGET``, by encoders."""

    rows: tuple[str, ...]
    columns: Mapping[str, tuple[str, str]]


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
        LOGMEL | STEPS,
    ),
    "probes": Table(
        tuple(
            f"probe/{task} {probe}_accuracy"
            for task in (
                "fsdd", "philharmonia_instrument", "philharmonia_chroma", "natsound_category",
            )
            for probe in ("linear", "knn")
        ),
        LOGMEL | STEPS,
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
        FLOORS | STEPS,
    ),
}  # fmt: skip


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
    """Lines of a Markdown table; a dash where there is no score."""
    change = "change (95 % over seeds)"
    yield f"| {' | '.join(['', *table.columns, change])} |"
    yield "|" + "---|" * (2 + len(table.columns))
    for row in table.rows:
        mine = heads[heads["score"] == row]
        cells = [_by_run(mine, *which).mean() for which in table.columns.values()]
        rise = (_by_run(mine, TRAINED, "last") - _by_run(mine, TRAINED, "first")).dropna()
        cells_text = " | ".join(short(cell, 3) for cell in cells)
        yield f"| {_label(row)} | {cells_text} | {_signed(mean_estimate(rise.to_numpy()))} |"


def _by_run(rows: pd.DataFrame, encoder: str, which: str) -> pd.Series:
    """Values of an encoder by run, at the first or the last step where it has steps."""
    rows = rows[rows["encoder"] == encoder]
    if which:
        step = rows.groupby("run")["step"].transform("min" if which == "first" else "max")
        rows = rows[rows["step"] == step]
    return rows.groupby("run")["value"].mean()


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
    for page in (HOME / "README.md", *sorted((HOME / "docs").glob("*.md"))):
        text = page.read_text()
        for name, table in TABLES.items():
            mark = f"<!-- numbers: {name} -->\n"
            before, found, after = text.partition(mark)
            if found:
                lines = "\n".join(write_table(table, heads))
                text = f"{before}{mark}{lines}\n<!-- end -->{after.partition('<!-- end -->')[2]}"
        page.write_text(text)


if __name__ == "__main__":
    main()
