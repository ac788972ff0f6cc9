"""Similarity metrics as products of two signatures, for one alignment in time or for all shifts.

Most metrics of two series are inner products of n x n matrices that each series makes by itself
(ranked dissimilarities, centred kernels, neighbour graphs). Shifting a series in a circle moves
the rows and columns of its matrix, so that shifts.py beside has the exact statistic of every shift
at about the cost of one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from alignment.kernels import (
    distances,
    linear_kernel,
    rbf_kernel,
)
from alignment.series.given import covariate_basis, given_products
from alignment.series.shifts import column_shifts, matrix_shifts, partial_shifts
from alignment.series.signatures import (
    above_chance,
    basis,
    centred_kernel,
    dependence,
    dissimilarity,
    geometry,
    graph,
    hollow_kernel,
    information,
    nearness,
    order_signs,
    plain_pairs,
    ranked_pairs,
    root,
    sign_shifts,
    time_apart,
    unit_shape,
)

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
    scaled : bool
        Whether signatures have norm 1.
    tall : bool
        Whether more rows are needed than both series have columns.
    acoustics : bool
        Of kind ``partial``: whether the product is also taken given the sound's own signature.
    function : callable, optional
        Of kind ``function``: from series (…, n, p) and (…, n, q) to statistics (…).
    """

    kind: Literal["matrix", "partial", "basis", "signs", "function"]
    signature: Callable[[Tensor], Tensor]
    finish: Callable[[Tensor, int], Tensor] = lambda product, n: product
    debiased: bool = False
    symmetric: bool = True
    scaled: bool = True
    tall: bool = False
    acoustics: bool = False
    function: Similarity | None = None

    @property
    def linear(self) -> bool:
        """Whether a mean of statistics is the statistic of the mean of :func:`flat` signatures."""
        return self.kind in ("matrix", "signs") and self.finish is not root


def similarity(
    name: str, x: Float[Tensor, "a n p"], y: Float[Tensor, "b n q"]
) -> Float[Tensor, "a b"]:
    """Statistic of every series in ``x`` with every one in ``y``."""
    metric = (METRICS | BY_NAME)[name]
    return product(metric, metric.signature(x), metric.signature(y), y.shape[1])


def product(
    metric: Metric, a: Tensor, b: Tensor, n: int, sounds: Tensor | None = None
) -> Float[Tensor, "a b"]:
    """Statistics from signatures.

    Parameters
    ----------
    sounds : tensor of shape (a, n, n), optional
        Signatures of the sounds of the first series, for metrics given these.
    """
    if metric.acoustics:
        assert sounds is not None
        time = time_apart(n, a).expand_as(sounds)
        return given_products(a, b, covariate_basis(time, sounds))
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


def shift_products(
    metric: Metric, a: Tensor, b: Tensor, sounds: Tensor | None = None
) -> Float[Tensor, "a b n"]:
    """Statistics of all shifts from signatures; ``sounds`` of shape (n, n), of all of ``a``."""
    n = a.shape[1]
    if metric.function is not None:
        return torch.stack([product(metric, a, b.roll(-shift, 1), n) for shift in range(n)], -1)
    if metric.kind == "matrix":
        return metric.finish(matrix_shifts(a, b, metric.symmetric), n)
    if metric.kind == "partial":
        # A sound that never varies takes nothing out.
        given = [] if sounds is None or bool(sounds.isnan().any()) else [sounds]
        return partial_shifts(a, b, [time_apart(n, a), *given])
    if metric.kind == "basis":
        return metric.finish(column_shifts(a, b), n)
    return metric.finish(sign_shifts(a, b), n)


def of_function(function: Similarity) -> Metric:
    """A metric that a function gives by itself: no shift and no pair comes cheaper than one."""
    return Metric("function", _itself, function=function)


def _itself(x: Tensor) -> Tensor:
    return x


METRICS: dict[str, Metric] = {
    "rsa_spearman": Metric("matrix", partial(geometry, ranked_pairs)),
    "rsa_partial": Metric("partial", partial(geometry, ranked_pairs)),
    "kendall": Metric("signs", dissimilarity),
    "rsa_pearson": Metric("matrix", partial(geometry, plain_pairs)),
    "procrustes": Metric("basis", unit_shape, nearness),
    "cka": Metric("matrix", partial(centred_kernel, linear_kernel, False)),
    "cka_debiased": Metric("matrix", partial(centred_kernel, linear_kernel, True), debiased=True),
    "cka_rbf": Metric("matrix", partial(centred_kernel, rbf_kernel, False)),
    "cka_rbf_debiased": Metric("matrix", partial(centred_kernel, rbf_kernel, True), debiased=True),
    "dcor": Metric("matrix", partial(centred_kernel, distances, False), root),
    "dcor_debiased": Metric("matrix", partial(centred_kernel, distances, True), debiased=True),
    "rv2": Metric("matrix", hollow_kernel),
    "gaussian_mi": Metric("basis", basis, information, tall=True),
    "mutual_knn": Metric("matrix", graph, above_chance, debiased=True, symmetric=False),
}
"""RV is the same as ``cka`` and HSIC its numerator: neither is counted a second time."""
BY_NAME: dict[str, Metric] = {
    "hsic": Metric("matrix", partial(dependence, linear_kernel), debiased=True, scaled=False),
    "hsic_rbf": Metric("matrix", partial(dependence, rbf_kernel), debiased=True, scaled=False),
    "rv": METRICS["cka"],
    "rsa_partial_acoustic": Metric("partial", partial(geometry, ranked_pairs), acoustics=True),
}
"""Metrics that ``all`` leaves out: HSIC is unbiased and in the units of its kernels."""
