"""Statistics of all shifts at once, against rolling the series, and against the plain metrics."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from alignment.cka import linear_cka, rbf_cka
from alignment.dependence import distance_correlation, gaussian_mi, hsic, rv, rv2
from alignment.procrustes import angular_distance
from alignment.rsa import compare, pearson, ranks, rdm
from alignment.series.metrics import BY_NAME, METRICS, shift_products, similarity
from alignment.series.shifts import matrix_shifts, partial_shifts
from alignment.series.signatures import excluded, ranked_pairs
from tests.alignment.test_inference import noise


def time_apart(n: int) -> Tensor:
    """``j - i`` of every pair."""
    row, column = torch.triu_indices(n, n, 1)
    return (column - row).double()


def partial(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Spearman correlation of x and y given z, from the three plain ones."""
    xy, xz, yz = compare(x, y), compare(x, z), compare(y, z)
    return (xy - xz * yz) / ((1 - xz**2) * (1 - yz**2)).sqrt()


def all_shifts(name: str, x: Tensor, y: Tensor) -> Tensor:
    metric = (METRICS | BY_NAME)[name]
    return shift_products(metric, metric.signature(x), metric.signature(y))


def shared_neighbours(x: Tensor, y: Tensor) -> float:
    """Ten nearest rows out of those four or more away round the circle, row by row."""
    n, common = len(x), 0
    for i in range(n):
        far = [j for j in range(n) if min(abs(i - j), n - abs(i - j)) >= 4]
        nearest = []
        for w in (x, y):
            cosine = torch.nn.functional.cosine_similarity(w[i], w[far])
            nearest.append({far[k] for k in cosine.topk(10).indices.tolist()})
        common += len(nearest[0] & nearest[1])
    chance = 10 / (n - 7)
    return (common / (10 * n) - chance) / (1 - chance)


PLAIN = {
    "rsa_spearman": lambda x, y: compare(rdm(x), rdm(y)),
    "rsa_partial": lambda x, y: partial(rdm(x), rdm(y), time_apart(len(x))),
    "rsa_pearson": lambda x, y: compare(rdm(x), rdm(y), "pearson"),
    "cka": lambda x, y: linear_cka(x, y, debiased=False),
    "cka_debiased": linear_cka,
    "cka_rbf": lambda x, y: rbf_cka(x, y, debiased=False),
    "cka_rbf_debiased": rbf_cka,
    "dcor": lambda x, y: distance_correlation(x, y, debiased=False),
    "dcor_debiased": distance_correlation,
    "rv": rv,
    "hsic": hsic,
    "hsic_rbf": lambda x, y: hsic(x, y, "rbf"),
    "rv2": rv2,
    "gaussian_mi": gaussian_mi,
    "mutual_knn": lambda x, y: shared_neighbours(x, y),
    "procrustes": lambda x, y: 1 - angular_distance(x, y) / (torch.pi / 2),
}


def series(n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Three series of seven columns and two of four, related."""
    x = noise(3, n, 7, seed=seed)
    return x, x[:2, :, :4] + noise(2, n, 4, seed=seed + 1)


@pytest.mark.parametrize("n", [30, 31])
@pytest.mark.parametrize("name", [*METRICS, "hsic", "hsic_rbf"])
def test_every_shift_is_the_metric_of_the_rolled_series(name: str, n: int) -> None:
    x, y = series(n)
    found = all_shifts(name, x, y)
    assert found.shape == (3, 2, n)
    for shift in (0, 1, 7, n - 1):
        expected = similarity(name, x, y.roll(-shift, 1))
        torch.testing.assert_close(found[..., shift], expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", PLAIN)
def test_it_is_the_plain_metric(name: str) -> None:
    x, y = series(40)
    found = similarity(name, x, y)
    for i in range(3):
        for j in range(2):
            expected = PLAIN[name](x[i], y[j])
            assert float(found[i, j]) == pytest.approx(float(expected), abs=1e-9)


def test_neighbours_in_time_do_not_count() -> None:
    for n, zone in ((8, 0), (40, 4), (75, 5), (200, 5)):
        assert excluded(n) == zone
        graph = METRICS["mutual_knn"].signature(noise(1, n, 3).cumsum(1))[0]
        i = torch.arange(n)
        apart = (i - i[:, None]).abs()
        assert not graph[torch.minimum(apart, n - apart) < max(zone, 1)].any()
        assert graph.any(1).all()


def test_kendall_is_exact_for_short_series_and_sampled_for_long_ones() -> None:
    for n, tolerance in ((16, 1e-9), (60, 0.03)):
        x, y = series(n)
        expected = compare(rdm(x[0]), rdm(y[0]), "kendall_a")
        assert float(similarity("kendall", x, y)[0, 0]) == pytest.approx(
            float(expected), abs=tolerance
        )


@pytest.mark.parametrize("name", METRICS)
def test_the_series_itself_scores_highest(name: str) -> None:
    x, _ = series(40)
    shifts = all_shifts(name, x, x)
    own = shifts[[0, 1, 2], [0, 1, 2]]
    assert (own.argmax(1) == 0).all()
    if name not in ("gaussian_mi", "kendall"):
        torch.testing.assert_close(own[:, 0], torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize("name", [name for name, m in METRICS.items() if m.debiased])
def test_debiased_metrics_of_independent_series_are_zero_on_average(name: str) -> None:
    for n, p, q in ((20, 5, 9), (35, 30, 2)):
        found = similarity(name, noise(60, n, p), noise(60, n, q, seed=1)).diagonal()
        assert abs(float(found.mean())) < 3.5 * float(found.std()) / 60**0.5


@pytest.mark.parametrize("name", METRICS)
def test_undefined_input_is_not_a_number(name: str) -> None:
    x, y = series(30)
    x[1] = torch.nan
    found = all_shifts(name, x, y)
    assert found[1].isnan().all()
    assert found[[0, 2]].isfinite().all()
    if name not in ("gaussian_mi", "mutual_knn"):
        x[1] = 2.0
        assert similarity(name, x, y)[1].isnan().all()


def test_matrices_that_are_not_symmetric() -> None:
    a, b = noise(2, 9, 9), noise(3, 9, 9, seed=1)
    found = matrix_shifts(a, b, symmetric=False)
    rolled = b.roll((-4, -4), (1, 2))
    expected = torch.einsum("aij,bij->ab", a, rolled)
    torch.testing.assert_close(found[..., 4], expected)


def test_partial_correlation_is_that_of_residuals() -> None:
    n = 25
    x, y = series(n)
    time = (torch.arange(n)[:, None] - torch.arange(n)).abs().double()
    row, column = torch.triu_indices(n, n, 1)
    other = rdm(noise(n, 4, seed=9))
    square = torch.zeros(n, n, dtype=torch.float64)
    square[row, column] = square[column, row] = other
    given = [ranked_pairs(time), ranked_pairs(square)]
    signatures = [METRICS["rsa_spearman"].signature(z) for z in (x, y)]
    found = partial_shifts(*signatures, given)
    z = torch.stack([ranks(time[row, column]), ranks(other), torch.ones(len(row))], 1).double()

    def residual(values: Tensor) -> Tensor:
        r = ranks(values)
        return r - z @ torch.linalg.lstsq(z, r).solution

    for shift in (0, 3):
        expected = pearson(residual(rdm(x[1])), residual(rdm(y[0].roll(-shift, 0))))
        assert float(found[1, 0, shift]) == pytest.approx(float(expected), abs=1e-9)
