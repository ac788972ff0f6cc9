"""Intervals hold the truth as often as they say: on simulated tables with known truth."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
import pytest

from reporting.report.better.statistics import ALL, associations, pairing
from reporting.report.depth.statistics import depths, peak_difference
from reporting.report.emergence.curves import curves
from reporting.report.emergence.leads import leads
from reporting.report.emergence.rises import rises
from reporting.statistics.correlations import Method, correlate
from reporting.statistics.estimates import Estimate, geometric_mean
from reporting.statistics.families import family_means
from reporting.statistics.groups import difference
from reporting.statistics.matrices import correlation_matrix
from reporting.statistics.ordering import order_accuracy, regret
from reporting.statistics.rankings import concordance
from reporting.statistics.timing import time_to
from tests.reporting.comparison import tables

TABLES = 1000
Draw = Callable[[np.random.Generator], Estimate]


def coverage(draw: Draw, truth: float, times: int) -> float:
    """Share of tables whose interval holds the truth."""
    rng = np.random.default_rng(0)
    held = 0
    for _ in range(times):
        found = draw(rng)
        held += found.low <= truth <= found.high
    return held / times


def spearman_of(rho: float) -> float:
    """Spearman's correlation of a normal population."""
    return 6 / math.pi * math.asin(rho / 2)


def drawn_correlation(n: int, rho: float, method: Method) -> Draw:
    def draw(rng: np.random.Generator) -> Estimate:
        x, y = tables.normal_pair(n, rho, rng)
        return correlate(x, y, method, draws=1000, seed=int(rng.integers(10**6)))

    return draw


def drawn_partial(n: int, method: Method) -> Draw:
    """Two scores that share nothing but size."""

    def draw(rng: np.random.Generator) -> Estimate:
        size = rng.standard_normal(n)
        x, y = size + rng.standard_normal((2, n))
        return correlate(x, y, method, size[None], draws=1000, seed=int(rng.integers(10**6)))

    return draw


def drawn_families(rng: np.random.Generator) -> Estimate:
    """Nine families of four encoders that are alike; correlation .6 between and within."""
    family = np.repeat(np.arange(9), 4)
    x, y = np.array(tables.normal_pair(9, 0.6, rng))[:, family]
    x, y = np.array([x, y]) + 0.5 * np.array(tables.normal_pair(36, 0.6, rng))
    units = pd.Series(family.astype(str))
    means = family_means(pd.DataFrame({"x": x, "y": y}), units)
    return correlate(means["x"].to_numpy(), means["y"].to_numpy(), draws=1000)


def drawn_order(n: int, rho: float) -> Draw:
    return lambda rng: order_accuracy(*tables.normal_pair(n, rho, rng))


def drawn_regret(n: int, rho: float) -> Draw:
    return lambda rng: regret(*tables.normal_pair(n, rho, rng), 5)


def drawn_w(n: int = 20, shared: float = 1.0) -> Draw:
    """W of four metrics whose ratings correlate at ``shared / (1 + shared)``; tables of W = 1 are
    drawn again, since they have no interval."""

    def draw(rng: np.random.Generator) -> Estimate:
        common = math.sqrt(shared) * rng.standard_normal(n)
        found = concordance(common + rng.standard_normal((4, n)))[0]
        return draw(rng) if math.isnan(found.low) else found

    return draw


def w_of(shared: float) -> float:
    """W of a normal population: 1/m + (m - 1)/m of the Spearman correlation."""
    return (1 + 3 * spearman_of(shared / (1 + shared))) / 4


def drawn_difference(rng: np.random.Generator) -> Estimate:
    return difference(0.3 + rng.standard_normal(8), 2 * rng.standard_normal(14))


def drawn_half(rng: np.random.Generator) -> Estimate:
    """Six runs that differ in when they are half way, by factors around 50."""
    times = np.arange(0.0, 401, 10)
    halves = 50 * np.exp(0.3 * rng.standard_normal(6))
    curve = np.stack([tables.rising(half, times) for half in halves])
    return geometric_mean(time_to(curve, times))


def drawn_cell(rng: np.random.Generator) -> Estimate:
    x, y = tables.normal_pair(14, 0.6, rng)
    x[:2] = math.nan
    found = correlation_matrix(x[:, None], y[:, None], draws=500, seed=int(rng.integers(10**6)))
    return Estimate(*(float(v[0, 0]) for v in (found.value, found.low, found.high)), 12)


def best_of_five() -> float:
    """Mean of the highest of five normal values."""
    grid = np.linspace(-8, 8, 20001)
    density = np.exp(-(grid**2) / 2) / math.sqrt(2 * math.pi)
    below = np.cumsum(density) * (grid[1] - grid[0])
    return float((grid * 5 * below**4 * density).sum() * (grid[1] - grid[0]))


def cases() -> Iterator[object]:
    for n in (12, 36):
        for rho in (0.0, 0.5, 0.9):
            for method, truth in (("pearson", rho), ("spearman", spearman_of(rho))):
                draw = drawn_correlation(n, rho, method)
                yield pytest.param(draw, truth, id=f"{method}-{n}-{rho}")
            truth = 0.5 + math.asin(rho) / math.pi
            yield pytest.param(drawn_order(n, rho), truth, id=f"order-{n}-{rho}")
        for method in ("pearson", "spearman"):
            yield pytest.param(
                drawn_partial(n, method), PARTIAL[method], id=f"partial-{method}-{n}"
            )
        truth = 0.5 * best_of_five()
        yield pytest.param(drawn_regret(n, 0.5), truth, id=f"regret-{n}")
    yield pytest.param(drawn_families, 0.6, id="families")
    yield pytest.param(drawn_w(), w_of(1), id="concordance")
    yield pytest.param(drawn_difference, 0.3, id="difference")
    yield pytest.param(drawn_half, 50.0, id="half")
    yield pytest.param(drawn_cell, 0.6, id="matrix")


def few() -> Iterator[object]:
    for n in (5, 6, 8):
        for rho in (0.5, 0.9, 0.98):
            truth = spearman_of(rho)
            yield pytest.param(drawn_correlation(n, rho, "spearman"), truth, id=f"rank-{n}-{rho}")
            yield pytest.param(drawn_correlation(n, rho, "pearson"), rho, id=f"pearson-{n}-{rho}")
            truth = 0.5 + math.asin(rho) / math.pi
            yield pytest.param(drawn_order(n, rho), truth, id=f"order-{n}-{rho}")
    for n in (8, 15):
        for shared in (9.0, 99.0):
            yield pytest.param(drawn_w(n, shared), w_of(shared), id=f"w-{n}-{shared:g}")


def partial_spearman() -> float:
    """Of ranks whose correlations are those of normal values at .5, .71 and .71."""
    xy, xg = spearman_of(0.5), spearman_of(math.sqrt(0.5))
    return (xy - xg**2) / (1 - xg**2)


PARTIAL = {"pearson": 0.0, "spearman": partial_spearman()}


@pytest.mark.parametrize(("draw", "truth"), list(cases()))
def test_a_few_tables_hold_the_truth(draw: Draw, truth: float) -> None:
    assert coverage(draw, truth, 25) >= 0.8


@pytest.mark.parametrize(("draw", "truth"), list(few()))
def test_a_few_tables_of_few_encoders_hold_the_truth(draw: Draw, truth: float) -> None:
    assert coverage(draw, truth, 40) >= 0.85


@pytest.mark.slow
@pytest.mark.parametrize(("draw", "truth"), list(few()))
def test_intervals_over_few_encoders_hold_the_truth_at_least(draw: Draw, truth: float) -> None:
    """Those over fewer than ten encoders may be too wide, but not too narrow."""
    assert coverage(draw, truth, TABLES) >= 0.922


@pytest.mark.slow
@pytest.mark.parametrize(("draw", "truth"), list(cases()))
def test_intervals_hold_the_truth_at_their_rate(draw: Draw, truth: float) -> None:
    """Within four standard errors of .95 over 1,000 tables below; wider ones are allowed to .99."""
    found = coverage(draw, truth, TABLES)
    assert 0.922 <= found <= 0.99, f"{found} of intervals hold {truth:.3f}"


def of_score_tables(times: int) -> float:
    """Coverage of the correlation that the whole way from score rows gives."""
    held = 0
    for seed in range(times):
        found = pairing(tables.correlated(12, 0.7, seed, tasks=1))
        row = next(row for row in associations(found, seed) if row.encoders == ALL)
        held += row.pearson.low <= 0.7 <= row.pearson.high
    return held / times


def of_peaks(times: int) -> float:
    """Coverage of the planted difference of peaks: rank-based metrics two layers of ten deeper."""
    held = 0
    for seed in range(times):
        found = peak_difference(depths(tables.deep(12, 0.2, seed)))
        held += found[tables.BRAIN].encoders.low <= 0.2 <= found[tables.BRAIN].encoders.high
    return held / times


def of_rises(times: int) -> tuple[float, float]:
    """Coverage of the planted time to half and of the planted lead."""
    half = ahead = 0
    for seed in range(times):
        found, _ = curves(tables.trained(5, 60.0, 2.0, seed))
        row = next(row for row in rises(found) if row.kind == "score")
        half += row.half.low <= 60 <= row.half.high
        first = leads(found)[0].doublings
        ahead += first.low <= 1 <= first.high
    return half / times, ahead / times


@pytest.mark.long
def test_a_few_score_tables_hold_the_truth() -> None:
    assert of_score_tables(8) >= 0.6
    assert of_peaks(8) >= 0.6
    assert min(of_rises(6)) >= 0.5


@pytest.mark.slow
def test_score_tables_hold_the_truth_at_the_stated_rate() -> None:
    assert 0.922 <= of_score_tables(TABLES) <= 0.985


@pytest.mark.slow
def test_score_tables_hold_planted_peaks_at_the_stated_rate() -> None:
    assert 0.922 <= of_peaks(TABLES) <= 0.99


@pytest.mark.slow
def test_score_tables_hold_planted_rises_at_the_stated_rate() -> None:
    half, ahead = of_rises(TABLES)
    assert 0.922 <= half <= 0.985
    assert 0.922 <= ahead <= 0.985
