"""Distance correlation, HSIC, RV and mutual information, against dcor and closed forms."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import log

import numpy as np
import pytest
import torch
from scipy.special import psi
from scipy.stats import norm, rankdata
from sklearn.cross_decomposition import CCA
from torch import Tensor

from alignment.cka import linear_cka, rbf_cka
from alignment.dependence import (
    distance_correlation,
    gaussian_mi,
    hsic,
    rv,
    rv2,
)
from alignment.kernels import linear_kernel, rbf_kernel

biased_distance_correlation = partial(distance_correlation, debiased=False)
copula_mi = partial(gaussian_mi, copula=True)
biased_hsic = partial(hsic, debiased=False)
rbf_hsic = partial(hsic, kernel="rbf")

NORMALISED = [distance_correlation, biased_distance_correlation, rv, rv2]
ALL = [*NORMALISED, gaussian_mi, copula_mi, hsic, biased_hsic, rbf_hsic]
SHAPES = [(4, 3, 2), (12, 30, 2), (25, 3, 60), (60, 40, 20)]


def noise(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def rotation(p: int) -> Tensor:
    return torch.linalg.qr(noise(p, p, seed=9)).Q


def related(seed: int = 0) -> tuple[Tensor, Tensor]:
    x = noise(30, 6, seed=seed)
    return x, x[:, :4] + noise(30, 4, seed=seed + 50)


@pytest.mark.long
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_distance_correlations_are_dcors(seed: int) -> None:
    import dcor  # compiles at the first import: in one process, not in all that collect tests

    x, y = related(seed)
    a, b = x.numpy(), y.numpy()
    corrected = dcor.u_distance_correlation_sqr(a, b)
    assert distance_correlation(x, y).item() == pytest.approx(corrected, abs=1e-12)
    plain = dcor.distance_correlation(a, b)
    assert distance_correlation(x, y, debiased=False).item() == pytest.approx(plain, abs=1e-12)


def test_the_unbiased_hsic_is_the_formula_of_song() -> None:
    x, y = related()
    n, one = 30, torch.ones(30, dtype=torch.float64)
    for kernel, full in (("linear", linear_kernel), ("rbf", partial(rbf_kernel, sigma=0.5))):
        k, m = (full(w) - full(w).diagonal().diag() for w in (x, y))
        expected = (
            (k @ m).trace()
            + (one @ k @ one) * (one @ m @ one) / ((n - 1) * (n - 2))
            - 2 / (n - 2) * (one @ k @ m @ one)
        ) / (n * (n - 3))
        got = hsic(x, y, kernel, sigma=0.5)
        torch.testing.assert_close(got, expected, rtol=1e-10, atol=0)


def test_the_biased_hsic_is_a_trace() -> None:
    x, y = related()
    h = torch.eye(30, dtype=torch.float64) - 1 / 30
    expected = (x @ x.T @ h @ y @ y.T @ h).trace() / 29**2
    torch.testing.assert_close(hsic(x, y, debiased=False), expected, rtol=1e-10, atol=0)


@pytest.mark.parametrize(("kernel", "cka"), [("linear", linear_cka), ("rbf", rbf_cka)])
@pytest.mark.parametrize("debiased", [True, False])
def test_normalised_hsic_is_kernel_alignment(kernel: str, cka: Callable, debiased: bool) -> None:
    x, y = related()
    value = partial(hsic, kernel=kernel, debiased=debiased)
    expected = value(x, y) / (value(x, x) * value(y, y)).sqrt()
    torch.testing.assert_close(cka(x, y, debiased=debiased), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_rv_is_biased_linear_cka(shape: tuple[int, int, int]) -> None:
    n, p, q = shape
    x, y = noise(5, n, p) + 3, noise(5, n, q, seed=1)
    expected = linear_cka(x, y, debiased=False)
    torch.testing.assert_close(rv(x, y), expected, rtol=0, atol=1e-12)
    k, m = linear_kernel(x), linear_kernel(y)
    trace = (k * m).sum((-2, -1)) / (k.norm(dim=(-2, -1)) * m.norm(dim=(-2, -1)))
    torch.testing.assert_close(rv(x, y), trace, rtol=0, atol=1e-12)


def test_rv2_leaves_the_diagonals_out() -> None:
    x, y = related()
    off = [k[~torch.eye(30, dtype=torch.bool)] for k in (linear_kernel(x), linear_kernel(y))]
    expected = off[0] @ off[1] / (off[0].norm() * off[1].norm())
    assert rv2(x, y).item() == pytest.approx(expected.item(), abs=1e-12)
    x, y = noise(40, 15, 60), noise(40, 15, 60, seed=1)
    assert rv(x, y).mean() > 0.7
    assert rv2(x, y).mean() < 0.3


@pytest.mark.parametrize("statistic", [*NORMALISED, rbf_hsic, gaussian_mi])
def test_rotation_scale_and_shift_change_nothing(statistic: Callable) -> None:
    x, y = related()
    expected = statistic(x, y)
    got = statistic(3 * x @ rotation(6) + 2, 0.1 * y @ rotation(4) - 5)
    torch.testing.assert_close(got, expected, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(statistic(y, x), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("statistic", NORMALISED)
def test_a_matrix_depends_on_itself(statistic: Callable) -> None:
    x, _ = related()
    assert statistic(x, x).item() == pytest.approx(1, abs=1e-12)


@pytest.mark.long
@pytest.mark.parametrize("statistic", [distance_correlation, hsic, rbf_hsic])
@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("seed", [0, 1])
def test_independent_data_score_zero(
    statistic: Callable, shape: tuple[int, int, int], seed: int
) -> None:
    n, p, q = shape
    values = statistic(noise(300, n, p, seed=seed), noise(300, n, q, seed=seed + 100))
    assert abs(values.mean()) < 3 * values.std() / 300**0.5
    assert (values < 0).any()


def test_the_bias_is_the_measured_one() -> None:
    x, y = noise(40, 60, 40), noise(40, 60, 20, seed=1)
    plain = distance_correlation(x, y, debiased=False).mean().item()
    assert plain == pytest.approx(0.80, abs=0.01)
    assert distance_correlation(x, y).mean().item() == pytest.approx(0, abs=0.01)


def test_information_of_two_columns_is_that_of_their_correlation() -> None:
    x, y = noise(50, 1), noise(50, 1) + noise(50, 1, seed=1)
    rho = np.corrcoef(x[:, 0], y[:, 0])[0, 1]
    assert gaussian_mi(x, y).item() == pytest.approx(-0.5 * log(1 - rho**2))


def entropies(x: np.ndarray, bias: bool) -> float:
    n, p = x.shape
    value = 0.5 * np.linalg.slogdet(np.cov(x.T).reshape(p, p))[1]
    return value - bias * (p * log(2 / (n - 1)) + psi((n - np.arange(1, p + 1)) / 2).sum()) / 2


def test_information_is_a_difference_of_entropies() -> None:
    x, y = related()
    a, b = x.numpy(), y.numpy()
    expected = entropies(a, False) + entropies(b, False) - entropies(np.hstack([a, b]), False)
    assert gaussian_mi(x, y).item() == pytest.approx(expected, abs=1e-10)
    x[:, 2] = x[:, 2].round()
    a, b = (norm.ppf(rankdata(w, axis=0) / 31) for w in (x.numpy(), y.numpy()))
    expected = entropies(a, True) + entropies(b, True) - entropies(np.hstack([a, b]), True)
    assert gaussian_mi(x, y, copula=True).item() == pytest.approx(expected, abs=1e-10)


def test_canonical_correlations_are_sklearns() -> None:
    x, y = noise(200, 3), noise(200, 3) @ noise(3, 2, seed=3) + noise(200, 2, seed=1)
    u, v = CCA(2, max_iter=5000, tol=1e-12).fit_transform(x.numpy(), y.numpy())
    rho = np.array([np.corrcoef(u[:, i], v[:, i])[0, 1] for i in range(2)])
    assert gaussian_mi(x, y).item() == pytest.approx(-0.5 * np.log(1 - rho**2).sum(), abs=1e-6)


@pytest.mark.parametrize(("n", "p", "q"), [(30, 1, 1), (30, 5, 8), (60, 20, 10)])
@pytest.mark.parametrize("seed", [0, 1])
def test_independent_data_hold_no_information(n: int, p: int, q: int, seed: int) -> None:
    x, y = noise(400, n, p, seed=seed), noise(400, n, q, seed=seed + 100)
    values = gaussian_mi(x, y, copula=True)
    assert abs(values.mean()) < 3 * values.std() / 20 + 0.02 * gaussian_mi(x, y).mean()
    assert gaussian_mi(x, y).mean() > 0.9 * p * q / (2 * n)


@pytest.mark.parametrize("copula", [True, False])
def test_monotone_maps_and_repeated_columns_add_no_information(copula: bool) -> None:
    x, y = related()
    expected = gaussian_mi(x, y, copula)
    for wider in (torch.cat([x, 2 * x[:, :3]], 1), torch.cat([x, 0 * x[:, :1] + 7], 1)):
        torch.testing.assert_close(gaussian_mi(wider, y, copula), expected, rtol=0, atol=1e-10)
    mapped = gaussian_mi(x.exp(), y.pow(3), copula)
    assert torch.allclose(mapped, expected) is copula
    assert gaussian_mi(x, x, copula) > 10


def test_information_takes_more_rows_than_columns() -> None:
    batch = gaussian_mi(noise(3, 1, 9, 4), noise(2, 9, 5))
    assert batch.shape == (3, 2)
    assert batch.isnan().all()
    assert gaussian_mi(noise(10, 4), noise(10, 5, seed=1), copula=True).isfinite()


@pytest.mark.parametrize("statistic", ALL)
def test_leading_axes_are_batches_that_broadcast(statistic: Callable) -> None:
    x, y = noise(3, 1, 12, 4), noise(2, 12, 5, seed=1)
    x[0, 0, :, 1] = 0
    got = statistic(x, y)
    assert got.shape == (3, 2)
    for i in range(3):
        for j in range(2):
            torch.testing.assert_close(got[i, j], statistic(x[i, 0], y[j]), rtol=0, atol=1e-11)


@pytest.mark.parametrize("statistic", ALL)
@pytest.mark.parametrize("value", [0.0, 0.1, torch.nan, torch.inf])
def test_undefined_input_is_not_a_number_and_spoils_no_other(
    statistic: Callable, value: float
) -> None:
    x, y = noise(2, 12, 4), noise(12, 3, seed=1)
    expected = statistic(x, y)[1]
    x[0] = value
    for got in (statistic(x, y), statistic(y, x)):
        assert got[0].isnan()
        torch.testing.assert_close(got[1], expected, rtol=0, atol=1e-11)
    x[1, 2, 1] = torch.nan
    assert statistic(x, y).isnan().all()


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_debiasing_takes_four_rows(n: int) -> None:
    x, y = noise(n, 4), noise(n, 3, seed=1)
    values = [statistic(x, y) for statistic in (distance_correlation, hsic, rbf_hsic)]
    assert torch.stack(values).isnan().logical_not().all().item() is (n > 3)
    assert torch.stack(values).isnan().all().item() is (n < 4)
    assert biased_distance_correlation(x, y).isnan().item() is (n < 2)


@pytest.mark.parametrize("n", [5, 12, 100])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_equal_distances_order_nothing(n: int, dtype: torch.dtype) -> None:
    x = 0.3 * torch.eye(n, dtype=dtype)
    assert distance_correlation(x, noise(n, 3).to(dtype)).isnan()


@pytest.mark.parametrize("statistic", ALL)
def test_single_precision_is_kept(statistic: Callable) -> None:
    x, y = related()
    got = statistic(x.float(), y.float())
    assert got.dtype == torch.float32
    torch.testing.assert_close(got, statistic(x, y).float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("statistic", ALL)
def test_a_different_number_of_rows_is_an_error(statistic: Callable) -> None:
    with pytest.raises(ValueError, match="12 and 11 rows"):
        statistic(noise(12, 4), noise(11, 4))


def test_an_unknown_kernel_is_an_error() -> None:
    with pytest.raises(Exception, match="cubic"):
        hsic(noise(6, 3), noise(6, 3), "cubic")
