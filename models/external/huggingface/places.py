"""Where weights of the hub lie, and why they cannot be had."""

from __future__ import annotations

import importlib
import importlib.util
import re
import socket
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies


def load_transformers() -> ModuleType:
    try:
        return importlib.import_module("transformers")
    except ImportError as error:
        raise ModuleNotFoundError(
            "this encoder needs the package transformers: pip install transformers==5.23.0"
        ) from error


def place(path: str, revision: str | None, trust_remote_code: bool) -> dict[str, Any]:
    folder = Path(path)
    if folder.is_dir() and not (folder / "config.json").is_file():
        inside = [*folder.glob("*/config.json"), *folder.glob("snapshots/*/config.json")]
        near = f": did you mean encoder.path={inside[0].parent}?" if inside else ""
        raise FileNotFoundError(
            f"{path} has no config.json, expected a folder that save_pretrained made{near}"
        )
    if not folder.is_dir():
        if folder.exists():
            raise ValueError(
                f"{path} is a file: give the folder that save_pretrained made, with config.json "
                "in it, or for a checkpoint of train.py encoder=checkpoint"
            )
        if folder.is_absolute() or path.startswith((".", "~")) or path.count("/") != 1:
            raise FileNotFoundError(f"no folder at {path}: check encoder.path")
        if trust_remote_code and not revision:
            raise ValueError(
                f"trust_remote_code would run whatever code {path} has today: give "
                "encoder.revision=COMMIT of code that you have read"
            )
    return {
        "revision": revision or "main",
        "trust_remote_code": trust_remote_code,
        "local_files_only": not folder.is_dir() and _out_of_reach(),
    }


def _out_of_reach() -> bool:
    """Whether the hub's name is not known here: asking it would be tried for half a minute."""
    hub = importlib.import_module("huggingface_hub.constants").ENDPOINT
    if getproxies():
        return False
    try:
        socket.getaddrinfo(urlsplit(hub).hostname, None)
    except OSError:
        return True
    return False


def explained(error: Exception, path: str) -> Exception:
    """One line that says what to do."""
    text = " ".join(str(error).split())
    if isinstance(error, ValueError | ImportError) and "trust_remote_code" in text:
        return ValueError(
            f"{path} comes with code of its own, which is not run: read it, then give "
            "encoder.trust_remote_code=true and encoder.revision=COMMIT"
        )
    if not Path(path).is_dir() and isinstance(error, OSError):
        return FileNotFoundError(
            f"{path} is not on this machine and could not be had from the hub: where there is a "
            f"network, run `hf download {path} --local-dir FOLDER`, then give encoder.path=FOLDER"
        )
    if unknown := re.search(r"model type `(\S+)` but", text):
        version = load_transformers().__version__
        return ValueError(
            f"{path} is of model_type {unknown[1]}, which transformers {version} does not know: "
            "check its config.json, or install a version that does"
        )
    if path in text and isinstance(error, OSError):
        return OSError(f"{text.rstrip('.')}: save or download the model again")
    if path in text:
        return error
    kinds: tuple[type[Exception], ...] = (OSError, ImportError)  # others take more than a text
    return next((k for k in kinds if isinstance(error, k)), ValueError)(f"{path}: {text}")
