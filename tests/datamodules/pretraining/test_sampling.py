"""Visits are pure functions of (seed, position): proportions, shares and ranks."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from datamodules.pretraining.sampling import RankBatches, VisitStream, expected_visits


def test_ranks_partition_the_stream() -> None:
    stream = VisitStream(range(10), expected_visits([5.0] * 10, 2.0), (7, 0))
    whole = [v for batch in islice(iter(RankBatches(stream, lambda: 0, 4, 0, 1)), 6) for v in batch]
    parts = [
        [v for batch in islice(iter(RankBatches(stream, lambda: 0, 4, rank, 2)), 3) for v in batch]
        for rank in range(2)
    ]
    assert sorted(parts[0] + parts[1]) == whole
    assert not set(parts[0]) & set(parts[1])


def test_a_pass_visits_each_file_in_proportion_to_duration() -> None:
    stream = VisitStream([3, 5, 9], expected_visits([1.0, 4.0, 11.0], 2.0), (0, 0))
    for number in range(3):
        places = range(number * 8, (number + 1) * 8)
        assert Counter(stream.file(k) for k in places) == {3: 1, 5: 2, 9: 5}
    orders = [[stream.file(k) for k in range(n * 8, n * 8 + 8)] for n in range(6)]
    assert len({tuple(order) for order in orders}) > 3


def test_shares_set_the_visits_of_a_corpus_and_duration_those_within() -> None:
    corpus = ["a"] * 4 + ["b"] * 2
    seconds = [4.0, 4.0, 4.0, 12.0, 4.0, 8.0]
    visits = expected_visits(seconds, 4.0, corpus, {"a": 1.0, "b": 3.0})
    assert visits.sum() == pytest.approx(9.0)
    assert visits[4:].sum() == pytest.approx(6.75)
    assert visits[5] == pytest.approx(2 * visits[4])
    stream = VisitStream(range(6), visits, (1, 0))
    n = 9 * 400
    counts = Counter(stream.file(k) for k in range(n))
    for file, expected in enumerate(visits):
        assert counts[file] / 400 == pytest.approx(expected, abs=0.1)
