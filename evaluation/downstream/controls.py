"""What probes score without what a model has learned, to be shown beside its scores."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

import torch
from torch import nn

from evaluation.benchmark import Benchmark
from evaluation.evaluate import Evaluation, evaluate
from evaluation.rows import Failure
from models.encoder import Encoder, StoredFeatures

log = logging.getLogger(__name__)


@runtime_checkable
class Controllable(Benchmark, Protocol):
    """A benchmark that can be made without meaning."""

    def controls(self) -> Mapping[str, Benchmark]:
        """The same benchmark with shuffled labels and the like, by name of the control."""
        ...


def control_scores(
    encoder: Encoder | StoredFeatures,
    benchmarks: Sequence[Benchmark],
    encoders: Mapping[str, Encoder],
    copies: Mapping[str, Callable[[Any], Encoder]],
    device: torch.device | str = "cpu",
    **options: Any,
) -> Evaluation:
    """Scores of all controls, on the benchmarks that have some.

    Parameters
    ----------
    encoders : mapping
        Other encoders, such as log-mel statistics.
    copies : mapping
        Functions from the encoder to a changed copy of it. One that there cannot be (ValueError),
        such as new weights of an encoder without weights, is left out with a line in the log.
    options
        As of :func:`evaluation.evaluate.evaluate`.

    Returns
    -------
    Evaluation
        Rows whose ``encoder`` is the name of the control.
    """
    able = [benchmark for benchmark in benchmarks if isinstance(benchmark, Controllable)]
    changed: dict[str, list[Benchmark]] = {}
    for benchmark in able:
        for name, made in benchmark.controls().items():
            changed.setdefault(name, []).append(made)
    result = Evaluation()
    for name, some in changed.items():
        _add(result, name, evaluate(encoder, some, device=device, **options))
    others = dict(encoders)
    for name, function in copies.items():
        try:
            others[name] = function(encoder)
        except ValueError as error:
            log.info("no control %s: %s", name, error)
        except Exception as error:
            why = f"{type(error).__name__}: {error}"
            result.failures += [Failure(benchmark.name, why, name) for benchmark in able]
    for name, other in others.items():
        if isinstance(other, nn.Module):
            other.to(device)
        _add(result, name, evaluate(other, able, device=device, **options))
    return result


def _add(result: Evaluation, name: str, found: Evaluation) -> None:
    result.scores += [replace(row, encoder=name, step=None) for row in found.scores]
    result.failures += [replace(failure, encoder=name, step=None) for failure in found.failures]
    result.seconds += found.seconds
