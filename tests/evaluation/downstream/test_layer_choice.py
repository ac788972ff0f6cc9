"""Layers of probes are chosen by clips that the score does not use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest
import torch
from torch import Tensor

from datamodules.stimuli import Provenance, StimulusSet
from datamodules.tasks.task import TRAIN_VALID_TEST, Task
from evaluation.downstream.layer_choice import LayerChoice
from evaluation.downstream.probing import ClassificationProbe
from evaluation.features import Features
from evaluation.rows import SELECTED

N, CLASSES = 60, ("a", "b", "c")
MADE = Provenance(source="generated", licence="CC0-1.0", simulated=True)
LABELS = torch.arange(N) % 3


def silence() -> tuple[Tensor, int]:
    return torch.zeros(10), 10


def task(names: tuple[str, ...] = (), folds: int = 5) -> Task:
    stimuli = StimulusSet("made", [f"s{i}" for i in range(N)], [silence] * N)
    fold = (torch.arange(N) // 3) % (len(names) or folds)
    return Task(stimuli, LABELS, CLASSES, fold, MADE, names)


def layers(seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(3, N, 4, generator=generator, dtype=torch.float64)
    answer = torch.nn.functional.one_hot(LABELS, 4).double()
    return {"one": noise[0], "two": answer + 0.3 * noise[1], "three": noise[2]}


@pytest.mark.parametrize("names", [(), TRAIN_VALID_TEST])
def test_the_layer_with_the_answer_is_chosen(names: tuple[str, ...]) -> None:
    probe = ClassificationProbe("probe/made", task(names))
    rows = probe.score({name: Features(values) for name, values in layers().items()})
    for metric in ("knn_accuracy", "linear_accuracy"):
        mine = {row.layer: row for row in rows if row.metric == metric and row.kind == "score"}
        assert list(mine) == ["one", "two", "three", SELECTED]
        assert mine[SELECTED].value == mine["two"].value > 0.9
        folds = [row for row in rows if row.layer == SELECTED and row.kind == "fold"]
        assert len(folds) == (0 if names else 2 * 5)


def test_one_layer_needs_no_choice() -> None:
    probe = ClassificationProbe("probe/made", task())
    rows = probe.score({"two": Features(layers()["two"])})
    assert {row.layer for row in rows} == {"two"}


def test_a_split_is_scored_by_the_choice_of_the_others() -> None:
    """Each layer is right in some folds alone: every fold gets a layer that others prefer."""
    made = task()
    right = {"one": (0, 1, 2), "two": (3, 4), "three": ()}
    choice = LayerChoice(_Never(), made, layers())
    for name, folds in right.items():
        decisions = []
        for split in made.splits:
            fold = int(made.folds[split.test][0])
            answer = LABELS[split.test] if fold in folds else (LABELS[split.test] + 1) % 3
            decisions.append(torch.nn.functional.one_hot(answer, 3).double())
        choice.add(name, decisions)
    # Of folds 0 to 2 "one" is right in two of the others, as often as "two" is: the first counts.
    assert choice.layers == ["one"] * 5


def test_validation_uses_neither_tested_clips_nor_their_labels() -> None:
    made, seen = task(TRAIN_VALID_TEST), []

    class Spy(_Never):
        def decisions(
            self, layers: Mapping[str, Tensor], task: Task
        ) -> Iterator[tuple[str, list[Tensor]]]:
            seen.append((set(task.stimuli.ids), task.splits[0].test.sum()))
            for name, values in layers.items():
                yield name, [values[task.splits[0].test][:, :3]]

    LayerChoice(Spy(), made, layers())
    tested = {made.stimuli.ids[i] for i in made.splits[0].test.nonzero().flatten().tolist()}
    ((ids, count),) = seen
    assert not ids & tested
    assert len(ids) == N - len(tested)
    assert count == made.splits[0].valid.sum()


class _Never:
    name = "spy"

    def decisions(
        self, layers: Mapping[str, Tensor], task: Task
    ) -> Iterator[tuple[str, list[Tensor]]]:
        raise AssertionError("several splits need no validation")
