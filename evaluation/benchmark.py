"""The contract of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from datamodules.stimuli import StimulusSet
from evaluation.features import Features, Pooling
from evaluation.rows import Score


@runtime_checkable
class Benchmark(Protocol):
    """Stimuli, and a way to turn the features of those stimuli into scores.

    ``pooling`` is what one stimulus becomes: its frames, or a vector made from them.
    """

    name: str
    pooling: Pooling

    @property
    def stimuli(self) -> StimulusSet | None:
        """None for a benchmark that brings its own features: ``score`` is given none then."""
        ...

    def score(self, features: Mapping[str, Features]) -> list[Score]:
        """Rows for every layer; ``features`` maps layer name to features in stimulus order."""
        ...


@runtime_checkable
class Extensible(Benchmark, Protocol):
    """A benchmark that evaluates quickly by default, and can say more."""

    def in_full(self) -> Benchmark:
        """The same with every analysis: the values of this one, and others."""
        ...


@runtime_checkable
class Probing(Benchmark, Protocol):
    """A benchmark whose probes can be chosen."""

    def with_probes(self, probes: Sequence[str]) -> Benchmark:
        """The same with these probes and no others."""
        ...
