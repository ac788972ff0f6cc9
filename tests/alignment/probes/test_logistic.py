"""Logistic regression: scikit-learn's probabilities, and chance for labels without meaning."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import LogisticRegression

from alignment.probes.logistic import logistic_regression


def problem(seed: int = 0, n: int = 150, p: int = 20, classes: int = 4):
    draw = torch.Generator().manual_seed(seed)
    labels = torch.randint(classes, (n,), generator=draw)
    means = torch.randn(classes, p, generator=draw, dtype=torch.float64)
    x = means[labels] * 0.5 + torch.randn(n, p, generator=draw, dtype=torch.float64)
    return x, labels


@pytest.mark.parametrize("p", [20, 130])
@pytest.mark.parametrize("c", [0.01, 0.1, 10.0])
def test_probabilities_are_scikit_learns(c: float, p: int) -> None:
    x, labels = problem(p=p)
    member = torch.nn.functional.one_hot(labels).bool()
    fit = logistic_regression(x[:100], member[:100], c, tolerance=1e-8)
    peer = LogisticRegression(C=c, max_iter=5000, tol=1e-8).fit(x[:100].numpy(), labels[:100])
    own = fit.decisions(x[100:]).softmax(-1)
    np.testing.assert_allclose(own, peer.predict_proba(x[100:].numpy()), atol=1e-4)


def test_labels_that_do_not_exclude_each_other_are_fitted_each_for_itself() -> None:
    x, labels = problem(1)
    member = torch.stack([labels > 1, labels == 0], 1)
    fit = logistic_regression(x, member, 0.5, exclusive=False, tolerance=1e-8)
    for label in range(2):
        peer = LogisticRegression(C=0.5, max_iter=5000, tol=1e-8).fit(x.numpy(), member[:, label])
        own = fit.decisions(x)[:, label]
        np.testing.assert_allclose(own, peer.decision_function(x.numpy()), atol=1e-4)


def test_where_it_begins_does_not_matter() -> None:
    x, labels = problem(2)
    member = torch.nn.functional.one_hot(labels).bool()
    start = logistic_regression(x, member, 0.01, tolerance=1e-8)
    warm = logistic_regression(x, member, 1.0, start=start, tolerance=1e-8)
    cold = logistic_regression(x, member, 1.0, tolerance=1e-8)
    torch.testing.assert_close(warm.decisions(x), cold.decisions(x), atol=1e-4, rtol=0)
    assert not torch.equal(start.weight, warm.weight)  # what was given is left as it was


def test_in_inference_mode_it_fits_too() -> None:
    with torch.inference_mode():
        x, labels = problem(3)
        fit = logistic_regression(x, torch.nn.functional.one_hot(labels).bool(), 1.0)
        assert (fit.decisions(x).argmax(-1) == labels).double().mean() > 0.7


def test_a_penalty_without_meaning_is_refused() -> None:
    x, labels = problem()
    with pytest.raises(ValueError, match=r"c is 0\.0, expected a positive number"):
        logistic_regression(x, torch.nn.functional.one_hot(labels).bool(), 0.0)
