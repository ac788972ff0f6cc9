"""The probe grid trained as one model, side by side with its members trained one at a time.

``python bench/probes.py`` on made-up features; ``--device cuda`` on a GPU. Both methods train
every member for the same number of epochs, with a check every third. Peers are timed on a sample
of members and their time for the whole is extrapolated: each has its own ``torch.nn`` modules and
``torch.optim.Adam``, fed with slices of tensors already on the device, or by a ``DataLoader`` that
collates row by row, or trained as hear-eval-kit does (bench/heareval.py).

``--checkpoint`` times what a checkpoint costs beyond its features instead: nearest neighbours and
ridge on all layers of made-up features in the sizes of the four small tasks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

sys.path.insert(0, str(Path(__file__).parents[1]))
from alignment.probes.grid import Budget, Member, Split, grid
from alignment.probes.mlp import each_probe
from bench.heareval import train_as_heareval
from bench.stopwatch import timed
from datamodules.stimuli import Provenance, StimulusSet
from datamodules.tasks.task import Task
from evaluation.downstream.probes import Linear, Neighbours, Probe

CHECK_EVERY = 3
MANNERS = {
    "sliced": "one at a time, sliced rows",
    "collated": "one at a time, collated rows",
    "heareval": "one at a time, as hear-eval-kit",
}
TASKS = {"fsdd": (2100, 2, 10, 6), "instrument": (1080, 1, 12, 5), "chroma": (1080, 1, 12, 5)}
TASKS |= {"category": (149, 1, 8, 5)}
"""Clips, width as a multiple of mean and deviation, classes and folds."""


class Alone(nn.Module):
    """One member as people write it."""

    def __init__(self, member: Member, layers: int, dim: int, classes: int) -> None:
        super().__init__()
        self.layer = member.layer
        self.v = nn.Parameter(torch.ones(layers))
        parts: list[nn.Module] = []
        for units in member.setting.hidden:
            dropout = nn.Dropout(member.setting.dropout)
            parts += [nn.Linear(dim, units), nn.BatchNorm1d(units), dropout, nn.ReLU()]
            dim = units
        self.network = nn.Sequential(*parts, nn.Linear(dim, classes))

    def forward(self, x: Tensor) -> Tensor:
        if self.layer is not None:
            return self.network(x if x.ndim == 2 else x[:, self.layer])
        weights = self.v.abs() / self.v.abs().sum()
        return self.network((weights[:, None] * x).sum(1))


def train_alone(
    x: Tensor, labels: Tensor, split: Split, member: Member, classes: int, budget: Budget, rows: str
) -> None:
    """Epochs of one member; ``rows`` is one of ``MANNERS``."""
    if rows == "heareval":
        x = x if member.layer is None else x[:, member.layer]

        def make() -> Alone:
            return Alone(member, x.shape[1] if x.ndim == 3 else 1, x.shape[-1], classes)

        train_as_heareval(make, x, labels, split, member, classes, budget)
        return
    model = Alone(member, x.shape[1], x.shape[2], classes).to(x.device)
    adam = torch.optim.Adam(model.parameters(), lr=member.setting.lr)
    criterion = nn.CrossEntropyLoss()
    x = x if member.layer is None else x[:, member.layer]
    train, valid = (x[split.train], labels[split.train]), (x[split.valid], labels[split.valid])
    loader = DataLoader(TensorDataset(*train), budget.batch_size, shuffle=True)
    best = 0.0
    for epoch in range(1, budget.epochs + 1):
        model.train()
        batches: Iterable = loader if rows == "collated" else sliced(train, budget.batch_size)
        for some, targets in batches:
            adam.zero_grad()
            criterion(model(some), targets).backward()
            adam.step()
        if epoch % budget.check_every:
            continue
        model.eval()
        with torch.no_grad():
            value = (model(valid[0]).argmax(-1) == valid[1]).float().mean().item()
        if value > best:
            best, _ = value, {name: v.clone() for name, v in model.state_dict().items()}


def sliced(train: tuple[Tensor, Tensor], size: int) -> Iterable[tuple[Tensor, Tensor]]:
    """Shuffled batches; rows that fit one batch as they are."""
    n = len(train[0])
    if n <= size:
        yield train
        return
    for rows in torch.randperm(n, device=train[0].device).split(size):
        yield train[0][rows], train[1][rows]


def problem(
    rows: int, layers: int, dim: int, classes: int, folds: int, device: str
) -> tuple[Tensor, Tensor, list[Split]]:
    """Features whose middle layer tells the class, with the protocol's rotation of folds."""
    draw = torch.Generator().manual_seed(0)
    labels = torch.randint(classes, (rows,), generator=draw)
    x = torch.randn(rows, layers, dim, generator=draw)
    x[:, layers // 2] += torch.randn(classes, dim, generator=draw)[labels]
    fold = torch.arange(rows) * folds // rows
    splits = []
    for k in range(folds):
        valid = fold == (k + 1) % folds
        train = ((fold != k) & ~valid).nonzero()[:, 0]
        splits.append(Split(train, valid.nonzero()[:, 0]))
    return x.to(device), labels.to(device), splits


def measure(args: argparse.Namespace, mix: bool) -> list[tuple[str, int, float]]:
    """Method, members that were timed and seconds for all of them."""
    x, labels, splits = problem(
        args.rows, args.layers, args.dim, args.classes, args.folds, args.device
    )
    settings = grid(((args.width,), (args.width, args.width)))
    places = [None] if mix else list(range(args.layers))
    folds = range(args.folds)
    members = [Member(s, k, 0, layer) for layer in places for k in folds for s in settings]
    budget = Budget(args.epochs, args.epochs, CHECK_EVERY, args.batch)

    def together(members: list[Member], budget: Budget) -> None:
        for _ in each_probe(x, labels, splits, members, args.classes, budget, chunk=args.chunk):
            pass

    together(members[: len(settings)], Budget(2, 2, batch_size=args.batch))  # starts the libraries
    found = [("as one", len(members), timed(lambda: together(members, budget), args.device))]
    split, few = splits[0], Budget(1, 1, batch_size=args.batch)
    train_alone(x, labels, split, members[0], args.classes, few, "collated")
    depths = [[m for m in members if len(m.setting.hidden) == depth] for depth in (1, 2)]
    half = max(1, args.sample // 2)
    for rows, manner in MANNERS.items():
        total = 0.0
        for alike in depths:
            sample = alike[:: -(-len(alike) // half)]

            def alone(sample: list[Member] = sample, rows: str = rows) -> None:
                for member in sample:
                    split = splits[member.split]
                    train_alone(x, labels, split, member, args.classes, budget, rows)

            total += timed(alone, args.device) / len(sample) * len(alike)
        found.append((manner, 2 * half, total))
    return found


def checkpoint(args: argparse.Namespace) -> Table:
    """Seconds of the default probes on every task."""
    table = Table(title=f"Beyond features: {args.layers} layers x {args.dim}, {where(args)}")
    for name in ("task", "clips", "folds", "features", "neighbours, s", "ridge, s"):
        table.add_column(name, justify="left" if name == "task" else "right")
    for name, (rows, times, classes, folds) in TASKS.items():
        dim = 2 * args.dim * times
        x, labels, _ = problem(rows, args.layers, dim, classes, folds, args.device)
        stimuli = StimulusSet(name, [str(i) for i in range(rows)], [Path()] * rows)
        names = tuple(map(str, range(classes)))
        fold = torch.arange(rows) * folds // rows
        task = Task(stimuli, labels.cpu(), names, fold, Provenance("made", "CC0-1.0"))
        layers = {str(i): x[:, i].cpu() for i in range(args.layers)}
        seconds = [_timed(probe, layers, task, args.device) for probe in (Neighbours(), Linear())]
        table.add_row(name, str(rows), str(folds), str(dim), *(f"{s:.2f}" for s in seconds))
    return table


def _timed(probe: Probe, layers: dict[str, Tensor], task: Task, device: str) -> float:
    return timed(lambda: list(probe.decisions(layers, task)), device)


def where(args: argparse.Namespace) -> str:
    """The device, with the threads of a CPU."""
    return f"{torch.get_num_threads()} threads" if args.device == "cpu" else args.device


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", action="store_true", help="the default probes instead")
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--layers", type=int, default=5)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--folds", type=int, default=5, help="at least 3")
    parser.add_argument("--width", type=int, default=1024, help="units of a hidden layer")
    parser.add_argument("--epochs", type=int, default=30, help="of every member")
    parser.add_argument("--batch", type=int, default=1024)
    parser.add_argument("--chunk", type=int, default=16, help="members trained at once")
    parser.add_argument("--sample", type=int, default=16, help="members trained alone")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, help="of a CPU; all cores, which must be idle")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.checkpoint:
        Console(width=120).print(checkpoint(args))
        return
    table = Table(
        title=f"16 settings x {args.folds} folds, {args.rows} rows, {args.layers} layers x "
        f"{args.dim}, width {args.width}, batches of {args.batch}, {args.epochs} epochs, "
        f"{where(args)}"
    )
    for name in ("probe on", "method", "members timed", "seconds for all", "ratio"):
        table.add_column(name, justify="left" if name in ("probe on", "method") else "right")
    for mix in (True, False):
        rows = measure(args, mix)
        kind = "learned mix" if mix else "every layer"
        for method, count, seconds in rows:
            table.add_row(
                kind, method, str(count), f"{seconds:,.2f}", f"{seconds / rows[0][2]:,.1f}"
            )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
