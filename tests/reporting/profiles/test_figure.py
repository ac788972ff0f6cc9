"""Figures of one encoder show what its rows hold."""

from __future__ import annotations

from pathlib import Path

import matplotlib.image
import numpy as np
import pytest

from reporting.profiles.figure import benchmark_figure, write_profiles
from reporting.tables import score_table

BASE = {"benchmark": "fmri/x", "metric": "r2", "encoder": "mine", "simulated": True}


def rows(**changes: object) -> dict[str, object]:
    return BASE | changes


DEPTH = [
    rows(layer=f"layer.{k}", value=0.1 * k, ci_low=0.05 * k, ci_high=0.2 * k, ceiling=0.8)
    for k in range(4)
]
CHOSEN = [rows(layer="selected", value=0.25)]
TARGETS = [rows(layer=k, target=t, value=0.2) for k in ("a", "b") for t in ("low", "high")]
TIMED = [
    rows(metric="lag_r2", layer=k, window=f"{w:.2f}", value=w)
    for k in ("a", "b")
    for w in (0.1, 0.2)
]
SUBJECTS = [rows(layer=k, subject=s, value=0.3) for k in ("a", "b") for s in ("1", "2", "3")]

VOXELS = [rows(layer="selected", target=f"voxel{k}", value=k / 64) for k in range(65)]


def titles(table: list[dict[str, object]]) -> list[str]:
    figure = benchmark_figure(score_table(table))
    return [place.get_title(loc="left") for place in figure.axes if place.get_title(loc="left")]


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        (DEPTH, ["r2 by layer"]),
        (TARGETS, ["r2 by layer", "r2 by target (best layer of each)"]),
        (TIMED, ["lag_r2 by layer\n(dots: the highest layer)"]),
        (SUBJECTS, ["r2 by layer", "r2 of 3 participants"]),
        (DEPTH[:1], ["r2 by layer"]),
        (CHOSEN, ["r2 by target (own choice of layer)"]),
        (VOXELS, ["r2 of 65 targets, median 0.50"]),
    ],
)
def test_each_kind_of_row_has_its_panel(
    table: list[dict[str, object]], expected: list[str]
) -> None:
    assert titles(table) == expected


def test_depth_is_drawn_with_interval_ceiling_and_own_choice() -> None:
    figure = benchmark_figure(score_table([*DEPTH, *CHOSEN]))
    (place,) = figure.axes
    assert list(place.lines[0].get_ydata()) == pytest.approx([0, 0.1, 0.2, 0.3])
    levels = {round(float(line.get_ydata()[0]), 3) for line in place.lines[1:]}
    assert levels == {0.8, 0.25}
    assert [label.get_text() for label in place.get_xticklabels()] == [
        f"layer.{k}" for k in range(4)
    ]
    assert {text.get_text() for text in place.texts} == {"ceiling", "own choice of layer"}
    assert "(simulated)" in figure.get_suptitle()


def test_error_bars_leave_out_what_layers_share() -> None:
    values = {"a": (0.1, 0.3, 0.6), "b": (0.21, 0.4, 0.69)}
    table = [
        rows(layer=k, subject=str(i), value=v) for k, of in values.items() for i, v in enumerate(of)
    ]
    depth = benchmark_figure(score_table(table)).axes[0]
    (bars,) = depth.containers
    (segments,) = bars.lines[2]  # type: ignore[attr-defined]
    heights = [float(top - bottom) for (_, bottom), (_, top) in segments.get_segments()]
    differences = [b - a for a, b in zip(*values.values(), strict=True)]
    expected = np.std(differences, ddof=1) / 2 / 3**0.5
    assert heights == pytest.approx([2 * expected] * 2)


def test_a_file_for_every_benchmark(tmp_path: Path) -> None:
    other = [row | {"benchmark": "ecog/y"} for row in TIMED]
    written = write_profiles(score_table([*DEPTH, *other]), tmp_path / "figures")
    assert [path.name for path in written] == ["fmri_x.png", "ecog_y.png"]
    for path in written:
        assert matplotlib.image.imread(path)[..., :3].std() > 0.05
    assert write_profiles(score_table([]), tmp_path / "none") == []
