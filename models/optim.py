"""AdamW with warm-up and cosine decay, and its parameter groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR


@dataclass(frozen=True)
class Optimisation:
    """Optimiser settings; the defaults are published but for ``schedule`` and ``decay_all``.

    Attributes
    ----------
    lr : float
        Peak learning rate.
    betas, eps, weight_decay :
        Of AdamW.
    decay_all : bool
        Decay norms, biases and scalars too, as published; False exempts them.
    schedule : {"cosine", "constant"}
        Cosine falls to ``final_share`` of the peak at the last step.
    warmup_share : float
        Share of all steps over which the rate rises linearly from zero.
    """

    lr: float = 1e-4
    betas: Sequence[float] = (0.9, 0.95)
    eps: float = 1e-8
    weight_decay: float = 0.05
    decay_all: bool = False
    schedule: Literal["cosine", "constant"] = "cosine"
    warmup_share: float = 0.02
    final_share: float = 0.1


def build_optimiser(
    module: nn.Module, settings: Optimisation, steps: int
) -> tuple[AdamW, LambdaLR]:
    """AdamW over the trainable parameters of ``module`` and its schedule over ``steps`` steps.

    Matrices are one group, norms, biases and scalars the other, also where both decay alike: a run
    can go on with another ``decay_all``.
    """
    trainable = [p for p in module.parameters() if p.requires_grad]
    decay = settings.weight_decay
    optimiser = AdamW(
        [
            {"params": [p for p in trainable if p.ndim > 1], "weight_decay": decay},
            {
                "params": [p for p in trainable if p.ndim <= 1],
                "weight_decay": decay if settings.decay_all else 0.0,
            },
        ],
        lr=settings.lr,
        betas=(settings.betas[0], settings.betas[1]),
        eps=settings.eps,
    )
    return optimiser, LambdaLR(optimiser, lambda step: learning_rate(settings, step, steps))


def take_settings(optimiser: Optimizer, schedule: LambdaLR, fresh: Optimizer) -> None:
    """Give a restored optimiser and its schedule the settings of ``fresh``; its moments stay.

    The rate becomes that of the schedule at the step reached; with equal settings nothing changes.
    """
    for group, own in zip(optimiser.param_groups, fresh.param_groups, strict=True):
        group.update({key: own[key] for key in ("initial_lr", "betas", "eps", "weight_decay")})
    schedule.base_lrs = [group["initial_lr"] for group in optimiser.param_groups]
    factors = [factor(schedule.last_epoch) for factor in schedule.lr_lambdas]
    rates = [base * factor for base, factor in zip(schedule.base_lrs, factors, strict=True)]
    for group, rate in zip(optimiser.param_groups, rates, strict=True):
        group["lr"] = rate
    schedule._last_lr = rates


def learning_rate(settings: Optimisation, step: int, steps: int) -> float:
    """Factor on the peak learning rate at ``step`` of ``steps``."""
    warmup = max(1, round(settings.warmup_share * steps)) if settings.warmup_share > 0 else 0
    if step < warmup:
        return (step + 1) / warmup
    if settings.schedule == "constant":
        return 1.0
    progress = min(1.0, (step - warmup) / max(1, steps - warmup))
    return (
        settings.final_share + (1 - settings.final_share) * (1 + math.cos(math.pi * progress)) / 2
    )
