"""The contract of a benchmark and the one row that everything else is made from."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from datamodules.stimuli import StimulusSet
from evaluation.features import Features, Pooling

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


@dataclass(frozen=True)
class Score:
    """One tidy row.

    ``value`` is raw; ``ceiling`` is the best value that noise in the responses allows, and
    ``chance`` what features without information score, both on the same scale. Fields that do
    not apply are empty strings or None. The last four say which encoder was examined: its name, a
    hash of its weights, its training step (None for an encoder made elsewhere) and the seconds
    that the benchmark took.
    """

    benchmark: str
    metric: str
    layer: str
    value: float
    subject: str = ""
    target: str = ""
    window: str = ""
    ceiling: float | None = None
    chance: float | None = None
    ci_low: float | None = None
    ci_high: float | None = None
    p: float | None = None
    n: int | None = None
    simulated: bool = False
    encoder: str = ""
    fingerprint: str = ""
    step: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("value", "ceiling", "chance", "ci_low", "ci_high", "p"):
            number = getattr(self, name)
            if number is not None and not math.isfinite(number):
                what = self.metric if name == "value" else f"{name} of {self.metric}"
                raise ValueError(
                    f"{self.benchmark}: {what} of layer {self.layer} is {number}; "
                    "a benchmark that cannot score raises an error that says why"
                )


@dataclass(frozen=True)
class Failure:
    """A benchmark or encoder that could not be scored, and why."""

    benchmark: str
    error: str
    encoder: str = ""
    step: int | None = None


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
    """A benchmark that examines quickly by default, and can say more."""

    def in_full(self) -> Benchmark:
        """The same with every analysis: the values of this one, and others."""
        ...


@runtime_checkable
class Probing(Benchmark, Protocol):
    """A benchmark whose probes can be chosen."""

    def with_probes(self, probes: Sequence[str]) -> Benchmark:
        """The same with these probes and no others."""
        ...


def append_rows(path: Path, rows: Iterable[DataclassInstance]) -> None:
    """Append rows to a jsonl file, one a line; what a killed run left torn is taken away."""
    with path.open("a+b") as file:
        file.seek(max(0, file.tell() - 1))
        if file.read(1) not in (b"", b"\n"):
            file.seek(0)
            file.truncate(file.read().rfind(b"\n") + 1)
    with path.open("a") as file:
        file.write("".join(json.dumps(asdict(row)) + "\n" for row in rows))


def replace_rows(path: Path, rows: Iterable[DataclassInstance]) -> None:
    """Write a jsonl file of these rows alone, which takes the place of another at once."""
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))
    draft.replace(path)


def read_scores(path: Path) -> list[Score]:
    """Rows of a ``scores.jsonl``; a torn last line (a killed run) is left out."""
    names = {field.name for field in fields(Score)}
    lines = read_lines(path)
    return [Score(**{key: row[key] for key in row if key in names}) for row in lines]


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Rows of any jsonl file of ours as mappings; a torn last line is left out."""
    rows = []
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            if number == len(lines) - 1:
                break
            raise ValueError(
                f"{path} line {number + 1} is not JSON ({error}): a run that was killed tears its "
                "last line only; mend or remove this one"
            ) from error
    return rows
