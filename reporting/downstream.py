"""How useful an encoder is: one number a task, above chance, and against a fixed reference."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from reporting.kinds import PROBES, followed_scores
from reporting.tables import headlines

REFERENCE = Path(__file__).parent / "reference" / "hear2021_leaderboard.csv"
"""Mean, standard deviation (ddof 1), lowest and highest value and number of models of the
published HEAR leaderboard, for the six tasks of arXiv 2511.16849. It is never changed: a new
leaderboard becomes a new file."""
PREFERRED = ("mlp", "hear_mlp", "linear", "logistic", "mlp_fast", "knn")
"""Which probe stands for a task, where there are several."""
ENCODER = ["encoder", "fingerprint", "step"]


def reference() -> pd.DataFrame:
    """The frozen reference, one row a benchmark."""
    return pd.read_csv(REFERENCE).set_index("benchmark")


def task_scores(scores: pd.DataFrame) -> pd.DataFrame:
    """One row for every encoder, step and task.

    The probe is the first of ``PREFERRED`` that was run, at its best layer or on the mix; the
    measure that of the reference, or else the one that was written first.

    Parameters
    ----------
    scores : DataFrame
        From :func:`reporting.tables.score_table`.

    Returns
    -------
    DataFrame
        Columns encoder, fingerprint, step, benchmark, metric, layer, value, chance, simulated,
        ``normalised = (value - chance) / (1 - chance)`` (missing for d', which has no upper
        bound) and ``z = (value - mean) / sd`` of the reference (missing for other tasks).
    """
    heads = headlines(followed_scores(scores[scores["benchmark"].str.startswith(PROBES)]))
    heads = heads.assign(probe=heads["analysis"].astype("str"), measure=heads["of"].astype("str"))
    heads = heads[heads["probe"].isin(PREFERRED)]
    known = reference()
    wanted = heads["benchmark"].map(known["measure"])
    order = heads.groupby([*ENCODER, "benchmark", "probe"], dropna=False, sort=False).cumcount()
    rank = heads["probe"].map(PREFERRED.index) * 100 + order
    rank = rank.where(wanted.isna() | (heads["measure"] == wanted), 10_000)
    place = heads.groupby([*ENCODER, "benchmark"], dropna=False, sort=False).ngroup()
    kept = heads.assign(rank=rank, place=place).sort_values(["place", "rank"], kind="stable")
    kept = kept.drop_duplicates("place")
    above = (kept["value"] - kept["chance"]) / (1 - kept["chance"])
    rows = kept["benchmark"]
    z = (kept["value"] - rows.map(known["mean"])) / rows.map(known["sd"])
    z = z.where(kept["measure"] == rows.map(known["measure"]))
    columns = [*ENCODER, "benchmark", "metric", "layer", "value", "chance", "simulated"]
    made = kept[columns].assign(normalised=above.where(kept["measure"] != "d_prime"), z=z)
    return made.reset_index(drop=True)


def frozen_score(tasks: pd.DataFrame) -> pd.DataFrame:
    """Mean z of every encoder and step over the tasks of the reference that it has.

    A model's score moves with nothing but the model; with tasks missing it is of those that are
    named beside it, and none is made up for the others.

    Parameters
    ----------
    tasks : DataFrame
        From :func:`task_scores`.

    Returns
    -------
    DataFrame
        Columns encoder, fingerprint, step, z, tasks (how many) and names.
    """
    known = tasks.dropna(subset=["z"])
    groups = known.groupby(ENCODER, dropna=False, sort=False)
    names = groups["benchmark"].agg(lambda rows: ", ".join(n.removeprefix("probe/") for n in rows))
    found = pd.DataFrame({"z": groups["z"].mean(), "tasks": groups.size(), "names": names})
    return found.reset_index()


def global_keys(scores_of_one_step: pd.DataFrame) -> dict[str, float]:
    """What a logger is given of the frozen score, and of how many tasks it is; none of none."""
    found = frozen_score(task_scores(scores_of_one_step))
    if found.empty:
        return {}
    return {
        "probe/global/z": float(found["z"].iloc[0]),
        "probe/global/tasks": float(found["tasks"].iloc[0]),
    }


def relative_score(tasks: pd.DataFrame) -> pd.DataFrame:
    """Mean over tasks of z over the set of encoders at hand (ddof 1), as arXiv 2511.16849 has it.

    Of encoders that have all the tasks that any has; adding one moves all others.

    Returns
    -------
    DataFrame
        Columns encoder, fingerprint, step and z.

    Raises
    ------
    ValueError
        If fewer than two encoders have all tasks.
    """
    wide = tasks.pivot_table("value", ENCODER, "benchmark", dropna=False, observed=True)
    whole = wide.dropna(axis=1, how="all").dropna()
    if len(whole) < 2:
        raise ValueError(
            f"{len(whole)} of {len(wide)} encoders have all of {wide.shape[1]} tasks: a relative "
            "score needs two or more"
        )
    z = (whole - whole.mean()) / whole.std(ddof=1)
    return z.mean(axis=1).rename("z").reset_index()
