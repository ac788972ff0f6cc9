"""Transformer stacks: ResiDual as in EnCodecMAE, or pre-norm; tied or own feed-forward."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from einops import rearrange
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention


class Attention(nn.Module):
    """Multi-head self-attention without biases, scaled by ``head_dim ** -0.5``.

    Heads are ``dim // heads`` wide, so that the inner width may be a little below ``dim``
    (EnCodecMAE Large: 12 heads of 85 in 1024).
    """

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        inner = heads * (dim // heads)
        self.q = nn.Linear(dim, inner, bias=False)
        self.k = nn.Linear(dim, inner, bias=False)
        self.v = nn.Linear(dim, inner, bias=False)
        self.out = nn.Linear(inner, dim, bias=False)

    def forward(
        self, x: Float[Tensor, "batch frames dim"], keys: Bool[Tensor, "batch frames"] | None
    ) -> Float[Tensor, "batch frames dim"]:
        """Attend to the frames where ``keys`` is True (None: to all)."""
        q, k, v = (
            rearrange(project(x), "b n (h d) -> b h n d", h=self.heads)
            for project in (self.q, self.k, self.v)
        )
        mask = None if keys is None else keys[:, None, None, :]
        mixed = scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.out(rearrange(mixed, "b h n d -> b n (h d)"))


class FeedForward(nn.Sequential):
    """Linear, ReLU, Linear."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__(nn.Linear(dim, hidden), nn.ReLU(), nn.Linear(hidden, dim))


class Layer(nn.Module):
    """Attention and feed-forward with their two norms; the stack decides how they are joined."""

    def __init__(self, dim: int, heads: int, feed_forward: FeedForward) -> None:
        super().__init__()
        self.attention = Attention(dim, heads)
        self.feed_forward = feed_forward
        self.norm1 = nn.LayerNorm(dim)
        self.norm2 = nn.LayerNorm(dim)


class Transformer(nn.Module):
    """A stack of layers.

    ``norm="residual"`` is ResiDual (Xie et al. 2023), as published for EnCodecMAE: two streams
    start as the input; ``x0 <- LN(x0 + f(x0))`` and ``x1 <- x1 + f(x0)`` for attention and
    feed-forward in turn; the output is ``x0 + LN(x1)``. ``norm="pre"`` is the usual
    ``x <- x + f(LN(x))`` with a final norm.

    Parameters
    ----------
    layers, dim, heads, hidden : int
    tie_ff : bool
        One feed-forward block shared by all layers, as published.
    norm : {"residual", "pre"}
    """

    def __init__(
        self,
        layers: int,
        dim: int,
        heads: int,
        hidden: int = 4096,
        tie_ff: bool = True,
        norm: Literal["residual", "pre"] = "residual",
    ) -> None:
        super().__init__()
        if norm not in ("residual", "pre"):
            raise ValueError(f"norm is {norm!r}, expected 'residual' or 'pre'")
        self.dim, self.norm = dim, norm
        shared = FeedForward(dim, hidden) if tie_ff else None
        self.layers: Sequence[Layer] = nn.ModuleList(  # type: ignore[assignment]
            Layer(dim, heads, shared or FeedForward(dim, hidden)) for _ in range(layers)
        )
        self.final_norm = nn.LayerNorm(dim)

    def forward(
        self, x: Float[Tensor, "batch frames dim"], keys: Bool[Tensor, "batch frames"] | None = None
    ) -> Float[Tensor, "batch frames dim"]:
        """Output of the last layer, normalised."""
        return self.hidden_states(x, keys)[-1]

    def hidden_states(
        self, x: Float[Tensor, "batch frames dim"], keys: Bool[Tensor, "batch frames"] | None = None
    ) -> list[Tensor]:
        """Every layer's stream x0, the last one replaced by the stack's output."""
        walk = self._residual if self.norm == "residual" else self._pre
        return walk(x, keys)

    def _residual(self, x: Tensor, keys: Tensor | None) -> list[Tensor]:
        x0 = x1 = x
        states = []
        for layer in self.layers:
            attended = layer.attention(x0, keys)
            x0, x1 = layer.norm1(x0 + attended), x1 + attended
            fed = layer.feed_forward(x0)
            x0, x1 = layer.norm2(x0 + fed), x1 + fed
            states.append(x0)
        return [*states[:-1], x0 + self.final_norm(x1)]

    def _pre(self, x: Tensor, keys: Tensor | None) -> list[Tensor]:
        states = []
        for layer in self.layers:
            x = x + layer.attention(layer.norm1(x), keys)
            x = x + layer.feed_forward(layer.norm2(x))
            states.append(x)
        return [*states[:-1], self.final_norm(x)]


class SinusoidalPositions(nn.Module):
    """``x + s * PE`` with one learnable scalar ``s``, 1 at the start.

    PE has sines on even channels and cosines on odd ones, angle ``t * exp(-ln(1e4) * 2i / dim)``.
    """

    frequency: Tensor

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        exponent = torch.arange(0, dim, 2) / dim
        self.register_buffer("frequency", torch.exp(-math.log(1e4) * exponent), False)

    def forward(self, x: Float[Tensor, "batch frames dim"]) -> Float[Tensor, "batch frames dim"]:
        time = torch.arange(x.shape[1], device=x.device, dtype=self.frequency.dtype)
        angle = time[:, None] * self.frequency
        table = torch.stack([angle.sin(), angle.cos()], -1).flatten(1)[:, : x.shape[2]]
        return x + self.scale * table.to(x.dtype)


def initialise(module: nn.Module) -> None:
    """Xavier-uniform weights and zero biases for a Linear, ones and zeros for a LayerNorm.

    Use with ``Module.apply``.
    """
    if isinstance(module, nn.Linear):
        nn.init.xavier_uniform_(module.weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, nn.LayerNorm):
        module.reset_parameters()
