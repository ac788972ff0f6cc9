"""FLOPs of a model from its shapes, and of this machine from a large matrix product."""

from __future__ import annotations

import time

import torch
from torch import nn

from models.encodecmae import EncodecMAE
from models.transformer import Attention, Transformer

MATMUL_SIZE = {"cpu": 2048, "cuda": 8192}


def clip_flops(model: EncodecMAE, frames: int) -> int:
    """FLOPs of all matrix products of one clip in one training step, a multiply-add being two.

    ``3 F - E``: the forward pass F, twice as much backward, but no gradient with respect to the
    input of the embedding E. The encoder sees the visible frames alone. What is frozen (front end
    and target) does not count, nor do norms, softmax and optimiser.
    """
    visible = frames - int(frames * model.masking.share)
    embed = linear_flops(model.embed, frames)
    forward = embed + transformer_flops(model.encoder, visible)
    forward += linear_flops(model.bridge, visible)
    forward += transformer_flops(model.decoder, frames) + linear_flops(model.head, frames)
    return 3 * forward - embed


def linear_flops(linear: nn.Linear, frames: int) -> int:
    """``2 n d_in d_out``."""
    return 2 * frames * linear.in_features * linear.out_features


def transformer_flops(stack: Transformer, frames: int) -> int:
    """Projections and feed-forwards as they are, and ``4 n² d`` for attention in each layer."""
    total = 0
    for layer in stack.layers:
        for module in layer.modules():
            if isinstance(module, nn.Linear):
                total += linear_flops(module, frames)
            elif isinstance(module, Attention):
                total += 4 * frames**2 * module.q.out_features
    return total


def matmul_flops(device: str, repeats: int = 10) -> float:
    """FLOPs per second of a large square product: float32 on a CPU, bfloat16 on a GPU; the best."""
    n = MATMUL_SIZE[device]
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    seconds = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        a @ b
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return 2 * n**3 / min(seconds[1:])
