"""Null distributions of time courses: what they keep, and how often they call noise a finding."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor

from alignment.nulls import (
    NullTest,
    circular_shift,
    draw_shifts,
    label_shuffle,
    phase_scramble,
)
from alignment.rsa import compare, rdm
from tests.alignment.test_inference import noise

DRAWS = 19  # the least with which p can be .05


def series(seed: int, rows: int = 100, channels: int = 20) -> Tensor:
    """A smoothed autoregressive series of correlated channels."""
    innovations = noise(rows + 30, 6, seed=seed) @ noise(6, channels, seed=seed + 1)
    innovations = innovations + noise(rows + 30, channels, seed=seed + 2)
    x = [innovations[0]]
    for step in innovations[1:]:
        x.append(0.5 * x[-1] + step)
    return torch.stack(x).unfold(0, 3, 1).mean(-1)[-rows:]


def rsa(x: Tensor, y: Tensor) -> Tensor:
    return compare(rdm(x), rdm(y))


def shifted(x: Tensor, y: Tensor, generator: torch.Generator) -> NullTest:
    return circular_shift(x, y, rsa, n=DRAWS, generator=generator)


def scrambled(x: Tensor, y: Tensor, generator: torch.Generator) -> NullTest:
    surrogates = phase_scramble(y, DRAWS, generator)
    return NullTest.upper(rsa(x, y), torch.stack([rsa(x, other) for other in surrogates]))


def shuffled(x: Tensor, y: Tensor, generator: torch.Generator) -> NullTest:
    with pytest.warns(UserWarning, match="autocorrelated"):
        return label_shuffle(x, y, rsa, n=DRAWS, generator=generator)


def false_positives(test: Callable[..., NullTest], runs: int, rows: int = 100) -> float:
    found = 0
    for run in range(runs):
        x, y = series(10 * run, rows), series(10 * run + 5, rows)
        found += bool(test(x, y, torch.Generator().manual_seed(run)).p <= 0.05)
    return found / runs


@pytest.mark.long
@pytest.mark.parametrize("test", [shifted, scrambled])
def test_unrelated_series_are_rarely_a_finding(test: Callable[..., NullTest]) -> None:
    assert false_positives(test, 60) <= 0.09


@pytest.mark.slow
@pytest.mark.parametrize("test", [shifted, scrambled])
def test_unrelated_series_are_no_finding_more_often_than_alpha(
    test: Callable[..., NullTest],
) -> None:
    assert false_positives(test, 400, rows=150) <= 0.07


@pytest.mark.long
def test_shuffled_labels_make_a_finding_of_nothing() -> None:
    assert false_positives(shuffled, 30) > 0.5


@pytest.mark.parametrize("test", [shifted, scrambled])
def test_what_is_there_is_found(test: Callable[..., NullTest]) -> None:
    x = series(0)
    found = test(x, x @ noise(20, 20, seed=5), torch.Generator().manual_seed(0))
    assert found.p == 1 / (DRAWS + 1)


def test_shifts_keep_their_distance_and_come_once() -> None:
    x, y = noise(50, 3), noise(50, 2)
    seen: list[Tensor] = []

    def statistic(x: Tensor, y: Tensor) -> Tensor:
        seen.append(y)
        return (x[:, 0] * y[:, 0]).sum()

    found = circular_shift(x, y, statistic, n=500, min_shift=20)
    assert len(found.null) == 11  # 20 … 30
    by = {next(s for s in range(50) if y.roll(s, 0).equal(other)) for other in seen[1:]}
    assert by == set(range(20, 31))
    torch.testing.assert_close(found.observed, statistic(x, y))
    larger = sum(float(value) >= float(found.observed) for value in found.null)
    assert found.p == (1 + larger) / 12


def test_shifts_are_drawn_as_asked() -> None:
    generator = torch.Generator().manual_seed(0)
    some = draw_shifts(100, 20, generator=generator)
    assert len(some.unique()) == 20
    assert (some >= 10).all()
    assert (some <= 90).all()
    again = draw_shifts(100, 20, generator=torch.Generator().manual_seed(0))
    assert again.equal(some)
    assert draw_shifts(9, 100).sort().values.tolist() == list(range(1, 9))
    many = draw_shifts(12, 500, min_shift=5, generator=generator, replace=True)
    assert len(many) == 500
    assert many.unique().tolist() == [5, 6, 7]


@pytest.mark.parametrize(("rows", "least"), [(10, 6), (10, 0), (1, None)])
def test_no_allowed_shift_is_named(rows: int, least: int | None) -> None:
    with pytest.raises(ValueError, match=f"no circular shift of {rows} rows"):
        circular_shift(noise(rows, 2), noise(rows, 2), rsa, min_shift=least)


def test_one_null_serves_many_layers() -> None:
    x, y = noise(40, 4), noise(40, 2)

    def by_column(x: Tensor, y: Tensor) -> Tensor:
        return (x * y[:, :1]).mean(0)

    found = circular_shift(x, y, by_column, n=15)
    assert found.null.shape == (15, 4)
    assert found.p.shape == (4,)


def test_an_undefined_value_is_no_finding() -> None:
    x, y = noise(30, 4), torch.ones(30, 4, dtype=torch.float64)
    found = circular_shift(x, y, rsa, n=9)
    assert found.observed.isnan()
    assert found.p == 1


@pytest.mark.parametrize("rows", [64, 75])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_scrambled_phases_keep_spectra_and_covariances(rows: int, dtype: torch.dtype) -> None:
    y = series(3, rows, 5).to(dtype) + 2
    surrogates = phase_scramble(y, 20, torch.Generator().manual_seed(0))
    assert surrogates.shape == (20, rows, 5)
    assert surrogates.dtype == dtype
    power = torch.fft.rfft(y, dim=0).abs()
    torch.testing.assert_close(
        torch.fft.rfft(surrogates, dim=1).abs(), power.expand(20, -1, -1), rtol=1e-3, atol=1e-3
    )
    centred = surrogates - surrogates.mean(1, keepdim=True)
    own = y - y.mean(0)
    torch.testing.assert_close(
        centred.mT @ centred, (own.T @ own).expand(20, 5, 5), rtol=1e-3, atol=1e-2
    )
    # They are other series, and unlike each other.
    together = torch.cat([y[None], surrogates])[..., 0].double()
    r = np.corrcoef(together.numpy())[np.triu_indices(21, 1)]
    assert np.abs(r).max() < 0.9
    assert abs(r.mean()) < 4 / math.sqrt(rows)


def test_scrambling_is_drawn_as_asked() -> None:
    y = series(0, 40, 2)
    one, other = (phase_scramble(y, 3, torch.Generator().manual_seed(s)) for s in (0, 0))
    assert one.equal(other)
    assert not phase_scramble(y, 3, torch.Generator().manual_seed(1)).allclose(one)


@pytest.mark.long
def test_shuffled_labels_warn_and_are_right_for_independent_rows() -> None:
    """At most three standard errors above .05, in 400 runs."""
    found = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(400):
            generator = torch.Generator().manual_seed(50_000 + seed)
            x, y = noise(20, 4, seed=seed), noise(20, 4, seed=9000 + seed)
            found.append(label_shuffle(x, y, rsa, 19, generator).p <= 0.05)
    assert np.mean(found) <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5
    with pytest.warns(UserWarning, match="invalid"):
        label_shuffle(noise(6, 4), noise(6, 4), rsa, 2)
