"""The report of a comparison: one page that needs no network, a PNG of each figure, tables."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from html import escape
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from plotly.offline import get_plotlyjs

from reporting.drawing.plain import plain_figure
from reporting.drawing.png import write_png
from reporting.gathering.gathered import Gathered
from reporting.report.belonging import Owners
from reporting.report.section import Chart, Grid, Section
from reporting.trajectory.page import STYLE

PAGE, FIGURES, TABLES = "index.html", "figures", "tables"
MOST_ROWS = 250
"""Rows of a table on the page; the file beside it has all."""
MOST_OPEN = 4
"""Notes of a section that are shown unasked."""
OWNING = ("name", "encoder")
"""Columns beside the first that say whose a row is; other encoders in it are only mentioned."""
INTERVAL = re.compile(r"[−\d.,]+ \([−\d.,]+ … [−\d.,]+[);]")
"""A value and its interval, which stay in one line."""
HERE = Path(__file__).parent
STATISTICS = (
    "Answers, intervals and fitted lines are of all encoders, whichever are shown; what is not one "
    "encoder’s own, such as a mean, stays."
)


@dataclass
class _Page:
    """What is collected while sections are written."""

    owners: Owners
    figures: list[dict[str, Any]] = field(default_factory=list)


def write_report(
    gathered: Gathered,
    sections: Sequence[Section],
    folder: Path,
    title: str = "Comparison",
    advance: Callable[[str], object] = lambda what: None,
) -> Path:
    """Write ``index.html``, ``figures/*.png`` and ``tables/*.csv``.

    Parameters
    ----------
    sections : sequence of Section
        In the order in which they are shown.
    folder : path
        Figures and tables there that an earlier report left are overwritten or stay.
    title : str
    advance : function
        Told what is being written.

    Returns
    -------
    Path
        The page.
    """
    for name in (FIGURES, TABLES):
        (folder / name).mkdir(parents=True, exist_ok=True)
    page = _Page(Owners(gathered.encoders))
    parts = []
    for section in sections:
        advance(section.question)
        parts.append(_section(section, page, folder))
    (folder / TABLES / "headlines.csv").write_text(gathered.heads.to_csv(index=False))
    (folder / TABLES / "encoders.csv").write_text(gathered.encoders.to_csv())
    path = folder / PAGE
    draft = folder / f".{PAGE}.tmp"
    draft.write_text(_whole(title, sections, parts, page), encoding="utf-8")
    draft.replace(path)
    return path


def item_name(section: Section, item: Chart | Grid) -> str:
    """Name of the files of a figure or table: ``SECTION_KEY``."""
    return re.sub(r"[^\w.-]+", "_", f"{section.key}_{item.key}")


def _section(section: Section, page: _Page, folder: Path) -> str:
    items = []
    for item in section.items:
        name = item_name(section, item)
        if isinstance(item, Chart):
            items.append(_chart(item, name, page, folder))
        else:
            (folder / TABLES / f"{name}.csv").write_text(item.table.to_csv())
            items.append(_grid(item, name, page))
    return (
        f'<section id="{escape(section.key)}"><h2>{escape(section.question)}</h2>'
        f'<p class="answer">{escape(section.answer)}</p>{_notes(section.notes)}{"".join(items)}'
        "</section>"
    )


def _notes(notes: Sequence[str]) -> str:
    """Below the answer; many are folded, with their number."""
    if not notes:
        return ""
    listed = "".join(f"<li>{escape(note)}</li>" for note in notes)
    many = len(notes) > MOST_OPEN
    head = f"{len(notes)} notes: what is missing, doubtful or left out" if many else "Notes"
    return f"<details{'' if many else ' open'}><summary>{head}</summary><ul>{listed}</ul></details>"


def _chart(chart: Chart, name: str, page: _Page, folder: Path) -> str:
    content = plain_figure(chart.figure)
    write_png(content, folder / FIGURES / f"{name}.png")
    owners = [page.owners.of_trace(trace, content["layout"]) for trace in content["data"]]
    page.figures.append({**content, "owners": owners})
    return (
        f'<figure id="{escape(name)}"><div class="window"><div class="plot" '
        f'data-figure="{len(page.figures) - 1}" '
        f'role="img" aria-label="{escape(chart.caption)}" '
        f'style="min-height: {content["layout"]["height"]}px"></div></div>'
        f"<figcaption>{escape(chart.caption)}</figcaption></figure>"
    )


def _grid(grid: Grid, name: str, page: _Page) -> str:
    table = grid.table
    if table.index.name or not isinstance(table.index, pd.RangeIndex):
        table = table.reset_index(names=_index_names(table))
    shown = table.head(MOST_ROWS)
    text = [not pd.api.types.is_numeric_dtype(dtype) for dtype in table.dtypes]
    kinds = [' class="text"' if is_text else "" for is_text in text]
    heads = "".join(
        f'<th scope="col"{kind}>{escape(str(column).replace("_", " "))}</th>'
        for column, kind in zip(table.columns, kinds, strict=True)
    )
    owning = [k for k, name in enumerate(table.columns) if k == 0 or name in OWNING]
    rows = "".join(_rows(shown, kinds, page.owners, owning))
    rest = len(table) - len(shown)
    more = f" The first {len(shown):,} of {len(table):,} rows." if rest else ""
    label = f'class="scroll" role="region" tabindex="0" aria-label="{escape(grid.caption)}"'
    return (
        f'<div {label} id="{escape(name)}"><table><caption>{escape(grid.caption)}{more}</caption>'
        f"<thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table></div>"
    )


def _index_names(table: pd.DataFrame) -> list[str]:
    return [str(name or "") for name in table.index.names]


def _rows(
    table: pd.DataFrame, kinds: Sequence[str], owners: Owners, owning: Sequence[int]
) -> Iterator[str]:
    for values in table.itertuples(index=False, name=None):
        owner = owners.of_row([values[k] for k in owning])
        mine = "" if owner is None else f' data-owner="{owner}"'
        cells = [
            f'<th scope="row"{kind}>{_cell(value)}</th>'
            if k == 0
            else f"<td{kind}>{_cell(value)}</td>"
            for k, (value, kind) in enumerate(zip(values, kinds, strict=True))
        ]
        yield f"<tr{mine}>{''.join(cells)}</tr>"


def _cell(value: object) -> str:
    """A number to three digits, a dash where there is none."""
    if isinstance(value, bool | np.bool_):
        return "yes" if value else "no"
    if value is None or value is pd.NA or value != value:
        return "–"
    if isinstance(value, float):
        whole = abs(value) >= 1000 or value == int(value)
        return f"{value:,.0f}" if whole else f"{value:.3g}"
    if isinstance(value, Integral):
        return f"{int(value):,}"
    return INTERVAL.sub(_keep_together, escape(str(value))) or "–"


def _keep_together(interval: re.Match[str]) -> str:
    return interval.group().replace(" ", "\N{NO-BREAK SPACE}")


def _whole(title: str, sections: Sequence[Section], parts: Sequence[str], page: _Page) -> str:
    contents = "".join(
        f'<li><a href="#{escape(section.key)}">{escape(section.question)}</a></li>'
        for section in sections
    )
    data = json.dumps({"figures": page.figures}, ensure_ascii=False, separators=(",", ":"))
    data = data.replace("</", "<\\/")
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<link rel="icon" href="data:,">'
        f"<style>{STYLE}{_asset('report.css')}</style>"
        f"<script>{get_plotlyjs()}</script></head><body>"
        f'<a class="skip" href="#answers">To the answers</a><h1>{escape(title)}</h1>'
        f'<nav aria-label="Contents"><ol>{contents}</ol></nav>{_filter(page.owners)}'
        "<noscript><p>Figures need JavaScript; each is a PNG in figures/.</p></noscript>"
        f'<main id="answers">{"".join(parts)}</main>'
        f'<script type="application/json" id="report-data">{data}</script>'
        f"<script>{_asset('report.js')}</script></body></html>\n"
    )


def _asset(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")


def _filter(owners: Owners) -> str:
    """Boxes for every family and encoder; they work on all figures and tables."""
    groups = []
    for number, (family, members) in enumerate(owners.families.items()):
        boxes = "".join(
            f'<label><input type="checkbox" checked data-encoder="{place}" data-of="{number}">'
            f"{escape(owners.names[place])}</label>"
            for place in members
        )
        groups.append(
            f'<fieldset><legend><label><input type="checkbox" checked data-family="{number}">'
            f"{escape(family)}</label></legend>{boxes}</fieldset>"
        )
    return (
        '<details class="filter"><summary>Show or hide encoders: <span id="shown" role="status">'
        f"{len(owners.names)} of {len(owners.names)} encoders shown</span></summary><div>"
        '<p><button type="button" data-all="yes">Show all</button>'
        f'<button type="button" data-all="no">Hide all</button>{escape(STATISTICS)}</p>'
        f"{''.join(groups)}</div></details>"
    )
