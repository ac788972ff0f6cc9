"""What makes scores hard to compare: copies, unequal subjects and sizes, cells without a score."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from reporting.gathering.naming import short_names
from reporting.gathering.reading import several
from reporting.gathering.versions import VERSION

UNIQUE = ["name", "benchmark", "metric", "layer", "subject", "target", "window"]
SAME = 1e-6
STATES = ("scored", "other version", "failed", "missing")
DUPLICATES = ["name", "benchmark", "run", "kept", "rows", "difference"]


def once(scores: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame, list[str]]:
    """Every score once, the one read last; and what the others were.

    Returns
    -------
    scores : DataFrame
    duplicates : DataFrame
        Columns name, benchmark, run, kept, rows and difference.
    notes : list of str
    """
    again = scores.duplicated(UNIQUE, keep="last")
    if not again.any():
        return scores, pd.DataFrame(columns=DUPLICATES), []
    kept = scores[~again].reset_index(drop=True)
    both = scores[again].merge(
        kept[[*UNIQUE, "run", "value"]], on=UNIQUE, suffixes=("", "_kept"), how="left"
    )
    both["difference"] = (both["value"] - both["value_kept"]).abs()
    keys = ["name", "benchmark", "run", "run_kept"]
    groups = both.groupby(keys, observed=True, sort=False)["difference"]
    table = groups.agg(["size", "max"]).reset_index().set_axis(DUPLICATES, axis=1)
    table = table.astype(dict.fromkeys([*keys[:3], "kept"], "str"))
    notes, short = [], short_names(scores["run"].unique())
    for (name, run, last), rows in table.groupby(["name", "run", "kept"], sort=False):
        far = rows["difference"].max()
        how = "the same values" if far <= SAME else f"values that differ by up to {far:.3g}"
        places = short[str(run)], short[str(last)]
        where = f"twice in {places[0]}" if run == last else f"in {places[0]} and in {places[1]}"
        what = several(rows["benchmark"])
        notes.append(f"{name} has scores of {what} {where}, with {how}: the later ones count")
    return kept, table, notes


def unequal(scores: pd.DataFrame) -> pd.DataFrame:
    """Benchmarks and metrics for which encoders were scored on different things.

    Returns
    -------
    DataFrame
        Columns benchmark, metric, of (``subjects``, ``targets``, ``n`` or ``ceiling``), what (the
        set or number) and encoders (who has it), the most common first.
    """
    keys = ["benchmark", "metric"]
    parts = []
    for column, of in (("subject", "subjects"), ("target", "targets")):
        pairs = scores[[*keys, "name", column]].drop_duplicates()
        pairs = pairs[pairs[column] != ""].astype({column: "str"}).sort_values(column)
        sets = pairs.groupby([*keys, "name"], observed=True)[column].agg(tuple)
        parts.append(_odd(sets, of))
    whole = scores.groupby([*keys, "name"], observed=True)
    parts.append(_odd(whole["n"].max().dropna().astype(int), "n"))
    ceilings = whole["ceiling"].max().dropna()
    parts.append(_odd(ceilings.map(lambda value: float(f"{value:.6g}")), "ceiling"))
    return pd.DataFrame(
        [row for part in parts for row in part],
        columns=["benchmark", "metric", "of", "what", "encoders"],
    )


def _odd(found: pd.Series, of: str) -> Iterator[tuple[str, str, str, object, list[str]]]:
    for (benchmark, metric), group in found.groupby(level=[0, 1], observed=True):
        if group.nunique() < 2:
            continue
        for what in group.value_counts(sort=True).index:
            who = list(group.index[group == what].get_level_values("name"))
            yield str(benchmark), str(metric), of, what, [str(name) for name in who]


def unequal_notes(table: pd.DataFrame) -> list[str]:
    """One line for each benchmark and thing that differs."""
    notes = []
    for (benchmark, of), rows in table.groupby(["benchmark", "of"], sort=False):
        first = rows[rows["metric"] == rows["metric"].iloc[0]]
        parts = [f"{_size(row.what)} of {several(row.encoders, 3)}" for row in first.itertuples()]
        others = rows["metric"].nunique() - 1
        more = f" (so are those of {others} more metrics)" if others else ""
        notes.append(
            f"{benchmark}, {rows['metric'].iloc[0]}: {of} are not the same for all encoders: "
            f"{'; '.join(parts)}{more}"
        )
    return notes


def _size(what: object) -> str:
    return f"{len(what)} ({several(what, 3)})" if isinstance(what, tuple) else str(what)


def cells(heads: pd.DataFrame, encoders: pd.DataFrame, failures: pd.DataFrame) -> pd.DataFrame:
    """Every final encoder and benchmark: scored, failed, of another version, or missing.

    Returns
    -------
    DataFrame
        Index encoder, columns benchmarks (also those that failed everywhere), of :data:`STATES`.
    """
    final = encoders[encoders["final"]]
    scored = set(zip(heads["name"], heads["benchmark"], strict=True))
    failed = set(zip(failures["encoder"], failures["benchmark"], strict=True))
    benchmarks = sorted({*heads["benchmark"], *(name for name in failures["benchmark"] if name)})
    others: dict[str, list[str]] = {}
    for name in benchmarks:
        others.setdefault(name.partition(VERSION)[0], []).append(name)

    def state(name: str, tried: set[str], benchmark: str) -> str:
        if (name, benchmark) in scored:
            return "scored"
        written = benchmark.partition(VERSION)[0]
        if any((name, other) in scored for other in others[written]):
            return "other version"
        return "failed" if any((who, written) in failed for who in tried) else "missing"

    rows = {
        row.Index: [state(row.Index, {row.encoder, row.written}, b) for b in benchmarks]
        for row in final.itertuples()
    }
    return pd.DataFrame.from_dict(rows, orient="index", columns=benchmarks)


def cell_notes(table: pd.DataFrame) -> list[str]:
    """How many cells have no score, and which, benchmark by benchmark."""
    notes = []
    for state, how in (("failed", "failed for"), ("missing", "has no score of")):
        for name in table.columns:
            who = list(table.index[table[name] == state])
            if who:
                notes.append(f"{name} {how} {len(who)} of {len(table)} encoders: {several(who)}")
    return notes
