"""From values of every voxel to rows of participants, regions and their means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

from alignment.inference import bootstrap_ci
from alignment.selection import group_medians
from datamodules.stimuli import ResponseSet, TimedResponseSet
from evaluation.benchmark import Score

SELECTED = "selected"
"""Layer of the rows for which the protocol chose the layer itself."""
MOST_TARGETS = 64
"""More targets than this are voxels: their median is one row."""


def new_row(
    benchmark: str,
    responses: ResponseSet | TimedResponseSet,
    metric: str,
    layer: str,
    value: float,
    **fields: object,
) -> Score:
    """A row about all stimuli of a response set."""
    simulated, n = responses.provenance.simulated, len(responses.stimuli)
    return Score(benchmark, metric, layer, value, n=n, simulated=simulated, **fields)  # type: ignore[arg-type]


def voxel_rows(
    benchmark: str,
    responses: ResponseSet,
    metric: str,
    layers: Sequence[str],
    by_layer: Tensor,
    choose: Callable[[Tensor, Tensor], Tensor],
) -> Iterator[Score]:
    """Rows of every layer and of the chosen one.

    With participants: the median over the voxels of each, and their mean with a bootstrap
    interval, for all voxels and for every region (``target``). Without: a row a target, or one
    row with the median over all targets where they are many.

    Parameters
    ----------
    by_layer : tensor of shape (layers, targets)
    choose : callable
        ``(targets [t], group of each [t]) -> score of each group`` by the protocol's own layers.
    """

    def row(metric: str, layer: str, value: float, **fields: object) -> Score:
        return new_row(benchmark, responses, metric, layer, value, **fields)

    count = len(responses.targets)
    every = torch.arange(count)
    if responses.subjects is None:
        groups = torch.zeros_like(every) if count > MOST_TARGETS else every
        names = ("",) if count > MOST_TARGETS else responses.targets
        chosen = choose(every, groups)
        whole = group_medians(by_layer, groups)
        for layer, found in [*zip(layers, whole, strict=True), (SELECTED, chosen)]:
            for name, value in zip(names, found.tolist(), strict=True):
                yield row(metric, layer, value, target=name)
        return
    subjects = sorted(set(responses.subjects), key=lambda name: (len(name), name))
    of = torch.tensor([subjects.index(name) for name in responses.subjects])
    regions = responses.regions or ("",) * count
    for region in ("", *sorted(set(regions) - {""})):
        mine = every[torch.tensor([region in ("", r) for r in regions])]
        present, groups = of[mine].unique(return_inverse=True)
        chosen = choose(mine, groups)
        whole = group_medians(by_layer[:, mine], groups)
        for layer, found in [*zip(layers, whole, strict=True), (SELECTED, chosen)]:
            for subject, value in zip(present.tolist(), found.tolist(), strict=True):
                yield row(metric, layer, value, subject=subjects[subject], target=region)
            low, high = bootstrap_ci(found)
            mean = float(found.mean())
            yield row(metric, layer, mean, target=region, ci_low=low, ci_high=high)
