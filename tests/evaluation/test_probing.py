"""Probes: chance for labels without meaning, one for classes that lie apart, folds held out."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from sklearn.metrics import average_precision_score
from torch import Tensor

from datamodules.stimuli import Provenance, Task
from evaluation.benchmark import Score
from evaluation.features import Features
from evaluation.probing import ClassificationProbe
from tests.evaluation.toys import sounds

N, CLASSES = 200, 4
LABELS = torch.arange(N) % CLASSES
FOLDS = torch.arange(N) // CLASSES % 5


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def probe(labels: Tensor = LABELS, folds: Tensor = FOLDS) -> ClassificationProbe:
    stimuli = sounds("made", [10] * N)
    made = Provenance(source="made here", licence="CC0-1.0", simulated=True)
    classes = tuple(f"class{i}" for i in range(CLASSES))
    return ClassificationProbe("probe/made", Task(stimuli, labels, classes, folds, made))


def scored(benchmark: ClassificationProbe, x: Tensor) -> dict[str, Score]:
    return {row.metric: row for row in benchmark.score({"layer": Features(x)})}


def test_classes_that_lie_apart_are_told_apart() -> None:
    x = torch.nn.functional.one_hot(LABELS, CLASSES) * 5 + normal(0, N, CLASSES)
    rows = scored(probe(), x)
    assert set(rows) == {"knn_accuracy", "linear_accuracy"}
    assert all(row.value > 0.97 for row in rows.values())
    assert all(row.n == N and row.simulated for row in rows.values())


def test_shuffled_labels_are_at_chance() -> None:
    shuffled = LABELS[torch.randperm(N, generator=torch.Generator().manual_seed(1))]
    x = torch.nn.functional.one_hot(LABELS, CLASSES) * 5 + normal(2, N, CLASSES)
    for row in scored(probe(shuffled), x).values():
        assert abs(row.value - 1 / CLASSES) < 0.12


def test_value_and_interval_are_over_folds() -> None:
    benchmark = probe()
    x = torch.nn.functional.one_hot(LABELS, CLASSES) * 1.5 + normal(3, N, CLASSES)
    row = scored(benchmark, x)["linear_accuracy"]
    accuracies = []
    for fold in range(5):
        test = FOLDS.eq(fold)
        guess = benchmark._linear(x[~test].double(), LABELS[~test], x[test].double())
        accuracies.append(float((guess == LABELS[test]).double().mean()))
    low, high = stats.t.interval(0.95, 4, torch.tensor(accuracies).mean(), stats.sem(accuracies))
    assert row.value == pytest.approx(sum(accuracies) / 5)
    assert (row.ci_low, row.ci_high) == pytest.approx((low, high), rel=1e-6)


@pytest.mark.parametrize("classifier", ["_knn", "_linear"])
def test_a_fold_is_never_fitted_on(classifier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    benchmark = probe()
    original = getattr(benchmark, classifier)
    number = torch.arange(N, dtype=torch.float32)[:, None]  # the feature says which row it is
    tested: list[int] = []

    def watched(x: Tensor, labels: Tensor, x_test: Tensor) -> Tensor:
        train, test = set(x[:, 0].int().tolist()), set(x_test[:, 0].int().tolist())
        assert not train & test
        assert len(train | test) == N
        assert len({int(FOLDS[row]) for row in test}) == 1
        tested.extend(test)
        return original(x, labels, x_test)

    monkeypatch.setattr(benchmark, classifier, watched)
    scored(benchmark, number)
    assert sorted(tested) == list(range(N))


def test_labels_of_the_tested_fold_are_not_used() -> None:
    # Within a fold the classes lie apart, but every fold turns them round: only a classifier
    # that has seen the fold's own labels is right.
    turned = (LABELS + FOLDS) % CLASSES
    x = torch.nn.functional.one_hot(turned, CLASSES).float() + 0.01 * normal(4, N, CLASSES)
    assert all(row.value < 0.35 for row in scored(probe(), x).values())


TABLE = torch.rand(N, 3, generator=torch.Generator().manual_seed(5)) < 0.3


def several(labels: Tensor, fold_names: tuple[str, ...] = ()) -> ClassificationProbe:
    made = Provenance(source="made here", licence="CC0-1.0", simulated=True)
    folds = FOLDS % 3 if fold_names else FOLDS
    stimuli, classes = sounds("made", [10] * N), ("a", "b", "c")
    return ClassificationProbe(
        "probe/made", Task(stimuli, labels, classes, folds, made, fold_names)
    )


def test_several_labels_that_lie_apart_are_told_apart() -> None:
    rows = scored(several(TABLE), TABLE * 5 + normal(0, N, 3))
    assert set(rows) == {"knn_map", "linear_map"}
    assert all(row.value > 0.95 for row in rows.values())


def test_several_labels_without_meaning_score_their_prevalence() -> None:
    for row in scored(several(TABLE), normal(1, N, 12)).values():
        assert row.value == pytest.approx(float(TABLE.double().mean()), abs=0.12)


def test_average_precision_is_the_mean_over_classes_that_occur() -> None:
    labels = TABLE.clone()
    labels[FOLDS == 0, 1] = False
    x = labels[:, [0, 2]] * 1.0 + normal(6, N, 2)
    benchmark = several(labels)
    values = []
    for fold in range(5):
        test = fold == FOLDS
        decisions = benchmark._linear(x[~test].double(), labels[~test], x[test].double())
        own = [
            average_precision_score(labels[test][:, c], decisions[:, c])
            for c in range(3)
            if labels[test][:, c].any()
        ]
        assert len(own) == (2 if fold == 0 else 3)
        values.append(sum(own) / len(own))
    assert scored(benchmark, x)["linear_map"].value == pytest.approx(sum(values) / 5)


def test_a_fold_without_any_label_is_explained() -> None:
    labels = TABLE & (FOLDS != 2)[:, None]
    with pytest.raises(ValueError, match="probe/made: no clip of a tested fold has a label"):
        scored(several(labels), normal(0, N, 3))


def test_train_valid_test_is_tested_once_and_has_no_interval() -> None:
    x = TABLE * 1.0 + normal(0, N, 3)
    benchmark = several(TABLE, ("train", "valid", "test"))
    row = scored(benchmark, x)["linear_map"]
    test = FOLDS % 3 == 2
    decisions = benchmark._linear(x[~test].double(), TABLE[~test], x[test].double())
    assert row.value == pytest.approx(average_precision_score(TABLE[test], decisions))
    assert row.ci_low is None
