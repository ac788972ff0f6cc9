"""What scores are reported with."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from alignment.inference import (
    bootstrap_ci,
    crossed_interval,
    crossed_p,
    mean_interval,
    percentile_interval,
    positive_r2,
)
from bench.intervals import coverage


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def test_r2_is_the_square_of_scipys_correlation() -> None:
    response = noise(30, 8)
    prediction = response + noise(30, 8, seed=1) * torch.arange(8)
    for got, p, y in zip(positive_r2(prediction, response), prediction.T, response.T, strict=True):
        assert got.item() == pytest.approx(stats.pearsonr(p, y).statistic.clip(0) ** 2)


def test_the_response_itself_scores_one_whatever_its_unit() -> None:
    response = noise(20, 3)
    torch.testing.assert_close(positive_r2(response, response), torch.ones(3, dtype=torch.float64))
    scaled = 3 * response + 7
    torch.testing.assert_close(positive_r2(scaled, response), torch.ones(3, dtype=torch.float64))


def test_a_negative_correlation_scores_zero() -> None:
    response = noise(20, 3)
    assert positive_r2(-response, response).tolist() == [0, 0, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_middle_of_draws_is_numpys(dtype: torch.dtype) -> None:
    draws = noise(501).to(dtype)
    expected = np.percentile(draws.double().numpy(), [2.5, 97.5])
    assert percentile_interval(draws) == pytest.approx(tuple(expected), abs=1e-6)


@pytest.mark.parametrize("value", [0.0, 0.1, 1e6, 1e-6])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_constant_side_scores_zero(value: float, dtype: torch.dtype) -> None:
    response = noise(7, 4).to(dtype)
    constant = torch.full((7, 4), value, dtype=dtype)
    for scores in (positive_r2(constant, response), positive_r2(response, constant)):
        assert scores.tolist() == [0, 0, 0, 0]
    assert positive_r2(constant, constant).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("level", [0.68, 0.95, 0.99])
def test_the_interval_is_scipys(level: float) -> None:
    values = noise(6) + 2
    sem = stats.sem(values.numpy())
    expected = stats.t.interval(level, 5, loc=values.numpy().mean(), scale=sem)
    assert mean_interval(values, level) == pytest.approx(expected)


def test_the_interval_holds_the_true_mean_as_often_as_it_says() -> None:
    held = [low < 0 < high for low, high in (mean_interval(noise(5, seed=s)) for s in range(400))]
    assert np.mean(held) == pytest.approx(0.95, abs=0.03)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_values_have_no_interval(n: int) -> None:
    assert mean_interval(noise(n)) == (None, None)


def test_the_bootstrap_interval_is_scipys() -> None:
    values = noise(20) + 2
    expected = stats.bootstrap((values.numpy(),), np.mean, method="percentile", rng=0)
    assert bootstrap_ci(values) == pytest.approx(tuple(expected.confidence_interval), abs=0.03)
    assert bootstrap_ci(values) == bootstrap_ci(values)
    low, high = bootstrap_ci(values, level=0.5)
    assert bootstrap_ci(values)[0] < low < high < bootstrap_ci(values)[1]


@pytest.mark.long
def test_values_of_a_unit_are_drawn_together() -> None:
    own = noise(30, seed=1)
    copies, unit = own.repeat_interleave(10), torch.arange(30).repeat_interleave(10)
    # Ten copies of a value say no more than the value; taken as independent they would.
    assert bootstrap_ci(copies, groups=unit + 7) == pytest.approx(bootstrap_ci(own))
    low, high = bootstrap_ci(copies)
    assert high - low < 0.5 * (bootstrap_ci(own)[1] - bootstrap_ci(own)[0])
    sizes = torch.arange(len(own)) % 3 + 1
    groups = torch.arange(len(own)).repeat_interleave(sizes)
    values = own[groups] + 0.1 * noise(len(groups), seed=2)
    draw = np.random.default_rng(0)
    means = []
    for _ in range(4000):
        chosen = draw.integers(0, len(own), len(own))
        means.append(np.concatenate([values[groups == g] for g in chosen]).mean())
    assert bootstrap_ci(values, groups=groups) == pytest.approx(
        tuple(np.quantile(means, [0.025, 0.975])), abs=0.02
    )
    assert bootstrap_ci(values, groups=torch.zeros_like(groups)) == (None, None)


@pytest.mark.parametrize("n", [0, 1])
def test_fewer_than_two_units_cannot_be_drawn_from(n: int) -> None:
    assert bootstrap_ci(noise(n)) == (None, None)


def test_the_interval_of_groups_is_that_of_their_means_where_they_are_equally_large() -> None:
    values, groups = noise(24), torch.arange(24) % 6
    means = torch.stack([values[groups == g].mean() for g in range(6)])
    assert mean_interval(values, groups=groups) == pytest.approx(mean_interval(means))
    plain = stats.t.interval(0.95, 23, values.mean().item(), stats.sem(values.numpy()))
    assert mean_interval(values) == pytest.approx(plain)
    assert mean_interval(values, groups=torch.zeros(24).long()) == (None, None)


def test_crossed_units_are_those_of_the_analysis_of_variance() -> None:
    """Equally many of each: variances of people, of sentences and of single values."""
    values = noise(12, 5) + 2 * noise(12, 1, seed=1) + noise(1, 5, seed=2)
    low, high = crossed_interval(values, torch.arange(12))
    assert low is not None
    assert high is not None
    people = values.mean(0).var() / 5
    sentences = values.mean(1).var() / 12
    single = values.var() / 60
    variance = max(people + sentences - single, people, sentences)
    half = stats.t.ppf(0.975, 4) * float(variance) ** 0.5
    assert (high - low) / 2 == pytest.approx(half)
    assert (high + low) / 2 == pytest.approx(float(values.mean()))
    twice = values.repeat_interleave(2, 0)
    same = crossed_interval(twice, torch.arange(12).repeat_interleave(2))
    assert (same[0], same[1]) == pytest.approx((low, high), rel=0.02)
    assert crossed_interval(values[:, :1], torch.arange(12)) == (None, None)


@pytest.mark.long
@pytest.mark.parametrize("people", [3, 10])
@pytest.mark.parametrize("case", [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0)])
def test_intervals_for_people_and_sentences_hold_the_truth(
    people: int, case: tuple[float, float]
) -> None:
    assert coverage(people, case, 400)[2] > 0.92


def test_the_p_of_one_subject_is_scipys_over_sentences() -> None:
    values, sentences = noise(30, 1) + 0.2, torch.arange(30)
    expected = stats.ttest_1samp(values[:, 0].numpy(), 0, alternative="greater").pvalue
    assert crossed_p(values, sentences) == pytest.approx(expected)


def test_the_p_of_several_subjects_agrees_with_their_interval() -> None:
    values, sentences = noise(12, 5) + 0.3, torch.arange(12)
    low, _ = crossed_interval(values, sentences)
    assert low is not None
    assert crossed_p(values - low, sentences) == pytest.approx(0.025)
    assert crossed_p(values - values.mean(), sentences) == pytest.approx(0.5)


def test_nothing_is_found_where_nothing_varies() -> None:
    assert crossed_p(torch.zeros(12, 5), torch.arange(12)) == 1
    assert crossed_p(torch.ones(1, 1), torch.arange(1)) == 1
