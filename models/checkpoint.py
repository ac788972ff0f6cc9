"""Reading checkpoints of ours without executing anything in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A checkpoint of ours as plain tensors and containers; nothing in it is executed.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is none of our checkpoints.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}: check ckpt_path or encoder.path")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path} cannot be read as a checkpoint ({reason})") from error
    if not isinstance(content, Mapping) or "entrain" not in content:
        raise ValueError(f"{path} is no checkpoint of train.py: it holds no entry 'entrain'")
    return dict(content)


def check_shapes(path: str | Path, state: Mapping[str, Any], model: torch.nn.Module) -> None:
    """Refuse a checkpoint whose weights do not fit ``model``, naming the first that does not."""
    own = model.state_dict()
    for name in sorted(own.keys() | state.keys()):
        got = tuple(state[name].shape) if name in state else "nothing"
        expected = tuple(own[name].shape) if name in own else "nothing"
        if got != expected:
            raise ValueError(
                f"{path} was trained with another model: {name} is {got}, "
                f"this config expects {expected}: use the model settings of the checkpoint"
            )
