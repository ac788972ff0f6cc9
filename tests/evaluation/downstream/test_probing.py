"""Probes: chance for labels without meaning, one for classes that lie apart, folds held out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from scipy import stats
from sklearn.metrics import average_precision_score
from torch import Tensor

from alignment.probes.classifiers import ridge_decisions
from alignment.probes.grid import Budget
from alignment.probes.intervals import precision_replicates
from datamodules.stimuli import Provenance
from datamodules.tasks.task import Task
from evaluation.benchmark import Extensible, Probing
from evaluation.downstream import probes
from evaluation.downstream.probes import Perceptron, Probe
from evaluation.downstream.probing import MAJORITY, SHUFFLED, ClassificationProbe
from evaluation.features import Features
from evaluation.rows import Score
from tests.evaluation.toys import sounds

N, CLASSES = 200, 4
LABELS = torch.arange(N) % CLASSES
FOLDS = torch.arange(N) // CLASSES % 5


ALPHAS = torch.logspace(-1, 6, 15, dtype=torch.float64)
SMALL = Perceptron(settings=4, width=16, budget=Budget(20, 5, batch_size=16))


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def probe(labels: Tensor = LABELS, folds: Tensor = FOLDS, **options: Any) -> ClassificationProbe:
    stimuli = sounds("made", [10] * N)
    made = Provenance(source="made here", licence="CC0-1.0", simulated=True)
    classes = tuple(f"class{i}" for i in range(CLASSES))
    task = Task(stimuli, labels, classes, folds, made)
    return ClassificationProbe("probe/made", task, **options)


def scored(benchmark: ClassificationProbe, x: Tensor) -> dict[str, Score]:
    """Rows over all folds."""
    rows = benchmark.score({"layer": Features(x)})
    return {row.metric: row for row in rows if not row.target}


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
    x = torch.nn.functional.one_hot(LABELS, CLASSES) * 1.5 + normal(3, N, CLASSES)
    rows = probe().score({"layer": Features(x)})
    row, *parts = [r for r in rows if r.metric == "linear_accuracy"]
    accuracies = []
    for fold in range(5):
        test = FOLDS.eq(fold)
        member = torch.nn.functional.one_hot(LABELS[~test], CLASSES).bool()
        guess = ridge_decisions(x[~test].double(), member, x[test].double(), ALPHAS).argmax(-1)
        accuracies.append(float((guess == LABELS[test]).double().mean()))
    assert [part.target for part in parts] == ["0", "1", "2", "3", "4"]
    assert [part.value for part in parts] == pytest.approx(accuracies)
    assert all(part.n == N // 5 and part.chance == 0.25 for part in parts)
    low, high = stats.t.interval(0.95, 4, torch.tensor(accuracies).mean(), stats.sem(accuracies))
    assert row.value == pytest.approx(sum(accuracies) / 5)
    assert (row.ci_low, row.ci_high) == pytest.approx((low, high), rel=1e-6)


def test_intervals_of_shares_end_at_1() -> None:
    x = torch.nn.functional.one_hot(LABELS, CLASSES) * 5.0 + normal(3, N, CLASSES)
    x[FOLDS == 2] = normal(4, int((FOLDS == 2).sum()), CLASSES)
    row = scored(probe(), x)["linear_accuracy"]
    assert row.value < 0.95
    assert row.ci_high == 1


@pytest.mark.parametrize("classifier", ["knn_shares", "ridge_decisions"])
def test_a_fold_is_never_fitted_on(classifier: str, monkeypatch: pytest.MonkeyPatch) -> None:
    original = getattr(probes, classifier)
    number = torch.arange(N, dtype=torch.float32)[:, None]  # the feature says which row it is
    tested: list[int] = []

    def watched(x: Tensor, labels: Tensor, x_test: Tensor, *rest: object) -> Tensor:
        train, test = set(x[:, 0].int().tolist()), set(x_test[:, 0].int().tolist())
        assert not train & test
        assert len(train | test) == N
        assert len({int(FOLDS[row]) for row in test}) == 1
        tested.extend(test)
        return original(x, labels, x_test, *rest)

    monkeypatch.setattr(probes, classifier, watched)
    scored(probe(), number)
    assert sorted(tested) == list(range(N))


@pytest.mark.parametrize("kinds", [("knn", "linear"), ("logistic", SMALL)])
def test_labels_of_the_tested_fold_are_not_used(kinds: tuple[str | Probe, ...]) -> None:
    # Within a fold the classes lie apart, but every fold turns them round: only a classifier
    # that has seen the fold's own labels is right.
    turned = (LABELS + FOLDS) % CLASSES
    x = torch.nn.functional.one_hot(turned, CLASSES).float() + 0.01 * normal(4, N, CLASSES)
    found = scored(probe(probes=kinds), x)
    assert len(found) == len(kinds)
    assert all(row.value < 0.35 for row in found.values())


TABLE = torch.rand(N, 3, generator=torch.Generator().manual_seed(5)) < 0.3


def several(
    labels: Tensor, fold_names: tuple[str, ...] = (), **options: Any
) -> ClassificationProbe:
    made = Provenance(source="made here", licence="CC0-1.0", simulated=True)
    folds = FOLDS % 3 if fold_names else FOLDS
    stimuli, classes = sounds("made", [10] * N), ("a", "b", "c")
    return ClassificationProbe(
        "probe/made", Task(stimuli, labels, classes, folds, made, fold_names), **options
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
        decisions = ridge_decisions(x[~test].double(), labels[~test], x[test].double(), ALPHAS)
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


def test_train_valid_test_is_tested_once_and_clips_give_the_interval() -> None:
    x = TABLE * 1.0 + normal(0, N, 3)
    benchmark = several(TABLE, ("train", "valid", "test"))
    row, *parts = [r for r in benchmark.score({"layer": Features(x)}) if r.metric == "linear_map"]
    assert not parts
    test = FOLDS % 3 == 2
    decisions = ridge_decisions(x[~test].double(), TABLE[~test], x[test].double(), ALPHAS)
    assert row.value == pytest.approx(average_precision_score(TABLE[test], decisions))
    drawn = precision_replicates(decisions, TABLE[test], n=200, seed=0)
    bounds = drawn.quantile(torch.tensor([0.025, 0.975], dtype=torch.float64))
    assert (row.ci_low, row.ci_high) == pytest.approx(tuple(bounds.tolist()))
    assert row.chance == pytest.approx(float(TABLE[test].double().mean()))


def test_intervals_over_clips_are_drawn_within_folds() -> None:
    x = torch.nn.functional.one_hot(LABELS, CLASSES) * 1.5 + normal(3, N, CLASSES)
    over_clips = scored(probe(interval="clips"), x)["knn_accuracy"]
    over_folds = scored(probe(), x)["knn_accuracy"]
    assert over_clips.value == over_folds.value
    assert over_clips.ci_low < over_clips.value < over_clips.ci_high
    spread = (over_clips.value * (1 - over_clips.value) / N) ** 0.5
    assert over_clips.ci_high - over_clips.ci_low == pytest.approx(3.92 * spread, rel=0.15)
    with pytest.raises(ValueError, match="interval is 'days', expected 'folds' or 'clips'"):
        probe(interval="days")


@pytest.mark.long
def test_the_full_form_has_the_values_of_the_quick_one_and_others() -> None:
    x = torch.nn.functional.one_hot(LABELS, CLASSES) * 1.5 + normal(3, N, CLASSES)
    benchmark = probe(full=("knn", "logistic", SMALL))
    assert isinstance(benchmark, Extensible)
    quick, full = (b.score({"layer": Features(x)}) for b in (benchmark, benchmark.in_full()))
    assert full[: len(quick)] == quick
    assert {row.metric for row in full[len(quick) :]} == {"logistic_accuracy", "mlp_accuracy"}
    mixed = [row for row in full if row.metric == "mlp_accuracy"]
    assert {row.layer for row in mixed} == {"mix"}
    assert mixed[0].value > 0.5
    some = several(TABLE, full=()).in_full()
    assert {"linear_auc", "knn_d_prime"} <= set(scored(some, TABLE * 1.0 + normal(0, N, 3)))


def test_probes_can_be_chosen_from_the_command_line() -> None:
    benchmark = probe()
    assert isinstance(benchmark, Probing)
    x = torch.nn.functional.one_hot(LABELS, CLASSES) * 5 + normal(0, N, CLASSES)
    chosen = benchmark.with_probes(["linear"])
    assert set(scored(chosen, x)) == set(scored(chosen.in_full(), x)) == {"linear_accuracy"}
    assert set(scored(benchmark, x)) == {"knn_accuracy", "linear_accuracy"}


def test_controls_are_at_chance_and_at_the_majority() -> None:
    labels = torch.where(torch.arange(N) % 5 < 3, 0, LABELS)
    x = torch.nn.functional.one_hot(labels, CLASSES) * 5 + normal(2, N, CLASSES)
    benchmark = probe(labels, folds=torch.arange(N) // 20 % 5)
    controls = benchmark.controls()
    assert set(controls) == {SHUFFLED, MAJORITY}
    majority = float((labels == 0).double().mean())
    assert scored(controls[MAJORITY], x)["knn_accuracy"].value == pytest.approx(majority)
    for row in scored(controls[SHUFFLED], x).values():
        assert row.value < majority + 0.08
    assert all(row.value > 0.95 for row in scored(benchmark, x).values())


def test_an_unknown_probe_is_named_with_those_there_are() -> None:
    with pytest.raises(ValueError, match="no probe 'forest': choose from knn, linear, log"):
        probe(probes=("forest",))
