"""Which layer is most brain-like, and by which metric?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from reporting.drawing.pieces import (
    dots,
    encoder_looks,
    finish,
    heat_map,
    key,
    panels,
    place,
    room,
    rule,
)
from reporting.gathering.gathered import Gathered
from reporting.gathering.wide import select_compared
from reporting.report.depth.statistics import (
    GRID,
    Agreement,
    Depths,
    Means,
    agreement,
    depths,
    mean_profile,
    peak_difference,
    peak_table,
)
from reporting.report.section import Chart, Grid, Section
from reporting.statistics.estimates import Estimate, short
from reporting.statistics.families import AS_UNITS, unknown_notes
from reporting.tables import p_text
from reporting.trajectory.panels import GREY, INK, OKABE_ITO

QUESTION = "Which layer, which metric?"
MOST_PANELS, MOST_LINES, MOST_ROWS, MOST_ABREAST = 6, 40, 30, 30
MOST_KEYED = 24
"""Encoders whose lines have marks and, in the PNG, a key."""
COLOURS = {"rank geometry": OKABE_ITO[0], "dependence": OKABE_ITO[1], "prediction": OKABE_ITO[2]}


def section(gathered: Gathered, seed: int = 0) -> Section:
    """Profiles over relative depth, where metrics peak, and how far they rank encoders alike."""
    found, agreed = depths(gathered), agreement(gathered, seed)
    notes = [*unknown_notes(select_compared(gathered)), *found.notes]
    items: list[Chart | Grid] = []
    peaks = peak_table(found)
    differences = peak_difference(found)
    if len(found.profiles):
        items += [_profiles(gathered, found), _peaks(found, peaks), _table(found, peaks)]
        hidden = found.peaks.shape[1] - MOST_PANELS
        if hidden > 0:
            notes.append(f"{hidden} more scores have profiles that are not drawn")
        if differences:
            items.append(_differences(differences))
        else:
            notes.append("no benchmark has both metrics of rank geometry and of dependence")
    else:
        notes.append("no encoder has alignment scores of two layers or more")
    if agreed:
        items += [_ranks(agreed), _concordance(agreed)]
        notes += agreed.left
    else:
        notes.append("fewer than two alignment scores share three encoders: nothing to rank by")
    return Section("depth", QUESTION, _answer(peaks, differences, agreed), items, notes)


def _answer(
    peaks: dict[str, Means], differences: dict[str, Means], agreed: Agreement | None
) -> str:
    parts = []
    known = {name: x for name, x in peaks.items() if x.encoders.n}
    if known:
        name, first = next(iter(known.items()))
        parts.append(f"{name} peaks at relative depth {_both(first)}")
    if differences:
        name, x = list(differences.items())[-1]
        where = "over all benchmarks" if name == "all" else f"in {name}"
        parts.append(
            f"metrics of rank geometry peak {_both(x)} deeper than those of dependence {where}"
        )
    if agreed:
        parts.append(f"{len(agreed.ranks)} scores rank alike: {_agreed(agreed)}")
    return "; ".join(parts) + "." if parts else "Not enough to say."


def _both(x: Means) -> str:
    own = f"{x.encoders} over {x.encoders.n} {AS_UNITS}"
    if math.isnan(x.families.value):
        return own
    return f"{x.families} over {x.families.n} families, {own}"


def _agreed(found: Agreement) -> str:
    own = f"W = {found.w}, p {p_text(found.p)}, over {found.w.n} {AS_UNITS}"
    if math.isnan(found.w_families.value):
        return f"Kendall's {own}"
    families = f"W = {found.w_families}, p {p_text(found.p_families)}"
    return f"Kendall's {families}, over {found.w_families.n} families; {own}"


def _profiles(gathered: Gathered, found: Depths) -> Chart:
    looks = encoder_looks(gathered)
    families = gathered.encoders["family"].fillna("").astype(str).to_dict()
    shown = list(found.peaks.columns)[:MOST_PANELS]
    figure, keyed = panels(shown), set[str]()
    drawn = found.profiles[found.profiles["score"].isin(shown)]["name"].nunique()
    for number, score in enumerate(shown):
        where = place(number, len(shown))
        rows = found.profiles[found.profiles["score"] == score]
        groups = list(rows.groupby("name", sort=False))
        for name, own in groups[:MOST_LINES]:
            colour, symbol = (look.get(str(name)) for look in looks)
            figure.add_scatter(
                x=own["depth"].tolist(),
                y=own["value"].tolist(),
                mode="lines+markers" if drawn <= MOST_KEYED else "lines",
                line={"color": colour or GREY, "width": 1.6},
                marker={"symbol": symbol or "circle", "size": 6},
                name="" if name in keyed or drawn > MOST_KEYED else str(name),
                opacity=0.9 if len(groups) < 12 else 0.6,
                hovertext=[
                    f"{name}, {layer}: {v:.3f}"
                    for layer, v in zip(own["layer"], own["value"], strict=True)
                ],
                hoverinfo="text",
                meta={"encoder": str(name), "family": families.get(str(name), "")},
                **where,
            )
            keyed.add(str(name))
        if len(groups) > 2:
            _draw_mean(figure, rows, where)
        figure.update_xaxes(title={"text": "relative depth", "standoff": 6}, **where)
    key(figure)
    caption = (
        "Every encoder from its first (0) to its last layer (1), mean over targets; the dark line "
        f"is the mean over {AS_UNITS} with Student's interval, of each depth alone. At most "
        f"{MOST_LINES} lines a panel."
    )
    return Chart("depth_profiles", figure, caption)


def _draw_mean(figure: go.Figure, rows: pd.DataFrame, where: dict[str, int]) -> None:
    mean, low, high, n = mean_profile(rows)
    x = GRID.tolist()
    outline = {"x": [*x, *x[::-1]], "y": [*high, *low[::-1]], "fill": "toself"}
    figure.add_scatter(
        **outline, mode="none", fillcolor="rgba(26,26,26,0.16)", hoverinfo="skip", **where
    )
    texts = [f"mean of {n} encoders at {d:.2f}: {v:.3f}" for d, v in zip(x, mean, strict=True)]
    figure.add_scatter(
        x=x, y=mean.tolist(), mode="lines", line={"color": INK, "width": 3},
        hovertext=texts, hoverinfo="text", **where,
    )  # fmt: skip


def _peaks(found: Depths, peaks: dict[str, Means]) -> Chart:
    order = {family: k for k, family in enumerate([*COLOURS, ""])}
    family = found.families["family"]
    labels = sorted(
        (name for name in peaks if peaks[name].encoders.n), key=lambda s: order[family[s]]
    )
    hidden = max(0, len(labels) - MOST_ROWS)
    labels = labels[:MOST_ROWS]
    figure = go.Figure()
    for number, label in enumerate(labels):
        colour = COLOURS.get(family[label], GREY)
        dots(figure, [label], [peaks[label].best], colour, shift=len(labels) - 1 - number)
    finish(figure, 130 + 28 * len(labels), "relative depth of the peak")
    ticks = {"tickvals": list(range(len(labels))), "ticktext": labels[::-1]}
    figure.update_yaxes(range=[-0.6, len(labels) - 0.4], showline=False, ticks="", **ticks)
    figure.update_xaxes(range=[-0.03, 1.03])
    more = f" {hidden} more scores are in the table." * bool(hidden)
    caption = (
        "Where scores peak: 0 is the first layer, 1 the last; mean over families, or over encoders "
        "below five families, with Student's interval, of 95 % for all scores together. Blue: rank "
        "geometry; orange: dependence; green: prediction; grey: others." + more
    )
    return Chart("depth_peaks", figure, caption)


def _table(found: Depths, peaks: dict[str, Means]) -> Grid:
    ceilings = found.profiles.groupby("score")["ceiling"].mean()
    lines = [
        {
            "score": name,
            "family": found.families["family"][name] or "–",
            "families": str(x.families.n),
            "depth of the peak (families)": str(x.families),
            "encoders": str(x.encoders.n),
            "depth of the peak (encoders as units)": str(x.encoders),
            "ceiling": str(Estimate(float(ceilings[name]))),
        }
        for name, x in peaks.items()
    ]
    caption = (
        f"Relative depth of the highest layer: mean over families, then over {AS_UNITS}, with "
        "Student's interval, of 95 % for all scores together (Bonferroni). The ceiling is that of "
        "the score."
    )
    return Grid("depth_table", pd.DataFrame(lines), caption)


def _differences(differences: dict[str, Means]) -> Chart:
    figure = go.Figure()
    labels, estimates = list(differences), [x.best for x in differences.values()]
    rule(figure, [0, 0], [-0.5, len(labels) - 0.5])
    dots(figure, labels, estimates, INK)
    finish(figure, 140 + 32 * len(labels), "peak of rank geometry less peak of dependence")
    figure.update_yaxes(showline=False, ticks="")
    room(figure, estimates, 0.0)
    caption = (
        "How much deeper metrics of rank geometry (RSA, Kendall) peak than those of "
        "dependence (CKA, distance correlation, …), with Student's interval, of 95 % for all rows "
        "together; " + "; ".join(f"{name} {_both(x)}" for name, x in differences.items())
    )
    return Chart("depth_difference", figure, caption + ".")


def _ranks(agreed: Agreement) -> Chart:
    ranks = agreed.ranks
    n = ranks.shape[1]
    texts = _texts(list(ranks.index), list(ranks.columns), ranks.to_numpy())
    best, shown = n + 1 - ranks.iloc[:MOST_LINES], texts[:MOST_LINES]
    upright = n > MOST_ABREAST  # names of so many would cover each other
    figure = heat_map(*((best.T, "rank", shown.T) if upright else (best, "rank", shown)), 1, n)
    ticks = [1, n] if n < 3 else [1, (n + 1) / 2, n]
    bar = {"tickvals": ticks, "ticktext": [f"{n + 1 - tick:g}" for tick in ticks]}
    figure.update_traces(colorbar=bar)
    caption = (
        f"Rank of every encoder ({'rows' if upright else 'columns'}, the best mean rank first) by "
        f"every score; 1 is the best. {_agreed(agreed)}."
    )
    return Chart("depth_ranks", figure, caption)


def _texts(rows: Sequence[str], columns: Sequence[str], ranks: np.ndarray) -> np.ndarray:
    texts = np.empty(ranks.shape, dtype=object)
    for i, j in np.ndindex(*ranks.shape):
        texts[i, j] = f"{columns[j]} by {rows[i]}: {ranks[i, j]:g} of {len(columns)}"
    return texts


def _concordance(agreed: Agreement) -> Grid:
    line = {
        "scores": str(len(agreed.ranks)),
        "families": str(agreed.w_families.n),
        "Kendall's W (families)": str(agreed.w_families),
        "p (families)": p_text(agreed.p_families),
        "encoders": str(agreed.w.n),
        "Kendall's W (encoders as units)": str(agreed.w),
        "p (encoders as units)": p_text(agreed.p),
        "by chance": short(1 / len(agreed.ranks)),
    }
    caption = (
        f"Do scores rank alike? Over families, then over {AS_UNITS}; 1 is the same order by all "
        "scores. Interval: jackknife, none where all agree; p: ranks shuffled in every score. "
        "Scores of one benchmark share its data and agree for that reason too."
    )
    return Grid("depth_agreement", pd.DataFrame([line]), caption)
