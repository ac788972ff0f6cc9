"""Reading checkpoints of ours without executing anything in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import torch


def read_checkpoint(path: str | Path) -> dict[str, Any]:
    """A checkpoint of ours as plain tensors and containers; nothing in it is executed.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, or it is none of our checkpoints.
    """
    path = Path(path)
    if path.is_dir():
        inside = sorted([*path.glob("last.ckpt"), *path.glob("checkpoints/last.ckpt")])
        near = inside[0] if inside else "step_00000100.ckpt"
        raise FileNotFoundError(f"{path} is a folder, expected a checkpoint such as {near}")
    if not path.is_file():
        raise FileNotFoundError(f"no checkpoint at {path}: check ckpt_path or encoder.path")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:
        reason = refusal(path, error)
        raise ValueError(
            f"{path} cannot be read as a checkpoint ({reason}): give one that train.py saved"
        ) from error
    if not isinstance(content, Mapping) or "entrain" not in content:
        raise ValueError(f"{path} is no checkpoint of train.py: it holds no entry 'entrain'")
    return dict(content)


def refusal(path: str | Path, error: Exception) -> str:
    """Why a file of weights was not read, without torch's advice to read it all the same."""
    said = str(error)
    if call := find_refused_call(error):
        return call
    if Path(path).is_dir():
        return "it is a folder"
    if Path(path).suffix != ".safetensors" and not is_zipfile(path):
        return "it was cut short, or torch.save did not write it"
    return said.splitlines()[0] if said else type(error).__name__


def find_refused_call(error: Exception) -> str:
    """What a pickle would have called; nothing where that is not why it was not read."""
    found = re.search(r"GLOBAL (\S+) (?:was not an allowed|whose module)", str(error))
    return f"it would call {found[1]}, which is refused" if found else ""


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


def name_of(step: int) -> str:
    """The name of the checkpoint of a step."""
    return f"step_{step:08d}.ckpt"


def step_of(path: Path) -> int:
    """The step that a checkpoint's name says, -1 if it says none."""
    digits = path.stem.removeprefix("step_")
    return int(digits) if digits.isdecimal() else -1
