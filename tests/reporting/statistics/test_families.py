"""Families of encoders as units."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from reporting.report.drivers.statistics import factors, family_units
from reporting.statistics.families import family_labels, family_means


def test_an_encoder_without_a_family_is_its_own() -> None:
    table = pd.DataFrame({"family": ["a", "", None, "a"]}, list("wxyz"))
    assert family_labels(table).tolist() == ["a", "x", "y", "a"]


def test_each_family_counts_once() -> None:
    values = pd.DataFrame({"x": [1.0, 3, 5, math.nan], "y": [0.0, 1, 2, 3]}, list("wxyz"))
    families = pd.Series(["a", "a", "b", "b"], list("wxyz"))
    found = family_means(values, families)
    assert found.to_dict("index") == {"a": {"x": 2, "y": 0.5}, "b": {"x": 5, "y": 2}}


def test_ten_of_a_kind_are_one_unit() -> None:
    """Six families, one of which was trained: of the six deals of their means one is as large."""
    families = ["ours"] * 4 + ["a"] * 10 + ["b"] * 2 + ["c", "d", "e"]
    names = [f"m{k:02}" for k in range(len(families))]
    trained = ["speech"] * 4 + ["none"] * 15
    rng = np.random.default_rng(0)
    x = np.array([3.0] * 4 + [0.0] * 15) + 0.1 * rng.standard_normal(19)
    known = pd.DataFrame({"trained_on": trained, "objective": None, "family": families}, names)
    known = known.astype(object).assign(parameters=[10.0 ** len(f) for f in families], hours=np.nan)
    rows = {row.field: row for row in factors(pd.DataFrame({"r2": x}, names), known)}
    assert rows["trained_on"].encoders.p < 0.005
    assert rows["trained_on"].families.p == pytest.approx(1 / 6, abs=0.04)
    assert (rows["trained_on"].encoders.n, rows["trained_on"].families.n) == (19, 6)
    assert rows["family"].families.n == 0


def test_numbers_of_a_family_are_averaged_in_logarithms() -> None:
    both = pd.DataFrame({"value": [1.0, 2, 4], "field": [10.0, 1000, 7]}, list("abc"))
    found = family_units(both, pd.Series(["f", "f", "g"], list("abc")), grouped=False)
    assert found["field"].tolist() == pytest.approx([100, 7])
    assert found["value"].tolist() == [1.5, 4]
