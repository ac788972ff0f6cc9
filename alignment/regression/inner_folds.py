"""Layer and penalty chosen together on inner folds (Pepino et al. 2025)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alignment.inference import positive_r2
from alignment.regression.split_ridge import SplitRidge, gram

ALPHAS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 50.0)
LOWEST, HIGHEST = 1e-49, 1e50
LEAST_GAIN = 1e-12
"""Less is rounding: the grid stops growing."""


@dataclass(frozen=True)
class InnerChoice:
    """Predictions of all rows, each by models that never saw its fold.

    Attributes
    ----------
    prediction : tensor of shape (n, v)
    layer : tensor of shape (folds, v)
        Layer that the inner folds chose for each outer fold and target.
    alpha : tensor of shape (folds, v)
    """

    prediction: Float[Tensor, "n v"]
    layer: Int[Tensor, "folds v"]
    alpha: Float[Tensor, "folds v"]


def nested_ridge(
    layers: Sequence[Float[Tensor, "n _"]],
    y: Float[Tensor, "n v"],
    folds: Int[Tensor, " n"],
    alphas: Sequence[float] = ALPHAS,
    chunk: int = 2048,
) -> InnerChoice:
    """Ridge over outer folds; layer and penalty of every target by its inner predictions.

    For an outer fold, each of the other folds in turn is predicted from the rest, with every
    layer and penalty; the pair with the largest squared positive correlation over all inner
    predictions is taken. Where its penalty is the smallest (largest) of the grid, half (twice)
    of it is tried for that layer, as long as it is better. The model is then fitted to all
    folds but the outer one. Centred, not scaled; constant predictions count as 0.

    The training rows of (outer f, inner g) and of (outer g, inner f) are the same: one
    decomposition serves both.

    Parameters
    ----------
    layers : sequence of tensors of shape (n, p)
    y : tensor of shape (n, v)
    folds : tensor of shape (n,)
        Equally large folds.
    chunk : int
        Targets held at once.
    """
    names = folds.unique().tolist()
    if len(names) < 3:
        raise ValueError(f"{len(names)} folds: inner folds need at least three")
    rows = [(folds == f).nonzero().flatten() for f in names]
    if len({len(row) for row in rows}) > 1:
        raise ValueError(f"folds of {[len(row) for row in rows]} rows, expected equal sizes")
    models = [_Layer.of(gram(x), rows) for x in layers]
    pieces = [slice(i, min(i + chunk, y.shape[1])) for i in range(0, y.shape[1], chunk)]
    parts = [_choose(models, y[:, piece].double(), rows, alphas) for piece in pieces]
    return InnerChoice(
        torch.cat([part.prediction for part in parts], 1).to(y.dtype),
        torch.cat([part.layer for part in parts], 1),
        torch.cat([part.alpha for part in parts], 1).to(y.dtype),
    )


@dataclass(frozen=True)
class _Layer:
    """One layer's decompositions: without one fold, and without each pair of folds."""

    outer: SplitRidge
    inner: SplitRidge
    place: dict[tuple[int, int], int]

    @classmethod
    def of(cls, kernel: Tensor, rows: list[Tensor]) -> _Layer:
        count = len(rows)
        pairs = [(f, g) for f in range(count) for g in range(f + 1, count)]

        def without(*left: int) -> Tensor:
            return torch.cat([rows[h] for h in range(count) if h not in left])

        outer = SplitRidge.of(
            kernel, torch.stack([without(f) for f in range(count)]), torch.stack(rows)
        )
        inner = SplitRidge.of(
            kernel,
            torch.stack([without(*pair) for pair in pairs]),
            torch.stack([torch.cat([rows[f], rows[g]]) for f, g in pairs]),
        )
        return cls(outer, inner, {pair: i for i, pair in enumerate(pairs)})


def _choose(
    models: list[_Layer], y: Tensor, rows: list[Tensor], alphas: Sequence[float]
) -> InnerChoice:
    size, count = len(rows[0]), len(rows)
    prediction = torch.empty_like(y)
    rotated = [[m.inner.rotate(y, i) for i in range(len(m.inner.s))] for m in models]
    layers, penalties = [], []
    for f in range(count):
        others = [g for g in range(count) if g != f]
        truth = torch.cat([y[rows[g]] for g in others])

        def inner_r2(
            layer: int,
            alpha: Tensor,
            which: Tensor | slice,
            f: int = f,
            others: list[int] = others,
            truth: Tensor = truth,
        ) -> Tensor:
            """Score of the inner predictions of some targets by one layer."""
            model, found = models[layer], []
            for g in others:
                split = model.place[min(f, g), max(f, g)]
                v, mean = rotated[layer][split]
                both = model.inner.predict(v[:, which], mean[:, which], alpha, split)
                found.append(both[:size] if g < f else both[size:])
            return positive_r2(torch.cat(found), truth[:, which])

        layer, alpha = _search(inner_r2, len(models), y.shape[1], alphas, y)
        for number, model in enumerate(models):
            mine = (layer == number).nonzero().flatten()
            if len(mine):
                v, mean = model.outer.rotate(y[:, mine], f)
                fitted = model.outer.predict(v, mean, alpha[mine], f)
                prediction[rows[f][:, None], mine] = fitted
        layers.append(layer)
        penalties.append(alpha)
    return InnerChoice(prediction, torch.stack(layers), torch.stack(penalties))


def _search(score, layers: int, targets: int, alphas: Sequence[float], like: Tensor):  # type: ignore[no-untyped-def]
    """Best layer and penalty of every target; the grid grows where its edge is best."""
    best = like.new_full((targets,), -1.0)
    layer = torch.zeros(targets, dtype=torch.long, device=like.device)
    alpha = like.new_zeros(targets)
    for value in alphas:
        for number in range(layers):
            r2 = score(number, like.new_full((targets,), value), slice(None))
            better = r2 > best
            best = torch.where(better, r2, best)
            layer = torch.where(better, number, layer)
            alpha = torch.where(better, value, alpha)
    for edge, factor in ((min(alphas), 0.5), (max(alphas), 2.0)):
        active = (alpha == edge).nonzero().flatten()
        while len(active):
            tried = alpha[active] * factor
            inside = (tried >= LOWEST) & (tried <= HIGHEST)
            active, tried = active[inside], tried[inside]
            kept = []
            for number in layer[active].unique().tolist():
                mine = layer[active] == number
                which, wanted = active[mine], tried[mine]
                r2 = score(number, wanted, which)
                better = r2 > best[which] + LEAST_GAIN
                best[which[better]] = r2[better]
                alpha[which[better]] = wanted[better]
                kept.append(which[better])
            active = torch.cat(kept) if kept else active[:0]
    return layer, alpha
