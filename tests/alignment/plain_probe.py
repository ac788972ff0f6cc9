"""The same probe one at a time, by torch.nn and torch.optim: what the stacked ones must equal."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from alignment.probes.grid import Budget, Member, Split
from alignment.probes.training import ValidationScore, stream


class Dropout(nn.Module):
    """Dropout that draws from the generator of its member."""

    def __init__(self, p: float, generator: torch.Generator) -> None:
        super().__init__()
        self.p = p
        self.generator = generator

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        kept = torch.empty_like(x).bernoulli_(1 - self.p, generator=self.generator)
        return x * kept / (1 - self.p)


class PlainProbe(nn.Module):
    """Layer mix and perceptron of one member."""

    def __init__(self, member: Member, layers: int, dim: int, classes: int) -> None:
        super().__init__()
        self.layer = member.layer
        if member.layer is None:
            self.v = nn.Parameter(torch.ones(layers))
        setting = member.setting
        weights, dropout = stream(member.seed, "weights"), stream(member.seed, "dropout")
        draw = nn.init.xavier_uniform_ if setting.init == "uniform" else nn.init.xavier_normal_

        def linear(inputs: int, outputs: int, gain: float) -> nn.Linear:
            made = nn.Linear(inputs, outputs)
            draw(made.weight, gain=gain, generator=weights)
            nn.init.uniform_(made.bias, -(inputs**-0.5), inputs**-0.5, generator=weights)
            return made

        parts: list[nn.Module] = []
        for units in setting.hidden:
            norm = nn.BatchNorm1d(units)
            parts += [linear(dim, units, 1.0), norm, Dropout(setting.dropout, dropout), nn.ReLU()]
            dim = units
        self.network = nn.Sequential(*parts, linear(dim, classes, 2**0.5))

    def forward(self, x: Tensor) -> Tensor:
        if self.layer is not None:
            return self.network(x[:, self.layer])
        weights = self.v.abs() / self.v.abs().sum()
        return self.network((weights[:, None] * x).sum(1))


def train_plainly(
    x: Tensor,
    targets: Tensor,
    split: Split,
    member: Member,
    classes: int,
    budget: Budget,
    score: ValidationScore,
) -> tuple[PlainProbe, float, int, int]:
    """The probe at its best check, the score there, that epoch and the last one."""
    probe = PlainProbe(member, x.shape[1], x.shape[2], classes).to(x)
    adam = torch.optim.Adam(probe.parameters(), lr=member.setting.lr)
    multilabel = targets.is_floating_point()
    criterion = nn.BCEWithLogitsLoss() if multilabel else nn.CrossEntropyLoss()
    order = stream(member.seed, "order")
    top, best, last, misses, state = float("-inf"), 0, 0, 0, None
    for epoch in range(1, budget.epochs + 1):
        probe.train()
        n = len(split.train)
        rows = torch.arange(n)
        if n > budget.batch_size:
            rows = torch.randperm(n, generator=order)
        for batch in split.train[rows].split(budget.batch_size):
            if len(batch) > 1:
                adam.zero_grad()
                criterion(probe(x[batch]), targets[batch]).backward()
                adam.step()
        if epoch % budget.check_every:
            continue
        probe.eval()
        with torch.no_grad():
            value = score(
                probe(x[split.valid]).T[None], _columns(targets[split.valid])[None]
            ).item()
        last, misses = epoch, misses + 1
        if value > top:
            top, best, misses, state = value, epoch, 0, copy.deepcopy(probe.state_dict())
        if misses >= budget.patience:
            break
    if state is not None:
        probe.load_state_dict(state)
    return probe.eval(), top, best, last


def _columns(targets: Tensor) -> Tensor:
    return targets.T if targets.ndim == 2 else targets
