"""Folds of sentences: neighbours in time stay together."""

from __future__ import annotations

from datamodules.sentences import contiguous_folds


def test_folds_are_contiguous_blocks() -> None:
    assert contiguous_folds(12).tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3, 4, 4]
    assert contiguous_folds(90).bincount().tolist() == [18] * 5
    assert contiguous_folds(7, 3).tolist() == [0, 0, 0, 1, 1, 2, 2]
    assert contiguous_folds(0).tolist() == []
