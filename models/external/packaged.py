"""Models of other packages: made by name, with weights that are read here, and layers by hooks."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from models.external.hooks import Hooked, Layers
from models.external.weights import read_weights


def load_packaged(
    module: str,
    install: str,
    name: str,
    sample_rate: int,
    layers: Layers,
    weights: str | None = None,
    state: str = "",
    sizes: str = "",
    sizes_class: str = "",
    passes: str = "",
    arguments: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Hooked:
    """The encoder of a module that an installed package, or code on the Python path, has.

    The package is trusted as every installed one is; of the file nothing is executed.

    Parameters
    ----------
    module : str
        Class or function that makes a module which takes audio (batch, samples), as
        ``package.module.Name``.
    install : str
        What to do to have it; repeated where it is missing.
    weights : str, optional
        File of its weights, such as ``torch.save`` writes or safetensors; a folder where the
        module reads one.
    state : str
        Key under which the weights lie in the file; the file itself by default.
    sizes : str
        Key of the settings in the file with which the module is made.
    sizes_class : str
        What is made of these settings and given instead of them.
    passes : str
        Name of the argument under which the module is given the path, and reads it by itself.
    arguments : mapping, optional
        Further arguments of the module.
    settings
        Of :class:`models.external.hooks.Hooked`.

    Raises
    ------
    ModuleNotFoundError
        If the module is not there: says what to install.
    FileNotFoundError
        If the weights are not there.
    ValueError
        If the file holds more than weights, or not those of this module.
    """
    make = _name_layers(module, name, install)
    if weights is None or not Path(weights).exists():
        where = "its weights" if weights is None else f"weights, but there are none at {weights}"
        raise FileNotFoundError(f"{name} needs {where}: {install}; then give encoder.weights=FILE")
    given = dict(arguments or {})
    if passes:
        made = make(**given, **{passes: weights})
    else:
        content = read_weights(weights)
        positional: tuple[Any, ...] = ()
        if sizes:
            found = _inside(content, sizes, weights)
            if sizes_class:
                positional = (_name_layers(sizes_class, name, install)(found),)
            else:
                given = {**found, **given}
        made = make(*positional, **given)
        _fill(made, _inside(content, state, weights) if state else content, weights)
    return Hooked(made.eval(), sample_rate, layers, name=name, **settings)


def _name_layers(path: str, name: str, install: str) -> Callable[..., Any]:
    """What a dotted name stands for, within a module or within a class of it."""
    home, _, last = path.rpartition(".")
    try:
        try:
            return getattr(importlib.import_module(home), last)
        except ModuleNotFoundError:
            above, _, owner = home.rpartition(".")
            return getattr(getattr(importlib.import_module(above), owner), last)
    except (ImportError, AttributeError, ValueError) as error:
        raise ModuleNotFoundError(f"{name} needs {path} ({error}): {install}") from error


def _inside(content: Any, key: str, path: str) -> Any:
    if not isinstance(content, Mapping) or key not in content:
        has = ", ".join(map(str, [*content][:8])) if isinstance(content, Mapping) else "no keys"
        raise ValueError(f"{path} has no {key}, it has {has}: check encoder.weights")
    return content[key]


def _fill(module: nn.Module, state: Any, path: str) -> None:
    """Load weights by name; every one must be there, and none left over."""
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"{path} holds no weights by name: check encoder.state")
    try:
        module.load_state_dict(dict(state))
    except RuntimeError as error:
        said = " ".join(str(error).split())[:300]
        text = f"{path} has not the weights of {type(module).__name__}: {said}"
        raise ValueError(text) from error
