"""Families of encoders as units: encoders of a family resemble each other."""

from __future__ import annotations

import pandas as pd

FEWEST = 5
"""Families below which nothing is said of families as units."""
AS_UNITS = "encoders as units (related ones counted as independent)"


def family_labels(encoders: pd.DataFrame) -> pd.Series:
    """The family of every encoder; one whose family is not known is a family of its own."""
    family = encoders["family"].astype(object)
    known = family.notna() & (family.astype(str) != "")
    return family.where(known, pd.Series(encoders.index, encoders.index)).astype(str)


def family_means(values: pd.DataFrame, families: pd.Series) -> pd.DataFrame:
    """The mean of each family over its encoders (rows) that have all columns.

    Each family counts once, however many encoders it has.
    """
    whole = values.dropna()
    return whole.groupby(families.loc[whole.index].to_numpy(), sort=False).mean()


def unknown_notes(encoders: pd.DataFrame) -> list[str]:
    """A note of the encoders whose family is not known, if there are any."""
    names = encoders.index[encoders["family"].fillna("").astype(str) == ""]
    if not len(names):
        return []
    return [f"family not known, each counts as one of its own: {', '.join(map(str, names))}"]
