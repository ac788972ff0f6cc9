"""Products of two series' matrices for every circular shift of one of them, at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor


def matrix_shifts(
    a: Float[Tensor, "a n n"], b: Float[Tensor, "b n n"], symmetric: bool = True
) -> Float[Tensor, "a b n"]:
    """``sum_ij a_ij b_(i+s)(j+s)`` for every shift s, modulo n.

    Along the diagonals ``a_d[i] = a[i, i + d]`` this is ``sum_d sum_i a_d[i] b_d[i + s]``, which
    one Fourier transform gives for all s; the diagonals d and n - d give the same where both
    matrices are symmetric.
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


def column_shifts(
    a: Float[Tensor, "a n p"], b: Float[Tensor, "b n q"]
) -> Float[Tensor, "a b n p q"]:
    """``sum_t a[t]' b[t + s]`` for every shift s, modulo n."""
    n = a.shape[-2]
    spectra = torch.fft.rfft(a, dim=-2).conj(), torch.fft.rfft(b, dim=-2)
    cross = torch.einsum("afp,bfq->abpqf", *spectra)
    return torch.fft.irfft(cross, n=n).movedim(-1, 2)


def partial_shifts(
    x: Float[Tensor, "a n n"], y: Float[Tensor, "b n n"], given: Sequence[Tensor]
) -> Float[Tensor, "a b n"]:
    """Partial correlation of centred matrices of norm 1 given others that stay where they are.

    With correlations r and those among the covariates R:
    ``(r_xy - r_xz R⁻¹ r_zy) / sqrt((1 - r_xz R⁻¹ r_zx) (1 - r_yz R⁻¹ r_zy))``.

    0 where the covariates leave nothing of x or of y.

    Parameters
    ----------
    given : sequence of tensors of shape (n, n)
        Such as :func:`alignment.series.signatures.ranked_pairs` gives them.
    """
    z = torch.stack([*given])
    inverse = torch.linalg.inv(z.flatten(1) @ z.flatten(1).T)
    xz = x.flatten(1) @ z.flatten(1).T
    zy = matrix_shifts(z, y)
    through = torch.einsum("ak,kl,lbs->abs", xz, inverse, zy)
    left = 1 - torch.einsum("ak,kl,al->a", xz, inverse, xz)
    right = 1 - torch.einsum("kbs,kl,lbs->bs", zy, inverse, zy)
    rest = left[:, None, None] * right
    # Of what the covariates explain wholly, nothing but rounding is left.
    return torch.where(rest < 1e-12, 0.0, (matrix_shifts(x, y) - through) / rest.sqrt())
