"""Logistic regression with a ridge penalty: several classes, or several labels."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class LogisticFit:
    """Weights of shape (p, classes) and intercepts of shape (classes,)."""

    weight: Float[Tensor, "p classes"]
    intercept: Float[Tensor, " classes"]

    def decisions(self, x: Float[Tensor, "m p"]) -> Float[Tensor, "m classes"]:
        """Log-odds of every class, up to a constant for each row where classes exclude others."""
        return x @ self.weight + self.intercept


def logistic_regression(
    x: Float[Tensor, "n p"],
    member: Bool[Tensor, "n classes"],
    c: float,
    exclusive: bool = True,
    start: LogisticFit | None = None,
    steps: int = 300,
    tolerance: float = 1e-4,
) -> LogisticFit:
    """Fit by L-BFGS, in the dtype of ``x`` and on its device.

    ``min_{W, b} Σ_i loss_i + ||W||² / (2 c)``, the loss being the cross-entropy of the softmax,
    or with labels that do not exclude each other the sum over labels of binary cross-entropies;
    b is not penalised. It is the objective of scikit-learn's ``LogisticRegression(C=c)``. Weights
    lie in the span of the rows, so that with more features than rows the fit is made in an
    orthonormal basis of that span.

    Parameters
    ----------
    x : tensor of shape (n, p)
        Standardised features.
    member : tensor of shape (n, classes)
        Which labels a row has; exactly one where they are exclusive.
    c : float
        Inverse of the penalty, positive.
    start : LogisticFit, optional
        Where to begin: the fit at a neighbouring ``c``.
    steps : int
        Iterations at most.
    tolerance : float
        Largest entry of the gradient of the mean loss at which the fit ends, as in scikit-learn.
    """
    if c <= 0:
        raise ValueError(f"c is {c}, expected a positive number: it divides the penalty")
    n, classes = member.shape
    if x.shape[1] > n:
        basis = torch.linalg.qr(x.T).Q
        inside = None if start is None else LogisticFit(basis.T @ start.weight, start.intercept)
        fit = logistic_regression(x @ basis, member, c, exclusive, inside, steps, tolerance)
        return LogisticFit(basis @ fit.weight, fit.intercept)
    with torch.inference_mode(False), torch.enable_grad():
        # Tensors of inference mode cannot be differentiated through: these are new ones.
        x, truth = x.clone(), member.to(x.dtype, copy=True)
        weight = x.new_zeros(x.shape[1], classes) if start is None else start.weight.clone()
        intercept = x.new_zeros(classes) if start is None else start.intercept.clone()
        leaves = [weight.requires_grad_(True), intercept.requires_grad_(True)]
        solver = torch.optim.LBFGS(
            leaves,
            max_iter=steps,
            max_eval=2 * steps,
            tolerance_grad=tolerance,
            tolerance_change=1e-12,
            history_size=10,
            line_search_fn="strong_wolfe",
        )

        def objective() -> Tensor:
            solver.zero_grad()
            decisions = x @ weight + intercept
            if exclusive:
                loss = -(functional.log_softmax(decisions, -1) * truth).sum()
            else:
                loss = functional.binary_cross_entropy_with_logits(
                    decisions, truth, reduction="sum"
                )
            value = (loss + weight.square().sum() / (2 * c)) / n
            value.backward()
            return value

        solver.step(objective)
    return LogisticFit(weight.detach(), intercept.detach())
