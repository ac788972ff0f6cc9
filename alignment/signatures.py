"""Similarity metrics as products of two signatures, for one alignment in time or for all shifts.

Most metrics of two series are inner products of n x n matrices that each series makes by itself
(ranked dissimilarities, centred kernels, neighbour graphs). Shifting a series in a circle moves
the rows and columns of its matrix, so that the products of all n shifts are circular
cross-correlations along the matrix's diagonals: one Fourier transform gives the exact statistic
of every shift at about the cost of one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from alignment import kernels
from alignment.rsa import ranks

Family = Literal["rank geometry", "geometry", "dependence", "neighbourhood"]
NEIGHBOURS = 10
PAIRS = 10_000
"""Pairs of dissimilarities whose order Kendall's tau compares."""


@dataclass(frozen=True)
class Metric:
    """How two series of the same length are compared.

    Attributes
    ----------
    family : str
        What kind of likeness it measures.
    kind : {"matrix", "basis", "signs"}
        Whether a signature is an n x n matrix, n rows of a basis, or signs of differences.
    signature : callable
        From a series (…, n, p) to its signature, scaled so that products need no further scale.
    finish : callable
        From the product of two signatures, and n, to the statistic.
    debiased : bool
        Whether independent series score 0 on average.
    symmetric : bool
        Whether matrices are symmetric.
    """

    family: Family
    kind: Literal["matrix", "basis", "signs"]
    signature: Callable[[Tensor], Tensor]
    finish: Callable[[Tensor, int], Tensor] = lambda product, n: product
    debiased: bool = False
    symmetric: bool = True


def similarity(
    name: str, x: Float[Tensor, "a n p"], y: Float[Tensor, "b n q"]
) -> Float[Tensor, "a b"]:
    """Statistic of every series in ``x`` with every one in ``y``."""
    metric = METRICS[name]
    return product(metric, metric.signature(x), metric.signature(y), y.shape[1])


def all_shifts(
    name: str, x: Float[Tensor, "a n p"], y: Float[Tensor, "b n q"]
) -> Float[Tensor, "a b n"]:
    """Statistic of ``x[t]`` with ``y[(t + s) mod n]`` for every shift s; s = 0 is as observed."""
    metric = METRICS[name]
    return shift_products(metric, metric.signature(x), metric.signature(y))


def product(metric: Metric, a: Tensor, b: Tensor, n: int) -> Float[Tensor, "a b"]:
    """Statistics from signatures."""
    if metric.kind == "basis":
        return metric.finish(torch.einsum("anp,bnq->abpq", a, b), n)
    if metric.kind == "signs":
        a, b = order_signs(a), order_signs(b)
    return metric.finish(a.flatten(1) @ b.flatten(1).T, n)


def shift_products(metric: Metric, a: Tensor, b: Tensor) -> Float[Tensor, "a b n"]:
    """Statistics of all shifts from signatures."""
    n = a.shape[-1 if metric.kind != "basis" else -2]
    if metric.kind == "matrix":
        return metric.finish(matrix_shifts(a, b, metric.symmetric), n)
    if metric.kind == "basis":
        return metric.finish(_basis_shifts(a, b), n)
    return metric.finish(_sign_shifts(a, b), n)


def matrix_shifts(
    a: Float[Tensor, "a n n"], b: Float[Tensor, "b n n"], symmetric: bool = True
) -> Float[Tensor, "a b n"]:
    """``sum_ij a_ij b_(i+s)(j+s)`` for every shift s, modulo n.

    Along the diagonals ``a_d[i] = a[i, i + d]`` this is ``sum_d sum_i a_d[i] b_d[i + s]``; those
    of d and n - d give the same where both matrices are symmetric.
    """
    n = a.shape[-1]
    count = n // 2 + 1 if symmetric else n
    first, second = _diagonals(a, count), _diagonals(b, count)
    weight = torch.ones(count, dtype=a.dtype, device=a.device)
    if symmetric:
        weight[1 : (n + 1) // 2] = 2
    spectra = torch.fft.rfft(first * weight[:, None]).conj(), torch.fft.rfft(second)
    # One product of matrices (series x diagonals) for every frequency.
    cross = spectra[0].permute(2, 0, 1) @ spectra[1].permute(2, 1, 0)
    return torch.fft.irfft(cross.permute(1, 2, 0), n=n)


def _diagonals(a: Float[Tensor, "*batch n n"], count: int) -> Float[Tensor, "*batch d n"]:
    n = a.shape[-1]
    i = torch.arange(n, device=a.device)
    d = torch.arange(count, device=a.device)
    return a[..., i, (i + d[:, None]) % n]


def _basis_shifts(a: Float[Tensor, "a n p"], b: Float[Tensor, "b n q"]) -> Tensor:
    n = a.shape[-2]
    spectra = torch.fft.rfft(a, dim=-2).conj(), torch.fft.rfft(b, dim=-2)
    cross = torch.einsum("afp,bfq->abpqf", *spectra)
    return torch.fft.irfft(cross, n=n).movedim(-1, 2)


def _sign_shifts(a: Tensor, b: Tensor) -> Tensor:
    n = a.shape[-1]
    row, column, first, second = _compared(n, b.device)
    shift = torch.arange(n, device=b.device)[:, None]
    # Where the dissimilarity of a pair stands once the series is shifted.
    place = (row + shift) % n * n + (column + shift) % n
    one, other = place[:, first], place[:, second]
    flat = b.flatten(1)
    scale = len(first) ** -0.5
    signs = order_signs(a)
    rows = [signs @ (_sign(d[one] - d[other]) * scale).T for d in flat]
    return torch.stack(rows, 1)


def order_signs(d: Float[Tensor, "b n n"]) -> Float[Tensor, "b pairs"]:
    """Signs of differences between dissimilarities, over the root of their number.

    Of all pairs of dissimilarities, or ``PAIRS`` random ones where there are more: always the
    same for one n.
    """
    row, column, first, second = _compared(d.shape[-1], d.device)
    values = d[:, row, column]
    return _sign(values[:, first] - values[:, second]) / len(first) ** 0.5


def _sign(x: Tensor) -> Tensor:
    """-1, 0 or 1; NaN stays."""
    return torch.where(x.isnan(), x, torch.sign(x))


def _compared(n: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Rows and columns of all pairs, and which two of them are compared."""
    row, column = torch.triu_indices(n, n, 1, device=device)
    count = len(row)
    if count * (count - 1) // 2 <= PAIRS:
        first, second = torch.triu_indices(count, count, 1, device=device)
    else:
        draw = torch.Generator().manual_seed(n)
        first = torch.randint(count, (PAIRS,), generator=draw).to(device)
        second = torch.randint(count - 1, (PAIRS,), generator=draw).to(device)
        second = second + (second >= first)
    return row, column, first, second


# ---- signatures ----------------------------------------------------------------------------------


def _unit(k: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
    """Scaled to norm 1; NaN where all is rounding."""
    norm = k.square().sum((-2, -1), keepdim=True).sqrt()
    return k / torch.where(norm > 0, norm, torch.nan)


def _dissimilarity(x: Float[Tensor, "*batch n p"]) -> Float[Tensor, "*batch n n"]:
    """1 - Pearson between rows; absolute difference for one column."""
    if x.shape[-1] == 1:
        return (x - x.mT).abs()
    x = x - x.mean(-1, keepdim=True)
    x = x / x.norm(dim=-1, keepdim=True)
    return 1 - x @ x.mT


def _ranked(x: Tensor) -> Tensor:
    return rank_signature(_dissimilarity(x))


def rank_signature(d: Float[Tensor, "*batch n n"]) -> Float[Tensor, "*batch n n"]:
    """Centred ranks of the dissimilarities of all pairs, with norm 1 and an empty diagonal."""
    n = d.shape[-1]
    row, column = torch.triu_indices(n, n, 1, device=d.device)
    values = d[..., row, column]
    ordered = ranks(values).to(d.dtype)
    # Ranks of what is not a number would look like any others.
    ordered = torch.where(values.isnan().any(-1, keepdim=True), torch.nan, ordered)
    return _symmetric(ordered - ordered.mean(-1, keepdim=True), n)


def _plain(x: Tensor) -> Tensor:
    n = x.shape[-2]
    row, column = torch.triu_indices(n, n, 1, device=x.device)
    values = _dissimilarity(x)[..., row, column]
    return _symmetric(values - values.mean(-1, keepdim=True), n)


def _symmetric(values: Float[Tensor, "*batch pairs"], n: int) -> Float[Tensor, "*batch n n"]:
    row, column = torch.triu_indices(n, n, 1, device=values.device)
    full = values.new_zeros(*values.shape[:-1], n, n)
    full[..., row, column] = values
    full[..., column, row] = values
    return _unit(full)


def _kernel(
    centred: Callable[[Tensor], Tensor], kernel: Callable[[Tensor], Tensor], x: Tensor
) -> Tensor:
    return _unit(centred(kernel(x)))


def _graph(x: Tensor) -> Tensor:
    """The neighbours of every row, over the root of their number."""
    from alignment.neighbours import neighbour_graph

    k = min(NEIGHBOURS, (x.shape[-2] - 1) // 2)
    return neighbour_graph(x, k) / (k * x.shape[-2]) ** 0.5


def _above_chance(overlap: Tensor, n: int) -> Tensor:
    chance = min(NEIGHBOURS, (n - 1) // 2) / (n - 1)
    return (overlap - chance) / (1 - chance)


def _orthonormal(x: Float[Tensor, "*batch n p"]) -> Float[Tensor, "*batch n p"]:
    """A basis of the columns; directions without variance are 0."""
    x = x - x.mean(-2, keepdim=True)
    gram, bad = _finite((x.mT @ x).double())
    s, axes = torch.linalg.eigh(gram)
    inside = s > s[..., -1:].clamp_min(1e-300) * 1e-10
    scale = torch.where(inside, s.clamp_min(1e-300).rsqrt(), 0.0)
    found = (x.double() @ axes * scale[..., None, :]).to(x.dtype)
    return found.masked_fill(bad[..., None, None], torch.nan)


def _finite(gram: Tensor) -> tuple[Tensor, Tensor]:
    """Matrices that can be decomposed, and which of them hold NaN in truth."""
    bad = gram.isnan().any(-1).any(-1)
    return gram.masked_fill(bad[..., None, None], 0.0), bad


def _information(m: Tensor, n: int) -> Tensor:
    """``-1/2 log det(I - M'M)`` (nats): canonical correlations are the singular values of M."""
    gram, bad = _finite((m.mT @ m).double())
    # Correlations of 1 would carry infinite information.
    squared = torch.linalg.eigvalsh(gram).clamp(0, 1 - 1e-12)
    found = -0.5 * torch.log1p(-squared).sum(-1)
    return found.to(m.dtype).masked_fill(bad, torch.nan)


def _scaled(x: Tensor) -> Tensor:
    x = x - x.mean(-2, keepdim=True)
    return x / x.norm(dim=(-2, -1), keepdim=True)


def _nuclear(m: Tensor, n: int) -> Tensor:
    """1 - angular Procrustes distance over its largest, pi / 2."""
    gram, bad = _finite((m.mT @ m).double())
    norm = torch.linalg.eigvalsh(gram).clamp_min(0).sqrt().sum(-1).clamp(-1, 1)
    return (1 - torch.arccos(norm) / (torch.pi / 2)).to(m.dtype).masked_fill(bad, torch.nan)


_double, _u = kernels.double_centred, kernels.u_centred
METRICS: dict[str, Metric] = {
    "rsa_spearman": Metric("rank geometry", "matrix", _ranked),
    "kendall": Metric("rank geometry", "signs", _dissimilarity),
    "rsa_pearson": Metric("geometry", "matrix", _plain),
    "procrustes": Metric("geometry", "basis", _scaled, _nuclear),
    "cka": Metric("dependence", "matrix", partial(_kernel, _double, kernels.linear_kernel)),
    "cka_debiased": Metric(
        "dependence", "matrix", partial(_kernel, _u, kernels.linear_kernel), debiased=True
    ),
    "cka_rbf": Metric("dependence", "matrix", partial(_kernel, _double, kernels.rbf_kernel)),
    "cka_rbf_debiased": Metric(
        "dependence", "matrix", partial(_kernel, _u, kernels.rbf_kernel), debiased=True
    ),
    "dcor": Metric(
        "dependence",
        "matrix",
        partial(_kernel, _double, kernels.distances),
        lambda squared, n: squared.clamp_min(0).sqrt(),
    ),
    "dcor_debiased": Metric(
        "dependence", "matrix", partial(_kernel, _u, kernels.distances), debiased=True
    ),
    "rv2": Metric(
        "dependence",
        "matrix",
        partial(_kernel, kernels.without_diagonal, kernels.linear_kernel),
    ),
    "gaussian_mi": Metric("dependence", "basis", _orthonormal, _information),
    "mutual_knn": Metric("neighbourhood", "matrix", _graph, _above_chance, True, False),
}
"""RV is the same as ``cka`` and HSIC its numerator: neither is counted a second time."""


def partial_shifts(
    x: Float[Tensor, "a n n"], y: Float[Tensor, "b n n"], given: Sequence[Tensor]
) -> Float[Tensor, "a b n"]:
    """Partial correlation of matrix signatures given others that stay where they are.

    With correlations r and those among the covariates R:
    ``(r_xy - r_xz R⁻¹ r_zy) / sqrt((1 - r_xz R⁻¹ r_zx) (1 - r_yz R⁻¹ r_zy))``.

    Parameters
    ----------
    given : sequence of tensors of shape (n, n)
        Centred and of norm 1, as :func:`rank_signature` gives them.
    """
    z = torch.stack([*given])
    inverse = torch.linalg.inv(z.flatten(1) @ z.flatten(1).T)
    xz = x.flatten(1) @ z.flatten(1).T
    zy = matrix_shifts(z, y)
    through = torch.einsum("ak,kl,lbs->abs", xz, inverse, zy)
    left = 1 - torch.einsum("ak,kl,al->a", xz, inverse, xz)
    right = 1 - torch.einsum("kbs,kl,lbs->bs", zy, inverse, zy)
    return (matrix_shifts(x, y) - through) / (left[:, None, None] * right).sqrt()
