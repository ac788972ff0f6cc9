"""The loop that trains members of one shape together, each until it stops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from alignment.probes.grid import Budget, Member, Split
from alignment.probes.stack import Init, Parameters, Stack, draw_network, forward, loss, mixed

ValidationScore = Callable[[Tensor, Tensor], Tensor]
"""(members, classes, rows) logits and (members, rows) or (members, classes, rows) targets give
(members,) scores, the larger the better."""


_PURPOSES = ("weights", "order", "dropout")


@dataclass(frozen=True, eq=False)
class Probe:
    """A trained member at its best check.

    Attributes
    ----------
    member : Member
    parameters : dict of tensors
        Weights of the network (`alignment.probes.stack.draw_network`); ``mix`` holds v.
    centre, scale : tensors of shape (layers, 1, dim)
        ``(x - centre) * scale`` enters the network.
    valid : float
        Best validation score; NaN if it never was a number.
    best_epoch, epochs : int
        Of the best check, and of the end.
    """

    member: Member
    parameters: Parameters
    centre: Float[Tensor, "layers 1 dim"]
    scale: Float[Tensor, "layers 1 dim"]
    valid: float
    best_epoch: int
    epochs: int

    @property
    def weights(self) -> Float[Tensor, " layers"]:
        """Share of each layer in the mix; of a probe on one layer, 1 there."""
        if self.member.layer is not None:
            return torch.eye(len(self.centre), device=self.centre.device)[self.member.layer]
        v = self.parameters["mix"].abs()
        return v / v.sum()

    def logits(self, x: Float[Tensor, "n layers dim"]) -> Float[Tensor, "n classes"]:
        """Outputs for new rows; their largest is the class, above 0 means yes in multilabel."""
        one = {name: value[None] for name, value in self.parameters.items()}
        layers = (x.transpose(0, 1).to(self.centre) - self.centre) * self.scale
        network = inputs(one, layers, [self.member])
        return forward(one, network, len(self.member.setting.hidden))[0].T


def stream(seed: int, purpose: str, device: torch.device | None = None) -> torch.Generator:
    """Random numbers of a seed for weights, order or dropout."""
    number = seed * len(_PURPOSES) + _PURPOSES.index(purpose)
    return torch.Generator(device or torch.device("cpu")).manual_seed(number)


def inputs(
    parameters: Parameters, x: Float[Tensor, "layers rows dim"], members: Sequence[Member]
) -> Float[Tensor, "inputs rows dim"]:
    """What enters the networks: one row block for each member, or a single one that they share."""
    if members[0].layer is None:
        return mixed(parameters["mix"], x)
    layers = [member.layer for member in members if member.layer is not None]
    return x[layers[:1]] if len(set(layers)) == 1 else x[layers]


class Source:
    """Rows of one split in the order of one seed, for a stretch of neighbouring members."""

    def __init__(
        self, x: Tensor, targets: Tensor, split: Split, seed: int, standardise: bool
    ) -> None:
        train, valid = split.train.to(x.device), split.valid.to(x.device)
        rows = x[train].transpose(0, 1).contiguous()
        self.centre = torch.zeros_like(rows[:, :1])
        self.scale = torch.ones_like(self.centre)
        if standardise:
            self.centre, deviation = rows.mean(1, keepdim=True), rows.std(1, keepdim=True)
            self.scale = torch.where(deviation > 1e-8, 1 / deviation.clamp_min(1e-8), 0.0)
        self.train = (rows - self.centre) * self.scale
        self.valid = (x[valid].transpose(0, 1) - self.centre) * self.scale
        self.train_targets, self.valid_targets = targets[train], targets[valid]
        self.order = stream(seed, "order")
        self.dropout = stream(seed, "dropout", x.device)

    def batches(self, size: int) -> list[Tensor | slice]:
        """Rows of each batch of the next epoch."""
        n = self.train.shape[1]
        if n <= size:
            return [slice(None)]
        rows = torch.randperm(n, generator=self.order).to(self.train.device)
        return [part for part in rows.split(size) if len(part) > 1]

    def masks(self, rows: int, hidden: Sequence[int], p: float) -> list[Tensor]:
        def mask(units: int) -> Tensor:
            kept = torch.empty(rows, units, dtype=self.train.dtype, device=self.train.device)
            return kept.bernoulli_(1 - p, generator=self.dropout).div_(1 - p)

        return [mask(units) for units in hidden]


class Fit:
    """Training of members of one shape."""

    def __init__(
        self,
        x: Tensor,
        targets: Tensor,
        splits: Sequence[Split],
        members: Sequence[Member],
        classes: int,
        standardise: bool,
    ) -> None:
        self.members = list(members)
        self.active = list(range(len(members)))
        self.setting = members[0].setting
        self.depth = len(self.setting.hidden)
        self.sources: dict[tuple[int, int], Source] = {}
        drawn: dict[tuple[int, Init], Parameters] = {}
        networks = []
        for member in members:
            split, seed, init = member.split, member.seed, member.setting.init
            if (split, seed) not in self.sources:
                source = Source(x, targets, splits[split], seed, standardise)
                self.sources[split, seed] = source
            if (seed, init) not in drawn:
                generator = stream(seed, "weights")
                drawn[seed, init] = draw_network(
                    x.shape[2], self.setting.hidden, classes, init, generator
                )
            networks.append(drawn[seed, init])
        parameters = {k: torch.stack([n[k] for n in networks]).to(x) for k in networks[0]}
        if members[0].layer is None:
            parameters["mix"] = torch.ones(len(members), x.shape[1]).to(x)
        self.best = {name: value.clone() for name, value in parameters.items()}
        self.stack = Stack(parameters, [m.setting.lr for m in members], self.depth)

    def run(self, budget: Budget, score: ValidationScore) -> list[Probe]:
        """Train until every member has stopped."""
        count = len(self.members)
        top, best, last = [float("-inf")] * count, [0] * count, [0] * count
        misses = [0] * count
        for epoch in range(1, budget.epochs + 1):
            self._epoch(budget.batch_size)
            if epoch % budget.check_every:
                continue
            with torch.no_grad():
                values = score(*self._validation()).tolist()
            better = []
            for place, (member, value) in enumerate(zip(self.active, values, strict=True)):
                last[member], misses[member] = epoch, misses[member] + 1
                if value > top[member]:
                    top[member], best[member], misses[member] = value, epoch, 0
                    better.append(place)
            self._remember(better)
            if not self._stop([misses[member] < budget.patience for member in self.active]):
                break
        return [self._probe(i, top[i], best[i], last[i]) for i in range(count)]

    def _blocks(self) -> list[tuple[Source, slice, list[Member]]]:
        """Sources that are still used, with their stretch of members."""
        found = []
        keys = [(self.members[i].split, self.members[i].seed) for i in self.active]
        for key in dict.fromkeys(keys):
            part = slice(keys.index(key), keys.index(key) + keys.count(key))
            members = [self.members[i] for i in self.active[part]]
            found.append((self.sources[key], part, members))
        return found

    def _epoch(self, batch_size: int) -> None:
        blocks = self._blocks()
        orders = [source.batches(batch_size) for source, _, _ in blocks]
        for rows in zip(*orders, strict=True):
            x, targets, masks = [], [], []
            for (source, part, members), some in zip(blocks, rows, strict=True):
                x.append(self._enter(source.train[:, some], part, members, len(blocks)))
                targets.append(_repeat(source.train_targets[some], len(members)))
                drawn = source.masks(x[-1].shape[1], self.setting.hidden, self.setting.dropout)
                width = 1 if len(blocks) == 1 else len(members)
                masks.append([mask[:, None].expand(-1, width, -1) for mask in drawn])
            joined = [_join(layer, 1) for layer in zip(*masks, strict=True)]
            logits = forward(self.stack.parameters, _join(x), self.depth, joined)
            self.stack.step(loss(logits, _join(targets)).sum())

    def _validation(self) -> tuple[Tensor, Tensor]:
        blocks = self._blocks()
        x = [self._enter(s.valid, part, members, len(blocks)) for s, part, members in blocks]
        targets = [_repeat(s.valid_targets, len(members)) for s, _, members in blocks]
        return forward(self.stack.parameters, _join(x), self.depth), _join(targets)

    def _enter(self, x: Tensor, part: slice, members: list[Member], blocks: int) -> Tensor:
        mine = {"mix": self.stack.parameters["mix"][part]} if members[0].layer is None else {}
        entering = inputs(mine, x, members)
        return entering if blocks == 1 else entering.expand(len(members), -1, -1)

    def _remember(self, places: list[int]) -> None:
        """Copy the weights of members that are better than ever before."""
        for place in places:
            for name, value in self.stack.parameters.items():
                self.best[name][self.active[place]] = value[place].detach()

    def _stop(self, going: list[bool]) -> bool:
        """Drop members that have stopped; whether any is left."""
        places = [place for place, on in enumerate(going) if on]
        if 0 < len(places) < len(self.active):
            self.stack.keep(places)
        self.active = [self.active[place] for place in places]
        return bool(places)

    def _probe(self, i: int, top: float, best: int, last: int) -> Probe:
        member = self.members[i]
        source = self.sources[member.split, member.seed]
        parameters = {name: value[i].clone() for name, value in self.best.items()}
        valid = top if best else float("nan")
        return Probe(member, parameters, source.centre, source.scale, valid, best, last)


def _repeat(targets: Tensor, members: int) -> Tensor:
    """(rows,) to (members, rows) or (rows, classes) to (members, classes, rows)."""
    columns = targets.T if targets.ndim == 2 else targets
    return columns.expand(members, *columns.shape)


def _join(parts: Sequence[Tensor], dim: int = 0) -> Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(list(parts), dim)
