"""Centred kernel alignment: closed forms, invariances, null and undefined input."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from alignment.cka import linear_cka, rbf_cka
from alignment.kernels import paired, unit

FORMS = [
    pytest.param(partial(cka, debiased=debiased), id=f"{cka.__name__}-{debiased}")
    for cka in (linear_cka, rbf_cka)
    for debiased in (True, False)
]
DEBIASED = FORMS[::2]


def noise(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def rotation(p: int) -> Tensor:
    return torch.linalg.qr(noise(p, p, seed=9)).Q


def related(seed: int = 0) -> tuple[Tensor, Tensor]:
    x = noise(30, 6, seed=seed)
    return x, x[:, :4] + noise(30, 4, seed=seed + 50)


def test_the_biased_linear_form_is_a_ratio_of_norms() -> None:
    x, y = related()
    x_, y_ = x - x.mean(0), y - y.mean(0)
    expected = (x_.T @ y_).norm() ** 2 / ((x_.T @ x_).norm() * (y_.T @ y_).norm())
    assert linear_cka(x, y, debiased=False).item() == pytest.approx(expected.item(), abs=1e-12)


@pytest.mark.parametrize("cka", FORMS)
def test_rotation_scale_and_shift_change_nothing(cka: Callable) -> None:
    x, y = related()
    expected = cka(x, y)
    torch.testing.assert_close(cka(3 * x @ rotation(6) + 2, y), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(cka(x, 0.1 * y @ rotation(4) - 5), expected, rtol=0, atol=1e-12)
    assert not torch.allclose(cka(x @ noise(6, 6), y), expected, rtol=0, atol=1e-3)


@pytest.mark.parametrize("cka", FORMS)
def test_a_matrix_is_like_itself_and_order_does_not_matter(cka: Callable) -> None:
    x, y = related()
    assert cka(x, x).item() == pytest.approx(1, abs=1e-12)
    torch.testing.assert_close(cka(x, y), cka(y, x), rtol=0, atol=1e-13)
    assert 0.1 < cka(x, y).item() < 0.95


@pytest.mark.parametrize("debiased", [True, False])
def test_the_gaussian_kernel_tends_to_the_linear_one(debiased: bool) -> None:
    x, y = related()
    linear = linear_cka(x, y, debiased)
    gaps = [(rbf_cka(x, y, s, debiased) - linear).abs().item() for s in (1.0, 10.0, 100.0)]
    assert gaps[1] < gaps[0]
    assert gaps[2] == pytest.approx(gaps[1] / 100, rel=0.1)
    assert gaps[2] < 1e-4


@pytest.mark.parametrize("cka", DEBIASED)
@pytest.mark.parametrize("shape", [(4, 3, 2), (12, 30, 2), (25, 3, 60), (60, 40, 20)])
@pytest.mark.parametrize("seed", [0, 1])
def test_independent_data_score_zero(cka: Callable, shape: tuple[int, int, int], seed: int) -> None:
    n, p, q = shape
    values = cka(noise(300, n, p, seed=seed), noise(300, n, q, seed=seed + 100))
    assert abs(values.mean()) < 3 * values.std() / 300**0.5
    assert (values < 0).any()


def test_the_bias_is_the_measured_one() -> None:
    x, y = noise(40, 60, 40), noise(40, 60, 20, seed=1)
    assert linear_cka(x, y, debiased=False).mean().item() == pytest.approx(0.31, abs=0.01)
    assert linear_cka(x, y).mean().item() == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize("cka", FORMS)
def test_leading_axes_are_batches_that_broadcast(cka: Callable) -> None:
    x, y = noise(3, 1, 9, 4), noise(2, 9, 5, seed=1)
    got = cka(x, y)
    assert got.shape == (3, 2)
    for i in range(3):
        for j in range(2):
            torch.testing.assert_close(got[i, j], cka(x[i, 0], y[j]), rtol=0, atol=1e-13)


@pytest.mark.parametrize("cka", FORMS)
@pytest.mark.parametrize("value", [0.0, 0.1, torch.nan, torch.inf])
def test_undefined_input_is_not_a_number_and_spoils_no_other(cka: Callable, value: float) -> None:
    x, y = noise(2, 9, 4), noise(9, 3, seed=1)
    expected = cka(x, y)
    broken = x.clone()
    broken[0] = value
    for got in (cka(broken, y), cka(y, broken)):
        assert got[0].isnan()
        torch.testing.assert_close(got[1], expected[1], rtol=0, atol=1e-13)
    x[0, 2, 1] = torch.nan
    assert cka(x, y).isnan().tolist() == [True, False]


@pytest.mark.parametrize("cka", FORMS)
@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_debiasing_takes_four_rows(cka: partial, n: int) -> None:
    defined = n > 3 if cka.keywords["debiased"] else n > 1
    assert cka(noise(n, 4), noise(n, 3, seed=1)).isnan().item() is not defined


@pytest.mark.parametrize("cka", FORMS)
@pytest.mark.parametrize("scale", [1e-9, 1e9])
def test_single_precision_is_kept_and_suffices_in_any_unit(cka: Callable, scale: float) -> None:
    x, y = related()
    got = cka(x.float() * scale, y.float() / scale)
    assert got.dtype == torch.float32
    assert got.item() == pytest.approx(cka(x, y).item(), abs=1e-5)


@pytest.mark.parametrize("cka", FORMS)
def test_a_different_number_of_rows_is_an_error(cka: Callable) -> None:
    with pytest.raises(ValueError, match="9 and 8 rows"):
        cka(noise(9, 4), noise(8, 4))


def test_pairing_fills_only_what_does_not_vary() -> None:
    x = torch.stack([noise(4, 2), noise(1, 2).expand(4, 2)])
    filled, same = paired(x, noise(4, 2))
    assert filled.isnan().all((-2, -1)).tolist() == [False, True]
    assert torch.equal(same, noise(4, 2))


def test_rounding_is_not_a_signal() -> None:
    whole = noise(5, 5)
    assert unit(whole * 1e-16, whole).isnan().all()
    assert unit(whole * 1e-10, whole).norm().item() == pytest.approx(1)
