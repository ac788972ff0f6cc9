"""The one path by which any encoder gets its scores."""

from __future__ import annotations

import hashlib
import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

import torch
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)
from torch import nn

from datamodules.stimuli import StimulusSet
from evaluation.benchmark import Benchmark
from evaluation.cache import Extract, FeatureCache
from evaluation.features import Features, count_progress, extract
from evaluation.processes import gather_objects, rank_and_world
from evaluation.rows import Failure, Score
from models.encoder import Encoder, StoredFeatures

log = logging.getLogger(__name__)


@dataclass
class Evaluation:
    """What one evaluation gave, the seconds it took, and those of them spent on encoding."""

    scores: list[Score] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)
    seconds: float = 0.0
    encoding_seconds: float = 0.0


def evaluate(
    encoder: Encoder | StoredFeatures,
    benchmarks: Sequence[Benchmark],
    step: int | None = None,
    device: torch.device | str = "cpu",
    time_budget: float | None = None,
    on_error: str = "continue",
    progress: bool = False,
    cache: FeatureCache | None = None,
    batch_seconds: float = 64.0,
    on_part: Callable[[Evaluation], object] | None = None,
) -> Evaluation:
    """Score an encoder on benchmarks.

    Benchmarks that share stimuli share one pass of the encoder; for those without stimuli nothing
    is encoded. With several processes each encodes its share of the stimuli and scores its share
    of the benchmarks; every rank returns all rows. Weights are not touched; train mode is
    restored.

    Parameters
    ----------
    step : int, optional
        Written to every row.
    time_budget : float, optional
        Seconds after which no further set of stimuli is started; what is left out is reported.
    on_error : {"continue", "raise"}
        A benchmark that fails becomes a Failure, or its error is raised on every rank.
    cache : FeatureCache, optional
        Where pooled features are kept between evaluations; scores are the same with and without.
    batch_seconds : float
        Padded audio that is encoded at once.
    on_part : callable, optional
        Is given the rows and failures of every set of stimuli as soon as they are there, on every
        rank.
    """
    if on_error not in ("continue", "raise"):
        raise ValueError(f"on_error is {on_error!r}, expected 'continue' or 'raise'")
    start = time.perf_counter()
    mark = fingerprint(encoder)
    make = partial(extract, encoder) if cache is None else cache.of(encoder)
    make = partial(make, batch_seconds=batch_seconds)
    result = Evaluation()

    def add(scores: list[Score], failures: list[Failure]) -> None:
        result.scores += scores
        result.failures += failures
        if on_part is not None:
            on_part(Evaluation(scores, failures))

    with _eval_mode(encoder), _full_float32(), torch.inference_mode(), _bar(progress) as bar:
        groups, unreadable = _by_stimuli(benchmarks, bar)
        add([], [Failure(name, why, encoder.name, step) for name, why in unreadable])
        if unreadable and on_error == "raise":
            raise RuntimeError(": ".join(unreadable[0]))
        for group in groups:
            late = max(gather_objects(time.perf_counter() - start))
            if time_budget is not None and late > time_budget:
                reason = f"left out: the time budget of {time_budget:.0f} s was used up"
                add([], [Failure(b.name, reason, encoder.name, step) for b in group])
                continue
            rows, failures, encoding = _score_group(encoder, group, step, device, bar, make)
            result.encoding_seconds += encoding
            add([replace(r, encoder=encoder.name, fingerprint=mark) for r in rows], failures)
            if failures and on_error == "raise":
                raise RuntimeError(f"{failures[0].benchmark}: {failures[0].error}")
    result.seconds = time.perf_counter() - start
    return result


def _score_group(
    encoder: Encoder | StoredFeatures,
    group: list[Benchmark],
    step: int | None,
    device: torch.device | str,
    bar: Progress | None,
    make: Extract,
) -> tuple[list[Score], list[Failure], float]:
    """Scores of the benchmarks that share one set of stimuli, the same on every rank.

    Also the seconds that this rank spent on encoding the stimuli.
    """

    def failed(benchmark: Benchmark, error: Exception) -> Failure:
        log.warning("%s failed: %s", benchmark.name, error)
        log.debug("", exc_info=error)
        text = f"{type(error).__name__}: {error}"
        return Failure(benchmark.name, text, encoder.name, step)

    started = time.perf_counter()
    features, error = _try_extract(group, device, bar, make)
    encoding = time.perf_counter() - started
    if error is not None:
        return [], [failed(benchmark, error) for benchmark in group], encoding
    share = encoding / len(group)
    rank_rows: list[Score] = []
    rank_failures: list[Failure] = []
    for benchmark in _my_share(group):
        started = time.perf_counter()
        try:
            with _task(bar, f"Scoring {benchmark.name}"):
                rows = benchmark.score(features[benchmark.pooling])
        except Exception as caught:
            rank_failures.append(failed(benchmark, caught))
            continue
        seconds = round(share + time.perf_counter() - started, 3)
        rank_rows += [replace(row, step=step, seconds=seconds) for row in rows]
    order = {benchmark.name: i for i, benchmark in enumerate(group)}
    rows = [row for rank in gather_objects(rank_rows) for row in rank]
    failures = [failure for rank in gather_objects(rank_failures) for failure in rank]
    return sorted(rows, key=lambda row: order[row.benchmark]), failures, encoding


def _try_extract(
    group: list[Benchmark],
    device: torch.device | str,
    bar: Progress | None,
    make: Extract,
) -> tuple[dict[str, dict[str, Features]], Exception | None]:
    poolings = [benchmark.pooling for benchmark in group]
    stimuli = group[0].stimuli
    if stimuli is None:
        return {pooling: {} for pooling in poolings}, None
    try:
        return make(stimuli, poolings, device, progress=bar), None  # type: ignore[return-value]
    except Exception as error:
        return {}, error


def _my_share(group: list[Benchmark]) -> list[Benchmark]:
    rank, world = rank_and_world()
    return group[rank::world]


def _by_stimuli(
    benchmarks: Sequence[Benchmark],
    bar: Progress | None,
) -> tuple[list[list[Benchmark]], list[tuple[str, str]]]:
    """Benchmarks that share stimuli; and which have stimuli that a rank cannot read, and why."""
    marks: dict[str, str] = {}
    errors: dict[str, str] = {}
    for benchmark in benchmarks:
        try:
            stimuli = benchmark.stimuli
            marks[benchmark.name] = "" if stimuli is None else _hash_stimuli(stimuli, bar)
        except Exception as error:
            errors[benchmark.name] = f"{type(error).__name__}: {error}"
    errors = {name: why for rank in gather_objects(errors) for name, why in rank.items()}
    groups: dict[str, list[Benchmark]] = defaultdict(list)
    for benchmark in benchmarks:
        if benchmark.name not in errors:
            groups[marks[benchmark.name]].append(benchmark)
    return list(groups.values()), list(errors.items())


def _hash_stimuli(stimuli: StimulusSet, bar: Progress | None) -> str:
    with count_progress(bar, f"Hashing {stimuli.name}", len(stimuli)) as advance:
        return stimuli.hashed(advance)


def fingerprint(encoder: Encoder | StoredFeatures) -> str:
    """SHA-256 over the encoder's weights and buffers, also those that its state dict leaves out.

    Of an encoder that is no module, what it says of itself.
    """
    if not isinstance(encoder, nn.Module):
        return str(getattr(encoder, "fingerprint", ""))
    digest = hashlib.sha256()
    for name, value in sorted(
        dict([*encoder.named_parameters(), *encoder.named_buffers()]).items()
    ):
        digest.update(name.encode())
        digest.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy())
    return digest.hexdigest()


@contextmanager
def _eval_mode(encoder: Encoder | StoredFeatures) -> Iterator[None]:
    """Evaluation mode inside, every submodule's own mode restored after."""
    modes = {m: m.training for m in encoder.modules()} if isinstance(encoder, nn.Module) else {}
    for module in modes:
        module.training = False
    try:
        yield
    finally:
        for module, mode in modes.items():
            module.training = mode


@contextmanager
def _full_float32() -> Iterator[None]:
    """Matrix products of a GPU in full float32 inside, however they are where this is called.

    Scores made while training, which may take shorter products, are then those made from the
    checkpoint.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def _task(bar: Progress | None, what: str) -> Iterator[None]:
    """Say what is going on for as long as it takes."""
    task = None if bar is None else bar.add_task(what, total=None)
    try:
        yield
    finally:
        if bar is not None and task is not None:
            bar.remove_task(task)


@contextmanager
def _bar(show: bool) -> Iterator[Progress | None]:
    if not show:
        yield None
        return
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        transient=True,
    ) as bar:
        yield bar
