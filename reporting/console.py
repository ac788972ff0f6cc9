"""Where tables are shown; light, so that lists come at once."""

from __future__ import annotations

import sys

from rich.console import Console

WIDTH_OF_FILES = 120
"""Columns where the output is no terminal."""


def terminal() -> Console:
    """The terminal, or a file as wide as most are."""
    return Console(width=None if sys.stdout.isatty() else WIDTH_OF_FILES)
