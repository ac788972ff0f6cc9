"""Dissimilarities and their comparison, against scipy."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import rsatoolbox
import torch
from scipy.spatial.distance import pdist
from scipy.stats import pearsonr, rankdata, spearmanr
from torch import Tensor

from alignment.rsa import compare, pearson, ranks, rdm

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


@pytest.mark.parametrize("method", ["spearman", "pearson", "cosine"])
def test_comparisons_are_batched(method: str) -> None:
    a, b = noise(2, 3, 30).round(), noise(2, 3, 30, seed=1)
    got = compare(a, b, method)
    assert got.shape == (2, 3)
    for i in range(2):
        for j in range(3):
            torch.testing.assert_close(got[i, j], compare(a[i, j], b[i, j], method))


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


@pytest.mark.parametrize(
    ("method", "theirs"), [("spearman", "spearman"), ("pearson", "corr"), ("cosine", "cosine")]
)
def test_similarity_is_rsatoolboxs(method: str, theirs: str) -> None:
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
    expected = rsatoolbox.rdm.compare(*made, method=theirs)[0, 0]
    assert float(compare(rdm(x), rdm(y), method)) == pytest.approx(expected, abs=1e-5)
