"""What a trajectory figure shows, before it is drawn: panels, their lines, and the step axis."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from reporting.kinds import followed_scores
from reporting.tables import (
    SELECTED,
    above_surrogates,
    headlines,
    last_per_step,
    layer_means,
    target_headlines,
    throughout,
)

INK, GREY, PALE = "#1a1a1a", "#666666", "#bbbbbb"
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
"""The colour-blind safe set of Okabe and Ito (2008) without black (headlines) and yellow."""
MOST_NAMED = 12
LABEL_GAP = 0.07
LABEL_ROOM = 1.36


@dataclass(frozen=True)
class Line:
    """One line of a panel; ``notes`` say what each point is, ``band`` its lower and upper end."""

    name: str
    steps: list[int]
    values: list[float]
    colour: str = GREY
    width: float = 1.3
    dash: str = "solid"
    notes: list[str] | None = None
    band: tuple[list[float], list[float]] | None = None


@dataclass(frozen=True)
class Panel:
    """The trajectory of one metric of one benchmark."""

    benchmark: str
    metric: str
    simulated: bool
    lines: list[Line]

    @property
    def title(self) -> str:
        """Benchmark and metric, marked where the data are simulated."""
        return panel_title(self.benchmark, self.metric, self.simulated)

    def limits(self) -> tuple[float, float]:
        """Lower and upper end of the y axis."""
        bands = [end for line in self.lines for end in line.band or ()]
        values = np.concatenate([*(line.values for line in self.lines), *bands])
        room = 0.06 * float(np.ptp(values)) or 0.1 * abs(float(values[0])) or 0.1
        return float(values.min()) - room, float(values.max()) + room

    def labels(self) -> list[tuple[float, str, str]]:
        """Height, name and colour of the labels at the lines' right ends, moved apart."""
        named = sorted((line for line in self.lines if line.name), key=lambda line: line.values[-1])
        low, high = self.limits()
        gap = min(LABEL_GAP, 1 / len(named)) * (high - low)
        offsets = gap * np.arange(len(named))
        base = _increasing(np.array([line.values[-1] for line in named]) - offsets)
        heights = np.clip(base, low, high - offsets[-1]) + offsets
        return [(float(y), x.name, _darker(x.colour)) for y, x in zip(heights, named, strict=True)]


def _increasing(values: np.ndarray) -> np.ndarray:
    """The never falling sequence nearest to ``values``: neighbours that fall share their mean."""
    blocks: list[list[float]] = []
    for value in values:
        blocks.append([float(value)])
        while len(blocks) > 1 and np.mean(blocks[-2]) > np.mean(blocks[-1]):
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    return np.concatenate([np.full(len(block), np.mean(block)) for block in blocks])


def _darker(colour: str) -> str:
    """A colour with enough contrast for text on white."""
    return "#" + "".join(f"{int(0.75 * int(colour[i : i + 2], 16)):02x}" for i in (1, 3, 5))


@dataclass(frozen=True)
class StepAxis:
    """An axis of steps that keeps step 0: position = log10(1 + step / first step after 0)."""

    steps: tuple[int, ...]
    hours_per_step: float | None = None

    @classmethod
    def of(cls, scores: pd.DataFrame, hours_per_step: float | None = None) -> StepAxis:
        """The axis that spans every step of a score table."""
        return cls(tuple(scores["step"].dropna().unique().tolist()), hours_per_step)

    @property
    def first(self) -> int:
        """The first step after 0."""
        return min((step for step in self.steps if step > 0), default=1)

    @property
    def last(self) -> int:
        """The last step, and at least 1."""
        return max(1, *self.steps, 1)

    def position(self, step: int) -> float:
        """Where a step stands."""
        return math.log10(1 + step / self.first)

    @property
    def span(self) -> tuple[float, float]:
        """Ends of the axis, with room for labels on the right."""
        end = self.position(self.last)
        return -0.04 * end, LABEL_ROOM * end

    @property
    def title(self) -> str:
        """What the axis shows."""
        return "training step" + ("" if self.hours_per_step is None else " and hours of audio")

    def ticks(self, line_break: str = "\n") -> tuple[list[float], list[str]]:
        """Positions and texts: 0, the last step, then round steps where there is room."""
        powers = range(int(math.log10(self.last)) + 1)
        rounded = [lead * 10**power for lead in (1, 2, 5) for power in powers]
        chosen: list[int] = []
        for step in [0, self.last, *rounded]:
            gaps = [abs(self.position(step) - self.position(other)) for other in chosen]
            known = step <= max(self.steps, default=-1)
            if known and min(gaps, default=math.inf) > 0.2 * self.position(self.last):
                chosen.append(step)
        chosen.sort()
        texts = [step_text(step, self.hours_per_step, line_break) for step in chosen]
        return [self.position(step) for step in chosen], texts


def step_text(step: int, hours_per_step: float | None = None, line_break: str = "\n") -> str:
    """A short text for a step: 500, 20k, 1.5M, and below it the hours of audio if known."""
    scale, unit = next((pair for pair in ((10**6, "M"), (1000, "k")) if step >= pair[0]), (1, ""))
    text = f"{step / scale:.3g}{unit}"
    if hours_per_step is None:
        return text
    hours = step * hours_per_step
    return (
        f"{text}{line_break}{hours:,.0f} h" if hours >= 10 else f"{text}{line_break}{hours:.2g} h"
    )


def panel_title(benchmark: str, metric: str, simulated: bool) -> str:
    """Benchmark and metric, marked where the data are simulated."""
    return f"{benchmark} {metric}" + (" (simulated)" if simulated else "")


def panels(scores: pd.DataFrame, baselines: pd.DataFrame | None = None) -> list[Panel]:
    """One panel for each benchmark and metric, in the order of first appearance.

    Parameters
    ----------
    scores : DataFrame
        Scores of one run. Rows without a step (an encoder made elsewhere) become horizontal
        lines.
    baselines : DataFrame, optional
        Scores of other encoders, such as log-mel, drawn as horizontal lines where they have the
        same benchmark and metric; of an encoder with steps, the last.
    """
    scores = throughout(scores)
    heads, targets = headlines(scores), target_headlines(scores)
    others = heads[heads["step"].isna()]
    if baselines is not None:
        others = pd.concat([others, headlines(baselines)])
    colours = _colours(targets["target"].unique().tolist())
    pairs = above_surrogates(heads)[["benchmark", "metric"]].drop_duplicates()
    end = StepAxis.of(scores).last
    found = []
    for benchmark, metric in pairs.itertuples(index=False):
        head, target, other = (
            table[(table["benchmark"] == benchmark) & (table["metric"] == metric)]
            for table in (heads, targets, others)
        )
        run = last_per_step(head, ["benchmark", "metric"])
        lines = [*_references(run, other, end)]
        if target["target"].nunique() > 1:
            lines += _target_lines(target, colours)
        if len(run):
            name = "mean" if len(target) else _layer_label(run["layer"])
            lines.append(_headline(run, name))
        found.append(Panel(benchmark, metric, bool(head["simulated"].any()), lines))
    return found


def _layer_label(layers: pd.Series) -> str:
    """What the line of a headline is called: a maximum over layers is called optimistic."""
    if (layers == SELECTED).all():
        return "selected layer"
    return layers.iloc[0] if layers.nunique() == 1 else "best layer (optimistic)"


def _colours(targets: list[str]) -> dict[str, tuple[str, str]]:
    """Colour and dash of every target: one meaning throughout a figure."""
    count = len(OKABE_ITO)
    return {
        target: (OKABE_ITO[index % count], "solid" if index // count % 2 == 0 else "dashdot")
        for index, target in enumerate(targets)
    }


def _references(run: pd.DataFrame, others: pd.DataFrame, end: int) -> Iterator[Line]:
    """Horizontal lines: the ceiling, the value before training, and other encoders."""
    ceilings = pd.concat([run, others])["ceiling"].dropna()
    if len(ceilings):
        yield Line("ceiling", [0, end], [ceilings.iloc[-1]] * 2, dash="dash")
    if len(run) > 1 and run["step"].iloc[0] == 0:
        yield Line("step 0", [0, end], [run["value"].iloc[0]] * 2, dash="dot")
    for row in others.drop_duplicates("encoder", keep="last").itertuples():
        yield Line(row.encoder or "encoder", [0, end], [row.value] * 2, dash="dashdot")


def _target_lines(targets: pd.DataFrame, colours: dict[str, tuple[str, str]]) -> Iterator[Line]:
    crowded = targets["target"].nunique() > MOST_NAMED
    for target, rows in last_per_step(targets, ["target"]).groupby("target", sort=False):
        colour, dash = (PALE, "solid") if crowded else colours[str(target)]
        notes = [f"{target}: {layer}" for layer in rows["layer"]]
        steps, values = rows["step"].astype(int).tolist(), rows["value"].tolist()
        yield Line("" if crowded else str(target), steps, values, colour, 1.3, dash, notes)


def _headline(run: pd.DataFrame, name: str) -> Line:
    bounds = run[["ci_low", "ci_high"]]
    known = len(run) > 1 and bool(bounds.notna().all(axis=None))
    band = (bounds["ci_low"].tolist(), bounds["ci_high"].tolist()) if known else None
    steps, values = run["step"].astype(int).tolist(), run["value"].tolist()
    return Line(name, steps, values, INK, 2.2, "solid", run["layer"].tolist(), band)


def layer_maps(scores: pd.DataFrame) -> dict[tuple[str, str], pd.DataFrame]:
    """Mean value of every layer (rows, shallow to deep) at every training step (columns).

    One table for each benchmark and metric, in the order of first appearance; without those
    that have no training step. Rows of layer "selected", of surrogates and of kinds that only a
    figure of their own shows are left out.
    """
    means = layer_means(throughout(followed_scores(scores[scores["layer"] != SELECTED])))
    run = last_per_step(means, ["benchmark", "metric", "layer"])
    return {
        (str(benchmark), str(metric)): rows.pivot(
            index="layer", columns="step", values="value"
        ).reindex(rows["layer"].unique())
        for (benchmark, metric), rows in run.groupby(["benchmark", "metric"], sort=False)
    }
