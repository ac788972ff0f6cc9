"""The axis of training steps that runs share, and who owns a line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import plotly.graph_objects as go

from reporting.report.emergence.curves import Curve
from reporting.trajectory.panels import StepAxis

DASHES = {True: "solid", False: "dash"}


class Axis:
    """An axis of steps or hours that keeps 0: position = log10(1 + time / first time after 0)."""

    def __init__(self, times: Sequence[float], unit: str) -> None:
        self.times = sorted({time for time in times if time > 0})
        self.unit = unit

    @classmethod
    def of(cls, found: Sequence[Curve], hours: bool = False) -> Axis:
        """The axis that spans all curves."""
        rates = [curve.hours_per_step if hours else 1.0 for curve in found]
        times = [s * rate for curve, rate in zip(found, rates, strict=True) for s in curve.steps]
        return cls(times, "hours of audio" if hours else "training step")

    def places(self, times: Sequence[float] | np.ndarray) -> list[float]:
        """Where times stand."""
        first = self.times[0] if self.times else 1.0
        return np.log10(1 + np.asarray(times, float) / first).tolist()

    def mark(self, figure: go.Figure, where: Mapping[str, int]) -> None:
        """Ticks and title."""
        if self.unit == "training step":
            steps = StepAxis(tuple(int(time) for time in [0, *self.times]))
            values, texts = steps.ticks()
        else:
            few = [0.0, *self.times[:: -(-len(self.times) // 5) or 1]]
            values, texts = self.places(few), [f"{time:.2g}" for time in few]
        title = {"text": self.unit, "standoff": 6}
        figure.update_xaxes(tickvals=values, ticktext=texts, title=title, **where)

    def times_of(self, curve: Curve) -> np.ndarray:
        """The times of a curve."""
        return curve.steps * (1.0 if self.unit == "training step" else curve.hours_per_step)


def shared_steps(runs: Sequence[Curve]) -> np.ndarray:
    steps = runs[0].steps
    for curve in runs[1:]:
        steps = np.intersect1d(steps, curve.steps)
    return steps


def owners(names: Sequence[str], families: Mapping[str, str]) -> dict[str, object]:
    """Whose a trace is, so that it is hidden with the last of them."""
    return {"encoder": list(dict.fromkeys(names)), "family": families.get(names[0], "")}
