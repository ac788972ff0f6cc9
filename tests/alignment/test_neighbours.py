"""Shared nearest neighbours, against a loop over sets and against chance."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from alignment.neighbours import mutual_knn, neighbour_graph, tri_modal_consistency


def noise(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def sets(x: Tensor, k: int, exclusion: int) -> list[set[int]]:
    found = []
    for i in range(len(x)):
        far = [j for j in range(len(x)) if j != i and abs(i - j) >= exclusion]
        similarity = torch.nn.functional.cosine_similarity(x[i], x[far], dim=-1)
        found.append({far[j] for j in similarity.argsort(descending=True)[:k].tolist()})
    return found


@pytest.mark.parametrize(("k", "exclusion"), [(1, 0), (5, 1), (4, 3)])
def test_shares_are_those_of_sets(k: int, exclusion: int) -> None:
    x, y, z = noise(20, 5), noise(20, 3, seed=1), noise(20, 4, seed=2)
    a, b, c = (sets(w, k, exclusion) for w in (x, y, z))
    two = sum(len(u & v) for u, v in zip(a, b, strict=True)) / (20 * k)
    three = sum(len(u & v & w) for u, v, w in zip(a, b, c, strict=True)) / (20 * k)
    assert mutual_knn(x, y, k, exclusion).item() == pytest.approx(two)
    got = tri_modal_consistency(x, y, z, k, exclusion, corrected=False)
    assert got.item() == pytest.approx(three)


@pytest.mark.parametrize("exclusion", [0, 1, 4])
def test_the_graph_keeps_its_distance(exclusion: int) -> None:
    graph = neighbour_graph(noise(2, 20, 5), k=6, exclusion=exclusion)
    assert (graph.sum(-1) == 6).all()
    i = torch.arange(20)
    near = (i - i[:, None]).abs() < max(exclusion, 1)
    assert (graph[:, near] == 0).all()
    if exclusion:
        assert (graph[:, (i - i[:, None]).abs() == exclusion] == 1).any()


@pytest.mark.parametrize("corrected", [True, False])
@pytest.mark.parametrize("exclusion", [0, 3])
def test_rotation_and_scales_of_rows_change_no_neighbour(corrected: bool, exclusion: int) -> None:
    x, y = noise(30, 6), noise(30, 4, seed=1)
    turned = x @ torch.linalg.qr(noise(6, 6)).Q * (1 + torch.arange(30.0, dtype=x.dtype))[:, None]
    got = mutual_knn(turned, y, 5, exclusion, corrected)
    assert got.item() == pytest.approx(mutual_knn(x, y, 5, exclusion, corrected).item())
    assert mutual_knn(x, turned, 5, exclusion, corrected).item() == pytest.approx(1)
    three = tri_modal_consistency(x, turned, 2 * x, 5, exclusion, corrected)
    assert three.item() == pytest.approx(1)


@pytest.mark.parametrize(
    ("n", "k", "exclusion"), [(12, 3, 0), (40, 10, 0), (40, 10, 6), (25, 2, 9)]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_independent_data_score_chance(n: int, k: int, exclusion: int, seed: int) -> None:
    draws = 400
    x, y, z = (noise(draws, n, p, seed=seed + 10 * p) for p in (30, 2, 7))
    two = mutual_knn(x, y, k, exclusion, corrected=True)
    three = tri_modal_consistency(x, y, z, k, exclusion)
    for values in (two, three):
        assert abs(values.mean()) < 3 * values.std() / draws**0.5
        assert (values < 0).any()


def test_chance_is_k_in_n_without_exclusion() -> None:
    x, y, z = noise(21, 4), noise(21, 3, seed=1), noise(21, 5, seed=2)
    share, chance = mutual_knn(x, y, 5).item(), 5 / 20
    got = mutual_knn(x, y, 5, corrected=True).item()
    assert got == pytest.approx((share - chance) / (1 - chance))
    share, chance = tri_modal_consistency(x, y, z, 5, corrected=False).item(), (5 / 20) ** 2
    got = tri_modal_consistency(x, y, z, 5).item()
    assert got == pytest.approx((share - chance) / (1 - chance))


def test_all_neighbours_are_shared_and_that_says_nothing() -> None:
    x, y = noise(6, 4), noise(6, 3, seed=1)
    assert mutual_knn(x, y, 5).item() == 1
    assert mutual_knn(x, y, 5, corrected=True).isnan()


def test_leading_axes_are_batches_that_broadcast() -> None:
    x, y, z = noise(3, 1, 12, 4), noise(2, 12, 5, seed=1), noise(12, 3, seed=2)
    two, three = mutual_knn(x, y, 3), tri_modal_consistency(x, y, z, 3)
    assert two.shape == three.shape == (3, 2)
    for i in range(3):
        for j in range(2):
            torch.testing.assert_close(two[i, j], mutual_knn(x[i, 0], y[j], 3))
            torch.testing.assert_close(three[i, j], tri_modal_consistency(x[i, 0], y[j], z, 3))


def blank(x: Tensor) -> None:
    x[0, 3] = 0


def equal(x: Tensor) -> None:
    x[0] = x[0, :1].clone()


def missing(x: Tensor) -> None:
    x[0, 3, 1] = torch.nan


@pytest.mark.parametrize("spoil", [blank, equal, missing])
def test_undefined_input_is_not_a_number(spoil: Callable[[Tensor], None]) -> None:
    x, y = noise(2, 12, 4), noise(12, 3, seed=1)
    spoil(x)
    assert mutual_knn(x, y, 3).isnan().tolist() == [True, False]
    assert tri_modal_consistency(y, y, x, 3).isnan().tolist() == [True, False]


def test_the_dtype_is_kept() -> None:
    x = noise(12, 4).float()
    for value in (neighbour_graph(x, 3), mutual_knn(x, x, 3), mutual_knn(x, x, 3, corrected=True)):
        assert value.dtype == torch.float32


@pytest.mark.parametrize(("k", "exclusion", "fewest"), [(0, 0, 11), (12, 0, 11), (3, 6, 1)])
def test_more_neighbours_than_allowed_are_an_error(k: int, exclusion: int, fewest: int) -> None:
    x = noise(12, 4)
    with pytest.raises(ValueError, match=f"k={k} neighbours of 12 rows .* expected 1 to {fewest},"):
        mutual_knn(x, x, k, exclusion)


def test_a_different_number_of_rows_is_an_error() -> None:
    with pytest.raises(ValueError, match="12 and 11 rows"):
        mutual_knn(noise(12, 4), noise(11, 4))
    with pytest.raises(ValueError, match="12 and 12 and 11 rows"):
        tri_modal_consistency(noise(12, 4), noise(12, 4), noise(11, 4))
