"""Similarity metrics as products of two signatures, for one alignment in time or for all shifts.

Most metrics of two series are inner products of n x n matrices that each series makes by itself
(ranked dissimilarities, centred kernels, neighbour graphs). Shifting a series in a circle moves
the rows and columns of its matrix, so that alignment/shifts.py has the exact statistic of every
shift at about the cost of one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from alignment.dependence import orthonormal_basis
from alignment.kernels import (
    centred,
    distances,
    linear_kernel,
    rbf_kernel,
    unit,
    without_diagonal,
)
from alignment.neighbours import neighbour_graph
from alignment.procrustes import shape
from alignment.rsa import dissimilarities, ranks
from alignment.shifts import column_shifts, matrix_shifts, partial_shifts

NEIGHBOURS = 10
EXCLUSION = 5
"""Rows about a row that are never its neighbours: 200 ms at 25 Hz."""
PAIRS = 10_000
"""Pairs of dissimilarities whose order Kendall's tau compares."""


Similarity = Callable[[Tensor, Tensor], Tensor]
"""From ``x (…, n, p)`` and ``y (…, n, q)``, leading axes broadcast, to statistics ``(…)``."""


@dataclass(frozen=True)
class Metric:
    """How two series of the same length are compared.

    Attributes
    ----------
    kind : {"matrix", "partial", "basis", "signs", "function"}
        Whether a signature is an n x n matrix, one whose product is taken given ``|i - j|``, n
        rows of columns, dissimilarities whose order is compared, or the series itself, which
        ``function`` compares.
    signature : callable
        From a series (…, n, p) to its signature, scaled so that products need no further scale.
    finish : callable
        From the product of two signatures, and n, to the statistic.
    debiased : bool
        Whether independent series score 0 on average.
    symmetric : bool
        Whether matrices are symmetric.
    function : callable, optional
        Of kind ``function``: from series (…, n, p) and (…, n, q) to statistics (…).
    """

    kind: Literal["matrix", "partial", "basis", "signs", "function"]
    signature: Callable[[Tensor], Tensor]
    finish: Callable[[Tensor, int], Tensor] = lambda product, n: product
    debiased: bool = False
    symmetric: bool = True
    function: Similarity | None = None

    @property
    def linear(self) -> bool:
        """Whether a mean of statistics is the statistic of the mean of :func:`flat` signatures."""
        return self.kind in ("matrix", "signs") and self.finish is not _root


def similarity(
    name: str, x: Float[Tensor, "a n p"], y: Float[Tensor, "b n q"]
) -> Float[Tensor, "a b"]:
    """Statistic of every series in ``x`` with every one in ``y``."""
    metric = METRICS[name]
    return product(metric, metric.signature(x), metric.signature(y), y.shape[1])


def product(metric: Metric, a: Tensor, b: Tensor, n: int) -> Float[Tensor, "a b"]:
    """Statistics from signatures."""
    if metric.function is not None:
        return torch.stack([metric.function(one[None], b) for one in a])
    if metric.kind == "basis":
        return metric.finish(torch.einsum("anp,bnq->abpq", a, b), n)
    if metric.kind == "partial":
        z = time_apart(n, a).flatten()
        through, left = a.flatten(1) @ z, b.flatten(1) @ z
        rest = (1 - through.square())[:, None] * (1 - left.square())
        return (a.flatten(1) @ b.flatten(1).T - through[:, None] * left) / rest.sqrt()
    if metric.kind == "signs":
        a, b = order_signs(a), order_signs(b)
    return metric.finish(a.flatten(1) @ b.flatten(1).T, n)


def flat(metric: Metric, a: Tensor) -> Float[Tensor, "a m"]:
    """Signatures as vectors with the same products; of kinds ``matrix`` and ``signs``."""
    if metric.kind == "signs":
        return order_signs(a)
    if not metric.symmetric:
        return a.flatten(1)
    n = a.shape[-1]
    row, column = torch.triu_indices(n, n, device=a.device)
    # What stands above the diagonal stands below it too.
    weight = (1 + (row != column).to(a)).sqrt()
    return a[:, row, column] * weight


def shift_products(metric: Metric, a: Tensor, b: Tensor) -> Float[Tensor, "a b n"]:
    """Statistics of all shifts from signatures."""
    n = a.shape[1]
    if metric.function is not None:
        return torch.stack([product(metric, a, b.roll(-shift, 1), n) for shift in range(n)], -1)
    if metric.kind == "matrix":
        return metric.finish(matrix_shifts(a, b, metric.symmetric), n)
    if metric.kind == "partial":
        return partial_shifts(a, b, [time_apart(n, a)])
    if metric.kind == "basis":
        return metric.finish(column_shifts(a, b), n)
    return metric.finish(_sign_shifts(a, b), n)


def of_function(function: Similarity) -> Metric:
    """A metric that a function gives by itself: no shift and no pair comes cheaper than one."""
    return Metric("function", _itself, function=function)


def _itself(x: Tensor) -> Tensor:
    return x


# ---- signatures ----------------------------------------------------------------------------------


def ranked_pairs(d: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
    """Centred ranks of the dissimilarities of all pairs, with norm 1 and an empty diagonal."""
    row, column = _pairs(d)
    values = d[..., row, column]
    ordered = ranks(values).to(d.dtype)
    # Ranks of what is not a number would look like any others.
    return _centred_pairs(ordered.where(~values.isnan().any(-1, keepdim=True), torch.nan), d)


def time_apart(n: int, like: Tensor) -> Float[Tensor, "n n"]:
    """:func:`ranked_pairs` of ``|i - j|``, of the type and device of ``like``."""
    i = torch.arange(n, dtype=like.dtype, device=like.device)
    return ranked_pairs((i - i[:, None]).abs())


def _plain_pairs(d: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
    row, column = _pairs(d)
    return _centred_pairs(d[..., row, column], d)


def _centred_pairs(values: Float[Tensor, "*batch pairs"], d: Tensor) -> Tensor:
    row, column = _pairs(d)
    values = values - values.mean(-1, keepdim=True)
    full = torch.zeros_like(d)
    full[..., row, column] = values
    full[..., column, row] = values
    return unit(full, full)


def _pairs(d: Tensor) -> tuple[Tensor, Tensor]:
    row, column = torch.triu_indices(d.shape[-1], d.shape[-1], 1, device=d.device)
    return row, column


def _dissimilarity(x: Float[Tensor, "*batch n p"]) -> Float[Tensor, "*batch n n"]:
    """1 - Pearson between rows; absolute difference for one column."""
    return (x - x.mT).abs() if x.shape[-1] == 1 else dissimilarities(x)


def _geometry(pairs: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return pairs(_dissimilarity(x))


def _kernel(kernel: Callable[[Tensor], Tensor], debiased: bool, x: Tensor) -> Tensor:
    return centred(kernel(x), debiased)


def _hollow(x: Tensor) -> Tensor:
    k = linear_kernel(x)
    return unit(without_diagonal(k), k)


def _graph(x: Tensor) -> Tensor:
    """The neighbours of every row, over the root of their number."""
    n = x.shape[-2]
    k = _neighbours(n)
    return neighbour_graph(x, k, excluded(n), circular=True) / (k * n) ** 0.5


def excluded(n: int) -> int:
    """Rows nearer in time than this are no neighbours; fewer in short series (Theiler 1986)."""
    return min(EXCLUSION, n // 10)


def _allowed(n: int) -> int:
    return n - max(2 * excluded(n) - 1, 1)


def _neighbours(n: int) -> int:
    return min(NEIGHBOURS, _allowed(n) // 2)


def _basis(x: Tensor) -> Tensor:
    return orthonormal_basis(x)[0].to(x.dtype)


def _shape(x: Tensor) -> Tensor:
    return shape(x).to(x.dtype)


# ---- from products to statistics -----------------------------------------------------------------


def _above_chance(overlap: Tensor, n: int) -> Tensor:
    chance = _neighbours(n) / _allowed(n)
    return (overlap - chance) / (1 - chance)


def _root(squared: Tensor, n: int) -> Tensor:
    return squared.clamp_min(0).sqrt()


def _information(m: Tensor, n: int) -> Tensor:
    """``-1/2 sum log(1 - rho²)`` (nats); canonical correlations are the singular values of M."""
    squared = _squared_singular_values(m).clamp(0, 1 - 1e-12)  # 1 would be infinite information
    return (-0.5 * torch.log1p(-squared).sum(-1)).to(m.dtype)


def _nearness(m: Tensor, n: int) -> Tensor:
    """1 - angular Procrustes distance over its largest, pi / 2."""
    norm = _squared_singular_values(m).clamp_min(0).sqrt().sum(-1).clamp(-1, 1)
    return (1 - torch.arccos(norm) / (torch.pi / 2)).to(m.dtype)


def _squared_singular_values(m: Tensor) -> Tensor:
    """By the eigenvalues of ``M'M``, in half the time of a decomposition of M; NaN stays."""
    gram = (m.mT @ m).double()
    bad = ~gram.isfinite().all(-1).all(-1)
    found = torch.linalg.eigvalsh(gram.masked_fill(bad[..., None, None], 0.0))
    return found.masked_fill(bad[..., None], torch.nan)


# ---- Kendall's tau -------------------------------------------------------------------------------


def order_signs(d: Float[Tensor, "b n n"]) -> Float[Tensor, "b pairs"]:
    """Signs of differences between dissimilarities, over the root of their number.

    Of all pairs of dissimilarities, or ``PAIRS`` random ones where there are more: always the
    same for one n.
    """
    row, column, first, second = _compared(d)
    values = d[:, row, column]
    return _sign(values[:, first] - values[:, second]) / len(first) ** 0.5


def _sign_shifts(a: Tensor, b: Tensor) -> Float[Tensor, "a b n"]:
    n = a.shape[-1]
    row, column, first, second = _compared(b)
    shift = torch.arange(n, device=b.device)[:, None]
    # Where the dissimilarity of a pair stands once the series is shifted.
    place = (row + shift) % n * n + (column + shift) % n
    one, other = place[:, first], place[:, second]
    scale = len(first) ** -0.5
    signs = order_signs(a)
    rows = [signs @ (_sign(d[one] - d[other]) * scale).T for d in b.flatten(1)]
    return torch.stack(rows, 1)


def _sign(x: Tensor) -> Tensor:
    """-1, 0 or 1; NaN stays."""
    return torch.where(x.isnan(), x, torch.sign(x))


def _compared(d: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows and columns of all pairs, and which two of them are compared."""
    row, column = _pairs(d)
    count = len(row)
    if count * (count - 1) // 2 <= PAIRS:
        first, second = torch.triu_indices(count, count, 1, device=d.device)
    else:
        draw = torch.Generator().manual_seed(d.shape[-1])
        first = torch.randint(count, (PAIRS,), generator=draw).to(d.device)
        second = torch.randint(count - 1, (PAIRS,), generator=draw).to(d.device)
        second = second + (second >= first)
    return row, column, first, second


METRICS: dict[str, Metric] = {
    "rsa_spearman": Metric("matrix", partial(_geometry, ranked_pairs)),
    "rsa_partial": Metric("partial", partial(_geometry, ranked_pairs)),
    "kendall": Metric("signs", _dissimilarity),
    "rsa_pearson": Metric("matrix", partial(_geometry, _plain_pairs)),
    "procrustes": Metric("basis", _shape, _nearness),
    "cka": Metric("matrix", partial(_kernel, linear_kernel, False)),
    "cka_debiased": Metric("matrix", partial(_kernel, linear_kernel, True), debiased=True),
    "cka_rbf": Metric("matrix", partial(_kernel, rbf_kernel, False)),
    "cka_rbf_debiased": Metric("matrix", partial(_kernel, rbf_kernel, True), debiased=True),
    "dcor": Metric("matrix", partial(_kernel, distances, False), _root),
    "dcor_debiased": Metric("matrix", partial(_kernel, distances, True), debiased=True),
    "rv2": Metric("matrix", _hollow),
    "gaussian_mi": Metric("basis", _basis, _information),
    "mutual_knn": Metric("matrix", _graph, _above_chance, debiased=True, symmetric=False),
}
"""RV is the same as ``cka`` and HSIC its numerator: neither is counted a second time."""
