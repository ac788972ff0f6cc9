"""Reading files of weights without executing anything in them."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch


def read_weights(path: str | Path) -> Any:
    """Content of a file of weights; a pickle that holds anything else is refused.

    Raises
    ------
    ValueError
        If it is damaged or would execute code.
    """
    try:
        if Path(path).suffix == ".safetensors":
            return importlib.import_module("safetensors.torch").load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except ImportError as error:
        raise ModuleNotFoundError(f"{path} needs the package: pip install safetensors") from error
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(
            f"{path} cannot be read: it is damaged, or holds more than weights, which is not "
            f"executed ({reason})"
        ) from error
