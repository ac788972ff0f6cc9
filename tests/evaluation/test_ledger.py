"""Evaluations are there whole, and once, whatever was killed."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation.ledger import Entry, Ledger, read_entries
from evaluation.rows import Score, read_scores

ROWS = [Score("probe/a", "accuracy", str(i), i / 7, encoder="m", step=4) for i in range(3)]
OTHERS = [Score("probe/b", "accuracy", "0", 0.5, encoder="m", step=4)]


def entry(benchmark: str = "probe/a", mark: str = "", settings: str = "quick") -> Entry:
    return Entry("m", 4, benchmark, mark, settings)


def quick(benchmark: str) -> str:
    return "quick"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with the rows of one evaluation."""
    path = tmp_path / "watch" / "scores.jsonl"
    Ledger(path).add(ROWS, quick)
    return path


def test_what_was_added_is_there_after_a_restart(path: Path) -> None:
    before = path.read_bytes()
    again = Ledger(path)
    assert path.read_bytes() == before
    assert again.scores == ROWS
    assert again.has(entry())
    assert not again.has(entry("probe/b"))
    assert again.at(4) == [Entry("m", 4, "probe/a", "", "quick", 3)]


def test_rows_of_an_evaluation_that_was_not_whole_are_taken_away(path: Path) -> None:
    whole = path.read_text()
    ledger = Ledger(path)
    ledger.add(OTHERS, quick)
    lines = ledger.done.read_text().splitlines(keepends=True)
    for incomplete in (lines[:1], [lines[0], lines[1][:20]]):  # killed before or in the second line
        ledger.done.write_text("".join(incomplete))
        path.write_text(whole + path.read_text().removeprefix(whole))
        after = Ledger(path)
        assert path.read_text() == whole
        assert not after.has(entry("probe/b"))
        after.add(OTHERS, quick)
        assert read_scores(path) == ROWS + OTHERS
        ledger.done.write_text("".join(lines))


def test_rows_that_a_kill_has_torn_are_taken_away(path: Path) -> None:
    whole = path.read_text()
    path.write_text(whole + whole.splitlines()[0].replace("probe/a", "probe/b")[:60])
    assert Ledger(path).scores == ROWS
    assert path.read_text() == whole


def test_rows_that_are_gone_are_asked_for_again(path: Path) -> None:
    path.write_text(path.read_text().splitlines(keepends=True)[0])
    ledger = Ledger(path)
    assert not ledger.has(entry())
    assert ledger.scores == []
    assert path.read_text() == ledger.done.read_text() == ""


def test_other_settings_and_other_weights_take_the_place(path: Path) -> None:
    ledger = Ledger(path)
    assert not ledger.has(entry(settings="full"))
    assert not ledger.has(entry(mark="ff"))
    ledger.add(ROWS[:2], lambda benchmark: "full")
    assert read_scores(path) == ledger.scores == ROWS[:2]
    assert ledger.has(entry(settings="full"))
    assert not ledger.has(entry())
    ledger.forget_others(4, "ff")
    assert read_scores(path) == ledger.scores == []
    assert read_entries(ledger.done) == []


def test_weights_that_are_the_same_keep_their_rows(path: Path) -> None:
    ledger = Ledger(path)
    ledger.forget_others(4, "")
    ledger.forget_others(5, "ff")
    assert ledger.scores == ROWS
