"""Kinds of probes: from features of every layer to decisions about the tested clips."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, Protocol

import torch
from torch import Tensor

from alignment.probes.classifiers import knn_shares, ridge_decisions, standardise
from alignment.probes.grid import STOCK_HEAR, Budget, Setting, grid
from alignment.probes.grid import Split as Rows
from alignment.probes.logistic import logistic_regression
from alignment.probes.metrics import mean_average_precision
from alignment.probes.mlp import precision_of_logits, search_grid
from alignment.probes.widths import equal_widths
from alignment.ridge import penalties
from datamodules.tasks.folds import stratified_folds
from datamodules.tasks.task import Split, Task

MIX = "mix"
"""Layer of what was learned from all layers together."""


class Probe(Protocol):
    """A way to learn a task from features."""

    @property
    def name(self) -> str:
        """Metrics are named by it: ``knn`` gives ``knn_accuracy``."""
        ...

    def decisions(
        self, layers: Mapping[str, Tensor], task: Task
    ) -> Iterator[tuple[str, list[Tensor]]]:
        """For every layer (or ``mix``) and split of the task: (tested clips, classes).

        Parameters
        ----------
        layers : mapping from name to tensor of shape (clips, dim)
        """
        ...


@dataclass(frozen=True)
class Neighbours:
    """Shares of the k nearest training clips by cosine, weighted by ``exp(cosine / .07)``.

    Nothing is chosen: validation clips train.
    """

    k: int = 10
    name: str = "knn"

    def decisions(
        self, layers: Mapping[str, Tensor], task: Task
    ) -> Iterator[tuple[str, list[Tensor]]]:
        return _each(layers, task, lambda x, y, x_test: knn_shares(x, y, x_test, self.k))


@dataclass(frozen=True)
class Linear:
    """Ridge regression to labels of 0 and 1, one penalty by exact leave-one-out in training.

    Validation clips train.

    Parameters
    ----------
    log10_alphas : (low, high, steps)
        Penalties on standardised features.
    """

    log10_alphas: Sequence[float] = (-1, 6, 15)
    name: str = "linear"

    def decisions(
        self, layers: Mapping[str, Tensor], task: Task
    ) -> Iterator[tuple[str, list[Tensor]]]:
        alphas = penalties(self.log10_alphas)
        return _each(layers, task, lambda x, y, x_test: ridge_decisions(x, y, x_test, alphas))


@dataclass(frozen=True)
class Logistic:
    """Logistic regression on standardised features.

    Parameters
    ----------
    c : sequence of float
        Inverse penalties. Of several, the one with the best score on the validation clips of the
        first split is taken for all; a single one needs no validation. In the end these clips
        train too.
    """

    c: Sequence[float] = (0.01, 0.1, 1.0)
    name: str = "logistic"

    def decisions(
        self, layers: Mapping[str, Tensor], task: Task
    ) -> Iterator[tuple[str, list[Tensor]]]:
        exclusive = not task.multilabel

        def decide(x: Tensor, member: Tensor, x_test: Tensor) -> Tensor:
            train, test = standardise(x, x_test)
            return logistic_regression(train, member, c, exclusive).decisions(test)

        for name, values in layers.items():
            c = self.c[0] if len(self.c) == 1 else self._best(_ready(values), task)
            yield from _each({name: values}, task, decide)

    def _best(self, x: Tensor, task: Task) -> float:
        member, exclusive = task.member.to(x.device), not task.multilabel
        split = with_validation(task.splits[0], task)
        train, valid = standardise(x[split.train], x[split.valid])
        scores, fit = {}, None
        for c in sorted(self.c):
            fit = logistic_regression(train, member[split.train], c, exclusive, fit)
            scores[c] = _validate(fit.decisions(valid), member[split.valid], exclusive)
        return max(scores, key=scores.__getitem__)


@dataclass(frozen=True)
class Perceptron:
    """Multi-layer perceptrons, of which validation clips choose setting and end of training.

    Settings are compared on the first split, and the best is trained on all, as in
    arXiv 2511.16849; the grid is trained as one model (alignment/probes/mlp.py).

    Parameters
    ----------
    layers : {"mix", "each", "last"}
        A learned mix of all layers, every layer by itself, or the deepest one alone.
    settings : int, optional
        So many of the 16 settings, drawn by the seed; all by default.
    budget : Budget, optional
        That of arXiv 2511.16849 by default.
    standardise : bool
        Features to mean 0 and deviation 1 in training; off to do as the paper does.
    width : int
        Units of hidden layers.
    """

    layers: Literal["mix", "each", "last"] = "mix"
    name: str = "mlp"
    settings: int | None = None
    budget: Budget = field(default_factory=Budget)
    standardise: bool = True
    width: int = 1024
    seed: int = 0

    def decisions(
        self, layers: Mapping[str, Tensor], task: Task
    ) -> Iterator[tuple[str, list[Tensor]]]:
        splits = [with_validation(split, task) for split in task.splits]
        rows = [Rows(s.train.nonzero()[:, 0], s.valid.nonzero()[:, 0]) for s in splits]
        last = list(layers)[-1]
        inputs = {last: layers[last]} if self.layers == "last" else layers
        # What inference mode made cannot be trained on: this copies it.
        with torch.inference_mode(False), torch.enable_grad():
            copies = [values.float().to(device(), copy=True) for values in inputs.values()]
            x = equal_widths(copies, rows[0].train.to(device()))
            labels = task.labels.clone()
            places = [None] if self.layers == "mix" else list(range(len(inputs)))
            chosen = search_grid(
                x,
                (labels.float() if task.multilabel else labels).to(x.device),
                rows,
                len(task.classes),
                places,
                self._settings(),
                self.seed,
                self.budget,
                precision_of_logits if task.multilabel else None,
                self.standardise,
            )
            for place, found in zip(places, chosen, strict=True):
                name = MIX if place is None else list(inputs)[place]
                pairs = zip(found.probes, splits, strict=True)
                with torch.no_grad():
                    yield name, [p.logits(x[s.test.to(x.device)]).cpu() for p, s in pairs]

    def _settings(self) -> tuple[Setting, ...]:
        every = grid(((self.width,), (self.width, self.width)))
        if self.settings is None:
            return every
        order = torch.randperm(len(every), generator=torch.Generator().manual_seed(self.seed))
        return tuple(every[i] for i in sorted(order[: self.settings].tolist()))


@dataclass(frozen=True)
class MajorityClass:
    """No features at all: how often each label occurs in training."""

    of: Probe

    @property
    def name(self) -> str:
        """That of the probe that it is compared with."""
        return self.of.name

    def decisions(
        self, layers: Mapping[str, Tensor], task: Task
    ) -> Iterator[tuple[str, list[Tensor]]]:
        member = task.member.double()
        shares = [(member[~s.test].mean(0), int(s.test.sum())) for s in task.splits]
        yield "none", [share.expand(count, -1) for share, count in shares]


STOCK = Perceptron("last", "hear_mlp", 8, STOCK_HEAR)
"""HEAR's own: 8 of the 16 settings on one embedding, 500 epochs checked every third; but shuffled,
and standardised."""

NAMED: dict[str, Probe] = {
    "knn": Neighbours(),
    "linear": Linear(),
    "logistic": Logistic(),
    "mlp": Perceptron(),
    "mlp_fast": Perceptron(name="mlp_fast", settings=4, budget=Budget(60, 6, 2, 128), width=256),
    "hear_mlp": STOCK,
}
"""What a name in a config stands for: ``mlp`` is the probe of arXiv 2511.16849, ``mlp_fast`` the
same with a fraction of its width, settings and time, for the end of a training run."""


def device() -> torch.device:
    """Where probes are trained: the GPU of this process, where there is one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _ready(values: Tensor) -> Tensor:
    return values.to(device(), torch.float64)


def _each(
    layers: Mapping[str, Tensor],
    task: Task,
    decide: Callable[[Tensor, Tensor, Tensor], Tensor],
) -> Iterator[tuple[str, list[Tensor]]]:
    """Decisions of a classifier ``(x_train, labels, x_test)``, fitted on all but the tested."""
    for name, values in layers.items():
        x = _ready(values)
        member, splits = task.member.to(x.device), task.splits
        tested = [split.test.to(x.device) for split in splits]
        yield name, [decide(x[~test], member[~test], x[test]).cpu() for test in tested]


def with_validation(split: Split, task: Task) -> Split:
    """The split itself, or where it has no validation clips, a fifth of its training ones."""
    if split.valid.any():
        return split
    places = split.train.nonzero()[:, 0]
    names = [task.stimuli.ids[i] for i in places.tolist()]
    fifth = places[stratified_folds(names, task.labels[places]) == 0]
    valid = torch.zeros_like(split.train)
    valid[fifth] = True
    return Split(split.train & ~valid, valid, split.test)


def _validate(decisions: Tensor, member: Tensor, exclusive: bool) -> float:
    if exclusive:
        return float((decisions.argmax(-1) == member.long().argmax(-1)).double().mean())
    return mean_average_precision(decisions, member).value
