"""Reading files of weights without executing anything in them."""

from __future__ import annotations

import importlib
import warnings
from pathlib import Path
from typing import Any

import torch

from models.checkpoint import refusal


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
        with warnings.catch_warnings():  # asks to report what is refused on purpose
            warnings.simplefilter("ignore")
            return torch.load(path, map_location="cpu", weights_only=True)
    except ImportError as error:
        raise ModuleNotFoundError(f"{path} needs the package: pip install safetensors") from error
    except Exception as error:
        raise ValueError(
            f"{path} cannot be read: it is damaged, or holds more than weights, which is not "
            f"executed ({refusal(path, error)}): download it again, or save its weights alone"
        ) from error
