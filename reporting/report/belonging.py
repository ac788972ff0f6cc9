"""Which encoder a line, a point, a row of a map or of a table belongs to, so that it can be hidden.

Sections need not say so: what is called like an encoder, a step of it or a family is theirs.
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

Owner = list[int]
"""Places of encoders in the list of all; something is hidden with the last of them."""


class Owners:
    """Encoders by everything that they are called.

    Parameters
    ----------
    encoders : DataFrame
        Of :class:`reporting.gathering.gathered.Gathered`.
    """

    def __init__(self, encoders: pd.DataFrame) -> None:
        self.names = list(dict.fromkeys(encoders["encoder"]))
        self.families: dict[str, Owner] = {}
        self._known: dict[str, Owner] = {}
        place = {name: k for k, name in enumerate(self.names)}
        for name, row in encoders.iterrows():
            own = [place[row["encoder"]]]
            self._known |= {str(name): own, row["encoder"]: own}
            members = self.families.setdefault(row["family"] or "family not known", [])
            members += [k for k in own if k not in members]
        written: dict[str, Owner] = {}
        for name, text in zip(encoders["encoder"], encoders.get("written", ()), strict=False):
            mine = written.setdefault(str(text), [])
            mine += [] if place[name] in mine else [place[name]]
        self._known = {**self.families, **written, **self._known}

    def of(self, text: object) -> Owner | None:
        """Owners of what is called so, or whose first line is."""
        if not isinstance(text, str):
            return None
        first = (
            html.unescape(text.split("<br>")[0]).removeprefix("<b>").removesuffix("</b>").strip()
        )
        return self._known.get(first) or self._known.get(first.split(": ")[0])

    def of_trace(
        self, trace: Mapping[str, Any], layout: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """``{"all": owner}`` of a whole trace, or owners of ``points``, ``rows`` or ``columns``.

        None of a trace that belongs to nobody, such as a diagonal.
        """
        of_meta = [place for name in _meta(trace) for place in self.of(name) or []]
        for owner in (self.of(trace.get("name")), self.of(trace.get("legendgroup")), of_meta):
            if owner:
                return {"all": owner}
        if trace.get("type") == "heatmap":
            for axis, part in (("y", "rows"), ("x", "columns")):
                if any(found := self._each(trace.get(axis))):
                    return {part: found}
            return None
        for key in ("customdata", "text", "hovertext", "x", "y"):
            if any(found := self._each(trace.get(key))):
                return {"points": found}
        for side in "xy":
            if any(found := self._each(_ticks(trace, layout, side))):
                return {"points": found}
        return None

    def of_row(self, cells: Sequence[object]) -> Owner | None:
        """Owners of a table's row: of the first cell that is called like one."""
        return next((owner for cell in cells if (owner := self.of(cell)) is not None), None)

    def _each(self, values: Any) -> list[Owner | None]:
        if not isinstance(values, list | tuple):
            return []
        firsts = [v[0] if isinstance(v, list | tuple) and v else v for v in values]
        return [self.of(value) for value in firsts]


def _meta(trace: Mapping[str, Any]) -> list[object]:
    """Names in ``meta``: a name, or ``{"encoder": name or names}``."""
    said = trace.get("meta")
    said = said.get("encoder") if isinstance(said, Mapping) else said
    return list(said) if isinstance(said, list | tuple) else [said]


def _ticks(trace: Mapping[str, Any], layout: Mapping[str, Any], side: str) -> list[Any]:
    """What stands at the axis beside every point, where places on it have names."""
    name = str(trace.get(f"{side}axis") or side)
    axis = layout.get(f"{side}axis{name[1:]}") or {}
    texts = dict(zip(axis.get("tickvals") or [], axis.get("ticktext") or [], strict=False))
    values = trace.get(side)
    return [texts.get(value) for value in values] if texts and isinstance(values, list) else []
