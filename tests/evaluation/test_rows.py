"""What a score says of itself, and how tables of names alone are read."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import pytest

from alignment.series.metrics import METRICS as SIMILARITIES
from evaluation.downstream.probes import NAMED
from evaluation.metrics import METRICS, check_known, facts
from evaluation.quantities import WORDS, Kind, Quantity, parse_name
from evaluation.rows import COLUMNS, VERSION, Score, append_rows, as_score, meaning, read_scores
from reporting.tables import score_table

TIMED = [
    Quantity(of, analysis, kind)
    for of in SIMILARITIES
    for analysis in ("", "delay", "window", "map", *WORDS)
    for kind in ("score", "excess", "null")
]
OTHERS = [
    Quantity("rsa_spearman", kind="ceiling"),
    Quantity("pearson", kind="ceiling"),
    Quantity("cka_debiased", "prosody", "excess"),
    Quantity("tnc", "sharing"),
    Quantity("tnc", "sharing", "null"),
    Quantity("mediation_ratio", "sharing"),
    Quantity("cka", kind="peak"),
    Quantity("cka", "delay", "peak"),
    Quantity("peak_depth_difference", kind="peak"),
    Quantity("best_depth", kind="depth"),
    Quantity("depth_beyond_primary", kind="depth"),
    Quantity("r2_added", kind="contribution"),
    Quantity("r2_corrected", kind="voxel"),
    Quantity("depth", kind="voxel"),
    Quantity("r2", "delay"),
    Quantity("r2", "", "contrast", "logmel.step3"),
    Quantity("made_up"),
]


@pytest.mark.parametrize("quantity", [*TIMED, *OTHERS], ids=lambda one: one.name)
def test_names_of_old_tables_say_what_rows_say_now(quantity: Quantity) -> None:
    assert parse_name(quantity.name, False, False) == quantity


@pytest.mark.parametrize("probe", NAMED)
@pytest.mark.parametrize(("target", "kind"), [(False, "score"), (True, "fold")])
def test_names_of_probes(probe: str, target: bool, kind: Kind) -> None:
    for of in ("accuracy", "pitch_accuracy", "map", "d_prime"):
        found = Quantity(of, probe, kind)
        assert parse_name(found.name, True, target) == found
    event = "event_onset_200ms_f1"
    assert parse_name(event, True, target) == Quantity(event, "", kind)


def test_every_similarity_in_time_has_its_facts() -> None:
    assert set(SIMILARITIES) <= set(METRICS)
    assert facts("mutual_knn").family == "neighbourhood"
    assert facts("segment_1s_error_rate").lower_is_better
    assert facts("made_up").headline
    assert not facts("best_depth").headline


def test_rows_of_an_older_table_are_read_and_said_to_be_old(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "scores.jsonl"
    new = Score("eeg/a", layer="x", value=0.5, **meaning(Quantity("cka", "delay", "null")))
    old = {k: v for k, v in asdict(new).items() if k not in ("kind", "analysis", "of", "version")}
    path.write_text(json.dumps(old) + "\n")
    append_rows(path, [new])
    with caplog.at_level("INFO"):
        assert read_scores(path) == [new, new]
    assert caplog.text.count("older version") == 1
    assert as_score(old) == new
    assert score_table(path)["kind"].tolist() == ["null"]


def test_a_later_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    row = asdict(Score("fmri/a", "r2", "x", 0.5)) | {"version": VERSION + 1}
    path.write_text(json.dumps(row) + "\n")
    with pytest.raises(ValueError, match=r"scores\.jsonl: a score of version 3, but"):
        read_scores(path)


def test_a_score_without_more_is_of_its_metric() -> None:
    score = Score("fmri/a", "r2", "x", 0.5)
    assert (score.kind, score.analysis, score.of) == ("score", "", "r2")
    assert set(COLUMNS) == set(asdict(score)) - {"version"}


def test_an_unknown_metric_names_those_that_are_known() -> None:
    check_known("fmri/a", ["r2"], ("r2", "rsa"))
    with pytest.raises(ValueError, match="fmri/a: no metric 'cka': choose from r2, rsa"):
        check_known("fmri/a", ["r2", "cka"], ("r2", "rsa"))
