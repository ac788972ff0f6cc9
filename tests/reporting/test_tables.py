"""Tables of score rows: types, best layers, logger keys, trajectories, terminal output."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pandas as pd
import pytest

from evaluation import rows
from reporting import tables
from reporting.tables import headlines, log_keys, score_table, throughout, trajectory_table

FMRI = {"benchmark": "fmri/nh2015", "metric": "r2", "encoder": "ours", "fingerprint": "f"}
PROBE = {"benchmark": "probe/fsdd", "metric": "linear_accuracy", "encoder": "ours"}


def fmri_rows(step: int | None, **values: tuple[float, float]) -> list[dict[str, object]]:
    """Rows of two targets for each layer: ``layer=(pitch, speech)``."""
    return [
        FMRI | {"step": step, "layer": layer, "target": target, "value": value, "ceiling": 0.9}
        for layer, pair in values.items()
        for target, value in zip(("pitch", "speech"), pair, strict=True)
    ]


def test_the_columns_are_the_fields_of_a_score() -> None:
    names = [field.name for field in dataclasses.fields(rows.Score)]
    assert [*tables.COLUMNS, "version"] == names


def test_rows_of_a_file_a_mapping_and_a_dataclass_are_equal(tmp_path: Path) -> None:
    score = rows.Score("fmri/a", "r2", "layer_1", 0.5, n=165, simulated=True, step=3)
    path = tmp_path / "scores.jsonl"
    rows.append_rows(path, [score])
    table = score_table(path)
    pd.testing.assert_frame_equal(table, score_table([score]))
    pd.testing.assert_frame_equal(table, score_table([dataclasses.asdict(score)]))
    assert {name: str(dtype) for name, dtype in table.dtypes.items()} == tables.COLUMNS


def test_a_torn_last_line_is_left_out_and_a_torn_earlier_line_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "scores.jsonl"
    good = json.dumps(FMRI | {"layer": "a", "value": 1.0})
    path.write_text(good + "\n" + good[:20])
    assert len(score_table(str(path))) == 1
    path.write_text(good[:20] + "\n" + good)
    with pytest.raises(ValueError, match=r"line 1 is not JSON .* fix or remove"):
        score_table(path)


def test_no_rows_make_empty_tables_with_all_columns() -> None:
    empty = score_table([])
    assert {name: str(dtype) for name, dtype in empty.dtypes.items()} == tables.COLUMNS
    assert list(trajectory_table(empty).columns) == tables.SUMMARY
    assert len(headlines(empty)) == 0
    assert log_keys(empty) == {}


def test_a_row_written_again_replaces_the_earlier() -> None:
    rows = [FMRI | {"layer": "a", "value": value, "step": 5} for value in (0.1, 0.2)]
    assert score_table(rows)["value"].tolist() == [0.2]


def test_a_row_must_be_a_mapping_or_dataclass() -> None:
    with pytest.raises(TypeError, match="got int"):
        score_table([3])


def test_the_headline_is_the_best_layer_by_the_mean_over_targets() -> None:
    rows = fmri_rows(0, low=(0.6, 0.0), middle=(0.4, 0.5), deep=(0.1, 0.7))
    (row,) = headlines(score_table(rows)).to_dict("records")
    assert (row["layer"], row["value"], row["ceiling"]) == ("middle", pytest.approx(0.45), 0.9)
    assert pd.isna(row["ci_low"])


def test_a_layer_selected_on_heldout_data_is_the_headline_although_lower() -> None:
    rows = fmri_rows(0, low=(0.6, 0.6))
    chosen = FMRI | {"layer": "selected", "value": 0.4, "step": 0, "ci_low": 0.3, "ci_high": 0.5}
    (row,) = headlines(score_table([*rows, chosen])).to_dict("records")
    assert (row["layer"], row["value"]) == ("selected", 0.4)
    assert (row["ci_low"], row["ci_high"]) == (0.3, 0.5)
    assert log_keys(score_table([*rows, chosen]))["align/fmri/nh2015/r2/pitch"] == 0.6


def test_aggregates_and_windows_are_not_averaged_with_their_parts() -> None:
    rows = fmri_rows(0, low=(0.2, 0.4))
    whole = FMRI | {"layer": "low", "value": 0.7, "step": 0}
    assert headlines(score_table([*rows, whole]))["value"].tolist() == [0.7]
    windows = [PROBE | {"layer": "a", "window": w, "value": v} for w, v in (("", 0.5), ("w", 0.9))]
    assert headlines(score_table(windows))["value"].tolist() == [0.5]


def test_subjects_are_averaged_and_a_partly_missing_ceiling_is_missing() -> None:
    rows = [
        FMRI | {"layer": "a", "subject": s, "value": v, "ceiling": c, "n": n}
        for s, v, c, n in (("1", 0.2, 0.8, 10), ("2", 0.4, None, 8))
    ]
    (row,) = headlines(score_table(rows)).to_dict("records")
    assert row["value"] == pytest.approx(0.3)
    assert pd.isna(row["ceiling"])
    assert row["n"] == 8


def test_the_lowest_layer_is_best_where_lower_is_better() -> None:
    error = {"benchmark": "probe/segments", "metric": "segment_1s_error_rate"}
    rows = [
        error | {"layer": layer, "value": value, "step": step}
        for step, values in ((0, (0.9, 0.8)), (5, (0.5, 0.3)), (9, (0.6, 0.4)))
        for layer, value in zip("ab", values, strict=True)
    ]
    (row,) = trajectory_table(score_table(rows)).to_dict("records")
    assert (row["start"], row["best"], row["best_step"], row["end_layer"]) == (0.8, 0.3, 5, "b")


def test_logger_keys_put_brain_benchmarks_under_align() -> None:
    rows = fmri_rows(7, low=(0.6, 0.0), deep=(0.4, 0.5))
    rows += [PROBE | {"layer": "deep", "value": 0.8, "step": 7}]
    assert log_keys(score_table(rows)) == pytest.approx(
        {
            "align/fmri/nh2015/r2": 0.45,
            "align/fmri/nh2015/r2/pitch": 0.6,
            "align/fmri/nh2015/r2/speech": 0.5,
            "probe/fsdd/linear_accuracy": 0.8,
        }
    )


def test_logger_keys_of_many_targets_are_their_mean() -> None:
    rows = [
        FMRI | {"layer": "selected", "target": f"voxel{k}", "value": k / 64, "step": 7}
        for k in range(65)
    ]
    assert log_keys(score_table(rows)) == pytest.approx({"align/fmri/nh2015/r2": 0.5})
    assert len(log_keys(score_table(rows[:64]))) == 65


def test_logger_keys_of_two_steps_are_refused() -> None:
    rows = fmri_rows(0, low=(0.1, 0.1)) + fmri_rows(5, low=(0.1, 0.1))
    with pytest.raises(ValueError, match="one step is logged at a time"):
        log_keys(score_table(rows))


def test_a_trajectory_has_its_start_best_and_end() -> None:
    rows = fmri_rows(20, a=(0.2, 0.3), b=(0.1, 0.1)) + fmri_rows(0, a=(0.1, 0.1), b=(0.2, 0.2))
    rows += fmri_rows(10, a=(0.5, 0.5), b=(0.1, 0.1))
    (row,) = trajectory_table(score_table(rows)).to_dict("records")
    assert (row["start"], row["start_layer"]) == (pytest.approx(0.2), "b")
    assert (row["best"], row["best_step"], row["best_layer"]) == (0.5, 10, "a")
    assert (row["end"], row["end_step"], row["gain"]) == (0.25, 20, pytest.approx(0.05))


def test_a_trajectory_without_step_0_or_without_steps_has_no_gain() -> None:
    for step in (10, None):
        (row,) = trajectory_table(score_table(fmri_rows(step, a=(0.1, 0.3)))).to_dict("records")
        assert row["end"] == pytest.approx(0.2)
        assert pd.isna(row["start"])
        assert pd.isna(row["gain"])


def test_a_step_scored_twice_counts_once_and_two_encoders_are_refused() -> None:
    earlier = [row | {"fingerprint": "old"} for row in fmri_rows(0, a=(0.9, 0.9))]
    table = score_table(earlier + fmri_rows(0, a=(0.1, 0.1)))
    assert trajectory_table(table)["end"].tolist() == pytest.approx([0.1])
    other = [row | {"encoder": "theirs"} for row in earlier]
    with pytest.raises(ValueError, match="several encoders"):
        trajectory_table(score_table(other + fmri_rows(0, a=(0.1, 0.1))))


def test_metrics_of_the_last_step_alone_are_no_trajectory() -> None:
    rows = fmri_rows(0, a=(0.1, 0.3)) + fmri_rows(10, a=(0.2, 0.4))
    more = [row | {"metric": "kendall"} for row in fmri_rows(10, a=(0.2, 0.4))]
    table = score_table([*rows, *more, *(row | {"benchmark": "eeg/x"} for row in more)])
    shown = trajectory_table(table)
    assert set(zip(shown["benchmark"], shown["metric"], strict=True)) == {
        ("fmri/nh2015", "r2"),
        ("eeg/x", "kendall"),
    }
    elsewhere = score_table(row | {"step": None} for row in [*rows[:2], *more])
    assert len(throughout(elsewhere)) == len(elsewhere)


def test_folds_of_a_probe_are_rows_but_neither_headlines_nor_keys() -> None:
    folds = [PROBE | {"layer": "a", "value": v, "target": f"fold{v}"} for v in (0.2, 0.8)]
    whole = [PROBE | {"layer": "a", "value": 0.5}, PROBE | {"layer": "b", "value": 0.4}]
    table = tables.score_table([*whole, *folds])
    assert len(table) == 4
    assert tables.headlines(table)["value"].tolist() == [0.5]
    assert tables.log_keys(table) == {f"{PROBE['benchmark']}/{PROBE['metric']}": 0.5}
