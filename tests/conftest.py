"""Shapes and types are checked while testing, and only then."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from jaxtyping import install_import_hook

# Before transformers is imported: no test may wait for the hub.
os.environ["HF_HUB_OFFLINE"] = "1"

# Tests run side by side, and threads of one would wait for those of the others. Numba gives torch
# as many threads as it has itself when it is imported.
os.environ["NUMBA_NUM_THREADS"] = "1"

install_import_hook(["models", "alignment"], "beartype.beartype")

from tests.datasets import data_folder  # noqa: E402  (it imports what is hooked)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test marked ``data("brain/natsound165")`` where that is not under ENTRAIN_DATA."""
    for marker in item.iter_markers("data"):
        data_folder(*marker.args)


@pytest.fixture(scope="session")
def data() -> Path:
    """The root of the data sets."""
    return data_folder()
