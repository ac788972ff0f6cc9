"""Cheap classifiers: those of scikit-learn, sure of separate classes, lost on shuffled ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from sklearn.linear_model import RidgeCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from torch import Tensor

from alignment.probes.classifiers import (
    knn,
    knn_shares,
    ridge_decisions,
    standardise,
)

ALPHAS = torch.logspace(-2, 5, 15, dtype=torch.float64)
CLASSES = 4


def classify_by_ridge(x: Tensor, labels: Tensor, x_test: Tensor, classes: int) -> Tensor:
    member = torch.nn.functional.one_hot(labels, classes).bool()
    return ridge_decisions(x, member, x_test, ALPHAS).argmax(-1)


METHODS: list[Callable[[Tensor, Tensor, Tensor, int], Tensor]] = [knn, classify_by_ridge]


def groups(spread: float, n: int = 200, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Training and test rows of four classes around centres one apart, with their labels."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(CLASSES, 12, generator=generator, dtype=torch.float64)
    labels = torch.arange(2 * n) % CLASSES
    noise = torch.randn(2 * n, 12, generator=generator, dtype=torch.float64)
    x = (centres[labels] + spread * noise) * torch.logspace(0, 2, 12) + 5
    return x[:n], labels[:n], x[n:], labels[n:]


@pytest.mark.parametrize("k", [1, 10, 50])
def test_neighbours_are_scikit_learns(k: int) -> None:
    x, labels, x_test, _ = groups(spread=1.5)
    scaler = StandardScaler().fit(x.numpy())
    reference = KNeighborsClassifier(
        k, metric="cosine", weights=lambda distance: np.exp((1 - distance) / 0.07)
    ).fit(scaler.transform(x.numpy()), labels.numpy())
    expected = reference.predict(scaler.transform(x_test.numpy()))
    assert knn(x, labels, x_test, CLASSES, k=k).tolist() == expected.tolist()


def test_temperature_weighs_the_nearest_neighbour() -> None:
    x, labels, x_test, _ = groups(spread=1.5)
    nearest = knn(x, labels, x_test, CLASSES, k=1)
    assert torch.equal(knn(x, labels, x_test, CLASSES, k=50, temperature=2e-3), nearest)
    assert not torch.equal(knn(x, labels, x_test, CLASSES, k=50, temperature=10.0), nearest)


@pytest.mark.parametrize("seed", range(3))
def test_ridge_is_scikit_learns_with_one_penalty_for_all_classes(seed: int) -> None:
    x, labels, x_test, _ = groups(spread=3.0, n=60, seed=seed)
    scaler = StandardScaler().fit(x.numpy())
    scaler.scale_ *= np.sqrt(len(x) / (len(x) - 1))
    rows, onehot = scaler.transform(x.numpy()), np.eye(CLASSES)[labels.numpy()]
    test_rows = scaler.transform(x_test.numpy())
    shared, own = (
        RidgeCV(ALPHAS.numpy(), alpha_per_target=per_target).fit(rows, onehot).predict(test_rows)
        for per_target in (False, True)
    )
    got = classify_by_ridge(x, labels, x_test, CLASSES).tolist()
    assert got == shared.argmax(1).tolist()
    assert got != own.argmax(1).tolist()


@pytest.mark.parametrize("classify", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_separate_classes_are_told_apart(classify: Callable, dtype: torch.dtype) -> None:
    x, labels, x_test, expected = groups(spread=0.2)
    got = classify(x.to(dtype), labels, x_test.to(dtype), CLASSES)
    assert (got == expected).float().mean() > 0.99


@pytest.mark.parametrize("classify", METHODS)
def test_labels_that_features_do_not_tell_are_classified_at_chance(classify: Callable) -> None:
    accuracy = []
    for seed in range(8):
        x, labels, x_test, expected = groups(spread=100.0, seed=seed)
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        right = classify(x, labels[order], x_test, CLASSES) == expected
        accuracy.append(right.float().mean().item())
    assert np.mean(accuracy) == pytest.approx(1 / CLASSES, abs=0.04)


@pytest.mark.parametrize("classify", METHODS)
def test_units_of_the_features_do_not_matter(classify: Callable) -> None:
    x, labels, x_test, _ = groups(spread=1.5)
    scale = torch.logspace(-3, 3, 12, dtype=torch.float64)
    got = classify(x * scale - 7, labels, x_test * scale - 7, CLASSES)
    assert torch.equal(got, classify(x, labels, x_test, CLASSES))


@pytest.mark.parametrize("classify", METHODS)
def test_a_class_without_examples_is_never_chosen(classify: Callable) -> None:
    x, labels, x_test, _ = groups(spread=0.2)
    few = labels != 2
    assert 2 not in classify(x[few], labels[few], x_test, CLASSES).tolist()


def test_more_neighbours_than_rows_are_all_rows() -> None:
    x, labels, x_test, _ = groups(spread=0.2)
    assert torch.equal(
        knn(x[:6], labels[:6], x_test, CLASSES, k=10), knn(x[:6], labels[:6], x_test, CLASSES, k=6)
    )


def test_standardise_takes_mean_and_deviation_from_the_training_rows() -> None:
    x, _, x_test, _ = groups(spread=1.0)
    x[:, 3] = x_test[:, 3] = 0.1
    train, test = standardise(x, x_test)
    torch.testing.assert_close(train.mean(0), torch.zeros(12, dtype=torch.float64))
    varied = [i for i in range(12) if i != 3]
    torch.testing.assert_close(train.std(0)[varied], torch.ones(11, dtype=torch.float64))
    torch.testing.assert_close(test[:, 0], (x_test[:, 0] - x[:, 0].mean()) / x[:, 0].std())
    assert not train[:, 3].any()
    assert not test[:, 3].any()


def test_one_label_a_row_gives_the_same_classes_as_tables_of_labels() -> None:
    x, labels, x_test, _ = groups(spread=1.5)
    table = torch.nn.functional.one_hot(labels, CLASSES).bool()
    shares = knn_shares(x, table, x_test)
    assert torch.equal(shares.argmax(1), knn(x, labels, x_test, CLASSES))
    torch.testing.assert_close(shares.sum(1), torch.ones(len(x_test), dtype=torch.float64))
    decisions = ridge_decisions(x, table, x_test, ALPHAS)
    assert torch.equal(decisions.argmax(1), classify_by_ridge(x, labels, x_test, CLASSES))


def test_a_label_that_all_neighbours_have_has_the_whole_share() -> None:
    x, labels, x_test, _ = groups(spread=1.0)
    table = torch.stack([labels >= 0, labels < 0, labels == 1], 1)
    shares = knn_shares(x, table, x_test)
    torch.testing.assert_close(shares[:, 0], torch.ones(len(x_test), dtype=torch.float64))
    assert not shares[:, 1].any()
    assert shares[:, 2].min() >= 0
    assert shares[:, 2].max() <= 1 + 1e-9


@pytest.mark.parametrize("numbers", [1, 500])
def test_pieces_of_test_rows_give_what_all_of_them_give(
    numbers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, labels, x_test, _ = groups(spread=1.5)
    table = torch.nn.functional.one_hot(labels, CLASSES).bool()
    kept = x.clone(), x_test.clone()
    whole = knn(x, labels, x_test, CLASSES), knn_shares(x, table, x_test)
    monkeypatch.setattr("alignment.probes.classifiers.PIECE", numbers)
    pieces = knn(x, labels, x_test, CLASSES), knn_shares(x, table, x_test)
    assert torch.equal(pieces[0], whole[0])
    torch.testing.assert_close(pieces[1], whole[1], rtol=1e-10, atol=1e-10)
    assert torch.equal(x, kept[0])
    assert torch.equal(x_test, kept[1])
