"""Benchmarks of one name whose settings differ are benchmarks of several names."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from reporting.gathering.naming import short_names
from reporting.gathering.origins import Origin
from reporting.gathering.reading import several

Settings = dict[str, str]
VERSION = " (version "
COLUMNS = ["benchmark", "written", "runs", "settings"]


def by_version(
    scores: pd.DataFrame, origins: Mapping[str, Origin]
) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Scores in which a benchmark that was run with other settings has a name of its own.

    The settings that most runs have keep the name; the others are called ``NAME (version 2)`` and
    so on. Runs without a config are taken to have the first.

    Returns
    -------
    scores : DataFrame
    versions : DataFrame
        Columns benchmark, written, runs and settings, of benchmarks that have several versions.
    notes : list of str
    """
    pairs = scores.groupby(["benchmark", "run"], observed=True, sort=False).size().index
    users: dict[str, list[str]] = {}
    for benchmark, run in pairs:
        users.setdefault(benchmark, []).append(run)
    short, names, rows = short_names(origins), {}, []
    for benchmark, runs in users.items():
        versions = _versions(benchmark, runs, origins)
        for number, (settings, who) in enumerate(versions):
            called = f"{benchmark}{VERSION}{number + 1})" if number else benchmark
            names.update({(benchmark, run): called for run in who})
            if len(versions) > 1:
                what = _difference(settings, versions[0][0])
                rows.append((called, benchmark, several(short[run] for run in who), what))
    table = pd.DataFrame(rows, columns=COLUMNS)
    notes = [
        f"{row.written} was run with other settings in {row.runs}: there it is called "
        f"“{row.benchmark}” and compared only with itself ({row.settings})"
        for row in table.itertuples()
        if row.benchmark != row.written
    ]
    silent = [
        short[run]
        for run in short
        if not origins[run].known and any(run in w for w in users.values())
    ]
    if silent:
        notes.append(
            f"no config lies beside {several(silent)}: the settings of the benchmarks there are "
            "not known and taken to be those of the other runs"
        )
    return _rename(scores, names), table, notes


def _versions(
    benchmark: str, runs: list[str], origins: Mapping[str, Origin]
) -> list[tuple[Settings, list[str]]]:
    """Settings and who has them, those of most runs first; runs without a config with these."""
    found: dict[tuple[tuple[str, str], ...], list[str]] = {}
    unknown = []
    for run in runs:
        settings = _settings(benchmark, origins[run])
        if settings is None:
            unknown.append(run)
        else:
            found.setdefault(tuple(sorted(settings.items())), []).append(run)
    versions = sorted(found.items(), key=lambda version: (-len(version[1]), version[0]))
    first = [(dict(settings), who) for settings, who in versions] or [({}, [])]
    first[0][1].extend(unknown)
    return first


def _settings(benchmark: str, of: Origin) -> Settings | None:
    """Those of the benchmark, or of what it is a part of."""
    parts = benchmark.split("/")
    names = ["/".join(parts[:n]) for n in range(len(parts), 1, -1)]
    return next((of.settings[name] for name in names if name in of.settings), None)


def _difference(settings: Settings, first: Settings) -> str:
    keys = sorted(settings.keys() | first.keys())
    told = [
        f"{key} is {settings.get(key, 'not set')} instead of {first.get(key, 'not set')}"
        for key in keys
        if settings.get(key) != first.get(key)
    ]
    return several(told) if told else "the first version"


def _rename(scores: pd.DataFrame, names: Mapping[tuple[str, str], str]) -> pd.DataFrame:
    if all(called == benchmark for (benchmark, _), called in names.items()):
        return scores
    benchmarks, runs = scores["benchmark"].cat, scores["run"].cat
    called = sorted(set(names.values()))
    codes = np.full((len(benchmarks.categories), len(runs.categories)), -1)
    for (benchmark, run), name in names.items():
        place = benchmarks.categories.get_loc(benchmark), runs.categories.get_loc(run)
        codes[place] = called.index(name)
    found = codes[benchmarks.codes, runs.codes]
    return scores.assign(benchmark=pd.Categorical.from_codes(found, called))
