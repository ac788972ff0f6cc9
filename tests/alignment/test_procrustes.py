"""Procrustes distances, against scipy's alignment and by their invariances."""

from __future__ import annotations

import pytest
import torch
from scipy.spatial import procrustes
from torch import Tensor

from alignment.procrustes import angular_distance, singular_values


def noise(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def rotation(p: int) -> Tensor:
    return torch.linalg.qr(noise(p, p, seed=9)).Q


@pytest.mark.parametrize("p", [3, 8, 20])
def test_scipys_disparity_is_the_squared_sine(p: int) -> None:
    x, y = noise(12, p), noise(12, p) + noise(12, p, seed=1)
    _, _, disparity = procrustes(x.numpy(), y.numpy())
    assert angular_distance(x, y).sin().square().item() == pytest.approx(disparity, abs=1e-12)


def test_the_squared_distance_is_that_of_the_best_rotation() -> None:
    x, y = (w / w.norm() for w in (m - m.mean(0) for m in (noise(15, 4), noise(15, 4, seed=1))))
    u, _, v = torch.linalg.svd(y.T @ x)
    best = (x - y @ (u @ v)).square().sum().item()
    assert 2 - 2 * angular_distance(x, y).cos().item() == pytest.approx(best, abs=1e-12)
    assert best < (x - y @ rotation(4)).square().sum().item()


@pytest.mark.parametrize("n", [5, 30])
def test_rotation_scale_and_shift_change_nothing(n: int) -> None:
    x, y = noise(n, 6), noise(n, 4, seed=1)
    expected = angular_distance(x, y)
    torch.testing.assert_close(
        angular_distance(3 * x @ rotation(6) + 2, y), expected, rtol=0, atol=1e-12
    )
    torch.testing.assert_close(angular_distance(y, x), expected, rtol=0, atol=1e-12)
    assert angular_distance(x, 2 * x @ rotation(6) - 1).item() == pytest.approx(0, abs=1e-6)
    assert angular_distance(x, torch.cat([x, 0 * x], 1)).item() == pytest.approx(0, abs=1e-6)


def test_the_angle_is_a_metric() -> None:
    x, y, z = noise(20, 9, 3), noise(20, 9, 5, seed=1), noise(20, 9, 4, seed=2)
    there = angular_distance(x, y) + angular_distance(y, z)
    assert (there >= angular_distance(x, z)).all()
    assert (there <= torch.pi).all()


def test_shapes_with_nothing_in_common_are_a_right_angle_apart() -> None:
    x, y = torch.linalg.qr(noise(9, 5) - noise(9, 5).mean(0)).Q.split([2, 3], -1)
    assert angular_distance(x, y).item() == pytest.approx(torch.pi / 2)


def test_leading_axes_are_batches_that_broadcast() -> None:
    x, y = noise(3, 1, 9, 4), noise(2, 9, 15, seed=1)
    got = angular_distance(x, y)
    assert got.shape == (3, 2)
    for i in range(3):
        for j in range(2):
            torch.testing.assert_close(
                got[i, j], angular_distance(x[i, 0], y[j]), rtol=0, atol=1e-12
            )


@pytest.mark.parametrize("p", [4, 12])
@pytest.mark.parametrize("value", [0.0, 0.1, torch.nan, torch.inf])
def test_undefined_input_is_not_a_number(p: int, value: float) -> None:
    x = noise(2, 9, p)
    x[0] = value
    assert angular_distance(x, noise(9, 3)).isnan().tolist() == [True, False]
    x[1, 3, 2] = torch.nan
    assert angular_distance(noise(9, 3), x).isnan().all()


@pytest.mark.parametrize("scale", [1e-25, 1e25])
def test_single_precision_is_kept_and_suffices_in_any_unit(scale: float) -> None:
    x, y = noise(9, 4), noise(9, 3, seed=1)
    got = angular_distance(x.float() * scale, y.float())
    assert got.dtype == torch.float32
    assert got.item() == pytest.approx(angular_distance(x, y).item(), abs=1e-5)


def test_a_different_number_of_rows_is_an_error() -> None:
    with pytest.raises(ValueError, match="9 and 8 rows"):
        angular_distance(noise(9, 4), noise(8, 4))


def test_singular_values_of_what_is_not_finite_are_not_numbers() -> None:
    x = noise(2, 4, 3)
    x[0, 1, 1] = torch.nan
    found = singular_values(x)
    assert found[0].isnan().all()
    torch.testing.assert_close(found[1].square().sum().sqrt(), x[1].norm())
