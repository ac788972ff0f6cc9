"""Forward encoding models: responses from delayed frames, every penalty chosen on other folds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import combinations

import torch
from jaxtyping import Float, Int
from torch import Tensor

FLAT = 1e-10
"""Share of its mean square below which the variance of a feature is rounding."""


@dataclass(frozen=True)
class Course:
    """Mean over sentences at every time since their onset, of k features and v targets."""

    x: Float[Tensor, "times k"]
    y: Float[Tensor, "times v"]


@dataclass(frozen=True)
class FoldSums:
    """Sums over the rows of a fold, of which row t of every sentence is of the same time.

    Attributes
    ----------
    count : tensor of shape (times,)
        Sentences that reach a time.
    x, y : tensors of shape (times, k) and (times, v)
        Sums over these sentences.
    xx, xy, yy : tensors of shape (k, k), (k, v) and (v,)
        Sums of products over all rows.
    """

    count: Float[Tensor, " times"]
    x: Float[Tensor, "times k"]
    y: Float[Tensor, "times v"]
    xx: Float[Tensor, "k k"]
    xy: Float[Tensor, "k v"]
    yy: Float[Tensor, " v"]

    @classmethod
    def of(cls, sentences: Iterable[tuple[Tensor, Tensor]], k: int, v: int, times: int) -> FoldSums:
        """Of rows (t, k) and (t, v) of every sentence, t at most ``times``; float64."""
        sizes = ((times,), (times, k), (times, v), (k, k), (k, v), (v,))
        total = cls(*(torch.zeros(size, dtype=torch.float64) for size in sizes))
        for x, y in sentences:
            total.count[: len(x)] += 1
            total.x[: len(x)] += x
            total.y[: len(x)] += y
            total.xx.addmm_(x.T, x)
            total.xy.addmm_(x.T, y)
            total.yy.add_(y.square().sum(0))
        return total

    @classmethod
    def joined(cls, parts: Sequence[FoldSums]) -> FoldSums:
        """Of several folds together."""
        names = [field.name for field in fields(cls)]
        return cls(*(torch.stack([getattr(p, name) for p in parts]).sum(0) for name in names))

    def course(self) -> Course:
        """
        Raises
        ------
        ValueError
            For a time that no sentence reaches.
        """
        if bool((self.count == 0).any()):
            missing = int((self.count == 0).nonzero()[0])
            raise ValueError(f"no training sentence reaches row {missing}: leave such rows out")
        return Course(self.x / self.count[:, None], self.y / self.count[:, None])

    def about(self, course: Course) -> tuple[Tensor, Tensor, Tensor]:
        """Sums of products xx, xy, yy of rows less a course."""
        left_x = self.x - self.count[:, None] * course.x
        left_y = self.y - self.count[:, None] * course.y
        xx = self.xx - self.x.T @ course.x - course.x.T @ left_x
        xy = self.xy - self.x.T @ course.y - course.x.T @ left_y
        yy = self.yy - (self.y * course.y + course.y * left_y).sum(0)
        return xx, xy, yy


@dataclass(frozen=True)
class HeldOutModel:
    """What predicts one fold; weights and penalties are those of the other folds.

    Attributes
    ----------
    weights : tensor of shape (k, v)
    course : Course
        Mean of the training sentences, which is no part of a prediction.
    xx : tensor of shape (k, k)
        Sums of products of the training rows about their course.
    alpha : tensor of shape (v,)
        Penalty of each target for one row.
    gamma : tensor of shape (k, v)
        What each feature's penalty was divided by; 0 where it was left out.
    explained : tensor of shape (v,)
        Share of the variance of the other folds that was explained while each was left out too,
        by the best penalty: to choose among layers without the fold that is predicted.
    """

    weights: Float[Tensor, "k v"]
    course: Course
    xx: Float[Tensor, "k k"]
    alpha: Float[Tensor, " v"]
    gamma: Float[Tensor, "k v"]
    explained: Float[Tensor, " v"]

    def predict(self, x: Float[Tensor, "*n t k"], first: int = 0) -> Float[Tensor, "*n t v"]:
        """Of rows ``first``, ``first`` + 1, …: less the mean course."""
        return (x - self.course.x[first : first + x.shape[-2]]) @ self.weights

    def lag_power(self, lags: int) -> Float[Tensor, " lags"]:
        """Squared covariances of features of variance 1 with predictions, summed at each lag.

        ``sum_j,v ((X'X w)_jv)² / (X'X)_jj``: where the features lie that the prediction follows.
        Weights themselves turn signs between neighbouring lags of slow features, and do not say
        that (Haufe et al. 2014, NeuroImage 87:96).
        """
        power = (self.xx @ self.weights).square().sum(1)
        variance = self.xx.diagonal()
        power = torch.where(variance > 0, power / variance.clamp_min(1e-300), 0.0)
        return power.unflatten(0, (lags, -1)).sum(1)


def nested_encoding(
    folds: Sequence[FoldSums],
    alphas: Float[Tensor, " a"],
    gammas: Float[Tensor, "g k"] | None = None,
) -> list[HeldOutModel]:
    """A ridge model for every fold, fitted and penalised on the others alone.

    ``min_w sum_i sum_t ||y_i[t] - b[t] - x_i[t] w||² + n alpha sum_j w_j² / gamma_j`` over the
    sentences i of the training folds, of n rows; x has a variance of 1 there. ``b[t]`` is free at
    each time since onset: what all sentences have in common at that time is credited to no
    feature. Fitting it is to take the mean course of the training sentences out of x and y.

    For the outer fold f, alpha and gamma of each target are those with the smallest squared
    error over the other folds g, each predicted without f and g (nested). What is fitted without
    f and g serves f as g. Everything is made from sums of products of folds; all alphas share
    one eigen-decomposition, of which F folds need F (F + 1) / 2 for each gamma. Banded ridge
    (Nunez-Elizalde et al. 2019, NeuroImage 197:482) has gammas that differ between bands.

    Parameters
    ----------
    folds : sequence of FoldSums
        At least three.
    alphas : tensor of shape (a,)
        Positive.
    gammas : tensor of shape (g, k), optional
        Candidates; equal within a band, 0 leaves a feature out. Default 1.

    Raises
    ------
    ValueError
        For fewer than three folds, or penalties that are not positive.
    """
    if len(folds) < 3:
        raise ValueError(f"{len(folds)} folds: penalties are chosen on other folds, give three")
    if not bool((alphas > 0).all()) or (gammas is not None and bool((gammas < 0).any())):
        raise ValueError("alphas must be positive, and gammas not negative")
    k, v = folds[0].xy.shape
    gammas = torch.ones(1, k) if gammas is None else gammas
    grid = alphas.double().sort(descending=True).values
    errors = torch.zeros(len(folds), len(gammas), len(grid), v, dtype=torch.float64)
    totals = torch.zeros(len(folds), v, dtype=torch.float64)
    for f, g in combinations(range(len(folds)), 2):
        training = _Training.of([part for i, part in enumerate(folds) if i not in (f, g)])
        held = [(f, folds[g].about(training.course)), (g, folds[f].about(training.course))]
        for outer, (_, _, yy) in held:
            totals[outer] += yy
        for number, gamma in enumerate(gammas):
            path = training.path(gamma)
            for outer, products in held:
                errors[outer, number] += path.errors(products, grid)
    models = []
    for f in range(len(folds)):
        training = _Training.of([part for i, part in enumerate(folds) if i != f])
        error, choice = errors[f].flatten(0, 1).min(0)
        explained = 1 - error / totals[f].clamp_min(1e-300)
        alpha, gamma = grid[choice % len(grid)], gammas.double()[choice // len(grid)].T
        weights = torch.zeros(k, v, dtype=torch.float64)
        for number, mine in _members(choice // len(grid)):
            weights[:, mine] = training.path(gammas[number], mine).weights(alpha[mine])
        models.append(HeldOutModel(weights, training.course, training.xx, alpha, gamma, explained))
    return models


def _members(numbers: Int[Tensor, " v"]) -> Iterator[tuple[int, Tensor]]:
    for number in numbers.unique().tolist():
        yield number, (numbers == number).nonzero().flatten()


@dataclass(frozen=True)
class _Training:
    """Products of training rows about their own course."""

    rows: float
    course: Course
    xx: Tensor
    xy: Tensor
    spread: Tensor
    varies: Tensor

    @classmethod
    def of(cls, parts: Sequence[FoldSums]) -> _Training:
        whole = FoldSums.joined(parts)
        course, rows = whole.course(), float(whole.count.sum())
        xx, xy, _ = whole.about(course)
        variance = xx.diagonal().clamp_min(0)
        varies = variance > FLAT * whole.xx.diagonal()
        return cls(rows, course, xx, xy, (variance / rows).sqrt(), varies)

    def path(self, gamma: Float[Tensor, " k"], targets: Tensor | None = None) -> _Path:
        kept = (self.varies & (gamma > 0)).nonzero().flatten()
        scale = gamma.double()[kept].sqrt() / self.spread[kept]
        xx = scale[:, None] * self.xx[kept[:, None], kept] * scale
        xy = self.xy if targets is None else self.xy[:, targets]
        values, axes = torch.linalg.eigh(xx)
        half = torch.zeros(len(self.xx), len(kept), dtype=torch.float64)
        half[kept] = scale[:, None] * axes
        return _Path(self.rows, half, values.clamp_min(0), half.T @ xy)


@dataclass(frozen=True)
class _Path:
    """Ridge solutions of every penalty: ``half (rotated / (values + n alpha))``."""

    rows: float
    half: Tensor
    values: Tensor
    rotated: Tensor

    def weights(self, alpha: Float[Tensor, " v"]) -> Float[Tensor, "k v"]:
        return self.half @ (self.rotated / (self.values[:, None] + self.rows * alpha))

    def errors(
        self, products: tuple[Tensor, Tensor, Tensor], alphas: Float[Tensor, " a"]
    ) -> Float[Tensor, "a v"]:
        """Squared error over held-out rows, whose products are about the same course."""
        xx, xy, yy = products
        inside, cross = self.half.T @ xx @ self.half, self.half.T @ xy
        found = []
        for alpha in alphas:
            u = self.rotated / (self.values + self.rows * alpha)[:, None]
            found.append(yy + (u * (inside @ u - 2 * cross)).sum(0))
        return torch.stack(found)


def pair_correlations(
    prediction: Float[Tensor, "m t v"], response: Float[Tensor, "m t v"]
) -> Float[Tensor, "m m v"]:
    """Fisher's z of the correlation over time of prediction i with response j.

    ``z = artanh r``; 0 where one of the two is constant.
    """
    r = torch.einsum("itv,jtv->ijv", unit_series(prediction), unit_series(response))
    return fisher_z(r)


def unit_series(x: Float[Tensor, "*n t v"]) -> Float[Tensor, "*n t v"]:
    """Less its mean over time and of norm 1; 0 where it is constant."""
    x = x - x.mean(-2, keepdim=True)
    norm = x.norm(dim=-2, keepdim=True)
    return torch.where(norm > 1e-12, x / norm.clamp_min(1e-300), 0.0)


def fisher_z(r: Tensor) -> Tensor:
    """``artanh r``; a correlation of 1 counts as 1 - 1e-12."""
    return r.clamp(-1 + 1e-12, 1 - 1e-12).atanh()


def shared_correlations(
    responses: Float[Tensor, "subjects m t c"],
) -> tuple[Float[Tensor, "m subjects c"], Float[Tensor, "m subjects c"]]:
    """Fisher's z of each subject with the mean of the others, and with the mean of all.

    The lower and upper bound of the noise ceiling (Nili et al. 2014, PLoS Comput Biol 10:e1003553)
    for one channel at a time; series are taken at norm 1.
    """
    own = unit_series(responses)
    total = own.sum(0)
    found = [(own * unit_series(mean)).sum(-2) for mean in (total - own, total[None])]
    lower, upper = (fisher_z(r).transpose(0, 1) for r in found)
    return lower, upper
