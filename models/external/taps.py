"""Layers of any module by pattern, and taking what they put out while the module runs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from torch import Tensor, nn

SHOWN = 40
"""Names of modules that an error lists at most."""


def natural(name: str) -> tuple[tuple[bool, int, str], ...]:
    """A key by which ``layers.2`` comes before ``layers.10``."""
    parts = re.split(r"(\d+)", name)
    return tuple((part.isdigit(), int(part) if part.isdigit() else 0, part) for part in parts)


def matching(module: nn.Module, patterns: Sequence[str]) -> list[tuple[str, str]]:
    """Names of the submodules that patterns match, each with the first pattern that does.

    In a pattern ``*`` stands for anything within one part of a name and ``**`` for anything, so
    that ``layers.*`` are the layers and not what is inside them; ``re:`` before it makes it a
    regular expression for the whole name. The order is that of the patterns, and natural within
    one. A module that goes by two names counts once.

    Raises
    ------
    ValueError
        If a pattern matches nothing: lists the modules there are.
    """
    modules = {name: part for name, part in module.named_modules(remove_duplicate=False) if name}
    found: dict[int, tuple[str, str]] = {}
    for pattern in patterns:
        expression = _expression(pattern)
        named = sorted((name for name in modules if expression.fullmatch(name)), key=natural)
        if not named:
            raise ValueError(_nothing(module, pattern, list(modules)))
        for name in named:
            found.setdefault(id(modules[name]), (name, pattern))
    return list(found.values())


def _expression(pattern: str) -> re.Pattern[str]:
    if pattern.startswith("re:"):
        try:
            return re.compile(pattern.removeprefix("re:"))
        except re.error as error:
            text = f"layer pattern {pattern!r} is no regular expression: {error}"
            raise ValueError(text) from error
    parts = re.split(r"(\*\*|\*)", pattern)
    stands = {"**": ".*", "*": r"[^.]*"}
    return re.compile("".join(stands.get(part, re.escape(part)) for part in parts))


def _nothing(module: nn.Module, pattern: str, names: list[str]) -> str:
    """What to say of a pattern that matches nothing: numbers of layers are shown as ``*``."""
    kinds = Counter(re.sub(r"(?<=\.)\d+(?=\.|$)", "*", name) for name in names)
    shown = [f"{kind} ({n})" if n > 1 else kind for kind, n in list(kinds.items())[:SHOWN]]
    more = ", …" if len(kinds) > SHOWN else ""
    return (
        f"layer pattern {pattern!r} matches no module of {type(module).__name__}; "
        f"there are: {', '.join(shown)}{more}"
    )


@contextmanager
def tap_layers(
    module: nn.Module, names: Sequence[str], take: Callable[[str, Tensor], None]
) -> Iterator[None]:
    """While inside, ``take(name, output)`` is called whenever a submodule has run.

    It is called inside the hook and given a detached tensor, so that nothing is held which it
    does not keep. Hooks are removed whatever happens.
    """

    def hook(name: str) -> Callable[[nn.Module, object, object], None]:
        return lambda part, inputs, output: take(name, first_tensor(output, name).detach())

    handles = []
    try:
        for name in names:
            handles.append(module.get_submodule(name).register_forward_hook(hook(name)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def first_tensor(output: object, name: str) -> Tensor:
    """The features in what a module returns: a tensor, a tuple, a dict or an output class.

    Of several the one called ``last_hidden_state``, or else the first.
    """
    if isinstance(output, Tensor):
        return output
    values: list[object] = []
    if isinstance(output, Mapping):
        values = [output.get("last_hidden_state"), *output.values()]
    elif isinstance(output, Sequence) and not isinstance(output, str):
        values = list(output)
    elif hasattr(output, "__dict__"):
        values = [getattr(output, "last_hidden_state", None), *vars(output).values()]
    for value in values:
        if isinstance(value, Tensor):
            return value
        if isinstance(value, Sequence) and value and isinstance(value[0], Tensor):
            return value[0]
    raise ValueError(f"layer {name} returns a {type(output).__name__} without a tensor in it")
