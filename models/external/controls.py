"""What a network scores without what it learned: permuted weights, and reinitialised weights."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from fnmatch import fnmatch

import torch
from torch import nn


def permuted(of: nn.Module, seed: int = 0, keep: Sequence[str] = ("frontend.*",)) -> nn.Module:
    """A copy in which the entries of every tensor of the state are shuffled within it.

    Buffers are shuffled too, as in Tuckute et al. 2023; distributions of weights stay, structure
    goes. This is not a re-initialisation.

    Parameters
    ----------
    of : nn.Module
        An encoder with weights.
    seed : int
        The same seed gives the same permutations.
    keep : sequence of str
        Names (with ``*``) of the acoustic front end, which is left as it is.
    """
    made = _copy(of, "permuted")
    generator = torch.Generator().manual_seed(seed)
    touched = 0
    with torch.no_grad():
        for name, tensor in sorted(made.state_dict().items()):
            if any(fnmatch(name, pattern) for pattern in keep):
                continue
            order = torch.randperm(tensor.numel(), generator=generator).to(tensor.device)
            tensor.copy_(tensor.flatten()[order].view_as(tensor))
            touched += tensor.numel() > 1
    if not touched:
        raise ValueError(f"{of.name} has no weights that could be permuted")
    return made


def random(of: nn.Module, seed: int = 0) -> nn.Module:
    """A copy with reinitialised weights from their initial distribution.

    A module that has ``initialise()`` draws all of its own weights; below it, and in every other
    module, ``reset_parameters()`` is called as torch's own layers have it.

    Raises
    ------
    ValueError
        If a weight belongs to a module that can do neither.
    """
    made = _copy(of, "random")
    if next(made.parameters(), None) is None:
        raise ValueError(f"{of.name} has no weights that could be reinitialised")
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        _draw(made, "")
    return made


def _draw(module: nn.Module, name: str) -> None:
    for draw in ("initialise", "reset_parameters"):
        if callable(getattr(module, draw, None)):
            getattr(module, draw)()
            return
    own = [key for key, _ in module.named_parameters(recurse=False)]
    if own:
        raise ValueError(
            f"{name or type(module).__name__} ({type(module).__name__}) has the weight {own[0]} "
            "but no reset_parameters(): its initial distribution is not known"
        )
    for key, child in module.named_children():
        _draw(child, f"{name}.{key}" if name else key)


def _copy(encoder: nn.Module, kind: str) -> nn.Module:
    if not isinstance(encoder, nn.Module):
        raise ValueError(f"{type(encoder).__name__} holds features, not weights: no {kind} copy")
    made = copy.deepcopy(encoder)
    made.name = f"{encoder.name}_{kind}"  # type: ignore[assignment]
    made.step = None  # type: ignore[assignment]
    return made
