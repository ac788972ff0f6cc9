"""From score files to one :class:`Gathered`, with everything doubtful named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from reporting.gathering.doubts import cell_notes, cells, once, unequal, unequal_notes
from reporting.gathering.gathered import Gathered
from reporting.gathering.naming import name_encoders
from reporting.gathering.origins import FACTS, Origin, origin
from reporting.gathering.reading import read_runs
from reporting.gathering.versions import by_version
from reporting.tables import MEANING, headlines

Facts = Mapping[str, Mapping[str, Any]]
BASELINE = "baseline"
"""Family of encoders that are floors."""
LINEAGE = ["data_fingerprint", "revision", "checkpoint"]
ENCODERS = [
    "encoder",
    "fingerprint",
    "step",
    "run",
    "final",
    *FACTS,
    "control",
    "written",
    *LINEAGE,
]


def gather(
    runs: Sequence[str],
    facts: Facts | None = None,
    overrides: Facts | None = None,
    controls: Sequence[str] = (),
    names: Mapping[str, str] | None = None,
    include: Mapping[str, Sequence[str]] | None = None,
    exclude: Sequence[str] = (),
    describe: Callable[[Path], Mapping[str, Any]] = lambda folder: {},
    advance: Callable[[int, int], object] = lambda done, of: None,
) -> Gathered:
    """Read every run and merge them.

    Parameters
    ----------
    runs : sequence of str
        Folders, files or patterns of either (:func:`reporting.gathering.reading.score_files`).
    facts : mapping, optional
        From the name of an encoder, or of its yaml, to what is known of it: :data:`FACTS`.
    overrides : mapping, optional
        As facts, but they also stand above what a training run says of itself.
    controls : sequence of str
        Patterns of names of encoders that are floors.
    names : mapping, optional
        Other names to be shown (:func:`reporting.gathering.naming.named`).
    include : mapping, optional
        Of ``encoder`` and ``benchmark``: patterns, one of which a row must match.
    exclude : sequence of str
        Patterns of encoders, benchmarks or runs that are left out.
    describe : function
        What the checkpoints in the folder of a training run say: ``parameters``, and
        :data:`LINEAGE`, of which ``checkpoint`` maps steps to files.
    advance : function
        Told the number of files that are read, and of all.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no score, or a file is no score file.
    """
    found = read_runs(runs, advance)
    origins = {run: origin(folder) for run, folder in found.folders.items()}
    scores, versions, told = by_version(found.scores, origins)
    notes = found.notes + told
    rows, places = name_encoders(scores, origins, names or {})
    scores = _with_names(scores, rows, places)
    scores = _select_rows(scores, rows, include or {}, exclude, notes)
    scores, duplicates, told = once(scores)
    notes += told
    heads = _heads(scores)
    rows = rows[rows["name"].isin(heads["name"])]
    encoders = _encoders(rows, origins, facts or {}, overrides or {}, controls, describe)
    failures = _attach_origin(found.failures, rows)
    notes += _unfinished_runs(encoders, origins)
    notes += unequal_notes(unequal(scores))
    notes += cell_notes(cells(heads, encoders, failures))
    return Gathered(scores, heads, encoders, failures, notes, duplicates, versions)


def _with_names(scores: pd.DataFrame, rows: pd.DataFrame, places: pd.Series) -> pd.DataFrame:
    made = {}
    for column, shown in (("encoder", "label"), ("name", "name")):
        codes, categories = pd.factorize(rows[shown])
        made[column] = pd.Categorical.from_codes(codes[places.to_numpy()], categories)
    return scores.assign(**made)


def _select_rows(
    scores: pd.DataFrame,
    rows: pd.DataFrame,
    include: Mapping[str, Sequence[str]],
    exclude: Sequence[str],
    notes: list[str],
) -> pd.DataFrame:
    """Rows that the patterns ask for; what is left out is noted."""
    written = dict(zip(rows["label"], rows["encoder"], strict=True))

    def matches(column: str, patterns: Sequence[str]) -> np.ndarray:
        categories = scores[column].cat.categories
        fits = [_fits([name, written.get(name, name)], patterns) for name in categories]
        return np.array(fits, dtype=bool)[scores[column].cat.codes]

    keep = np.ones(len(scores), dtype=bool)
    for column, patterns in include.items():
        if patterns:
            keep &= matches(column, patterns)
    for column in ("encoder", "benchmark", "run") if exclude else ():
        keep &= ~matches(column, exclude)
    if keep.all():
        return scores
    if not keep.any():
        raise ValueError(
            f"no score is left after include {dict(include)} and exclude {list(exclude)}: encoders "
            f"are called {', '.join(sorted(set(rows['label'])))}"
        )
    notes.append(f"{(~keep).sum():,} of {len(keep):,} rows are left out by include or exclude")
    kept = scores[keep].reset_index(drop=True)
    for column in kept.columns[kept.dtypes == "category"]:
        kept[column] = kept[column].cat.remove_unused_categories()
    return kept


def _fits(names: Sequence[str], patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in names for pattern in patterns)


def _heads(scores: pd.DataFrame) -> pd.DataFrame:
    """Headlines with name and run; texts are plain again, as there are few."""
    keys = ["encoder", "fingerprint", "step", "benchmark"]
    first = scores.drop_duplicates(["name", "benchmark"])[[*keys, "name", "run"]]
    heads = headlines(scores)
    plain = dict.fromkeys(["encoder", "fingerprint", "benchmark"], "str")
    heads = heads.astype({**plain, **dict.fromkeys(["metric", *MEANING, "layer"], "str")})
    first = first.astype({**plain, "name": "str", "run": "str"})
    return heads.merge(first, on=keys, how="left")


def _encoders(
    rows: pd.DataFrame,
    origins: Mapping[str, Origin],
    facts: Facts,
    overrides: Facts,
    controls: Sequence[str],
    describe: Callable[[Path], Mapping[str, Any]],
) -> pd.DataFrame:
    first = rows.drop_duplicates("name").set_index("name")
    table = first.rename(columns={"encoder": "written", "label": "encoder"})
    table["evaluated"], table["run"] = table["run"], table["home"]
    last = table.groupby("encoder")["step"].transform("max")
    table["final"] = (table["step"].isna() | (table["step"] == last)).astype(bool)
    homes = {home: _of_training(home, origins, describe) for home in _training_runs(table)}
    said = []
    for name, row in table.iterrows():
        own = _at_step(homes.get(row["home"], {}), row["step"])
        run = origins[row["evaluated"]]
        known = [overrides.get(str(key)) for key in (row["encoder"], row["written"], name)]
        known += [own, *(facts.get(key) for key in (row["written"], run.choice)), run.facts]
        merged = {key: _first(known, key) for key in [*FACTS, *LINEAGE, "control"]}
        floor = merged["family"] == BASELINE or _fits([row["encoder"], row["written"]], controls)
        said.append(merged | {"control": bool(merged["control"] or floor)})
    extra = pd.DataFrame(said, index=table.index)
    for name in ("parameters", "hours"):
        extra[name] = pd.to_numeric(extra[name]).astype("float64")
    for name in ("family", "trained_on", "objective", *LINEAGE):
        extra[name] = extra[name].fillna("").astype("str")
    return table.join(extra)[ENCODERS]


def _attach_origin(failures: pd.DataFrame, rows: pd.DataFrame) -> pd.DataFrame:
    """Failures with the name under which the encoder of that run is shown."""
    labels = rows.groupby(["run", "encoder"])["label"].unique()
    alone = {key: found[0] for key, found in labels.items() if len(found) == 1}
    for run, found in rows.groupby("run")["label"].unique().items():
        if len(found) == 1:  # a benchmark that could not be built fails for whoever was evaluated
            alone[run, ""] = found[0]
    pairs = zip(failures["run"], failures["encoder"].fillna(""), strict=True)
    return failures.assign(encoder=[alone.get(pair, pair[1]) for pair in pairs])


def _unfinished_runs(encoders: pd.DataFrame, origins: Mapping[str, Origin]) -> list[str]:
    """Training runs whose last evaluation is not that of their last step."""
    notes = []
    for row in encoders[encoders["final"] & encoders["step"].notna()].itertuples():
        planned = origins[row.run].steps if row.run in origins else None
        if planned and row.step < planned:
            notes.append(
                f"{row.encoder} was evaluated up to step {row.step:,} of {planned:,}: that step "
                "stands for it"
            )
    return notes


def _training_runs(table: pd.DataFrame) -> list[str]:
    return list(table.loc[table["step"].notna(), "home"].unique())


def _of_training(
    home: str, origins: Mapping[str, Origin], describe: Callable[[Path], Mapping[str, Any]]
) -> dict[str, Any]:
    """What is known of a training run, be it gathered itself or only its checkpoints."""
    said = origins.get(home) or origin(Path(home))
    return {
        "family": said.model_class or None,
        "trained_on": said.data or None,
        "objective": said.target or None,
        "hours_per_step": said.hours_per_step,
        **describe(Path(home)),
    }


def _at_step(said: Mapping[str, Any], step: Any) -> dict[str, Any]:
    if not said or pd.isna(step):
        return {}
    hours, files = said.get("hours_per_step"), said.get("checkpoint", {})
    return {
        **said,
        "hours": None if hours is None else hours * int(step),
        "checkpoint": files.get(int(step)),
    }


def _first(known: Sequence[Mapping[str, Any] | None], key: str) -> Any:
    """The first that says something."""
    values = (one.get(key) for one in known if one)
    return next((value for value in values if value is not None and not _nan(value)), None)


def _nan(value: Any) -> bool:
    return isinstance(value, float) and np.isnan(value)
