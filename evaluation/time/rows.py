"""Rows of statistics in time: of layers, of the chosen layer and lag, and of their surrogates."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alignment.clusters import max_test
from alignment.inference import crossed_interval, mean_interval, percentile_interval
from datamodules.sentences import SentenceResponses
from evaluation.quantities import Quantity
from evaluation.rows import SELECTED, Score
from evaluation.summaries import new_row, participant_rows
from evaluation.time.statistics import AgainstSurrogates

FEWEST_PEOPLE = 6
"""Turning the signs of fewer people leaves p above .03."""
People = Callable[[int], AgainstSurrogates]


@dataclass(frozen=True)
class TimeRows:
    """Writes the rows of one benchmark.

    Intervals are for other people and other sentences; of one subject, for other sentences.

    Parameters
    ----------
    name : str
    responses : SentenceResponses
    sentence : tensor of shape (pieces,)
        Which stimulus each piece is cut from.
    """

    name: str
    responses: SentenceResponses
    sentence: Int[Tensor, " pieces"]

    def values(
        self,
        metric: Quantity,
        layer: str,
        values: Float[Tensor, "pieces subjects"],
        p: float | None = None,
        target: str = "",
    ) -> Iterator[Score]:
        """A row a subject and their mean, or the mean alone.

        The interval is for other people and other sentences; of one subject, for other sentences.
        """
        people = self.responses.subjects
        if len(people) > 1:
            means = values.mean(0)
            interval = crossed_interval(values, self.sentence)
            rows = participant_rows(
                self.name, self.responses, metric, layer, people, means, target, p, interval
            )
            yield from self._counted(rows)
            return
        low, high = mean_interval(values[:, 0], groups=self.sentence)
        fields = {"target": target, "ci_low": low, "ci_high": high, "p": p}
        yield self.one(metric, layer, float(values.mean()), **fields)

    def one(self, metric: Quantity, layer: str, value: float, **fields: object) -> Score:
        """One row about all sentences."""
        row = new_row(self.name, self.responses, metric, layer, value, **fields)
        return next(self._counted([row]))

    def band(
        self, metric: Quantity, layer: str, null: Float[Tensor, " draws"], window: str = ""
    ) -> Score:
        """Mean of the draws, and the range that holds 95 % of them."""
        low, high = percentile_interval(null)
        fields = {"ci_low": low, "ci_high": high, "window": window}
        return self.one(metric.as_kind("null"), layer, float(null.mean()), **fields)

    def layers(
        self,
        metric: Quantity,
        layers: Sequence[str],
        found: AgainstSurrogates,
        bounds: tuple[float, float] | None = None,
    ) -> Iterator[Score]:
        """Every layer, and the chosen one, at the first lag; and the band of the surrogates.

        Parameters
        ----------
        bounds : (float, float), optional
            Of the noise ceiling: rows ``ceiling_…`` of layer ``responses``, ``target`` lower and
            upper; the upper one is the ceiling of the other rows.
        """
        ceiling = None if bounds is None else bounds[1]
        for i, layer in enumerate(layers):
            for row in self.values(metric, layer, found.observed[:, i, :, 0]):
                yield replace(row, ceiling=ceiling)
            yield self.band(metric, layer, found.null_means()[:, i, 0])
        for row in self.selected(metric, found):
            yield replace(row, ceiling=ceiling) if row.kind == "score" else row
        for target, value in zip(("lower", "upper"), bounds or (), strict=False):
            yield self.one(metric.as_kind("ceiling"), "responses", value, target=target)

    def above(
        self, metric: Quantity, layers: Sequence[str], found: AgainstSurrogates
    ) -> Iterator[Score]:
        """How far every layer lies above its surrogates, in every person.

        p of a layer is for other people who hear these sentences: t over people against the
        largest t of all layers when signs of people are turned. Fewer than six have none: turning
        their signs leaves p above .03.
        """
        excess = found.excess[..., 0]
        p = [None] * len(layers)
        if excess.shape[2] >= FEWEST_PEOPLE:
            p = max_test(excess.mean(0).T).p.tolist()
        for i, layer in enumerate(layers):
            yield from self.values(metric.as_kind("excess"), layer, excess[:, i], p[i])

    def timed(
        self,
        metric: Quantity,
        layers: Sequence[str],
        found: AgainstSurrogates,
        windows: Sequence[str],
        people: People | None = None,
        scaled: bool = False,
    ) -> Iterator[Score]:
        """The mean at every lag or window, p corrected for them, and the held-out choice.

        Parameters
        ----------
        people : callable, optional
            Statistics of every subject at one lag, where ``found`` holds their mean.
        scaled : bool
            Compare and choose in standard deviations of the surrogates.
        """
        judged = found.scaled() if scaled else found
        means, p, null = found.observed.mean((0, 2)), judged.p_max(), found.null_means()
        for i, layer in enumerate(layers):
            for k, window in enumerate(windows):
                fields = {"window": window, "p": float(p[i, k])}
                yield self.one(metric, layer, float(means[i, k]), **fields)
                yield self.band(metric, layer, null[:, i, k], window)
        yield from self.selected(metric, found, people, judged)

    def selected(
        self,
        metric: Quantity,
        found: AgainstSurrogates,
        people: People | None = None,
        judged: AgainstSurrogates | None = None,
        p: float | None = None,
    ) -> Iterator[Score]:
        """The held-out choice of layer and lag, and how far it lies above its surrogates.

        Parameters
        ----------
        judged : AgainstSurrogates, optional
            ``found`` in the units in which it is chosen and tested.
        p : float, optional
            By default that of draws that choose as the observed statistics do.
        """
        judged = found if judged is None else judged
        p, choices = judged.selected_p() if p is None else p, judged.choices()
        if people is None:
            values, excess = (judged.held_out(part) for part in (found.observed, found.excess))
        else:
            each = {lag: people(lag) for lag in {lag for _, lag in choices}}
            size = found.observed.shape[0], len(self.responses.subjects)
            values, excess = (torch.empty(size, dtype=torch.float64) for _ in range(2))
            for fold, (layer, lag) in enumerate(choices):
                own = found.folds == fold
                values[own] = each[lag].observed[own][:, layer, :, 0]
                excess[own] = each[lag].excess[own][:, layer, :, 0]
        yield from self.values(metric, SELECTED, values, p)
        yield from self.values(metric.as_kind("excess"), SELECTED, excess, p)

    def _counted(self, rows: Iterator[Score] | Sequence[Score]) -> Iterator[Score]:
        """With the number of sentences that were long enough to be evaluated."""
        heard = len(self.sentence.unique())
        return (replace(row, n=heard) for row in rows)


def with_p(rows: Sequence[Score], layers: Sequence[str], p: Tensor) -> Iterator[Score]:
    """The rows, those of a layer's mean with its p-value; they come in the order of ``p``."""
    left = iter(p.tolist())
    for row in rows:
        tested = row.layer in layers and not row.subject and row.kind != "null"
        yield replace(row, p=next(left)) if tested else row
