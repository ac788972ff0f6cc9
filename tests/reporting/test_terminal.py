"""What the terminal shows."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.console import Console

from reporting import terminal
from reporting.tables import score_table
from tests.reporting.test_tables import FMRI, PROBE, fmri_rows


def console_of_text() -> Console:
    return Console(file=StringIO(), width=100, force_terminal=False)


def _shown(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_terminal_shows_a_trajectory_within_100_columns() -> None:
    rows = fmri_rows(0, a=(0.1, 0.3)) + fmri_rows(12000, a=(0.4, 0.6))
    rows += [FMRI | {"benchmark": "fmri/simulated", "layer": "a", "value": 0.1, "simulated": True}]
    console = console_of_text()
    terminal.print_trajectory(score_table(rows), console)
    text = _shown(console)
    for part in ("fmri/nh2015", "0.200", "0.500", "step 12,000", "+0.300", "r2, simulated"):
        assert part in text
    assert max(map(len, text.splitlines())) <= 100


def test_a_trajectory_stands_beside_its_floor() -> None:
    other = FMRI | {"metric": "rsa", "layer": "a", "value": 0.7}
    others = [other | {"step": step} for step in (0, 12000)]
    floors = [FMRI | {"layer": "logmel", "value": 0.123, "encoder": "logmel"}]
    for given, shown in ((floors, True), ([], False)):
        console = console_of_text()
        rows = [*fmri_rows(0, a=(0.1, 0.3)), *fmri_rows(12000, a=(0.4, 0.6)), *others]
        terminal.print_trajectory(score_table(rows), console, score_table(given))
        text = _shown(console)
        assert all((part in text) == shown for part in ("floor", "0.123", "logmel"))
        assert "0.700" in text
        assert max(map(len, text.splitlines())) <= 100


def test_the_terminal_shows_scores_and_failures() -> None:
    console = console_of_text()
    failures = [{"benchmark": "eeg/x", "error": "expected [n, d]"}]
    rows = [PROBE | {"layer": "deep", "value": 0.8, "n": 300, "seconds": 1.25, "simulated": True}]
    terminal.print_scores(score_table(rows), failures, console)
    text = _shown(console)
    for part in ("probe/fsdd (simulated)", "deep", "0.800", "300", "1.2"):
        assert part in text
    assert "eeg/x failed: expected [n, d]" in text


def test_the_terminal_shows_intervals_and_p_values_where_there_are_some() -> None:
    rows = [
        FMRI | {"layer": "selected", "value": 0.1, "ci_low": -0.02, "ci_high": 0.2, "p": p}
        for p in (0.0001, 0.2)
    ]
    rows[1]["metric"] = "rsa"
    console = console_of_text()
    terminal.print_scores(score_table(rows), (), console)
    text = _shown(console)
    for part in ("95 % interval", "-0.020 … 0.200", "< .001", "0.200"):
        assert part in text
    terminal.print_scores(
        score_table([PROBE | {"layer": "a", "value": 0.8}]), (), plain := console_of_text()
    )
    assert "interval" not in _shown(plain)


def test_the_terminal_tells_several_encoders_apart_and_bears_no_scores() -> None:
    console = console_of_text()
    rows = [PROBE | {"layer": "a", "value": 0.8, "encoder": name} for name in ("ours", "theirs")]
    terminal.print_scores(score_table(rows), (), console)
    terminal.print_scores(score_table([]), (), console)
    terminal.print_trajectory(score_table([]), console)
    text = _shown(console)
    assert "theirs" in text
    assert "No scores yet." in text


def test_a_file_gets_wide_tables_and_values_above_surrogates(
    capsys: pytest.CaptureFixture[str],
) -> None:
    row = {"benchmark": "eeg/x", "layer": "selected", "value": 0.5}
    names = ("lag_cka_debiased", "excess_lag_cka_debiased", "null_lag_cka_debiased")
    terminal.print_scores(score_table(row | {"metric": name} for name in names))
    text = capsys.readouterr().out
    assert "excess_lag_cka_debiased" in text
    assert text.count("lag_cka_debiased") == 1


def test_tasks_are_shown_above_chance_beside_their_controls() -> None:
    rows = [
        PROBE | {"benchmark": "probe/gtzan", "metric": "mlp_accuracy", "layer": "mix"},
        PROBE | {"benchmark": "probe/barks", "metric": "linear_accuracy", "layer": "deep"},
    ]
    rows = [row | {"value": 0.7675, "chance": 0.1} for row in rows]
    control = [rows[0] | {"encoder": "shuffled labels", "value": 0.0987}]
    console = console_of_text()
    terminal.print_tasks(score_table(rows), score_table(control), console)
    text = _shown(console)
    for part in ("gtzan", "barks", "mlp_accuracy", "shuffled", "0.099", "0.742", "0.000", "–"):
        assert part in text
    assert "global score +0.00: mean z of 1 of the six tasks of the reference (gtzan)" in text
    terminal.print_tasks(score_table(rows[1:]), None, plain := console_of_text())
    assert "global" not in _shown(plain)
    terminal.print_tasks(score_table([FMRI | {"layer": "a"}]), None, nothing := console_of_text())
    assert not _shown(nothing)
