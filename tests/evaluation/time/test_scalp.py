"""Alignment by electrode: the planted place is found, and nothing in noise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from evaluation.rows import Score
from evaluation.time.scalp import neighbours
from tests.evaluation.people import benchmark, codes, layers_of, people

ONE = {"lags": (0.0, 0.3)}


def maps(snr: float, subjects: int, near: int | None, metric: str = "cka_debiased") -> tuple:
    """Rows of the map; electrodes far from ``near`` hold noise alone."""
    heard, noise = people(snr, subjects), people(0.0, subjects)
    assert heard.positions is not None
    away = (heard.positions - heard.positions[near or 0]).norm(dim=1)
    if near is not None:
        mine = away < 0.05
        values = zip(heard.values, noise.values, strict=True)
        heard = replace(heard, values=tuple(torch.where(mine, a, b) for a, b in values))
    features = layers_of(shallow=codes(2), planted=codes(1))
    options: dict[str, Any] = {**ONE, "metrics": {"map": [metric]}}
    rows = benchmark(heard, **options).score(features)
    return rows, away, heard


def column(rows: list[Score], metric: str, field: str) -> np.ndarray:
    return np.array([getattr(row, field) for row in rows if row.metric == metric])


@pytest.mark.long
@pytest.mark.parametrize("subjects", [1, 6])
def test_the_place_is_found(subjects: int) -> None:
    rows, away, heard = maps(1.0, subjects, near=4)
    found = column(rows, "excess_map_cka_debiased", "value")
    assert [r.target for r in rows if r.metric == "map_cka_debiased"] == [*heard.channels]
    assert away[int(found.argmax())] < 0.05
    assert np.corrcoef(found, (away < 0.05).numpy())[0, 1] > 0.8
    p = column(rows, "map_cka_debiased", "p")
    assert (p[(away < 0.05).numpy()] <= 0.05).mean() > 0.5
    assert (p[(away > 0.08).numpy()] > 0.05).all()
    clusters = column(rows, "excess_map_cka_debiased", "p")
    if subjects == 1:
        assert (clusters == p).all()
    else:
        assert clusters[int(found.argmax())] < 0.05
        assert (clusters[(away > 0.08).numpy()] > 0.05).mean() > 0.9


@pytest.mark.long
@pytest.mark.parametrize("metric", ["rsa_spearman", "cka_debiased"])
def test_nothing_is_found_in_noise(metric: str) -> None:
    rows, _, heard = maps(0.0, 1, near=None, metric=metric)
    p = column(rows, f"map_{metric}", "p")
    assert len(p) == len(heard.channels)
    assert p.min() > 0.05
    excess = column(rows, f"excess_map_{metric}", "value")
    assert abs(excess.mean()) < 3 * excess.std() / np.sqrt(len(excess)) + 0.01


def test_neighbours_lie_side_by_side() -> None:
    heard = people(0.0, 1)
    assert heard.positions is not None
    found = neighbours(heard)
    apart = (heard.positions[:, None] - heard.positions).norm(dim=-1)
    assert torch.equal(found, found.T)
    assert apart[found & (apart > 0)].mean() < 0.6 * apart[~found].mean()


def test_electrodes_without_places_have_no_map() -> None:
    with pytest.raises(ValueError, match="electrodes have no positions"):
        benchmark(replace(people(0.5, 1), positions=None), metrics={"map": ["cka"]})
