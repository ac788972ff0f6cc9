"""Many small networks of one shape, trained as one: every parameter has the members in front."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional
from torch.optim.adam import adam

Init = Literal["uniform", "normal"]
Parameters = dict[str, Tensor]

MOMENTUM, EPS = 0.1, 1e-5


def draw_network(
    dim: int, hidden: Sequence[int], outputs: int, init: Init, generator: torch.Generator
) -> Parameters:
    """Weights of one network [Linear, BatchNorm, Dropout, ReLU] x hidden, Linear; on the CPU.

    Xavier weights with gain 1 in hidden layers and √2 in the last one, biases uniform in
    ±1/√inputs, BatchNorm at scale 1 and shift 0. Weights have shape (inputs, units).
    """
    xavier = torch.nn.init.xavier_uniform_ if init == "uniform" else torch.nn.init.xavier_normal_
    sizes = (dim, *hidden, outputs)
    parameters: Parameters = {}
    for i, (inputs, units) in enumerate(pairwise(sizes)):
        last = i == len(hidden)
        weight, bias = torch.empty(units, inputs), torch.empty(units)
        xavier(weight, 2**0.5 if last else 1.0, generator=generator)
        parameters[f"weight{i}"] = weight.T.contiguous()
        parameters[f"bias{i}"] = bias.uniform_(-(inputs**-0.5), inputs**-0.5, generator=generator)
        if not last:
            parameters[f"scale{i}"], parameters[f"shift{i}"] = torch.ones(units), torch.zeros(units)
            parameters[f"mean{i}"], parameters[f"var{i}"] = torch.zeros(units), torch.ones(units)
    return parameters


def trained(name: str, depth: int) -> bool:
    """Whether a parameter has a gradient.

    A bias in front of a BatchNorm has none but rounding errors, which Adam would blow up to full
    steps; it stays as drawn. Running means and variances are not trained.
    """
    return name in ("mix", f"bias{depth}") or name.startswith(("weight", "scale", "shift"))


def mixed(
    mix: Float[Tensor, "members layers"], x: Float[Tensor, "layers rows dim"]
) -> Float[Tensor, "members rows dim"]:
    """Weighted mean ``Σ |v_l| x_l / Σ |v_l|`` over layers, for every member."""
    weights = mix.abs() / mix.abs().sum(-1, keepdim=True)
    return (weights @ x.flatten(1)).unflatten(1, x.shape[1:])


def forward(
    parameters: Parameters,
    x: Float[Tensor, "inputs rows dim"],
    depth: int,
    masks: Sequence[Float[Tensor, "rows inputs_of_mask units"]] | None = None,
) -> Float[Tensor, "members outputs rows"]:
    """Outputs of all members.

    Parameters
    ----------
    parameters : dict
        See `draw_network`, with the members in front of every shape.
    x : tensor of shape (members or 1, rows, dim)
    depth : int
        Number of hidden layers.
    masks : one tensor of shape (rows, members or 1, units) per hidden layer, optional
        Dropout: 0 or ``1 / (1 - p)``. With them BatchNorm takes its statistics from the rows and
        follows them with its running ones (in place); without, it uses the running ones.
    """
    members = len(parameters["bias0"])
    rows = x.shape[1]
    h = x
    for i in range(depth):
        weight, bias = parameters[f"weight{i}"], parameters[f"bias{i}"]
        z = torch.baddbmm(bias[:, None], h.expand(members, -1, -1), weight)
        flat = z.transpose(0, 1).reshape(rows, -1)
        flat = functional.batch_norm(
            flat,
            parameters[f"mean{i}"].view(-1),
            parameters[f"var{i}"].view(-1),
            parameters[f"scale{i}"].flatten(),
            parameters[f"shift{i}"].flatten(),
            training=masks is not None,
            momentum=MOMENTUM,
            eps=EPS,
        )
        z = flat.unflatten(1, (members, -1))
        h = (functional.relu(z) if masks is None else functional.relu(z * masks[i])).transpose(0, 1)
    weight, bias = parameters[f"weight{depth}"], parameters[f"bias{depth}"]
    return torch.baddbmm(bias[:, None], h.expand(members, -1, -1), weight).transpose(1, 2)


def loss(
    logits: Float[Tensor, "members outputs rows"],
    targets: Int[Tensor, "members rows"] | Float[Tensor, "members outputs rows"],
) -> Float[Tensor, " members"]:
    """Mean cross-entropy of classes, or of yes and no over classes and rows, per member."""
    if targets.is_floating_point():
        entropy = functional.binary_cross_entropy_with_logits(logits, targets, reduction="none")
        return entropy.flatten(1).mean(-1)
    return functional.cross_entropy(logits, targets, reduction="none").mean(-1)


class Stack:
    """Parameters of members still in training, with an Adam of its own learning rate for each.

    Parameters
    ----------
    parameters : dict
        Members in front.
    lr : list of float
        One per member; neighbours with the same rate are stepped together.
    depth : int
    """

    def __init__(self, parameters: Parameters, lr: Sequence[float], depth: int) -> None:
        self.parameters = parameters
        self.lr = list(lr)
        self.depth = depth
        self.steps = 0
        self.names = [name for name in parameters if trained(name, depth)]
        self.first = {name: torch.zeros_like(parameters[name]) for name in self.names}
        self.second = {name: torch.zeros_like(parameters[name]) for name in self.names}
        self._watch()

    def _watch(self) -> None:
        for name in self.names:
            self.parameters[name].requires_grad_(True)

    def step(self, total: Float[Tensor, ""]) -> None:
        """One step down the gradient of the members' summed losses."""
        leaves = [self.parameters[name] for name in self.names]
        grads = [grad.contiguous() for grad in torch.autograd.grad(total, leaves)]
        with torch.no_grad():
            for part in self._runs():
                adam(
                    [leaf[part] for leaf in leaves],
                    [grad[part] for grad in grads],
                    [self.first[name][part] for name in self.names],
                    [self.second[name][part] for name in self.names],
                    [],
                    [torch.tensor(float(self.steps), device=leaf.device) for leaf in leaves],
                    fused=True,
                    amsgrad=False,
                    beta1=0.9,
                    beta2=0.999,
                    lr=self.lr[part.start],
                    weight_decay=0.0,
                    eps=1e-8,
                    maximize=False,
                )
        self.steps += 1

    def _runs(self) -> list[slice]:
        """Stretches of members with one learning rate."""
        starts = [i for i in range(len(self.lr)) if i == 0 or self.lr[i] != self.lr[i - 1]]
        return [slice(a, b) for a, b in zip(starts, [*starts[1:], len(self.lr)], strict=True)]

    def keep(self, members: Sequence[int]) -> None:
        """Drop all other members."""
        index = torch.tensor(members, device=self.parameters["bias0"].device)
        for table in (self.parameters, self.first, self.second):
            for name in table:
                table[name] = table[name].detach()[index]
        self.lr = [self.lr[i] for i in members]
        self._watch()
