"""Permuted and random copies keep shapes and lose what was learned."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from commands.building import build
from models.external.baselines.logmel import LogMelStatistics
from models.external.controls import permuted, random
from tests.composing import tiny


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> nn.Module:
    torch.manual_seed(0)
    model = build(tiny(tmp_path_factory.mktemp("run")).model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    return model.eval()


def test_permuted_weights_have_the_same_values_in_other_places(model: nn.Module) -> None:
    before = {name: value.clone() for name, value in model.state_dict().items()}
    copy = permuted(model)
    for name, value in copy.state_dict().items():
        torch.testing.assert_close(
            value.flatten().sort().values, before[name].flatten().sort().values
        )
        torch.testing.assert_close(model.state_dict()[name], before[name])
    assert not torch.equal(copy.embed.weight, model.embed.weight)
    torch.testing.assert_close(permuted(model).embed.weight, copy.embed.weight)
    assert not torch.equal(permuted(model, seed=1).embed.weight, copy.embed.weight)
    assert copy.name == "test_permuted"


def test_random_weights_are_those_of_a_new_model(model: nn.Module, tmp_path: Path) -> None:
    state = torch.random.get_rng_state()
    copy = random(model, seed=5)
    assert torch.equal(torch.random.get_rng_state(), state)
    torch.manual_seed(5)
    fresh = build(tiny(tmp_path).model)
    for name, value in fresh.named_parameters():
        close = copy.get_parameter(name)
        assert close.shape == value.shape
        if value.numel() > 1:
            assert close.std().item() == pytest.approx(value.std().item(), rel=0.3, abs=1e-6)
        assert close.mean().item() == pytest.approx(value.mean().item(), abs=0.15)
    audio, lengths = torch.randn(1, 24_000), torch.tensor([24_000])
    a, b = (m.encode(audio, lengths)["encoder.1"].values for m in (copy, model))
    assert a.shape == b.shape
    assert not torch.allclose(a, b)


def test_modules_of_torch_draw_their_own() -> None:
    plain = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4))
    plain.name = "plain"  # type: ignore[assignment]
    copy = random(plain)
    assert not torch.equal(copy[0].weight, plain[0].weight)
    odd = nn.Module()
    odd.name = "odd"  # type: ignore[assignment]
    odd.scale = nn.Parameter(torch.ones(3))
    with pytest.raises(ValueError, match="the weight scale"):
        random(odd)


def test_what_has_no_weights_is_refused() -> None:
    for control in (permuted, random):
        with pytest.raises(ValueError, match="no weights"):
            control(LogMelStatistics())
