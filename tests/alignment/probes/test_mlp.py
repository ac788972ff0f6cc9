"""Probes trained together: those trained alone by torch.nn, the planted layer, chance, the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from alignment.probes.grid import Budget, Member, Setting, Split, grid
from alignment.probes.mlp import (
    accuracy_of_logits,
    fit_probes,
    precision_of_logits,
    search_grid,
)
from alignment.probes.training import Probe
from tests.alignment.plain_probe import train_plainly

CLASSES, LAYERS, DIM = 4, 3, 12
SMALL = grid(((16,), (16, 16)))
BUDGET = Budget(epochs=14, patience=3, batch_size=32)


def task(
    n: int = 150, noise: float = 1.5, layer: int = 1, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Rows of noise in every layer; one of them also tells the class."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(CLASSES, (n,), generator=draw)
    x = torch.randn(n, LAYERS, DIM, generator=draw, dtype=torch.float64)
    centres = torch.randn(CLASSES, DIM, generator=draw, dtype=torch.float64)
    x[:, layer] = centres[labels] + noise * x[:, layer]
    return x.to(dtype), labels


def multilabel(n: int = 150) -> tuple[Tensor, Tensor]:
    x, labels = task(n)
    onehot = torch.nn.functional.one_hot(labels, CLASSES)
    return x, (onehot + onehot.roll(1, 0)).clamp(max=1).to(x)


def folds(n: int = 150, count: int = 3) -> list[Split]:
    """Validation on one fold after the other, training on the rest; sizes differ."""
    fold = torch.arange(n + 1)[:n] * count // (n + 1)
    return [Split((fold != k).nonzero()[:, 0], (fold == k).nonzero()[:, 0]) for k in range(count)]


@pytest.mark.long
@pytest.mark.parametrize("layer", [None, 1])
@pytest.mark.parametrize("kind", ["multiclass", "multilabel"])
@pytest.mark.parametrize("batch_size", [32, 1024])
def test_the_stack_equals_members_trained_alone_by_torch(
    layer: int | None, kind: str, batch_size: int
) -> None:
    x, targets = task() if kind == "multiclass" else multilabel()
    score = accuracy_of_logits if kind == "multiclass" else precision_of_logits
    splits, budget = folds(), replace(BUDGET, batch_size=batch_size)
    settings = (*SMALL[:2], SMALL[5], *SMALL[8:10], SMALL[13])
    members = [Member(s, k, seed, layer) for s in settings for k, seed in ((0, 1), (1, 0))]
    probes = fit_probes(x, targets, splits, members, CLASSES, budget, standardise=False)
    assert len({probe.epochs for probe in probes}) > 3
    for probe, member in zip(probes, members, strict=True):
        plain, top, best, last = train_plainly(
            x, targets, splits[member.split], member, CLASSES, budget, score
        )
        assert probe.member == member
        assert (probe.best_epoch, probe.epochs) == (best, last)
        assert probe.valid == pytest.approx(top, abs=1e-9)
        with torch.no_grad():
            torch.testing.assert_close(probe.logits(x), plain(x), rtol=1e-4, atol=1e-4)


def outcome(probe: Probe, x: Tensor) -> tuple[Tensor, tuple[float, int, int]]:
    return probe.logits(x), (probe.valid, probe.best_epoch, probe.epochs)


@pytest.mark.long
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("layer", [None, 2])
def test_a_member_alone_is_the_same_as_among_others(dtype: torch.dtype, layer: int | None) -> None:
    x, labels = task(dtype=dtype)
    members = [Member(s, k, 10 * k, layer) for s in SMALL for k in range(3)]
    members += [Member(SMALL[0], 0, 7, other) for other in range(LAYERS)]
    budget = replace(BUDGET, epochs=8)
    together = fit_probes(x, labels, folds(), members, CLASSES, budget, chunk=30)
    for i in (0, 29, 47, 49):
        (alone,) = fit_probes(x, labels, folds(), [members[i]], CLASSES, budget)
        expected, numbers = outcome(alone, x)
        got, same = outcome(together[i], x)
        assert same == numbers
        tolerance = 1e-8 if dtype == torch.float64 else 1e-3
        torch.testing.assert_close(got, expected, rtol=0, atol=tolerance)


@pytest.mark.long
def test_chunks_change_nothing_and_seeds_do() -> None:
    x, labels = task()
    members = [Member(s, 0, seed) for s in SMALL[:3] for seed in (0, 1)]
    whole, parts = (
        fit_probes(x, labels, folds(), members, CLASSES, BUDGET, chunk=c) for c in (16, 1)
    )
    for a, b in zip(whole, parts, strict=True):
        torch.testing.assert_close(a.logits(x), b.logits(x))
    assert not torch.allclose(whole[0].logits(x), whole[1].logits(x), atol=0.1)


@pytest.mark.long
def test_the_global_random_state_is_not_touched() -> None:
    x, labels = task()
    before = torch.get_rng_state()
    first, second = (
        fit_probes(x, labels, folds(), [Member(SMALL[0])], CLASSES, BUDGET) for _ in range(2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(first[0].logits(x), second[0].logits(x))


@pytest.mark.long
@pytest.mark.parametrize("planted", range(LAYERS))
def test_the_planted_layer_gets_the_largest_weight(planted: int) -> None:
    x, labels = task(400, noise=1.0, layer=planted, dtype=torch.float32)
    members = [Member(Setting(3e-3, (32,)), 0, seed) for seed in range(3)]
    budget = Budget(epochs=60, patience=60, batch_size=64)
    for probe in fit_probes(x, labels, folds(400), members, CLASSES, budget):
        assert probe.weights.argmax() == planted
        assert probe.weights[planted] > 0.5
        assert probe.weights.sum().item() == pytest.approx(1)


@pytest.mark.long
def test_only_the_planted_layer_tells_the_class_and_shuffled_labels_do_not() -> None:
    x, labels = task(900, noise=0.5, dtype=torch.float32)
    split = Split(torch.arange(400), torch.arange(400, 500))
    members = [Member(Setting(1e-3, (32,)), 0, seed, layer) for layer in (0, 1) for seed in (0, 1)]
    shuffled = labels[torch.randperm(900, generator=torch.Generator().manual_seed(3))]

    def right(labels: Tensor) -> list[float]:
        probes = fit_probes(x, labels, [split], members, CLASSES, BUDGET)
        scores = [accuracy_of_logits(p.logits(x[500:]).T[None], labels[500:]) for p in probes]
        return [score.item() for score in scores]

    noise, *_, told = right(labels)
    assert told > 0.95
    assert noise == pytest.approx(1 / CLASSES, abs=0.08)
    assert right(shuffled) == pytest.approx([1 / CLASSES] * 4, abs=0.08)


def scripted(values: Callable[[int, Tensor], Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """A validation score that knows only how often it was asked."""
    asked = [0]

    def score(logits: Tensor, targets: Tensor) -> Tensor:
        asked[0] += 1
        return values(asked[0], logits)

    return score


@pytest.mark.long
@pytest.mark.parametrize("every", [1, 3])
def test_training_stops_after_patience_and_keeps_the_best(every: int) -> None:
    x, labels = task()
    budget = Budget(epochs=100, patience=5, check_every=every, batch_size=32)
    peak = scripted(lambda t, logits: torch.full((len(logits),), -abs(t - 4.0)))
    (probe,) = fit_probes(x, labels, folds(), [Member(SMALL[0])], CLASSES, budget, peak)
    assert (probe.valid, probe.best_epoch, probe.epochs) == (0, 4 * every, 9 * every)
    cut = replace(budget, epochs=4 * every)
    (short,) = fit_probes(x, labels, folds(), [Member(SMALL[0])], CLASSES, cut)
    until = scripted(lambda t, logits: torch.full((len(logits),), float(t)))
    (end,) = fit_probes(x, labels, folds(), [Member(SMALL[0])], CLASSES, cut, until)
    assert short.epochs <= 4 * every
    assert torch.equal(probe.logits(x), end.logits(x))


@pytest.mark.long
def test_a_score_that_is_never_a_number_is_told() -> None:
    x, labels = task()
    nothing = scripted(lambda _, logits: torch.full((len(logits),), float("nan")))
    (probe,) = fit_probes(x, labels, folds(), [Member(SMALL[0])], CLASSES, BUDGET, nothing)
    assert probe.valid != probe.valid
    assert (probe.best_epoch, probe.epochs) == (0, BUDGET.patience)


@pytest.mark.long
def test_a_last_batch_of_one_row_is_left_out() -> None:
    x, labels = task(97)
    split = Split(torch.arange(65), torch.arange(65, 97))
    (probe,) = fit_probes(x, labels, [split], [Member(SMALL[0])], CLASSES, BUDGET)
    assert probe.logits(x).isfinite().all()


@pytest.mark.long
def test_constant_features_do_no_harm() -> None:
    x, labels = task()
    x[:, :, 0] = 5.0
    (probe,) = fit_probes(x, labels, folds(), [Member(SMALL[0])], CLASSES, BUDGET)
    assert probe.logits(x).isfinite().all()


@pytest.mark.long
def test_units_do_not_matter_unless_standardisation_is_off() -> None:
    x, labels = task()

    def logits(x: Tensor, standardise: bool) -> Tensor:
        members = [Member(SMALL[0], layer=1)]
        found = fit_probes(x, labels, folds(), members, CLASSES, BUDGET, standardise=standardise)
        return found[0].logits(x)

    torch.testing.assert_close(logits(100 * x + 7, True), logits(x, True), rtol=1e-5, atol=1e-5)
    assert not torch.allclose(logits(x, False), logits(x, True), atol=1e-2)


def test_the_grid_is_the_papers() -> None:
    points = grid()
    assert len(set(points)) == 16
    assert {p.hidden for p in points} == {(1024,), (1024, 1024)}
    assert {p.lr for p in points} == {3.2e-3, 1e-3, 3.2e-4, 1e-4}
    assert {p.init for p in points} == {"uniform", "normal"}
    assert {p.dropout for p in points} == {0.1}


def test_errors_say_what_is_wrong() -> None:
    x, labels = task()
    members, splits = [Member(SMALL[0])], folds()
    with pytest.raises(ValueError, match="149 feature rows but 150 targets"):
        fit_probes(x[1:], labels, splits, members, CLASSES)
    with pytest.raises(ValueError, match="targets run from 0 to 3, expected 0 to 2"):
        fit_probes(x, labels, splits, members, 3)
    with pytest.raises(ValueError, match=r"shape \(150, 4\), expected \(n, 5\)"):
        fit_probes(x, multilabel()[1], splits, members, 5)
    with pytest.raises(ValueError, match="split 0 has 150 training and 0 validation rows"):
        fit_probes(x, labels, [Split(torch.arange(150), torch.arange(0))], members, CLASSES)
    x[3, 0, 0] = float("nan")
    with pytest.raises(ValueError, match="1 of 150 feature rows are not finite"):
        fit_probes(x, labels, splits, members, CLASSES)


@pytest.mark.long
def test_the_first_split_chooses_the_setting_for_all() -> None:
    x, labels = task(dtype=torch.float32)
    settings, splits = grid(((8,),), (1e-5, 1e-2), ("uniform",)), folds()
    found = search_grid(x, labels, splits, CLASSES, (None, 1), settings, 5, BUDGET)
    assert len(found) == 2
    for layer, chosen in zip((None, 1), found, strict=True):
        first = fit_probes(
            x, labels, splits, [Member(s, 0, 5, layer) for s in settings], CLASSES, BUDGET
        )
        assert chosen.valid.tolist() == pytest.approx([probe.valid for probe in first])
        assert chosen.setting == settings[int(chosen.valid.argmax())]
        places = [Member(chosen.setting, k, 5, layer) for k in range(3)]
        assert [probe.member for probe in chosen.probes] == places


@pytest.mark.long
def test_the_first_of_equal_settings_is_chosen_and_none_without_a_number() -> None:
    x, labels = task()

    def constant(value: float) -> Callable[[Tensor, Tensor], Tensor]:
        return scripted(lambda _, logits: torch.full((len(logits),), value))

    settings = SMALL[::-4]
    rest = (settings, 0, BUDGET)
    (chosen,) = search_grid(x, labels, folds(), CLASSES, (None,), *rest, constant(0.5))
    assert chosen.setting == settings[0]
    with pytest.raises(ValueError, match="no validation score of layer None"):
        search_grid(x, labels, folds(), CLASSES, (None,), *rest, constant(float("nan")))
