"""The benchmark of probes: every method is timed on the folds of the protocol."""

from __future__ import annotations

from argparse import Namespace

import pytest

from bench import probes
from bench.probes import measure, problem

ARGS = Namespace(
    rows=60,
    layers=2,
    dim=8,
    classes=3,
    folds=3,
    width=8,
    epochs=3,
    batch=16,
    chunk=16,
    sample=2,
    device="cpu",
)


@pytest.mark.long
@pytest.mark.parametrize("mix", [True, False])
def test_every_method_is_timed(mix: bool) -> None:
    found = measure(ARGS, mix)
    assert [count for _, count, _ in found] == [48 if mix else 96, 2, 2, 2]
    assert all(seconds > 0 for _, _, seconds in found)
    assert found[0][0] == "as one"


def test_the_default_probes_are_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probes, "TASKS", {"made": (60, 1, 3, 3)})
    found: list[object] = []
    monkeypatch.setattr(probes, "timed", lambda run, device: found.append(run()) or 1.5)
    table = probes.checkpoint(ARGS)
    cells = [list(column.cells) for column in table.columns]
    assert cells[:4] == [["made"], ["60"], ["3"], ["16"]]
    assert cells[4:] == [["1.50"], ["1.50"]]
    assert [len(layers) for layers in found] == [2, 2]  # each probe has decided on both layers


def test_folds_rotate() -> None:
    _, labels, splits = problem(60, 2, 8, 3, 3, "cpu")
    assert [split.valid.min().item() for split in splits] == [20, 40, 0]
    assert [len(split.train) for split in splits] == [20, 20, 20]
    assert labels.max() == 2
