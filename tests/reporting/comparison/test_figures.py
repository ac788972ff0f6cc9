"""Figures of a comparison: plain numbers, whose they are, and their PNG."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go
import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread
from plotly.subplots import make_subplots

from reporting.drawing.colours import COLOURS, SYMBOLS, colour_of, symbol_of
from reporting.drawing.pieces import encoder_looks, finish, legend, log_axis, panels
from reporting.drawing.plain import plain, plain_figure
from reporting.drawing.png import write_png
from reporting.drawing.scales import Scale
from reporting.drawing.styles import rgba, strip_html
from reporting.gathering.gather import gather
from reporting.report import coverage
from reporting.report.belonging import Owners
from reporting.report.depth import section as depth
from reporting.report.section import Chart
from tests.reporting.comparison import tables
from tests.reporting.comparison.made import row, training, write


def test_arrays_become_short_lists() -> None:
    figure = go.Figure(go.Scatter(x=np.arange(3), y=np.array([1 / 3, np.nan, np.inf])))
    content = plain_figure(figure)
    assert content["data"][0]["x"] == [0, 1, 2]
    assert content["data"][0]["y"] == [0.33333, None, None]
    assert "template" not in content["layout"]
    assert json.loads(json.dumps(content)) == content
    z = np.arange(6, dtype=np.float32).reshape(2, 3)
    assert plain_figure(go.Figure(go.Heatmap(z=z)))["data"][0]["z"] == [[0, 1, 2], [3, 4, 5]]
    assert plain([np.int64(3), pd.NA, ("a", True)]) == [3, "<NA>", ["a", True]]


@pytest.fixture
def owners() -> Owners:
    names = ["mine step 0", "mine step 5", "theirs"]
    table = pd.DataFrame(
        {
            "encoder": ["mine", "mine", "theirs"],
            "family": ["own", "own", ""],
            "written": ["written", "written", "theirs"],
        },
        index=names,
    )
    return Owners(table)


@pytest.mark.parametrize(
    ("trace", "expected"),
    [
        ({"name": "mine"}, {"all": [0]}),
        ({"name": "mine step 5", "y": ["theirs"]}, {"all": [0]}),
        ({"legendgroup": "own"}, {"all": [0]}),
        ({"meta": {"encoder": "theirs", "family": "own"}, "text": ["mine"]}, {"all": [1]}),
        ({"meta": {"encoder": ["mine step 5", "theirs"]}}, {"all": [0, 1]}),
        ({"name": "written", "meta": {"encoder": "nobody"}}, {"all": [0]}),
        ({"x": ["theirs", "nobody"], "type": "bar"}, {"points": [[1], None]}),
        ({"hovertext": ["<b>theirs</b><br>0.3", "mine: 0.2, n = 3"]}, {"points": [[1], [0]]}),
        ({"customdata": [["theirs", 1], ["mine", 2]]}, {"points": [[1], [0]]}),
        ({"type": "heatmap", "y": ["theirs", "mine"], "z": []}, {"rows": [[1], [0]]}),
        ({"type": "heatmap", "x": ["a", "mine"], "y": ["b"], "z": []}, {"columns": [None, [0]]}),
        ({"y": [1, 0], "yaxis": "y2"}, {"points": [[1], [0]]}),
        ({"name": "identity", "x": [0, 1], "y": [0, 1]}, None),
    ],
)
def test_what_is_called_like_an_encoder_is_its(
    owners: Owners, trace: dict[str, Any], expected: object
) -> None:
    layout = {"yaxis2": {"tickvals": [0, 1], "ticktext": ["mine", "theirs"]}}
    assert owners.of_trace(trace, layout) == expected


def test_rows_and_families_have_owners(owners: Owners) -> None:
    assert owners.of_row([0.1, "fmri/a", "theirs", "mine"]) == [1]
    assert owners.of_row([0.1, "fmri/a"]) is None
    assert owners.families == {"own": [0], "family not known": [1]}


def test_looks_are_the_same_for_the_same_names_and_told_apart() -> None:
    names = [f"encoder {k:02d}" for k in range(80)]
    colours, symbols = colour_of(names), symbol_of(names)
    assert len({(colours[name], symbols[name]) for name in names}) == 80
    assert math.lcm(len(COLOURS), len(SYMBOLS)) == 84


def test_lines_of_trajectories_have_colours_of_their_own() -> None:
    rows = [tables.row(f"a{i}", "fmri/a", "r2", 0.1) for i in range(9)]
    rows += [tables.row(f"run{i}", "fmri/a", "r2", 0.1, step=s) for i in range(4) for s in (0, 9)]
    rows += [tables.row("a_floor", "fmri/a", "r2", 0.1)]
    made = tables.gathered(rows, {"a_floor": {"control": True}})
    colours, symbols = encoder_looks(made)
    assert [colours[f"run{i}-9"] for i in range(4)] == list(COLOURS[:4])
    assert (colours["run2-0"], symbols["run2-0"]) == (COLOURS[2], SYMBOLS[2])
    assert colours["a0"] == COLOURS[4]
    assert symbols["a_floor"] == SYMBOLS[(4 + 9) % len(SYMBOLS)]


@pytest.fixture
def everything() -> go.Figure:
    """Every kind of trace that sections draw with, in four panels."""
    figure = make_subplots(2, 2, subplot_titles=["one", "two", "three", "four"])
    figure.add_scatter(
        x=[0, 1, 2],
        y=[1, 2, None],
        error_y={"array": [0.1, 0.2, 0.3]},
        mode="lines+markers",
        name="a",
        line={"color": "#0072B2", "dash": "dot"},
        row=1,
        col=1,
    )
    figure.add_scatter(
        x=[0, 1],
        y=[3, 2],
        mode="markers+text",
        text=["a<br>b", ""],
        row=1,
        col=1,
        textposition="top center",
        marker={"symbol": ["square", "x-open"], "color": [0.0, 1.0]},
    )
    band = {"fill": "toself", "fillcolor": "rgba(0,0,0,0.2)", "mode": "none"}
    figure.add_scatter(x=[0, 1, 1, 0], y=[0, 0, 1, 1], **band, row=1, col=1)
    figure.add_bar(
        x=[3, 1], y=["a", "b"], orientation="h", row=1, col=2, marker_color=["red", "blue"]
    )
    figure.add_heatmap(
        z=[[1, 2], [3, None]],
        x=["p", "q"],
        y=["r", "s"],
        row=2,
        col=1,
        text=[["1", "2"], ["3", ""]],
        texttemplate="%{text}",
        xgap=1,
    )
    figure.add_scatter(x=[1, 10, 100], y=[1, 2, 3], mode="lines", row=2, col=2)
    figure.update_xaxes(type="log", title="hours", row=2, col=2)
    figure.add_hline(y=1.5, row=2, col=2, annotation_text="a line")
    figure.add_vrect(x0=0.5, x1=1, fillcolor="orange", row=1, col=1)
    return figure


def test_a_png_is_drawn_of_every_kind(everything: go.Figure, tmp_path: Path) -> None:
    content = plain_figure(everything.update_layout(height=700))
    write_png(content, tmp_path / "a.png")
    picture = imread(tmp_path / "a.png")
    assert picture.shape[0] > 600
    assert picture.shape[1] > 850
    assert (picture[..., :3] < 0.99).any(axis=2).mean() > 0.05
    # Each panel has ink of its own.
    h, w = (size // 2 for size in picture.shape[:2])
    for part in (picture[:h, :w], picture[:h, w:], picture[h:, :w], picture[h:, w:]):
        assert (part[..., :3] < 0.5).any(axis=2).sum() > 300


def test_points_lie_where_plotly_has_them(tmp_path: Path) -> None:
    figure = go.Figure(
        go.Scatter(x=[1.0], y=[4.0], mode="markers", marker={"color": "#ff0000", "size": 20})
    )
    figure.update_xaxes(range=[0, 4])
    figure.update_yaxes(range=[0, 5])
    write_png(plain_figure(figure), tmp_path / "a.png")
    picture = imread(tmp_path / "a.png")[..., :3]
    red = np.argwhere((picture[..., 0] > 0.9) & (picture[..., 1:] < 0.1).all(axis=2))
    y, x = red.mean(axis=0) / picture.shape[:2]
    assert x == pytest.approx(0.25, abs=0.05)
    assert y == pytest.approx(0.2, abs=0.05)


def test_a_legend_stands_once_above_all_panels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **how: drawn.append(self))
    figure = panels(["a score of an encoder whose name takes more than one line", "b"])
    for col in (1, 2):
        for name in ("small", "tiny"):
            figure.add_scatter(x=[1], y=[col], name=name, mode="markers", row=1, col=col)
    legend(figure)
    write_png(plain_figure(figure), tmp_path / "a.png")
    (made,) = drawn
    assert [[text.get_text() for text in one.get_texts()] for one in made.legends] == [
        ["small", "tiny"]
    ]
    assert [axes.get_legend() for axes in made.axes] == [None, None]
    low = made.legends[0].get_window_extent().y0
    titles = [text.get_window_extent().y1 for text in made.texts]
    assert low > max(titles)
    assert "\n" in made.texts[0].get_text()


def test_every_line_of_depth_profiles_is_in_the_key_of_the_png(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **how: drawn.append(self))
    chart = next(
        item
        for item in depth.section(tables.deep(9)).items
        if isinstance(item, Chart) and item.key == "depth_profiles"
    )
    content = plain_figure(chart.figure)
    assert not content["layout"]["showlegend"]
    write_png(content, tmp_path / "a.png")
    (made,) = drawn
    (key,) = made.legends
    pairs = zip(key.get_texts(), key.get_lines(), strict=True)
    lines = {text.get_text(): line for text, line in pairs}
    assert sorted(lines) == [f"model {k:02}" for k in range(9)]
    looks = {(line.get_color(), line.get_marker()) for line in lines.values()}
    assert len(looks) == 9


def test_a_logarithmic_axis_has_ticks_inside_its_range() -> None:
    figure = finish(go.Figure(), 300)
    log_axis(figure, [30, 1500])
    assert list(figure.layout.xaxis.ticktext) == ["50", "100", "200", "500", "1,000"]


def test_a_kind_that_is_not_drawn_is_an_error(tmp_path: Path) -> None:
    figure = go.Figure(go.Pie(values=[1, 2]))
    with pytest.raises(ValueError, match="a trace of kind pie cannot be drawn"):
        write_png(plain_figure(figure), tmp_path / "a.png")


def test_colours_words_and_places_are_those_of_plotly() -> None:
    assert rgba("rgba(255, 0, 51, 0.5)") == pytest.approx((1, 0, 0.2, 0.5))
    assert rgba("#0072B2")[3] == 1
    assert strip_html("<b>a</b> &amp; b<br>c") == "a & b\nc"
    scale = Scale({"categoryarray": ["z"]})
    assert list(scale.places(["a", "z", "a"])) == [1, 0, 1]
    assert list(scale.places([0.5])) == [0.5]
    assert np.isnan(Scale({}).places([None, 2])).tolist() == [True, False]


def test_coverage_shows_every_cell_and_doubt(tmp_path: Path) -> None:
    training(tmp_path / "own", "mine")
    write(tmp_path / "a", [row("theirs", 0.3, simulated=True)])
    write(tmp_path / "b", [row("theirs", 0.3), row("other", 0.3, benchmark="probe/b")])
    failure = {"benchmark": "fmri/a", "error": "no data", "encoder": "other", "step": None}
    write(tmp_path / "b", [failure], "failures.jsonl")
    gathered = gather([str(tmp_path)])
    section = coverage.section(gathered)
    assert "20 scores of 3 encoders (5 with all training steps) on 2 benchmarks" in section.answer
    assert "4 of 6 cells" in section.answer
    trace = section.items[0].figure.data[0]  # type: ignore[union-attr]
    shown = pd.DataFrame(trace.customdata, trace.y, trace.x)
    assert shown.loc["other", "fmri/a"] == "failed"
    assert shown.loc["theirs", "probe/b"] == "missing"
    assert {item.key for item in section.items} == {"cells", "encoders", "duplicates", "failures"}
    assert section.notes == gathered.notes
