"""From values of every voxel to rows of participants, regions and their means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

import torch
from jaxtyping import Int
from scipy.stats import wilcoxon
from torch import Tensor

from alignment.inference import Interval, mean_interval
from alignment.selection import group_medians
from datamodules.stimuli import Provenance, ResponseSet, StimulusSet
from evaluation.quantities import Quantity
from evaluation.rows import SELECTED, Score, meaning

BEST_DEPTH = Quantity("best_depth", kind="depth")
BEYOND_PRIMARY = Quantity("depth_beyond_primary", kind="depth")
MOST_TARGETS = 64
"""More targets than this are voxels: their median is one row."""


class Responses(Protocol):
    """What every set of responses has."""

    @property
    def stimuli(self) -> StimulusSet: ...
    @property
    def provenance(self) -> Provenance: ...


def new_row(
    benchmark: str,
    responses: Responses,
    metric: str | Quantity,
    layer: str,
    value: float,
    **fields: object,
) -> Score:
    """A row about all stimuli of a response set; a metric by its name alone is a plain score."""
    simulated, n = responses.provenance.simulated, len(responses.stimuli)
    quantity = Quantity(metric) if isinstance(metric, str) else metric
    fields = {**meaning(quantity), "n": n, "simulated": simulated, **fields}
    return Score(benchmark, layer=layer, value=value, **fields)  # type: ignore[arg-type]


def participants(
    responses: ResponseSet,
) -> tuple[list[str], Int[Tensor, " targets"]] | None:
    """Participants in natural order and the number of each target's; None where unknown."""
    if responses.subjects is None:
        return None
    names = sorted(set(responses.subjects), key=lambda name: (len(name), name))
    return names, torch.tensor([names.index(name) for name in responses.subjects])


def has_row_each(responses: ResponseSet) -> bool:
    """Whether every target has a row of its own: few of them, of no participant."""
    return responses.subjects is None and len(responses.targets) <= MOST_TARGETS


def voxel_rows(
    benchmark: str,
    responses: ResponseSet,
    metric: str | Quantity,
    layers: Sequence[str],
    by_layer: Tensor,
    choose: Callable[[Tensor, Tensor], Tensor] | None = None,
) -> Iterator[Score]:
    """Rows of every layer and, with ``choose``, of the chosen one.

    With participants: the median over the voxels of each, and their mean with an
    interval over them, for all voxels and for every region (``target``). Without: a row a target,
    or one row with the median over all targets where they are many.

    Parameters
    ----------
    by_layer : tensor of shape (layers, targets)
    choose : callable, optional
        ``(targets [t], group of each [t]) -> score of each group`` by the protocol's own layers.
    """
    named = [*layers, SELECTED] if choose else layers

    def values(targets: Tensor, groups: Tensor) -> Tensor:
        """Of every named layer and group."""
        whole = group_medians(by_layer[:, targets], groups)
        return torch.cat([whole, choose(targets, groups)[None]]) if choose else whole

    people = participants(responses)
    if people is None:
        every = torch.arange(len(responses.targets))
        each = has_row_each(responses)
        groups = every if each else torch.zeros_like(every)
        targets = responses.targets if each else ("",)
        for layer, found in zip(named, values(every, groups), strict=True):
            for name, value in zip(targets, found.tolist(), strict=True):
                yield new_row(benchmark, responses, metric, layer, value, target=name)
        return
    subjects, of = people
    for region, mine in regions(responses):
        present, groups = of[mine].unique(return_inverse=True)
        names = [subjects[i] for i in present.tolist()]
        for layer, found in zip(named, values(mine, groups), strict=True):
            yield from participant_rows(benchmark, responses, metric, layer, names, found, region)


def regions(responses: ResponseSet) -> Iterator[tuple[str, Int[Tensor, " members"]]]:
    """All targets under the name "", then those of every region."""
    names = responses.regions or ("",) * len(responses.targets)
    for region in ("", *sorted(set(names) - {""})):
        yield region, torch.tensor([i for i, r in enumerate(names) if region in ("", r)])


def participant_rows(
    benchmark: str,
    responses: Responses,
    metric: str | Quantity,
    layer: str,
    names: Sequence[str],
    values: Tensor,
    target: str = "",
    p: float | None = None,
    interval: Interval | None = None,
) -> Iterator[Score]:
    """A row for every participant, and their mean with an interval.

    By default it is Student's t over participants: other people with the same sounds.
    """
    for subject, value in zip(names, values.tolist(), strict=True):
        yield new_row(benchmark, responses, metric, layer, value, subject=subject, target=target)
    low, high = mean_interval(values) if interval is None else interval
    found = {"target": target, "ci_low": low, "ci_high": high, "p": p}
    yield new_row(benchmark, responses, metric, layer, float(values.mean()), **found)


def depth_rows(benchmark: str, responses: ResponseSet, depth: Tensor) -> Iterator[Score]:
    """Rows of where in the network each target is explained best (Tuckute et al. 2023, fig. 7).

    ``metric=best_depth``: a target's own depth, or the mean over the voxels of a participant,
    for all voxels and for every region, and the mean over participants.
    ``metric=depth_beyond_primary``: mean over the other regions less that of the region Primary,
    with the p-value of Wilcoxon's signed-rank test over participants.

    Parameters
    ----------
    depth : tensor of shape (targets,)
    """
    people = participants(responses)
    if people is None:
        each = has_row_each(responses)
        names = responses.targets if each else ("",)
        for name, value in zip(names, depth if each else depth.mean()[None], strict=True):
            yield new_row(benchmark, responses, BEST_DEPTH, SELECTED, float(value), target=name)
        return
    subjects, of = people

    def rows(
        metric: Quantity, values: Tensor, region: str, p: float | None = None
    ) -> Iterator[Score]:
        """Of the participants that have a value."""
        known = ~values.isnan()
        names = [subjects[i] for i in known.nonzero().flatten().tolist()]
        return participant_rows(
            benchmark, responses, metric, SELECTED, names, values[known], region, p
        )

    means = {}
    for region, mine in regions(responses):
        table = torch.full((len(subjects), len(mine)), torch.nan, dtype=depth.dtype)
        table[of[mine], torch.arange(len(mine))] = depth[mine]
        means[region] = table.nanmean(1)
        yield from rows(BEST_DEPTH, means[region], region)
    others = [found for region, found in means.items() if region not in ("", "Primary")]
    if "Primary" in means and others:
        beyond = torch.stack(others).nanmean(0) - means["Primary"]
        yield from rows(BEYOND_PRIMARY, beyond, "", _signed_rank_p(beyond))


def _signed_rank_p(differences: Tensor) -> float:
    """Two-sided, NaN left out; 1 where all are 0."""
    known = differences[~differences.isnan()]
    return float(wilcoxon(known.numpy()).pvalue) if bool(known.any()) else 1.0
