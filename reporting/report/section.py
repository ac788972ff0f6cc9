"""What a part of the report of a comparison is made of."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd
import plotly.graph_objects as go


@dataclass(frozen=True)
class Chart:
    """A figure and what it shows; ``key`` names its files."""

    key: str
    figure: go.Figure
    caption: str


@dataclass(frozen=True)
class Grid:
    """A table and what it shows; ``key`` names its file."""

    key: str
    table: pd.DataFrame
    caption: str


@dataclass(frozen=True)
class Section:
    """A question, its answer in a sentence, and what the answer stands on.

    A section without enough data has no items, and a note that says what is lacking.
    """

    key: str
    question: str
    answer: str
    items: list[Chart | Grid] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
