"""The figure of a downstream task: every probe a line over layers, mixes across, chance below."""

from __future__ import annotations

from matplotlib.figure import Figure

from reporting.profiles.figure import benchmark_figure
from reporting.profiles.probe_panels import probe_lines
from reporting.tables import score_table
from tests.reporting.test_tables import FMRI, PROBE


def rows(measure: str = "accuracy") -> list[dict[str, object]]:
    values = {"knn": (0.3, 0.4), "linear": (0.6, 0.5)}
    found = [
        PROBE | {"metric": f"{probe}_{measure}", "layer": layer, "value": value, "chance": 0.1}
        for probe, pair in values.items()
        for layer, value in zip(("shallow", "deep"), pair, strict=True)
    ]
    mixed = {"metric": f"mlp_fast_{measure}", "layer": "mix", "value": 0.7, "chance": 0.1}
    fold = found[0] | {"target": "fold0", "value": 0.9}
    return [*found, PROBE | mixed, fold]


def test_probes_share_a_panel() -> None:
    figure = benchmark_figure(score_table(rows()))
    (place,) = figure.subfigs[0].axes
    lines = {str(line.get_label()): line for line in place.lines}
    assert set(lines) == {"knn", "linear", "mlp fast, all layers", "chance"}
    assert list(lines["knn"].get_ydata()) == [0.3, 0.4]
    assert list(lines["linear"].get_ydata()) == [0.6, 0.5]
    assert set(lines["mlp fast, all layers"].get_ydata()) == {0.7}
    assert set(lines["chance"].get_ydata()) == {0.1}
    assert [text.get_text() for text in place.get_xticklabels()] == ["shallow", "deep"]


def test_measures_have_panels_of_their_own_and_other_benchmarks_none() -> None:
    table = score_table([*rows("map"), *rows("auc")])
    (line,) = probe_lines(table)
    place = Figure().add_subplot()
    line[1](place)
    assert len(line) == 2
    assert place.get_title(loc="left") == "auc by layer"
    assert probe_lines(score_table([FMRI | {"layer": "a", "value": 0.1, "chance": 0.0}])) == []
    assert probe_lines(score_table([PROBE | {"layer": "a", "value": 0.1}])) == []
