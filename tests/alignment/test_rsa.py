"""Dissimilarities and their comparison, against scipy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import rsatoolbox
import torch
from scipy.spatial.distance import pdist
from scipy.stats import kendalltau, pearsonr, rankdata, spearmanr
from torch import Tensor

from alignment.cka import linear_cka
from alignment.rsa import compare, pearson, ranks, rdm, zscore

COMPARISONS = [
    ("spearman", "spearman"),
    ("pearson", "corr"),
    ("cosine", "cosine"),
    ("kendall_a", "tau-a"),
    ("rho_a", "rho-a"),
    ("whitened_cosine", "cosine_cov"),
    ("whitened_correlation", "corr_cov"),
]
METHODS = [method for method, _ in COMPARISONS]
RANKED = ["spearman", "kendall_a", "rho_a"]
METRICS = [("correlation", "correlation"), ("cosine", "cosine"), ("euclidean", "sqeuclidean")]


def noise(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


@pytest.mark.parametrize(("method", "metric"), METRICS)
def test_dissimilarities_are_scipys(method: str, metric: str) -> None:
    x = noise(12, 7) + 2
    expected = torch.from_numpy(pdist(x.numpy(), metric))
    torch.testing.assert_close(rdm(x, method), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("method", "metric"), METRICS)
def test_leading_axes_are_batches(method: str, metric: str) -> None:
    x = noise(2, 3, 6, 5)
    got = rdm(x, method)
    assert got.shape == (2, 3, 15)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(got[i, j], rdm(x[i, j], method))


def test_correlation_distance_ignores_scale_and_offset_of_a_row() -> None:
    x = noise(6, 9)
    scaled = x * torch.arange(1, 7)[:, None] + torch.arange(6)[:, None]
    torch.testing.assert_close(rdm(x), rdm(scaled))
    assert not torch.allclose(rdm(x, "euclidean"), rdm(scaled, "euclidean"))


def test_equal_rows_have_no_distance_and_opposite_rows_two() -> None:
    x = noise(1, 5).repeat(2, 1)
    assert rdm(x).item() == pytest.approx(0, abs=1e-12)
    assert rdm(x * torch.tensor([[1.0], [-1.0]])).item() == pytest.approx(2)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("method", "reference"), [("spearman", spearmanr), ("pearson", pearsonr)])
def test_comparisons_are_scipys(method: str, reference: Callable, tied: bool) -> None:
    a, b = noise(40), noise(40, seed=1) + 0.5 * noise(40)
    if tied:
        a, b = (a * 2).round(), b.round()
    expected = reference(a.numpy(), b.numpy()).statistic
    assert compare(a, b, method).item() == pytest.approx(expected, abs=1e-12)


def test_cosine_is_the_normalised_product() -> None:
    a, b = noise(20), noise(20, seed=1)
    expected = (a @ b / (a.norm() * b.norm())).item()
    assert compare(a, b, "cosine").item() == pytest.approx(expected)


@pytest.mark.parametrize("method", METHODS)
def test_comparisons_are_batched(method: str) -> None:
    a, b = noise(2, 3, 28).round(), noise(2, 3, 28, seed=1)
    got = compare(a, b, method)
    assert got.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(got[i, j], compare(a[i, j], b[i, j], method))
    torch.testing.assert_close(
        compare(a[:, :1], b[:1], method)[1, 2], compare(a[1, 0], b[0, 2], method)
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_ranks_share_their_mean_where_values_tie(dtype: torch.dtype) -> None:
    x = torch.tensor([[3.0, 1.0, 3.0, 2.0, 3.0], [5.0, 5.0, 5.0, 5.0, 5.0]], dtype=dtype)
    expected = torch.from_numpy(rankdata(x.numpy(), axis=1))
    assert torch.equal(ranks(x), expected)
    assert ranks(x.T).shape == (5, 2)
    assert torch.equal(ranks(x.T), torch.from_numpy(rankdata(x.T.numpy(), axis=1)))


def test_an_rdm_agrees_with_itself_and_not_with_noise() -> None:
    first, second = rdm(noise(40, 20)), rdm(noise(40, 20, seed=1))
    assert compare(first, first).item() == pytest.approx(1)
    assert compare(first, first.exp()).item() == pytest.approx(1)
    assert abs(compare(first, second).item()) < 0.1


def test_correlation_with_a_constant_is_not_a_number() -> None:
    assert pearson(noise(5), torch.ones(5, dtype=torch.float64)).isnan()
    assert np.isnan(compare(noise(5), torch.ones(5, dtype=torch.float64)).item())


@pytest.mark.parametrize("call", [lambda x: rdm(x, "jaccard"), lambda x: compare(x, x, "dice")])
def test_an_unknown_method_is_an_error(call: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(Exception, match=r"jaccard|dice"):
        call(noise(4, 4))


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize(("method", "theirs"), COMPARISONS)
def test_similarity_is_rsatoolboxs(method: str, theirs: str, tied: bool) -> None:
    x = noise(25, 9)
    y = x[:, :5] + noise(25, 5, seed=1)
    made = [
        rsatoolbox.rdm.calc_rdm(rsatoolbox.data.Dataset(z.numpy()), method="correlation")
        for z in (x, y)
    ]
    for z, reference in zip((x, y), made, strict=True):
        torch.testing.assert_close(
            rdm(z), torch.from_numpy(reference.dissimilarities[0]), rtol=0, atol=1e-6
        )
    a, b = (torch.from_numpy(reference.dissimilarities[0]) for reference in made)
    if tied:
        a, b = a.round(decimals=1), b.gt(1).double()
        made = [rsatoolbox.rdm.RDMs(z[None].numpy()) for z in (a, b)]
    expected = rsatoolbox.rdm.compare(*made, method=theirs)[0, 0]
    assert float(compare(a, b, method)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("method", RANKED)
def test_ranks_ignore_monotone_maps(method: str) -> None:
    a, b = rdm(noise(20, 9)), rdm(noise(20, 9) + noise(20, 9, seed=1))
    expected = compare(a, b, method)
    assert torch.equal(compare(a.exp(), b.pow(3), method), expected)
    assert torch.equal(compare(a, -b, method), -expected)
    assert compare(a, a.sqrt(), method).item() == pytest.approx(1)


@pytest.mark.parametrize("k", [2, 3, 7, 64, 65])
@pytest.mark.parametrize("levels", [2, 5, 1000])
def test_kendall_counts_pairs(k: int, levels: int) -> None:
    a, b = ((levels * noise(50, k, seed=s).sigmoid()).floor() for s in (0, 1))
    signs = [(x[..., None] - x[..., None, :]).sign() for x in (a, b)]
    expected = (signs[0] * signs[1]).sum((-2, -1)) / (k * (k - 1))
    constant = (a == a[:, :1]).all(-1) | (b == b[:, :1]).all(-1)
    expected[constant] = torch.nan
    torch.testing.assert_close(compare(a, b, "kendall_a"), expected, equal_nan=True)


def test_kendall_takes_long_vectors() -> None:
    a = noise(13530)
    b = a + noise(13530, seed=1)
    expected = kendalltau(a.numpy(), b.numpy()).statistic
    assert compare(a, b, "kendall_a").item() == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("n", [2, 3, 6])
def test_whitening_divides_by_the_covariance_of_distances(n: int) -> None:
    a, b = rdm(noise(n, 5), "euclidean"), rdm(noise(n, 5, seed=1), "euclidean")
    row, column = torch.triu_indices(n, n, 1)
    contrasts = torch.eye(n, dtype=torch.float64)[row] - torch.eye(n, dtype=torch.float64)[column]
    precision = torch.linalg.inv((contrasts @ contrasts.T).square())
    expected = a @ precision @ b / ((a @ precision @ a) * (b @ precision @ b)).sqrt()
    got = compare(a, b, "whitened_cosine")
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-12)


def test_whitened_cosine_is_linear_cka() -> None:
    x, y = noise(20, 9), noise(20, 5, seed=1)
    got = compare(rdm(x, "euclidean"), rdm(y, "euclidean"), "whitened_cosine")
    torch.testing.assert_close(got, linear_cka(x, y, debiased=False), rtol=0, atol=1e-12)


def test_whitening_takes_all_pairs() -> None:
    with pytest.raises(ValueError, match="5 dissimilarities"):
        compare(noise(5), noise(5), "whitened_cosine")


@pytest.mark.parametrize("method", [*RANKED, "pearson", "whitened_correlation"])
@pytest.mark.parametrize("seed", [0, 1])
def test_independent_data_score_zero(method: str, seed: int) -> None:
    a, b = rdm(noise(400, 12, 30, seed=seed)), rdm(noise(400, 12, 4, seed=seed + 100))
    values = compare(a, b, method)
    assert abs(values.mean()) < 3 * values.std() / 20


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_undefined_comparisons_are_not_a_number(method: str, dtype: torch.dtype) -> None:
    a, b = noise(4, 10).to(dtype), noise(10, seed=1).to(dtype)
    a[0, 3], a[1], a[2] = torch.nan, 0, 0.1
    undefined = [True, True, "cosine" not in {method, method.removeprefix("whitened_")}, False]
    assert compare(a, b, method).isnan().tolist() == undefined
    assert compare(b, a, method).isnan().tolist() == undefined


@pytest.mark.parametrize("method", METHODS)
def test_the_dtype_is_kept_where_there_are_no_ranks(method: str) -> None:
    a, b = noise(10).float(), noise(10, seed=1).float()
    got = compare(a, b, method)
    assert got.dtype == (torch.float64 if method in RANKED else torch.float32)
    assert got.item() == pytest.approx(compare(a.double(), b.double(), method).item(), abs=1e-6)


def test_columns_that_differ_by_rounding_are_constant() -> None:
    """Means over batches that are padded differently differ in their last bits."""
    x = torch.full((8, 3), 0.7)
    x[::2, 0] = torch.nextafter(x[::2, 0], torch.ones(4))
    x[::2, 1] = 0.7001
    found = zscore(x)
    assert bool((found[:, [0, 2]] == 0).all())
    torch.testing.assert_close(found[:, 1].abs(), torch.ones(8), rtol=1e-3, atol=0)
