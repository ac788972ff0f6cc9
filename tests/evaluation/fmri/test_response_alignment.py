"""Brain alignment: nothing leaks between folds, noise scores nothing, a planted layer wins."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from alignment.ridge import crossvalidated_prediction
from alignment.rsa import zscore
from datamodules.stimuli import Provenance, ResponseSet
from evaluation.features import Features
from evaluation.fmri.response_alignment import ResponseAlignment
from evaluation.rows import Score
from tests.evaluation.toys import sounds

N, V = 60, 3
ALPHAS = torch.logspace(-6, 6, 13, dtype=torch.float64)
FOLDS = torch.arange(N) % 5
MADE = Provenance(source="made here", licence="CC0-1.0", simulated=True)


def normal(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def responses(values: Tensor, **changes: Any) -> ResponseSet:
    stimuli = sounds("made", [10] * N)
    targets = tuple(f"target{i}" for i in range(values.shape[1]))
    return replace(ResponseSet(stimuli, values, targets, FOLDS, MADE), **changes)


def scored(benchmark: ResponseAlignment, **layers: Tensor) -> list[Score]:
    return benchmark.score({name: Features(x.float()) for name, x in layers.items()})


def test_a_fold_is_predicted_without_its_own_responses() -> None:
    x, y = normal(0, N, 4), normal(1, N, V)
    before = crossvalidated_prediction(x, y, FOLDS, ALPHAS)
    changed = y.clone()
    changed[FOLDS == 2] = 1e3 * normal(2, int((FOLDS == 2).sum()), V)
    after = crossvalidated_prediction(x, changed, FOLDS, ALPHAS)
    assert torch.equal(before[FOLDS == 2], after[FOLDS == 2])
    assert not torch.allclose(before[FOLDS != 2], after[FOLDS != 2])


def test_a_leak_inside_one_fold_gives_nothing() -> None:
    # Each column gives away the responses of one fold and says nothing of the others: whoever
    # sees the fold in training scores 1.
    y = normal(3, N, V)
    leak = torch.cat([torch.where(FOLDS[:, None] == fold, y, 0) for fold in range(5)], 1)
    rows = scored(ResponseAlignment("fmri/leak", responses(y)), leak=leak)
    assert max(row.value for row in rows if row.metric == "r2") < 0.1
    torch.testing.assert_close(leak @ torch.linalg.pinv(leak) @ y, y)


def test_order_of_stimuli_and_targets_does_not_matter() -> None:
    y = normal(4, N, V)
    x = y @ normal(5, V, 6) + normal(6, N, 6)
    expected = crossvalidated_prediction(x, y, FOLDS, ALPHAS)
    rows, columns = torch.randperm(N), torch.randperm(V)
    shuffled = crossvalidated_prediction(x[rows], y[rows][:, columns], FOLDS[rows], ALPHAS)
    torch.testing.assert_close(shuffled, expected[rows][:, columns], atol=1e-8, rtol=1e-8)


def test_rows_that_do_not_match_are_counted() -> None:
    with pytest.raises(ValueError, match="59 feature rows but 60 response rows"):
        crossvalidated_prediction(normal(0, N - 1, 2), normal(1, N, V), FOLDS, ALPHAS)


def test_prediction_that_is_anticorrelated_scores_zero() -> None:
    # With no usable feature the prediction is the training mean, which is low where the fold
    # is high: the correlation is negative.
    y = FOLDS.double()[:, None] + 0.01 * normal(7, N, V)
    x = 1e-6 * normal(8, N, 3)
    prediction = crossvalidated_prediction(x, y, FOLDS, ALPHAS)
    assert torch.corrcoef(torch.stack([prediction[:, 0], y[:, 0]]))[0, 1] < -0.5
    rows = scored(ResponseAlignment("fmri/low", responses(y)), layer=x)
    assert [row.value for row in rows if row.metric == "r2"] == [0, 0, 0]


def test_planted_layer_wins_and_the_ceiling_passes_through() -> None:
    y = normal(9, N, V)
    ceiling = torch.tensor([0.9, 0.8, 0.7], dtype=torch.float64)
    benchmark = ResponseAlignment("fmri/planted", responses(y, ceiling=ceiling))
    planted = torch.cat([y, normal(10, N, 2)], 1) @ normal(11, 5, 8)
    rows = scored(benchmark, noise=normal(12, N, 8), planted=planted)
    for metric in ("r2", "rsa"):
        best = max((r for r in rows if r.metric == metric), key=lambda r: r.value)
        assert best.layer == "planted"
    r2 = [r for r in rows if r.layer == "planted" and r.metric == "r2"]
    assert [r.target for r in r2] == ["target0", "target1", "target2"]
    assert [r.ceiling for r in r2] == pytest.approx([0.9, 0.8, 0.7])
    assert min(r.value for r in r2) > 0.9
    assert all(r.simulated and r.n == N and r.benchmark == "fmri/planted" for r in rows)


def test_measured_responses_are_not_called_simulated_and_may_lack_a_ceiling() -> None:
    measured = responses(normal(13, N, V), provenance=Provenance("a laboratory", "none stated"))
    rows = scored(ResponseAlignment("fmri/measured", measured), layer=normal(14, N, 4))
    assert [r.metric for r in rows] == ["r2", "r2", "r2", "rsa"]
    assert not any(r.simulated for r in rows)
    assert {r.ceiling for r in rows} == {None}


def test_similarity_is_of_geometry_not_of_scale_or_rotation() -> None:
    y = normal(15, N, 5)
    benchmark = ResponseAlignment("fmri/geometry", responses(y))
    rows = scored(benchmark, same=y, scaled=3 * y + 7, shuffled=y[torch.randperm(N)])
    rsa = {r.layer: r.value for r in rows if r.metric == "rsa"}
    assert rsa["same"] == pytest.approx(1, abs=1e-6)
    assert rsa["scaled"] == pytest.approx(1, abs=1e-6)
    assert abs(rsa["shuffled"]) < 0.15


def test_features_that_are_constant_are_said_to_have_no_similarity() -> None:
    benchmark = ResponseAlignment("fmri/flat", responses(normal(16, N, V)))
    with pytest.raises(ValueError, match="fmri/flat: rsa of layer flat is nan"):
        scored(benchmark, flat=torch.ones(N, 4))


def test_zscore_is_of_the_population() -> None:
    x = normal(17, N, 4)
    z = zscore(3 * x + 5)
    torch.testing.assert_close(z.mean(0), torch.zeros(4, dtype=torch.float64), atol=1e-9, rtol=0)
    torch.testing.assert_close(z.square().mean(0), torch.ones(4, dtype=torch.float64))
    assert zscore(torch.ones(5, 2)).eq(0).all()


def test_responses_that_cannot_be_compared_are_refused_with_the_mend() -> None:
    with pytest.raises(ValueError, match=r"2 targets, .* write metrics: \[r2\] into its yaml"):
        ResponseAlignment("fmri/two", responses(normal(0, N, 2)))
    with pytest.raises(TypeError, match="responses are a Tensor, expected a ResponseSet"):
        ResponseAlignment("fmri/bare", normal(0, N, 3))  # type: ignore[arg-type]
