"""Panels of words, prosody, shared structure and peaks, each from hand-made rows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import matplotlib.image
import pytest
from matplotlib.axes import Axes
from matplotlib.container import BarContainer

from evaluation.rows import Score, as_score
from reporting.profiles.figure import benchmark_figure, write_profiles
from reporting.tables import headlines, log_keys, score_table, trajectory_table
from reporting.terminal import print_scores
from reporting.trajectory.panels import layer_maps, panels

WINDOWS = ("N1", "P2", "N200", "P300", "N400", "P600")
LAYERS = ("low", "middle", "deep")


def row(metric: str, layer: str, value: float, **fields: object) -> Score:
    """A row as a table of names alone has it."""
    own = {"metric": metric, "layer": layer, "value": value, **fields}
    return as_score({"benchmark": "eeg/x", "encoder": "ours", "step": 0, **own})


def words(name: str = "rsa", classes: tuple[str, ...] = ("content", "function", "word")) -> list:
    """The middle layer is best; of it, content words at N400 alone are found."""
    rows = []
    for part in classes:
        rows += [row(f"{k}{part}_{name}", "selected", 0.2, p=0.02) for k in ("", "excess_")]
        rows.append(row(f"{part}_{name}", "selected", 0.2, subject="1"))
        for window in reversed(WINDOWS):
            for layer in LAYERS:
                best = part == "content" and window == "N400" and layer == "middle"
                value, p = (0.3, 0.01) if best else (0.1, 0.4)
                metric = f"{part}_{name}"
                rows.append(row(metric, layer, value, window=window, p=p))
                band = {"window": window, "ci_low": 0.05, "ci_high": 0.15}
                rows.append(row(f"null_{metric}", layer, 0.1, **band))
    return rows


def prosody(name: str = "rsa", p: float | None = 0.012) -> list[Score]:
    values = {"negative": 0.2, "neutral": 0.3, "difference": -0.1}
    return [
        row(
            f"prosody_{name}",
            "selected",
            value,
            target=target,
            ci_low=value - 0.05,
            ci_high=value + 0.05,
            p=p if target == "difference" else None,
        )
        for target, value in values.items()
    ]


SHARED = [
    row(metric, layer, 0.1 * k, ci_low=0.1 * k - 0.05, ci_high=0.1 * k + 0.05, p=0.04 * k)
    for metric in ("tnc", "mediation_ratio")
    for k, layer in enumerate(LAYERS)
]
SHARED += [row("null_tnc", layer, 0.0, ci_low=-0.02, ci_high=0.02) for layer in LAYERS]
DEPTHS = [
    row("peak_depth_rsa", "selected", 0.25, ci_low=0.1, ci_high=0.5),
    row(
        "peak_depth_difference",
        "selected",
        -0.5,
        target="rsa-cka",
        ci_low=-0.75,
        ci_high=-0.25,
        p=0.0004,
    ),
    row("peak_depth_cka", "selected", 0.75, ci_low=0.5, ci_high=1.0),
]
ELECTRODES = [row(f"{m}map_rsa", "selected", 0.1, target="Cz") for m in ("", "excess_")]
CEILINGS = [
    row("ceiling_rsa", "responses", v, target=t) for t, v in (("lower", 0.4), ("upper", 0.6))
]
NEW = [*words(), *prosody(), *SHARED, *DEPTHS, *ELECTRODES, *CEILINGS]
PLAIN = [row("rsa", layer, 0.2) for layer in LAYERS]
PLAIN += [row("rsa", "selected", 0.2), row("excess_rsa", "selected", 0.1)]
PLAIN += [row("null_rsa", layer, 0.1, ci_low=0.0, ci_high=0.2) for layer in LAYERS]


def places(rows: list[Score]) -> list[Axes]:
    figure = benchmark_figure(score_table(rows))
    figure.canvas.draw()
    return figure.axes


def bars(place: Axes) -> dict[str, list[float]]:
    """Heights of bars by label."""
    named = [c for c in place.containers if isinstance(c, BarContainer)]
    return {str(c.get_label()): [bar.get_height() for bar in c] for c in named}


def test_words_are_bars_of_the_best_layer_before_their_surrogates() -> None:
    (place,) = places(words())
    assert place.get_title(loc="left") == (
        "rsa after words: middle (dots: p < .05)\n"
        "p held out: content 0.020, function 0.020, all 0.020"
    )
    assert [tick.get_text() for tick in place.get_xticklabels()] == list(WINDOWS)
    heights = bars(place)
    assert heights["content"] == [0.1, 0.1, 0.1, 0.1, 0.3, 0.1]
    assert heights["function"] == heights["all words"] == [0.1] * 6
    bands = [patch for patch in place.patches if patch.get_alpha() == 0.35 and patch.get_height()]  # type: ignore[attr-defined]
    assert len(bands) == 18
    assert {round(band.get_y(), 3) for band in bands} == {0.05}  # type: ignore[attr-defined]
    dots = [c for c in place.collections if len(c.get_offsets()) == 1]  # type: ignore[arg-type]
    ((x, y),) = (c.get_offsets()[0] for c in dots)  # type: ignore[index]
    assert 3.5 < x < 4
    assert 0.3 < y < place.get_ylim()[1]
    legend = place.get_legend()
    assert legend is not None
    assert {text.get_text() for text in legend.get_texts()} == {
        "content", "function", "all words", "95 % of surrogates",
    }  # fmt: skip


def named(metrics: tuple[str, ...] = ("rsa_spearman", "kendall")) -> list[Score]:
    """The first metric is highest above its surrogates in the deep layer at N400."""
    found = []
    for name in metrics:
        found.append(row(f"erp_{name}", "selected", 0.3))
        for window in ("N100", "N400", "P600"):
            for layer in LAYERS:
                best = (name, window, layer) == (metrics[0], "N400", "deep")
                value, p = (0.5, 0.01) if best else (0.2, 0.4)
                place = {"window": window, "ci_low": 0.1, "ci_high": 0.2}
                found.append(row(f"erp_{name}", layer, value, window=window, p=p))
                found.append(row(f"null_erp_{name}", layer, 0.15, **place))
    return found


def test_named_windows_are_a_table_of_metrics() -> None:
    place, bar = places(named())
    assert place.get_title(loc="left") == "windows of the sentence (value; • p < .05)"
    assert [tick.get_text() for tick in place.get_xticklabels()] == ["N100", "N400", "P600"]
    lines = [tick.get_text() for tick in place.get_yticklabels()]
    assert lines == ["rsa_spearman\ndeep", "kendall\nlow"]
    texts = [text.get_text() for text in place.texts]
    assert texts == ["0.20", "0.50 •", "0.20", "0.20", "0.20", "0.20"]
    (image,) = place.images
    assert image.get_array()[0].tolist() == pytest.approx([1.96, 13.72, 1.96])
    assert bar.get_label() == "<colorbar>"


def test_layers_above_surrogates_are_drawn_with_their_tests() -> None:
    layers = [row("excess_rsa", name, 0.1, p=0.03, ci_low=0.0, ci_high=0.2) for name in LAYERS]
    titles = [place.get_title(loc="left") for place in places([*PLAIN, *layers])]
    assert "above surrogates in people (dots: p < .05)" in titles
    assert "above surrogates in people (dots: p < .05)" not in [
        place.get_title(loc="left") for place in places(PLAIN)
    ]


def test_arousal_has_a_panel_of_its_own() -> None:
    other = {"negative": "aroused", "neutral": "calm", "difference": "arousal_difference"}
    aroused = [
        replace(score, target=other[score.target], p=score.p and 0.03) for score in prosody()
    ]
    first, second = places([*prosody(), *aroused])
    assert first.get_title(loc="left") == "by prosody; p of the difference:\nrsa 0.012"
    assert second.get_title(loc="left") == "by arousal; p of the difference:\nrsa 0.030"
    assert [*bars(second)] == ["aroused", "calm"]


def test_many_curves_break_the_line() -> None:
    every = [r for name in ("cka", "dcor", "rv2", "kendall", "rsa") for r in curve(name)]
    shown = [place for place in places(every) if place.get_xlabel() == "time from onset (s)"]
    tops = [place.get_subplotspec() for place in shown]
    assert len(shown) == 5
    assert all(spec is not None and spec.get_gridspec().ncols == 4 for spec in tops)


def curve(name: str) -> list[Score]:
    found = []
    for window in ("0.12", "0.18"):
        found.append(row(f"window_{name}", "low", 0.2, window=window, p=0.3))
        place = {"window": window, "ci_low": 0.1, "ci_high": 0.2}
        found.append(row(f"null_window_{name}", "low", 0.15, **place))
    return found


@pytest.mark.parametrize(
    "rows",
    [
        words(classes=("word",)),
        [score for score in words() if not score.metric.startswith("null_")],
        [*words(), row("content_rsa", "selected", 0.25, window="N400")],
        [row("word_rsa", "selected", 0.25, window=window) for window in WINDOWS],
        [score for score in words() if score.window in ("P2", "N400")][3:],
        [row("content_rsa", "a", -0.1, window="N400", p=0.01)],
        [row("content_rsa", "a", 0.1, window="N400", subject=s) for s in "12"],
    ],
)
def test_parts_of_words_are_drawn_without_a_warning(rows: list[Score]) -> None:
    (place,) = places(rows)
    assert "after words" in place.get_title(loc="left")


def test_every_similarity_of_words_has_its_panel() -> None:
    shown = places([*words("rsa"), *words("cka_debiased")])
    assert [place.get_title(loc="left").split()[0] for place in shown] == ["rsa", "cka_debiased"]


def test_shared_structure_is_two_curves_with_interval_and_surrogates() -> None:
    upper, lower = places(SHARED)
    assert (upper.get_ylabel(), lower.get_ylabel()) == ("TNC", "mediation ratio")
    assert list(upper.lines[0].get_ydata()) == pytest.approx([0, 0.1, 0.2])
    assert [tick.get_text() for tick in lower.get_xticklabels()] == list(LAYERS)
    assert upper.get_position().y0 > lower.get_position().y1
    assert upper.get_legend() is not None
    assert lower.get_legend() is None


def test_shared_structure_of_one_layer_has_its_interval_too() -> None:
    upper, _ = places([score for score in SHARED if score.layer == "deep"])
    low, high = upper.get_ylim()
    assert low < -0.02
    assert high > 0.25


def test_prosody_is_bars_with_p_of_the_difference() -> None:
    (place,) = places([*prosody("rsa"), *prosody("cka", 0.2)])
    assert place.get_title(loc="left") == "by prosody; p of the difference:\nrsa 0.012, cka 0.200"
    assert [tick.get_text() for tick in place.get_xticklabels()] == ["rsa", "cka"]
    assert [*bars(place).values()] == [[0.2], [0.3]] * 2
    assert [*bars(place)][:2] == ["negative", "neutral"]


@pytest.mark.parametrize("targets", [{"negative", "neutral"}, {"negative"}, {"difference"}])
def test_parts_of_prosody_are_drawn_without_a_warning(targets: set[str]) -> None:
    (place,) = places([score for score in prosody(p=None) if score.target in targets])
    assert place.get_title(loc="left") == "by prosody"


def test_peaks_are_points_and_their_differences_have_a_panel_of_their_own() -> None:
    peaks, between = places(DEPTHS)
    assert [tick.get_text() for tick in peaks.get_yticklabels()] == ["rsa", "cka"]
    assert [tick.get_text() for tick in between.get_yticklabels()] == ["rsa-cka  p < .001"]
    assert peaks.get_xlim()[1] > 1
    low, high = between.get_xlim()
    assert low < -0.75
    assert high > 0


def test_many_differences_make_their_line_higher() -> None:
    def height(count: int) -> float:
        rows = [
            row("peak_depth_difference", "selected", 0.1, target=f"a-{k}") for k in range(count)
        ]
        return float(benchmark_figure(score_table(rows)).get_size_inches()[1])

    assert height(40) > 2 * height(5)


@pytest.mark.long
def test_new_rows_are_drawn_beside_the_others_and_change_none(tmp_path: Path) -> None:
    timed = [row("lag_rsa", name, 0.1, window=w) for name in LAYERS for w in ("0.00", "0.10")]
    timed += [
        row("null_lag_rsa", name, 0.0, window=w, ci_low=0.0, ci_high=0.1)
        for name in LAYERS
        for w in ("0.00", "0.10")
    ]
    before = {place.get_title(loc="left") for place in places([*PLAIN, *timed])}
    after = {place.get_title(loc="left") for place in places([*PLAIN, *timed, *NEW])}
    assert before < after
    (path,) = write_profiles(score_table([*PLAIN, *timed, *NEW]), tmp_path)
    assert matplotlib.image.imread(path)[..., :3].std() > 0.05


def test_the_ceiling_stands_below_the_name_of_its_metric() -> None:
    place, _ = places([*PLAIN, *CEILINGS])
    assert [tick.get_text() for tick in place.get_yticklabels()] == ["rsa\nceiling 0.40 to 0.60"]


def test_a_plain_metric_with_named_windows_reaches_no_axis_of_time() -> None:
    rows = [row("rsa", name, 0.1, window=w) for name in LAYERS for w in ("N1", "N400")]
    rows += [row("null_rsa", r.layer, 0.1, window=r.window, ci_low=0, ci_high=1) for r in rows]
    titles = [place.get_title(loc="left") for place in places(rows)]
    assert "rsa by layer\n(dots: the highest layer)" in titles


def test_trajectories_headlines_and_keys_take_none_of_the_new_rows() -> None:
    table, plain = score_table([*PLAIN, *NEW]), score_table(PLAIN)
    assert set(headlines(table)["metric"]) == {"rsa", "excess_rsa"}
    assert log_keys(table) == log_keys(plain)
    assert trajectory_table(table)["metric"].tolist() == ["excess_rsa"]
    assert [panel.title for panel in panels(table)] == ["eeg/x excess_rsa"]
    assert list(layer_maps(table)) == [("eeg/x", "rsa")]
    alone = score_table(NEW)
    assert len(headlines(alone)) == len(panels(alone)) == len(trajectory_table(alone)) == 0


def test_the_terminal_names_a_benchmark_without_a_headline(
    capsys: pytest.CaptureFixture[str],
) -> None:
    print_scores(score_table(DEPTHS))
    assert "eeg/x: 3 rows without a headline" in capsys.readouterr().out


def test_a_metric_that_only_sounds_like_words_is_followed() -> None:
    rows = [row("word_accuracy", "a", 0.5), row("map_at_10", "a", 0.5), row("prosody_r2", "a", 0.5)]
    rows += [row("content_r2", "a", 0.5, window="0.10")]
    assert len(headlines(score_table(rows))) == 4
