"""Our own checkpoints as encoders: rebuilt into the model that they hold."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.checkpoint import check_shapes, read_checkpoint
from models.encodecmae import EncodecMAE


def load_checkpoint(path: str | Path, name: str | None = None) -> EncodecMAE:
    """The model of a checkpoint, in evaluation mode.

    It is built from the config that the checkpoint carries. Only classes of this package's
    ``models`` can be named there, so that a foreign file cannot call anything else.

    Parameters
    ----------
    path : path
        A file that train.py saved.
    name : str, optional
        Name of the encoder in score tables; that of the run by default.
    """
    content = read_checkpoint(path)
    model = build(content["entrain"]["config"]["model"])
    if not isinstance(model, EncodecMAE):
        raise ValueError(f"{path} holds a {type(model).__name__}, expected an EncodecMAE")
    check_shapes(path, content["state_dict"], model)
    model.load_state_dict(content["state_dict"])
    model.name = name or model.name
    model.step = int(content["global_step"])
    return model.eval()


def build(config: Any) -> Any:
    """Instantiate a model config whose every ``_target_`` is a class in ``models``.

    Raises
    ------
    ValueError
        If a ``_target_`` names anything else.
    """
    if isinstance(config, list):
        return [build(value) for value in config]
    if not isinstance(config, Mapping):
        return config
    values = {key: build(value) for key, value in config.items() if key != "_target_"}
    if "_target_" not in config:
        return values
    target = str(config["_target_"])
    if not re.fullmatch(r"models(\.[a-z_]+)+\.[A-Z]\w*", target):
        raise ValueError(f"refused to build {target}: a checkpoint may only name classes in models")
    module, _, name = target.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError:
        found = None
    if not isinstance(found, type) or found.__module__.split(".")[0] != "models":
        raise ValueError(f"refused to build {target}: a checkpoint may only name classes in models")
    return found(**values)
