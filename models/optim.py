"""AdamW with warm-up and cosine decay, and its parameter groups."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from torch import nn
from torch.optim import AdamW
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
    """AdamW over the trainable parameters of ``module`` and its schedule over ``steps`` steps."""
    trainable = [p for p in module.parameters() if p.requires_grad]
    matrices = [p for p in trainable if p.ndim > 1 or settings.decay_all]
    others = [p for p in trainable if not (p.ndim > 1 or settings.decay_all)]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    optimiser = AdamW(
        [group for group in groups if group["params"]],
        lr=settings.lr,
        betas=(settings.betas[0], settings.betas[1]),
        eps=settings.eps,
    )
    return optimiser, LambdaLR(optimiser, lambda step: learning_rate(settings, step, steps))


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
