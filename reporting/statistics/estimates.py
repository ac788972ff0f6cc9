"""A number with its interval and what it is of."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from numpy import ndarray
from scipy.stats import t as student

LEVEL = 0.95
STEEPEST = 1 - 1e-9
"""Correlations are cut here before Fisher's z, which has no value at 1."""
NO_SPREAD = 1e-12
"""Share of a value below which its spread is rounding. Units that are all the same, such as peaks
in the same layer or orders without a fault, do not say how far others may be: the interval of no
width that formulas give then misses the truth."""


@dataclass(frozen=True)
class Estimate:
    """A statistic with its interval, of 95 % where nothing else is said.

    Attributes
    ----------
    value, low, high : float
        NaN where there is no value or no interval.
    n : int
        Independent units: encoders, runs, targets.
    """

    value: float
    low: float = math.nan
    high: float = math.nan
    n: int = 0

    def __str__(self) -> str:
        """As ``.71 (.44 … .87)``."""
        if math.isnan(self.value):
            return "–"
        if math.isnan(self.low):
            return short(self.value)
        return f"{short(self.value)} ({short(self.low)} … {short(self.high)})"


def short(value: float, digits: int = 2) -> str:
    """A number without the nought before its point; a dash for NaN."""
    if math.isnan(value):
        return "–"
    text = f"{round(value, digits) + 0.0:.{digits}f}".replace("-", "−")
    return text.replace("0.", ".", 1) if abs(value) < 1 and not text.endswith("1.00") else text


def number_text(x: Estimate) -> str:
    """As ``178 (120 … 1,260)``, to three digits or whole: for times."""
    if math.isnan(x.value):
        return "–"
    value, low, high = (f"{v:.3g}" if v < 100 else f"{v:,.0f}" for v in (x.value, x.low, x.high))
    return value if math.isnan(x.low) else f"{value} ({low} … {high})"


def within(estimate: Estimate, low: float, high: float) -> Estimate:
    """An interval cut where the statistic cannot be."""
    if math.isnan(estimate.low):
        return estimate
    return replace(estimate, low=max(estimate.low, low), high=min(estimate.high, high))


def quantile(degrees: float, level: float = LEVEL) -> float:
    """The two-sided quantile of Student's t; NaN without a degree of freedom."""
    return float(student.ppf((1 + level) / 2, degrees)) if degrees >= 1 else math.nan


def adjusted_level(count: int) -> float:
    """Level of each of so many intervals that all hold their truths in .95 (Bonferroni)."""
    return 1 - (1 - LEVEL) / max(count, 1)


def mean_estimate(values: Float[ndarray, " n"], level: float = LEVEL) -> Estimate:
    """Mean of independent values with Student's interval ``mean ± t_{n-1} s / sqrt(n)``.

    Values that are NaN are no units. No interval of one value, or of values that are all the same.
    """
    known = values[~np.isnan(values)]
    n = len(known)
    if n == 0:
        return Estimate(math.nan)
    mean = float(known.mean())
    spread = float(known.std(ddof=1)) if n > 1 else math.nan
    if n < 2 or spread <= NO_SPREAD * abs(mean):
        return Estimate(mean, n=n)
    half = quantile(n - 1, level) * spread / math.sqrt(n)
    return Estimate(mean, mean - half, mean + half, n)


def geometric_mean(values: Float[ndarray, " n"]) -> Estimate:
    """As :func:`mean_estimate` of logarithms: for times, which differ by factors.

    Values that are NaN or not above 0 are no units.
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        found = mean_estimate(np.log(np.where(values > 0, values, math.nan)))
    value, low, high = np.exp([found.value, found.low, found.high]).tolist()
    return Estimate(value, low, high, found.n)


def jackknife(value: float, without: Float[ndarray, " n"], level: float = LEVEL) -> Estimate:
    """Interval of a statistic from its values without each unit in turn (Tukey 1958).

    ``value ± t_{n-1} sqrt((n-1)/n sum_i (v_i - mean v)^2)``, v_i the value without unit i (an
    encoder, or a family of them). No interval where leaving any out changes nothing.
    """
    n = len(without)
    if n < 3 or np.isnan(without).any() or math.isnan(value):
        return Estimate(value, n=n)
    spread = math.sqrt((n - 1) / n * float(((without - without.mean()) ** 2).sum()))
    if spread <= NO_SPREAD * max(1.0, abs(float(without.mean()))):
        return Estimate(value, n=n)
    half = quantile(n - 1, level) * spread
    return Estimate(value, value - half, value + half, n)


def fisher(r: float | Float[ndarray, "..."]) -> Float[ndarray, "..."]:
    """Fisher's z, ``artanh r``."""
    return np.arctanh(np.clip(r, -STEEPEST, STEEPEST))
