"""Is one encoder better than another on the same benchmark?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from alignment.difference import (
    bootstrap_r2_difference,
    bootstrap_rsa_difference,
    r2_difference,
    swap_test,
    two_sided_p,
)
from alignment.inference import percentile_interval, positive_r2
from alignment.nulls import sign_flips
from alignment.rsa import compare
from alignment.selection import group_medians
from datamodules.stimuli import ResponseSet, StimulusSet
from evaluation.benchmark import Benchmark
from evaluation.cache import FeatureCache
from evaluation.features import Features, Pooling, extract
from evaluation.quantities import Quantity
from evaluation.rows import SELECTED, Score, meaning
from evaluation.summaries import new_row, participant_rows, participants
from models.encoder import Encoder, StoredFeatures


@runtime_checkable
class Comparable(Benchmark, Protocol):
    """A benchmark that can tell two encoders apart by more than the difference of two scores."""

    def difference(
        self, features: Mapping[str, Features], reference: Mapping[str, Features]
    ) -> list[Score]:
        """Rows whose value is the score of ``features`` less that of ``reference``."""
        ...


class Contrast:
    """A benchmark's score of an encoder less that of a reference, with interval and p-value.

    ``metric=…_over_REFERENCE``, layer ``selected``: each encoder by the benchmark's own choice
    of layer. Responses without participants are resampled over stimuli, others over participants
    (alignment/difference.py, alignment/nulls.py).
    """

    def __init__(
        self, benchmark: Comparable, reference: Mapping[str, Features], label: str
    ) -> None:
        self.benchmark, self.reference, self.label = benchmark, reference, label
        self.name: str = benchmark.name
        self.stimuli: StimulusSet | None = benchmark.stimuli
        self.pooling: Pooling = benchmark.pooling

    def score(self, features: Mapping[str, Features]) -> list[Score]:
        rows = self.benchmark.difference(features, self.reference)
        return [
            replace(row, **meaning(Quantity(row.of, row.analysis, "contrast", self.label)))
            for row in rows
        ]


def contrasts(
    benchmarks: Sequence[Benchmark],
    reference: Encoder | StoredFeatures,
    device: torch.device | str = "cpu",
    cache: FeatureCache | None = None,
) -> Iterator[Contrast]:
    """A contrast with the reference for every benchmark that can tell encoders apart.

    Raises
    ------
    ValueError
        If none of them can.
    """
    able = [b for b in benchmarks if isinstance(b, Comparable)]
    if not able:
        names = ", ".join(b.name for b in benchmarks)
        raise ValueError(
            f"a reference was given, but none of {names} tests a difference: choose "
            "fmri/nh2015_components_pepino2025 or fmri/nh2015_components_rsa"
        )
    step = getattr(reference, "step", None)
    label = reference.name if step is None else f"{reference.name}.step{step}"
    if isinstance(reference, nn.Module):
        reference.eval()
    make = partial(extract, reference) if cache is None else cache.of(reference)
    made: dict[tuple[str, Pooling], Mapping[str, Features]] = {}
    for benchmark in able:
        assert benchmark.stimuli is not None  # a difference is one of features
        key = (benchmark.stimuli.fingerprint, benchmark.pooling)
        if key not in made:
            with torch.inference_mode():
                found = make(benchmark.stimuli, [benchmark.pooling], device)
            made[key] = found[benchmark.pooling]
        yield Contrast(benchmark, made[key], label)


def regression_difference(
    name: str, responses: ResponseSet, a: Tensor, b: Tensor, draws: int = 10_000
) -> list[Score]:
    """Rows of ``r²(a) - r²(b)`` for two held-out predictions (stimuli, targets).

    Targets one by one and their mean: swap test and percentile bootstrap over stimuli.
    Participants: median over voxels of each, sign flips and Student's t over participants.
    """
    y = responses.values
    people = participants(responses)
    if people is not None:
        names, members = people
        scores = [group_medians(positive_r2(x, y), members) for x in (a, b)]
        return _participant_rows(name, responses, "r2", names, scores[0] - scores[1])
    observed, test = r2_difference(a, b, y), swap_test(a, b, y, draws)
    resampled = bootstrap_r2_difference(a, b, y, draws)

    def row(target: str, value: Tensor, null: Tensor, boot: Tensor) -> Score:
        p = (1 + (null.abs() >= value.abs()).sum()).item() / (1 + len(null))
        return _row(name, responses, "r2", value, boot, p, target)

    columns = zip(responses.targets, observed, test.null.T, resampled.T, strict=True)
    each = [row(*column) for column in columns]
    return [*each, row("", observed.mean(), test.null.mean(1), resampled.mean(1))]


def similarity_difference(
    name: str, responses: ResponseSet, a: Tensor, b: Tensor, brains: Tensor
) -> list[Score]:
    """Rows of ``Spearman(a, brain) - Spearman(b, brain)`` for dissimilarities (people, pairs)."""
    difference = compare(a, brains) - compare(b, brains)
    people = participants(responses)
    if people is not None:
        return _participant_rows(name, responses, "rsa", people[0], difference)
    boot = bootstrap_rsa_difference(a[0], b[0], brains[0], len(responses.stimuli))
    return [_row(name, responses, "rsa", difference[0], boot, two_sided_p(boot).item())]


def _row(
    name: str,
    responses: ResponseSet,
    metric: str,
    value: Tensor,
    draws: Tensor,
    p: float,
    target: str = "",
) -> Score:
    low, high = percentile_interval(draws)
    return new_row(
        name,
        responses,
        metric,
        SELECTED,
        float(value),
        target=target,
        ci_low=low,
        ci_high=high,
        p=p,
    )


def _participant_rows(
    name: str, responses: ResponseSet, metric: str, names: Sequence[str], difference: Tensor
) -> list[Score]:
    p = sign_flips(difference).p.item()
    return [*participant_rows(name, responses, metric, SELECTED, names, difference, p=p)]
