"""Figures and the report, on a realistic table of a run."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from reporting.tables import score_table
from reporting.trajectory import figures
from reporting.trajectory.panels import StepAxis, panels

STEPS = (0, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000)
TARGETS = ("lowfreq", "highfreq", "envsounds", "pitch", "speech", "music")
LAYERS = tuple(f"encoder_{index}" for index in range(6))
NH2015 = "fmri/nh2015_components"


def _run() -> pd.DataFrame:
    """A run whose middle layers learn most: six layers, twelve steps, five metrics."""
    rng = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    for step in STEPS:
        learnt = 1 - 1 / (1 + step / 400)
        for depth, layer in enumerate(LAYERS):
            fit = 1 - 0.14 * abs(depth - 3.4 * learnt)
            row = {"layer": layer, "step": step, "encoder": "encodecmae", "fingerprint": str(step)}

            def add(row: dict[str, object] = row, **fields: object) -> None:
                fields["value"] = float(fields["value"]) + rng.normal(0, 0.006)  # type: ignore[arg-type]
                rows.append(row | fields)

            for index, target in enumerate(TARGETS):
                value = (0.55 - 0.07 * index + 0.06 * index * learnt + 0.2 * learnt) * fit
                add(benchmark=NH2015, metric="r2", target=target, value=value, ceiling=0.93, n=165)
            value = 0.1 + 0.25 * learnt * fit
            bounds = {"ci_low": value - 0.05, "ci_high": value + 0.05}
            add(benchmark=NH2015, metric="rsa_spearman", value=value, n=165, **bounds)
            add(benchmark="probe/fsdd", metric="knn_accuracy", value=0.2 + 0.5 * learnt * fit)
            add(benchmark="probe/fsdd", metric="linear_accuracy", value=0.4 + 0.5 * learnt * fit)
            value = 0.1 + 0.6 * learnt * fit
            planted = {"ceiling": 0.8, "simulated": True}
            add(benchmark="fmri/simulated", metric="r2", value=value, **planted)
    return score_table(rows)


@pytest.fixture(scope="module")
def run() -> pd.DataFrame:
    return _run()


def test_panels_hold_the_headline_the_targets_and_the_references(run: pd.DataFrame) -> None:
    log_mel = run[run["step"] == 0].assign(encoder="log-mel", value=0.25)
    shown = panels(run, log_mel)
    assert [panel.title for panel in shown] == [
        f"{NH2015} r2",
        f"{NH2015} rsa_spearman",
        "probe/fsdd knn_accuracy",
        "probe/fsdd linear_accuracy",
        "fmri/simulated r2 (simulated)",
    ]
    lines = {line.name: line for line in shown[0].lines}
    assert list(lines) == ["ceiling", "step 0", "log-mel", *TARGETS, "mean"]
    assert lines["ceiling"].values == pytest.approx([0.93, 0.93])
    assert lines["log-mel"].values == pytest.approx([0.25, 0.25])
    assert lines["step 0"].values[0] == lines["mean"].values[0]
    assert lines["mean"].steps == list(STEPS)
    assert len({lines[target].colour for target in TARGETS}) == len(TARGETS)
    banded = [line.name for line in shown[1].lines if line.band]
    assert banded == [line.name for line in shown[1].lines if line.width > 2]
    assert len(banded) == 1


def test_a_maximum_over_layers_is_called_optimistic() -> None:
    rows = [
        {"benchmark": "fmri/x", "metric": "rsa", "layer": layer, "value": value, "step": step}
        for step in (0, 5)
        for layer, value in (("a", 0.1 + step), ("b", 0.2))
    ]
    (panel,) = panels(score_table(rows))
    assert panel.lines[-1].name == "best layer (optimistic)"
    chosen = [row | {"layer": "selected", "value": 0.1} for row in rows[::2]]
    (panel,) = panels(score_table([*rows, *chosen]))
    assert panel.lines[-1].name == "selected layer"
    assert panel.lines[-1].values == [0.1, 0.1]
    (panel,) = panels(score_table(rows[::2]))
    assert panel.lines[-1].name == "a"


def test_labels_keep_their_order_and_never_touch(run: pd.DataFrame) -> None:
    for panel in panels(run):
        low, high = panel.limits()
        heights = [height for height, _, _ in panel.labels()]
        assert np.diff(heights).min(initial=1) >= 0.0699 * (high - low)
        assert low <= heights[0]
        assert heights[-1] <= high
        ends = sorted((line.values[-1], line.name) for line in panel.lines)
        assert [name for _, name, _ in panel.labels()] == [name for _, name in ends]


def test_a_target_has_one_colour_in_every_panel(run: pd.DataFrame) -> None:
    second = run[run["target"].isin(["pitch", "music"])].assign(benchmark="ecog/other")
    shown = panels(pd.concat([run, second], ignore_index=True))
    first, other = ({line.name: line.colour for line in shown[i].lines} for i in (0, -1))
    assert {name: other[name] for name in ("pitch", "music")} == {
        name: first[name] for name in ("pitch", "music")
    }


def test_the_step_axis_shows_step_0_and_hours() -> None:
    axis = StepAxis(STEPS, hours_per_step=0.01)
    places, texts = axis.ticks(" = ")
    assert axis.position(0) == 0
    assert texts[0] == "0 = 0 h"
    assert texts[-1] == "20k = 200 h"
    assert places == sorted(places)
    assert StepAxis(()).ticks() == ([], [])


def test_the_plotly_figure_draws_every_headline(run: pd.DataFrame) -> None:
    figure = figures.trajectory_figure(run, hours_per_step=0.01)
    headline = [trace for trace in figure.data if (trace.line.width or 0) > 2]
    assert len(headline) == 5
    assert all(len(trace.x) == len(STEPS) for trace in headline)
    assert "hours" in figure.layout.xaxis.title.text
    assert "(simulated)" in figure.layout.annotations[-1].text


def test_the_report_needs_no_network_and_names_what_failed(
    run: pd.DataFrame, tmp_path: Path
) -> None:
    failure = {"benchmark": "eeg/x", "error": "no <file>", "step": 20}
    path = figures.write_report(run, tmp_path / "new", "A & B", failures=[failure])
    page = path.read_text(encoding="utf-8")
    assert '<html lang="en">' in page
    assert "<title>A &amp; B</title>" in page
    assert page.count("<script>") >= 1
    assert not re.search(r"<(script|link|img|iframe)[^>]*(src|href)=", page)
    assert "no &lt;file&gt;" in page
    assert "fmri/simulated (simulated)" in page
    assert page.count("<section>") == 5
    assert page.count("plotly.js v") == 1
    assert sorted(file.name for file in path.parent.iterdir()) == [
        "trajectory.html",
        "trajectory.png",
    ]
    assert 4e6 < path.stat().st_size < 6e6
    png = path.with_name("trajectory.png").read_bytes()
    assert png.startswith(b"\x89PNG")
    assert 3e4 < len(png) < 6e5


def test_the_png_cuts_off_no_title_and_no_number(run: pd.DataFrame, tmp_path: Path) -> None:
    names = {name: f"eeg/{name}_of_many_words_in_its_name" for name in run["benchmark"].unique()}
    small = run.assign(benchmark=run["benchmark"].map(names), value=run["value"] / 1000 - 0.005)
    figures.write_report(small, tmp_path, "A")
    pixels = imread(tmp_path / "trajectory.png")[..., :3]
    edges = [pixels[:5], pixels[-5:], pixels[:, :5], pixels[:, -5:]]
    assert all((edge == 1).all() for edge in edges)


def test_a_failed_write_leaves_the_earlier_file(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("before")

    def broken(temporary: Path) -> None:
        temporary.write_text("half")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        figures._replace(path, broken)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def _external(run: pd.DataFrame) -> pd.DataFrame:
    rows = run[run["step"] == 0].to_dict("records")
    return score_table([row | {"step": None, "encoder": "log-mel"} for row in rows])


def _with_gaps(run: pd.DataFrame) -> pd.DataFrame:
    missing = (run["benchmark"] == NH2015) & (run["step"] < 500)
    return run[~missing & ~((run["layer"] == "encoder_2") & (run["step"] == 50))]


PARTS: dict[str, Callable[[pd.DataFrame], pd.DataFrame]] = {
    "step 0": lambda run: run[run["step"] == 0],
    "one step": lambda run: run[run["step"] == 500],
    "one layer": lambda run: run[run["layer"] == "encoder_1"],
    "one target": lambda run: run[run["target"] == "pitch"],
    "selected": lambda run: run.assign(layer="selected"),
    "flat": lambda run: run.assign(value=0.0),
    "external": lambda run: _external(run),
    "mixed": lambda run: pd.concat([run, _external(run)], ignore_index=True),
    "gaps": _with_gaps,
    "nothing": lambda run: score_table([]),
}


@pytest.mark.long
@pytest.mark.parametrize("part", PARTS)
def test_partial_scores_are_drawn_without_a_warning(
    part: str, run: pd.DataFrame, tmp_path: Path
) -> None:
    scores = PARTS[part](run[run["benchmark"] != "probe/fsdd"])
    failures = [{"encoder": "x", "error": "y", "step": None}]
    page = figures.write_report(scores, tmp_path, "part", 0.1, failures).read_text()
    figures.trajectory_figure(scores).to_json()
    figures.layer_step_png(scores, tmp_path / "layers.png")
    assert page.count("<section>") == len(scores[["benchmark", "metric"]].drop_duplicates())


def test_many_targets_stay_grey_and_unnamed() -> None:
    base = {"benchmark": "ecog/a", "metric": "r", "layer": "l", "value": 0.1}
    rows = [base | {"target": f"channel {i}", "step": step} for i in range(40) for step in (0, 5)]
    (panel,) = panels(score_table(rows))
    assert [name for _, name, _ in panel.labels()] == ["step 0", "mean"]
    assert len(panel.lines) == 42


def test_layer_maps_of_a_benchmark_with_surrogates_are_drawn(tmp_path: Path) -> None:
    base = {"benchmark": "eeg/a", "step": 0, "encoder": "e"}
    rows = [
        base | {"metric": metric, "layer": layer, "value": 0.1}
        for metric in ("rsa", "null_rsa", "excess_rsa")
        for layer in ("a", "b", "selected")
        if (metric == "excess_rsa") <= (layer == "selected")
    ]
    figures.layer_step_png(score_table(rows), tmp_path / "layers.png")
    assert (tmp_path / "layers.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("name", ["a", "encoder.layers.11.attention"])
def test_maps_leave_room_for_scales_and_names_of_layers(name: str) -> None:
    rows = [
        {"benchmark": "fmri/x", "metric": metric, "layer": f"{name}.{k}", "value": k, "step": step}
        for metric in ("r2", "rsa")
        for k in range(2)
        for step in (0, 5)
    ]
    figure = figures.layer_step_figure(score_table(rows))
    left, right = figure.layout.xaxis.domain, figure.layout.xaxis2.domain
    letters = len(f"{name}.0")
    assert (right[0] - left[1]) * figures.WIDTH >= min(0.5 * figures.WIDTH, 75 + 8 * letters)
    bar = figure.data[0].colorbar
    assert left[1] < bar.x < right[0]


def test_panels_leave_room_for_long_names() -> None:
    def gap(*targets: str) -> float:
        rows = [
            {"benchmark": "fmri/x", "metric": metric, "layer": "a", "target": target, "step": step}
            for metric in ("r2", "rsa")
            for target in targets
            for step in (0, 5)
        ]
        figure = figures.trajectory_figure(score_table([row | {"value": 0.1} for row in rows]))
        return figure.layout.xaxis2.domain[0] - figure.layout.xaxis.domain[1]

    assert gap("speech", "music") == pytest.approx(0.09)
    assert gap("speech", "temporal_modulation") > 0.12
