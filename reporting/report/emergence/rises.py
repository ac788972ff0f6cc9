"""When each score rises over training: of every run, and over the runs of an encoder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from reporting.report.emergence.curves import Curve
from reporting.statistics.estimates import Estimate, geometric_mean, mean_estimate
from reporting.statistics.timing import Emergence, emergence


@dataclass(frozen=True)
class Rise:
    """When one score of one encoder rises: means over runs with Student's interval, in steps.

    Times to half have the geometric mean over the runs that rise beyond their noise; of one run,
    the interval of its own noise (:func:`reporting.statistics.timing.half_time`). ``highest`` and
    ``decline`` are maxima over steps and optimistic. ``steps`` is the largest number of steps,
    ``flat`` the number of runs without a time.
    """

    encoder: str
    names: tuple[str, ...]
    kind: str
    label: str
    start: Estimate
    final: Estimate
    rise: Estimate
    half: Estimate
    half_hours: Estimate
    highest: Estimate
    highest_step: Estimate
    decline: Estimate
    ceiling: float
    runs: int
    flat: int
    steps: int


def rises(found: Sequence[Curve], seed: int = 0) -> list[Rise]:
    """One row for every encoder and score, over its runs."""
    groups: dict[tuple[str, str, str], list[Curve]] = {}
    for curve in found:
        groups.setdefault((curve.encoder, curve.kind, curve.label), []).append(curve)
    return [_rise(group, seed) for group in groups.values()]


def _rise(group: Sequence[Curve], seed: int) -> Rise:
    each = [emergence(curve.values, curve.steps, curve.errors, seed) for curve in group]

    def over_runs(values: Sequence[float]) -> Estimate:
        return mean_estimate(np.array(values, dtype=float))

    first = group[0]
    return Rise(
        first.encoder,
        tuple(dict.fromkeys(curve.name for curve in group)),
        first.kind,
        first.label,
        over_runs([e.start for e in each]),
        over_runs([e.final for e in each]),
        over_runs([e.rise for e in each]),
        _half(each, [1.0] * len(group)),
        _half(each, [curve.hours_per_step for curve in group]),
        over_runs([e.highest for e in each]),
        over_runs([e.highest_time for e in each]),
        over_runs([e.decline for e in each]),
        first.ceiling,
        len(group),
        sum(np.isnan(e.half.value) for e in each),
        max(len(curve.steps) for curve in group),
    )


def _half(each: Sequence[Emergence], scales: Sequence[float]) -> Estimate:
    """Times to half in units of ``scales`` steps, over runs; of one run with its own interval."""
    if len(each) == 1:
        own, scale = each[0].half, scales[0]
        return Estimate(own.value * scale, own.low * scale, own.high * scale, own.n)
    return geometric_mean(
        np.array([e.half.value * scale for e, scale in zip(each, scales, strict=True)])
    )
