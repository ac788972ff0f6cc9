"""Multi-layer perceptrons as probes: a whole grid, with folds and seeds, trained as one model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alignment.probe_metrics import average_precision
from alignment.probe_stack import Init, Parameters, Stack, draw_network, forward, loss, mixed

Targets = Int[Tensor, " rows"] | Float[Tensor, "rows classes"]
ValidationScore = Callable[[Tensor, Tensor], Tensor]
"""(members, classes, rows) logits and (members, rows) or (members, classes, rows) targets give
(members,) scores, the larger the better."""

_PURPOSES = ("weights", "order", "dropout")


@dataclass(frozen=True)
class Setting:
    """One point of the grid.

    Attributes
    ----------
    lr : float
        Adam's learning rate.
    hidden : tuple of int
        Width of each hidden layer.
    init : {"uniform", "normal"}
        Xavier initialisation from either distribution.
    dropout : float
    """

    lr: float
    hidden: tuple[int, ...] = (1024,)
    init: Init = "uniform"
    dropout: float = 0.1


def grid(
    widths: Sequence[tuple[int, ...]] = ((1024,), (1024, 1024)),
    rates: Sequence[float] = (3.2e-3, 1e-3, 3.2e-4, 1e-4),
    inits: Sequence[Init] = ("uniform", "normal"),
    dropout: float = 0.1,
) -> tuple[Setting, ...]:
    """Every combination; the default is the 16 settings of HEAR and of arXiv 2511.16849."""
    return tuple(Setting(lr, w, init, dropout) for w, lr, init in product(widths, rates, inits))


@dataclass(frozen=True)
class Budget:
    """How long a probe is trained; the default is that of arXiv 2511.16849.

    Attributes
    ----------
    epochs : int
        At most.
    patience : int
        Checks without a better validation score after which training stops.
    check_every : int
        Epochs between two checks.
    batch_size : int
        Rows that fit one batch are not shuffled; a last batch of a single row is left out.
    """

    epochs: int = 200
    patience: int = 20
    check_every: int = 1
    batch_size: int = 1024


STOCK_HEAR = Budget(epochs=500, patience=20, check_every=3)


@dataclass(frozen=True, eq=False)
class Split:
    """Rows that train a probe and rows that decide when it stops."""

    train: Int[Tensor, " train"]
    valid: Int[Tensor, " valid"]


@dataclass(frozen=True)
class Member:
    """One probe to train: a setting on a split from a seed, on one layer or on a learned mix.

    Attributes
    ----------
    setting : Setting
    split : int
        Place in the list of splits.
    seed : int
        Gives initial weights, order of rows and dropout, each from a stream of its own; members
        with one seed share them, so settings and layers are compared under the same draws.
    layer : int, optional
        None mixes all layers, ``Σ |v_l| x_l / Σ |v_l|`` with v learned from 1.
    """

    setting: Setting
    split: int = 0
    seed: int = 0
    layer: int | None = None


@dataclass(frozen=True, eq=False)
class Probe:
    """A trained member at its best check.

    Attributes
    ----------
    member : Member
    parameters : dict of tensors
        Weights of the network (`alignment.probe_stack.draw_network`); ``mix`` holds v.
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
        network = _inputs(one, layers, [self.member])
        return forward(one, network, len(self.member.setting.hidden))[0].T


def accuracy_of_logits(logits: Tensor, targets: Tensor) -> Tensor:
    """Share of rows whose largest logit is the target, (members, classes, rows) to (members,)."""
    return (logits.argmax(1) == targets).double().mean(-1)


def precision_of_logits(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean average precision over classes with a positive row, (members, …) to (members,)."""
    return average_precision(logits, targets).nanmean(-1)


def fit_probes(
    x: Float[Tensor, "n layers dim"],
    targets: Targets,
    splits: Sequence[Split],
    members: Sequence[Member],
    classes: int,
    budget: Budget | None = None,
    score: ValidationScore | None = None,
    standardise: bool = True,
    chunk: int = 16,
) -> list[Probe]:
    """All members, trained side by side; `each_probe` says how, this keeps them all."""
    found = each_probe(x, targets, splits, members, classes, budget, score, standardise, chunk)
    return [probe for _, probe in sorted(found, key=lambda pair: pair[0])]


def each_probe(
    x: Float[Tensor, "n layers dim"],
    targets: Targets,
    splits: Sequence[Split],
    members: Sequence[Member],
    classes: int,
    budget: Budget | None = None,
    score: ValidationScore | None = None,
    standardise: bool = True,
    chunk: int = 16,
) -> Iterator[tuple[int, Probe]]:
    """Train members of equal shape as one model, and give each with its place among members.

    ``[Linear → BatchNorm → Dropout → ReLU] x hidden → Linear`` under Adam and cross-entropy
    (binary with multilabel targets). A member stops, and no longer changes, after ``patience``
    checks without a better validation score; the weights of its best check are what it returns.
    Its result depends on its own seed alone, up to rounding, not on who is trained beside it.

    Parameters
    ----------
    x : tensor of shape (n, layers, dim)
        Pooled features; trained in their dtype and on their device.
    targets : tensor of shape (n,) of class numbers, or (n, classes) of 0.0 and 1.0
        The second is multilabel.
    splits, members : sequences
    classes : int
    budget : Budget, optional
    score : callable, optional
        Validation score of (members, classes, rows) logits; accuracy, or mean average precision
        of multilabel targets.
    standardise : bool
        Features to mean 0 and deviation 1 in training rows; off to do as the paper does.
    chunk : int
        Members trained at once: bounds memory, about six copies of their weights.

    Raises
    ------
    ValueError
        If features are not finite or do not match targets, or a split has fewer than two training
        rows or no validation row.
    """
    _check(x, targets, splits, classes)
    budget = budget or Budget()
    if score is None:
        score = precision_of_logits if targets.is_floating_point() else accuracy_of_logits
    groups: dict[object, list[int]] = {}
    for place, member in enumerate(members):
        split, setting = splits[member.split], member.setting
        shape = (setting.hidden, setting.dropout, member.layer is None)
        groups.setdefault((*shape, len(split.train), len(split.valid)), []).append(place)
    for places in groups.values():
        places.sort(key=lambda i: (members[i].split, members[i].seed, members[i].setting.lr))
        for start in range(0, len(places), chunk):
            some = places[start : start + chunk]
            fit = _Fit(x, targets, splits, [members[i] for i in some], classes, standardise)
            yield from zip(some, fit.run(budget, score), strict=True)


def _check(x: Tensor, targets: Tensor, splits: Sequence[Split], classes: int) -> None:
    if len(x) != len(targets):
        raise ValueError(f"{len(x)} feature rows but {len(targets)} targets: one for each row")
    if not x.isfinite().all():
        rows = (~x.isfinite()).flatten(1).any(1).sum().item()
        raise ValueError(f"{rows} of {len(x)} feature rows are not finite: leave them out")
    if targets.is_floating_point():
        if targets.ndim != 2 or targets.shape[1] != classes:
            raise ValueError(f"targets of shape {tuple(targets.shape)}, expected (n, {classes})")
    elif targets.min() < 0 or targets.max() >= classes:
        low, high = int(targets.min()), int(targets.max())
        raise ValueError(f"targets run from {low} to {high}, expected 0 to {classes - 1}")
    for number, split in enumerate(splits):
        if len(split.train) < 2 or not len(split.valid):
            raise ValueError(
                f"split {number} has {len(split.train)} training and {len(split.valid)} validation "
                "rows, expected at least 2 and 1"
            )


def _generator(seed: int, purpose: str, device: torch.device | None = None) -> torch.Generator:
    number = seed * len(_PURPOSES) + _PURPOSES.index(purpose)
    return torch.Generator(device or torch.device("cpu")).manual_seed(number)


def _inputs(
    parameters: Parameters, x: Float[Tensor, "layers rows dim"], members: Sequence[Member]
) -> Float[Tensor, "inputs rows dim"]:
    """What enters the networks: one row block for each member, or a single one that they share."""
    if members[0].layer is None:
        return mixed(parameters["mix"], x)
    layers = [member.layer for member in members if member.layer is not None]
    return x[layers[:1]] if len(set(layers)) == 1 else x[layers]


class _Source:
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
        self.order = _generator(seed, "order")
        self.dropout = _generator(seed, "dropout", x.device)

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


class _Fit:
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
        self.sources: dict[tuple[int, int], _Source] = {}
        drawn: dict[tuple[int, Init], Parameters] = {}
        networks = []
        for member in members:
            split, seed, init = member.split, member.seed, member.setting.init
            if (split, seed) not in self.sources:
                source = _Source(x, targets, splits[split], seed, standardise)
                self.sources[split, seed] = source
            if (seed, init) not in drawn:
                generator = _generator(seed, "weights")
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

    def _blocks(self) -> list[tuple[_Source, slice, list[Member]]]:
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
        entering = _inputs(mine, x, members)
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
