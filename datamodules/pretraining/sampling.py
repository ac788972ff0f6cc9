"""Which file and which seconds of it come at which place of training: pure functions of a seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Visit = tuple[int, int]
"""Position in the stream of visits, index of the file."""


def expected_visits(
    seconds: Sequence[float],
    crop_seconds: float,
    corpus: Sequence[str] | None = None,
    shares: Mapping[str, float] | None = None,
) -> NDArray[np.float64]:
    """Visits of each file in one pass, v_i = max(1, floor(d_i / crop)).

    With corpus shares s_c the visits of corpus c are scaled so that they sum to s_c of the total,
    which itself stays the same.

    Parameters
    ----------
    seconds : sequence of float, length n_files
        Durations d (s).
    corpus : sequence of str, length n_files, optional
    shares : mapping from corpus to weight, optional
        Any positive scale; empty means proportional to duration throughout.

    Returns
    -------
    visits : array of shape (n_files,)
    """
    visits = np.maximum(1.0, np.floor(np.asarray(seconds, dtype=np.float64) / crop_seconds))
    if not corpus or not shares:
        return visits
    labels = np.asarray(corpus)
    present = {name: weight for name, weight in shares.items() if (labels == name).any()}
    scaled = np.zeros_like(visits)
    for name, weight in present.items():
        member = labels == name
        share = weight / sum(present.values())
        scaled[member] = visits[member] * share * visits.sum() / visits[member].sum()
    return scaled


class VisitStream:
    """An endless sequence of file visits in which every element is a function of its position.

    Pass p lists each file floor(v_i) or ceil(v_i) times, v_i on average, in an order drawn from
    ``(seed, p)``; what is drawn at position k comes from ``(seed, k)``. Hence any number of ranks
    and workers see parts of the same stream, and resuming at k needs nothing but k.

    Parameters
    ----------
    files : sequence of int, length n_files
        Indices into the source.
    visits : array of shape (n_files,)
        Expected visits v of each file per pass.
    seed : sequence of int
        Non-negative entropy; different streams of one run differ here.
    """

    def __init__(
        self, files: Sequence[int], visits: NDArray[np.float64], seed: Sequence[int]
    ) -> None:
        self.files = np.asarray(files, dtype=np.int64)
        self.pass_length = max(1, round(float(visits.sum())))
        self.visits = visits * (self.pass_length / visits.sum())
        self.seed = tuple(seed)
        self._edges = np.cumsum(self.visits)
        # rounding in the sum must not cost the last file its last visit
        self._edges[-1] = self.pass_length
        self._pass: tuple[int, NDArray[np.int64]] | None = None

    def _generator(self, *key: int) -> np.random.Generator:
        return np.random.default_rng([*self.seed, *key])

    def _order(self, number: int) -> NDArray[np.int64]:
        """Files of pass ``number`` in order, shape (pass_length,); the last pass asked is kept."""
        if self._pass is None or self._pass[0] != number:
            generator = self._generator(0, number)
            # systematic sampling: one common offset makes counts as even as whole numbers can be
            steps = np.floor(self._edges + generator.random()).astype(np.int64)
            listed = np.repeat(self.files, np.diff(steps, prepend=0))
            self._pass = (number, generator.permutation(listed))
        return self._pass[1]

    def file(self, position: int) -> int:
        """Index of the file visited at ``position``."""
        number, place = divmod(position, self.pass_length)
        return int(self._order(number)[place])

    def replacement(self, position: int, attempt: int) -> int:
        """Index of the file to try at ``position`` after ``attempt`` files failed there."""
        draw = self._generator(1, position, attempt).random() * self.pass_length
        place = int(np.searchsorted(self._edges, draw, side="right"))
        return int(self.files[min(place, len(self.files) - 1)])

    def starts(
        self, position: int, attempt: int, seconds: float, crop_seconds: float, crops: int
    ) -> list[float]:
        """Starts (s) of ``crops`` crops, uniform over [0, seconds - crop_seconds]."""
        room = max(0.0, seconds - crop_seconds)
        return (self._generator(2, position, attempt).random(crops) * room).tolist()


class RankBatches:
    """Visits of the successive batches of one rank, without end.

    Rank r of W takes positions r::W, so ranks never share a visit.

    Parameters
    ----------
    start : callable
        Position, over all ranks, of the first visit not yet trained on; asked at each iteration.
    visits : int
        Visits per batch and rank.
    """

    def __init__(
        self, stream: VisitStream, start: Callable[[], int], visits: int, rank: int, world: int
    ) -> None:
        self.stream = stream
        self.start = start
        self.visits = visits
        self.rank = rank
        self.world = world

    def __iter__(self) -> Iterator[list[Visit]]:
        return self._endless(self.start())

    def _endless(self, first: int) -> Iterator[list[Visit]]:
        stride = self.visits * self.world
        while True:
            positions = range(first + self.rank, first + stride, self.world)
            yield [(position, self.stream.file(position)) for position in positions]
            first += stride


def choose_files(n_files: int, count: int, seed: int) -> list[int]:
    """A seeded choice of ``count`` of ``n_files`` indices, in ascending order."""
    return sorted(np.random.default_rng([seed, 3]).permutation(n_files)[:count].tolist())
