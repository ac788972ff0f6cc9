"""Centred kernel alignment."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from alignment.kernels import centred, inner, linear_kernel, paired, rbf_kernel


def linear_cka(
    x: Float[Tensor, "*#batch n p"], y: Float[Tensor, "*#batch m q"], debiased: bool = True
) -> Float[Tensor, "..."]:
    """Centred alignment of the inner products of rows.

    ``HSIC(K, L) / sqrt(HSIC(K, K) HSIC(L, L))``; for ``debiased=False`` this is
    ``|X'Y|² / (|X'X| |Y'Y|)`` with centred columns and Frobenius norms (Kornblith et al. 2019).
    The biased form grows with p / n and q / n also when x and y are independent. The debiased one
    has the unbiased HSIC in all three places (Song et al. 2012, Nguyen et al. 2021), is about 0
    for independent data, may be negative and is never clipped.

    Parameters
    ----------
    x : tensor of shape (…, n, p)
    y : tensor of shape (…, n, q)

    Returns
    -------
    tensor of shape (…)
        NaN where a matrix holds NaN or all its rows are equal, and for n < 4 if debiased.

    Raises
    ------
    ValueError
        When x and y differ in their number of rows.
    """
    k, m = (linear_kernel(w) for w in paired(x, y))
    return inner(centred(k, debiased), centred(m, debiased))


def rbf_cka(
    x: Float[Tensor, "*#batch n p"],
    y: Float[Tensor, "*#batch m q"],
    sigma: float = 1.0,
    debiased: bool = True,
) -> Float[Tensor, "..."]:
    """:func:`linear_cka` with Gaussian kernels.

    ``k_ij = exp(-d_ij² / (2 s²))``, s the median distance times ``sigma``; the larger sigma is,
    the closer the result is to the linear one (Kornblith et al. 2019; Alvarez 2022).
    """
    k, m = (rbf_kernel(w, sigma) for w in paired(x, y))
    return inner(centred(k, debiased), centred(m, debiased))
