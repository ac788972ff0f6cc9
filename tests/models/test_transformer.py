"""The stacks against a literal implementation, and their published sizes."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from models.encodecmae import EncodecMAE, Masking
from models.frontend import LogMel
from models.optim import Optimisation
from models.targets import Target
from models.transformer import Attention, SinusoidalPositions, Transformer, initialise

Literal = Callable[[Transformer, Tensor, Tensor], list[Tensor]]
SIZES = {"small": (5, 768, 12), "base": (10, 768, 12), "large": (20, 1024, 12)}


def millions(module: nn.Module) -> float:
    return sum(p.numel() for p in module.parameters() if p.requires_grad) / 1e6


def scrambled(norm: str, tie_ff: bool, layers: int = 3) -> Transformer:
    """A stack in double precision with no weight at its neutral value; heads of 6 in 20."""
    torch.manual_seed(0)
    stack = Transformer(layers, 20, 3, 32, tie_ff, norm).double()
    for parameter in stack.parameters():
        nn.init.normal_(parameter, std=0.4)
    return stack


def literal_attention(attention: Attention, x: Tensor, keys: Tensor) -> Tensor:
    """One clip, one head and one query at a time, softmax written out."""
    q, k, v = x @ attention.q.weight.T, x @ attention.k.weight.T, x @ attention.v.weight.T
    width = q.shape[-1] // attention.heads
    mixed = torch.zeros_like(q)
    for clip in range(len(x)):
        for head in range(attention.heads):
            part = slice(head * width, (head + 1) * width)
            for query in range(x.shape[1]):
                score = (k[clip, :, part] @ q[clip, query, part]) * width**-0.5
                weight = torch.where(keys[clip], score, -torch.inf).exp()
                mixed[clip, query, part] = (weight / weight.sum()) @ v[clip, :, part]
    return mixed @ attention.out.weight.T


def literal_norm(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return (
        centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt() * norm.weight + norm.bias
    )


def literal_feed_forward(block: nn.Module, x: Tensor) -> Tensor:
    hidden = (x @ block[0].weight.T + block[0].bias).clamp_min(0)
    return hidden @ block[2].weight.T + block[2].bias


def literal_residual(stack: Transformer, x: Tensor, keys: Tensor) -> list[Tensor]:
    """Two streams, as habla-liaa/encodecmae writes them."""
    x0, x1, states = x, x, []
    for layer in stack.layers:
        attended = literal_attention(layer.attention, x0, keys)
        x0 = literal_norm(layer.norm1, x0 + attended)
        x1 = x1 + attended
        fed = literal_feed_forward(layer.feed_forward, x0)
        x0 = literal_norm(layer.norm2, x0 + fed)
        x1 = x1 + fed
        states.append(x0)
    states[-1] = x0 + literal_norm(stack.final_norm, x1)
    return states


def literal_pre(stack: Transformer, x: Tensor, keys: Tensor) -> list[Tensor]:
    states = []
    for layer in stack.layers:
        x = x + literal_attention(layer.attention, literal_norm(layer.norm1, x), keys)
        x = x + literal_feed_forward(layer.feed_forward, literal_norm(layer.norm2, x))
        states.append(x)
    states[-1] = literal_norm(stack.final_norm, x)
    return states


@pytest.mark.parametrize("tie_ff", [True, False])
@pytest.mark.parametrize(
    ("norm", "literal"), [("residual", literal_residual), ("pre", literal_pre)]
)
def test_the_stack_is_its_formula(norm: str, literal: Literal, tie_ff: bool) -> None:
    stack = scrambled(norm, tie_ff)
    x = torch.randn(2, 7, 20, dtype=torch.float64)
    keys = torch.arange(7) < torch.tensor([[7], [4]])
    expected = literal(stack, x, keys)
    for got, wanted in zip(stack.hidden_states(x, keys), expected, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(stack(x, keys), expected[-1], atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("norm", ["residual", "pre"])
def test_what_stands_in_the_padding_changes_no_valid_frame(norm: str) -> None:
    stack = scrambled(norm, True)
    x = torch.randn(2, 9, 20, dtype=torch.float64)
    keys = torch.arange(9) < torch.tensor([[9], [5]])
    other = torch.where(keys[..., None], x, 100.0)
    alone = stack(x[1:, :5])
    for padded in (stack(x, keys), stack(other, keys)):
        torch.testing.assert_close(padded[1:, :5], alone, atol=1e-10, rtol=1e-10)
    assert not torch.allclose(stack(x)[1:, :5], alone)


def test_no_keys_means_all_keys() -> None:
    stack = scrambled("residual", True)
    x = torch.randn(2, 9, 20, dtype=torch.float64)
    torch.testing.assert_close(stack(x), stack(x, torch.ones(2, 9, dtype=torch.bool)))


def test_a_clip_without_any_key_gives_no_nan() -> None:
    stack = scrambled("residual", True)
    x = torch.randn(2, 4, 20, dtype=torch.float64)
    keys = torch.tensor([[True] * 4, [False] * 4])
    assert stack(x, keys).isfinite().all()


@pytest.mark.parametrize("layers", [1, 2, 5])
def test_there_is_one_state_per_layer_and_the_last_is_the_output(layers: int) -> None:
    stack = scrambled("residual", True, layers)
    x = torch.randn(1, 5, 20, dtype=torch.float64)
    states = stack.hidden_states(x)
    assert len(states) == len(stack.layers) == layers
    assert torch.equal(states[-1], stack(x))


@pytest.mark.parametrize(
    ("size", "tied", "untied"),
    [("small", 18.1, 43.3), ("base", 29.9, 86.6), ("large", 92.0, 251.5)],
)
def test_encoders_have_the_published_number_of_parameters(
    size: str, tied: float, untied: float
) -> None:
    with torch.device("meta"):
        assert millions(Transformer(*SIZES[size])) == pytest.approx(tied, abs=0.05)
        assert millions(Transformer(*SIZES[size], tie_ff=False)) == pytest.approx(untied, abs=0.05)


@pytest.mark.parametrize(("size", "total"), [("small", 36.2), ("base", 48.0), ("large", 118.5)])
def test_whole_models_have_the_published_number_of_parameters(size: str, total: float) -> None:
    layers, dim, heads = SIZES[size]
    mel = LogMel()
    with torch.device("meta"):
        model = EncodecMAE(
            frontend=mel,
            encoder=Transformer(layers, dim, heads),
            decoder=Transformer(2, dim, heads),
            target=Target(8, 1024, None),
            masking=Masking(),
            optimisation=Optimisation(),
        )
    assert millions(model) == pytest.approx(total, abs=0.05)


def test_large_has_heads_of_85() -> None:
    with torch.device("meta"):
        attention = Attention(1024, 12)
    assert attention.q.weight.shape == (1020, 1024)
    assert attention.out.weight.shape == (1024, 1020)


def test_tied_layers_share_the_storage_of_their_feed_forward() -> None:
    def places(stack: Transformer) -> set[int]:
        return {layer.feed_forward[0].weight.data_ptr() for layer in stack.layers}

    assert len(places(Transformer(3, 8, 2, 16))) == 1
    assert len(places(Transformer(3, 8, 2, 16, tie_ff=False))) == 3


def test_tied_layers_stay_tied_when_their_state_is_restored() -> None:
    stack, other = scrambled("residual", True), scrambled("residual", True)
    nn.init.zeros_(other.layers[0].feed_forward[0].weight)
    other.load_state_dict(stack.state_dict())
    mine, theirs = (s.layers[1].feed_forward[0].weight for s in (other, stack))
    assert torch.equal(mine, theirs)
    assert other.layers[0].feed_forward is other.layers[2].feed_forward


@pytest.mark.parametrize("dim", [6, 7])
def test_positions_are_the_published_sinusoids(dim: int) -> None:
    positions = SinusoidalPositions(dim)
    assert positions.scale.item() == 1.0
    positions.scale.data.fill_(0.7)
    got = positions(torch.ones(1, 4, dim))
    for t in range(4):
        for channel in range(dim):
            angle = t * math.exp(-math.log(1e4) * 2 * (channel // 2) / dim)
            table = math.sin(angle) if channel % 2 == 0 else math.cos(angle)
            assert got[0, t, channel].item() == pytest.approx(1 + 0.7 * table, abs=1e-6)


def test_initialisation_is_xavier_uniform_with_zero_biases() -> None:
    torch.manual_seed(0)
    stack = Transformer(1, 64, 4, 256).apply(initialise)
    linear = stack.layers[0].feed_forward[0]
    bound = math.sqrt(6 / (64 + 256))
    assert 0.98 * bound < linear.weight.abs().max() <= bound
    assert not linear.bias.any()
    assert (stack.final_norm.weight == 1).all()


def test_an_unknown_norm_is_an_error() -> None:
    with pytest.raises(Exception, match="norm"):
        Transformer(1, 8, 2, norm="post")
