"""The page of a run's report: frame, style, list of failures and summary table as HTML."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

import pandas as pd
import plotly.graph_objects as go
from plotly.offline import get_plotlyjs

from reporting.tables import BEST, as_row, number, trajectory_table
from reporting.trajectory.panels import step_text

NOTHING = "No scores yet."
CAPTION = (
    "Thick black: layer “selected”, which was chosen on held-out data (mean over targets where "
    "there are several), with its confidence interval where known. Coloured: each target. Dashed: "
    "noise ceiling. Dotted: before training. Dash-dotted grey: other encoders. A best layer is "
    "named where nothing was selected; like the best step it is a maximum, and optimistic. In the "
    "maps, dots mark the best layer."
)
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; margin: 0 auto;
  max-width: 76rem; padding: 1rem; }
h1 { font-size: 1.5rem; margin: 0 0 1rem; } h2 { font-size: 1.05rem; margin: 0 0 .25rem; }
p { color: #555; margin: .25rem 0 1rem; max-width: 60rem; } p, h2, li { overflow-wrap: anywhere; }
main { display: grid; gap: 1.5rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 28rem), 1fr)); }
section { border-top: 1px solid #ddd; padding-top: .75rem; min-width: 0; } figure { margin: 0; }
.scroll { overflow-x: auto; margin-bottom: 1.5rem; } table { border-collapse: collapse; }
td, th { padding: .3rem .7rem .3rem 0; text-align: right; vertical-align: top;
  border-bottom: 1px solid #eee; white-space: nowrap; font-variant-numeric: tabular-nums; }
tr > th:first-child { text-align: left; } tbody th { font-weight: 500; }
small { color: #555; display: block; }
.failed { border-left: 4px solid #D55E00; padding-left: 1rem; }
"""


def page(title: str, before: str, sections: Iterable[str]) -> str:
    """A whole page that needs no network: plotly.js is in it, once."""
    drawn = "".join(sections)
    body = f"<p>{CAPTION}</p><main>{drawn}</main>" if drawn else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{STYLE}</style><script>{get_plotlyjs()}</script></head><body>"
        f"<h1>{escape(title)}</h1>{before}{body}"
        '<script>window.dispatchEvent(new Event("resize"))</script></body></html>\n'
    )


def embed(figure: go.Figure, description: str) -> str:
    """A figure as HTML, without the title that the section's heading says already."""
    figure.layout.annotations = ()
    figure.update_layout(margin={"t": 10})
    config = {"responsive": True, "displayModeBar": False}
    drawn = figure.to_html(config, include_plotlyjs=False, full_html=False, default_height=None)
    return f'<figure role="img" aria-label="{escape(description)}">{drawn}</figure>'


def failure_list(failures: Iterable[object]) -> str:
    """What failed, at which step and why; nothing where nothing failed."""
    items = []
    for row in map(as_row, failures):
        when = "" if row.get("step") is None else f" at step {row['step']:,}"
        name = row.get("benchmark") or row.get("encoder") or "unknown"
        items.append(f"<li><b>{escape(str(name))}</b>{when}: {escape(str(row.get('error')))}</li>")
    return f'<div class="failed"><h2>Failed</h2><ul>{"".join(items)}</ul></div>' if items else ""


def summary_table(scores: pd.DataFrame) -> str:
    """:func:`reporting.tables.trajectory_table` as HTML."""
    rows = []
    for row in trajectory_table(scores).itertuples():
        when = (
            "" if pd.isna(row.best_step) else f"step {step_text(row.best_step)}, of {row.steps}, "
        )
        cells = [(number(row.start), row.start_layer), (number(row.best), when + row.best_layer)]
        cells += [(number(row.end), row.end_layer), (number(row.gain, signed=True), "")]
        cells += [(number(row.ceiling), "")]
        texts = [f"<td>{value}<small>{escape(note)}</small></td>" for value, note in cells]
        head = f'<th scope="row">{escape(row.label)}<small>{escape(row.metric)}</small></th>'
        rows.append(f"<tr>{head}{''.join(texts)}</tr>")
    names = ("benchmark", "step 0", BEST, "end", "gain", "ceiling")
    heads = "".join(f'<th scope="col">{name}</th>' for name in names)
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    label = 'class="scroll" role="region" tabindex="0" aria-label="Summary"'
    return f"<div {label}>{table}</div>" if rows else f"<p>{NOTHING}</p>"
