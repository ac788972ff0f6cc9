"""The learning rate and the parameter groups."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from models.optim import Optimisation, build_optimiser, learning_rate, take_settings
from models.transformer import SinusoidalPositions


class Mixed(nn.Module):
    """One parameter of every kind, and a frozen one."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.norm = nn.LayerNorm(4)
        self.positions = SinusoidalPositions(4)
        self.frozen = nn.Linear(3, 4).requires_grad_(False)


def rates(settings: Optimisation, steps: int) -> list[float]:
    """The learning rate that each step is really taken with."""
    optimiser, schedule = build_optimiser(nn.Linear(1, 1), settings, steps)
    taken = []
    for _ in range(steps):
        taken.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        schedule.step()
    return taken


def test_the_rate_rises_to_its_peak_and_falls_as_a_cosine_to_its_final_share() -> None:
    taken = rates(Optimisation(lr=2.0, warmup_share=0.1, final_share=0.25), 100)
    assert taken[:10] == pytest.approx([2 * (i + 1) / 10 for i in range(10)])
    for step in range(10, 100):
        progress = (step - 10) / 90
        cosine = (1 + math.cos(math.pi * progress)) / 2
        assert taken[step] == pytest.approx(2 * (0.25 + 0.75 * cosine))
    assert max(taken) == taken[9] == taken[10] == 2.0
    assert learning_rate(Optimisation(final_share=0.25), 100, 100) == pytest.approx(0.25)


def test_a_cosine_without_warm_up_begins_at_its_peak() -> None:
    taken = rates(Optimisation(lr=2.0, warmup_share=0.0), 10)
    expected = [0.1 + 0.9 * (1 + math.cos(math.pi * step / 10)) / 2 for step in range(10)]
    assert taken == pytest.approx([2 * factor for factor in expected])


def test_the_rate_stays_at_its_end_past_the_last_step() -> None:
    assert learning_rate(Optimisation(), 500, 100) == pytest.approx(0.1)


def test_constant_without_warm_up_never_moves() -> None:
    settings = Optimisation(lr=3e-4, schedule="constant", warmup_share=0.0)
    assert rates(settings, 20) == [3e-4] * 20


def test_constant_keeps_its_warm_up() -> None:
    settings = Optimisation(lr=1.0, schedule="constant", warmup_share=0.2)
    assert rates(settings, 10) == [0.5] + [1.0] * 9


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_run_of_a_few_steps_has_a_rate(steps: int) -> None:
    assert all(0 < rate <= 1 for rate in rates(Optimisation(lr=1.0), steps))


def test_a_restored_optimiser_takes_new_settings_and_keeps_its_moments() -> None:
    module = Mixed()
    optimiser, schedule = build_optimiser(module, Optimisation(lr=1.0, warmup_share=0.1), 100)
    for _ in range(30):
        optimiser.zero_grad()
        module.linear(torch.ones(3)).sum().backward()
        optimiser.step()
        schedule.step()
    moment = optimiser.state[module.linear.weight]["exp_avg"].clone()
    settings = Optimisation(
        lr=2.0, betas=(0.8, 0.9), weight_decay=0.5, warmup_share=0.2, decay_all=True
    )
    other, moved = build_optimiser(module, settings, 200)
    other.load_state_dict(optimiser.state_dict())
    moved.load_state_dict(schedule.state_dict())
    take_settings(other, moved, build_optimiser(module, settings, 200)[0])
    assert [group["weight_decay"] for group in other.param_groups] == [0.5, 0.5]
    assert all(group["betas"] == (0.8, 0.9) for group in other.param_groups)
    assert torch.equal(other.state[module.linear.weight]["exp_avg"], moment)
    for step in range(30, 33):
        expected = 2.0 * learning_rate(settings, step, 200)
        assert [group["lr"] for group in other.param_groups] == [expected, expected]
        other.step()
        moved.step()


def test_norms_biases_and_scalars_are_not_decayed() -> None:
    module = Mixed()
    optimiser, _ = build_optimiser(module, Optimisation(weight_decay=0.05), 10)
    decay = {id(p): g["weight_decay"] for g in optimiser.param_groups for p in g["params"]}
    assert {name: decay.get(id(p)) for name, p in module.named_parameters()} == {
        "linear.weight": 0.05,
        "linear.bias": 0.0,
        "norm.weight": 0.0,
        "norm.bias": 0.0,
        "positions.scale": 0.0,
        "frozen.weight": None,
        "frozen.bias": None,
    }


def test_decay_all_decays_every_trainable_parameter() -> None:
    module = Mixed()
    optimiser, _ = build_optimiser(module, Optimisation(decay_all=True), 10)
    assert [group["weight_decay"] for group in optimiser.param_groups] == [0.05, 0.05]
    assert [len(group["params"]) for group in optimiser.param_groups] == [1, 4]


def test_the_published_settings_are_the_defaults() -> None:
    optimiser, _ = build_optimiser(Mixed(), Optimisation(), 10)
    assert optimiser.defaults["betas"] == (0.9, 0.95)
    assert optimiser.defaults["eps"] == 1e-8
    assert optimiser.param_groups[0]["initial_lr"] == 1e-4


def test_betas_may_come_as_a_list_from_a_config() -> None:
    optimiser, _ = build_optimiser(Mixed(), Optimisation(betas=[0.8, 0.9]), 10)
    assert optimiser.defaults["betas"] == (0.8, 0.9)
    assert torch.is_tensor(optimiser.param_groups[0]["params"][0])
