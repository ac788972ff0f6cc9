"""What is found in the folders of runs, what it is called, and what is said to be doubtful."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from reporting.gathering.gather import gather
from reporting.gathering.gathered import Gathered
from reporting.gathering.reading import fold_notes, read_scores, score_files
from reporting.tables import headlines, score_table
from tests.reporting.comparison.made import SETTINGS, configured, row, training, write


def noted(gathered: Gathered, *words: str) -> str:
    """The one note that has all of these words."""
    (found,) = [note for note in gathered.notes if all(word in note for word in words)]
    return found


# ---- files ---------------------------------------------------------------------------------------


def test_folders_files_and_patterns_are_found_once(tmp_path: Path) -> None:
    one = write(tmp_path / "runs" / "a" / "1", [row("a", 0.1)]) / "scores.jsonl"
    two = write(tmp_path / "runs" / "b" / "2", [row("b", 0.1)]) / "scores.jsonl"
    (tmp_path / "runs" / "b" / "2" / "train.log").write_text("no scores")
    for patterns in (
        [f"{tmp_path}/runs"],
        [f"{tmp_path}/runs/*/*"],
        [f"{tmp_path}/runs/**/scores.jsonl"],
        [f"{tmp_path}/runs/b/2/*", str(one), str(one.parent)],
    ):
        found, without = score_files(patterns)
        assert set(found) == {one, two}
        assert len(found) == 2
        assert not without


def test_a_place_without_scores_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no scores.jsonl in nowhere/\*.*seen from /"):
        score_files(["nowhere/*"])
    with pytest.raises(FileNotFoundError, match="in nothing"):
        score_files([])
    write(tmp_path, [row("a", 0.1)])
    assert "nowhere names no scores.jsonl" in gather([str(tmp_path), "nowhere"]).notes


def test_rows_are_read_as_the_plain_reader_reads_them(tmp_path: Path) -> None:
    rows = [row("a", k / 7, layer=f"encoder.{k}", subject=None, step=k % 2 or None) for k in (1, 2)]
    path = write(tmp_path, rows) / "scores.jsonl"
    with path.open("a") as file:
        file.write('{"benchmark": "fm')
    notes: list[str] = []
    found = read_scores(path, notes)
    texts = found.columns[found.dtypes == "category"]
    pd.testing.assert_frame_equal(found.astype(dict.fromkeys(texts, "str")), score_table(path))
    assert notes[0] == f"{path}: the last line is incomplete (a killed run?) and left out"
    assert "rows of an older version" in notes[1]


def test_many_rows_are_read_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [row("a", k / 7, layer=f"encoder.{k}", target="xyz"[k % 3]) for k in range(7)]
    path = write(tmp_path, rows) / "scores.jsonl"
    whole = read_scores(path, [])
    monkeypatch.setattr("evaluation.rows.LINES_AT_ONCE", 3)
    pieces = read_scores(path, [])
    texts = whole.columns[whole.dtypes == "category"]
    plain = dict.fromkeys(texts, "str")
    pd.testing.assert_frame_equal(pieces.astype(plain), whole.astype(plain))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:4], "incomplete", *lines[5:]]))
    with pytest.raises(ValueError, match=r"scores.jsonl line 5 is not JSON"):
        read_scores(path, [])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"benchmark": "x", "error": "y"}\n', "line 1 lacks metric, layer, value, encoder"),
        ("[1, 2]\n", "line 1 is no row of a score file"),
        ('{"a": 1\n{"a": 1}\n', "line 1 is not JSON"),
    ],
)
def test_a_file_that_is_no_score_file_is_named(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "scores.jsonl"
    path.write_text(text)
    with pytest.raises(ValueError, match=words) as caught:
        gather([str(path)])
    assert str(path) in str(caught.value)


def test_a_value_that_is_no_number_is_named(tmp_path: Path) -> None:
    write(tmp_path, [row("a", 0.1) | {"value": "much"}])
    with pytest.raises(ValueError, match="value is not a number everywhere"):
        gather([str(tmp_path)])


def test_empty_files_are_named_and_nothing_but_empty_is_an_error(tmp_path: Path) -> None:
    write(tmp_path / "a", [])
    with pytest.raises(ValueError, match="nothing was scored there yet"):
        gather([str(tmp_path)])
    write(tmp_path / "b", [row("b", 0.1)])
    assert noted(gather([str(tmp_path)]), "is empty") == f"{tmp_path}/a/scores.jsonl is empty"


# ---- names and tables ----------------------------------------------------------------------------


def test_tables_hold_every_row_with_run_and_name(tmp_path: Path) -> None:
    run, other = training(tmp_path / "one", "mine"), write(tmp_path / "two", [row("theirs", 0.3)])
    found = gather([str(tmp_path)], controls=["their*"])
    assert len(found.scores) == 3 * 2 * 3 + 1
    assert list(found.encoders.index) == [
        *("mine step 0", "mine step 5", "mine step 10"),
        "theirs",
    ]
    assert list(found.encoders["final"]) == [False, False, True, True]
    assert list(found.encoders["control"]) == [False, False, False, True]
    assert list(found.encoders["run"]) == [str(run)] * 3 + [str(other)]
    last = found.encoders.loc["mine step 10"]
    assert (last["family"], last["trained_on"], last["objective"]) == ("Kind", "noise", "codes")
    assert last["hours"] == pytest.approx(10 * 9 * 4 / 3600)
    expected = headlines(pd.concat([score_table(f / "scores.jsonl") for f in (run, other)]))
    columns = list(expected.columns)
    pd.testing.assert_frame_equal(found.heads[columns], expected)
    assert set(found.heads["name"]) == set(found.encoders.index)


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    for seed in (1, 2):
        training(tmp_path / f"seed{seed}", "mine", seed=seed)
    found = gather([str(tmp_path)], names={"mine (seed2)": "other"})
    assert list(found.encoders["encoder"].unique()) == ["mine (seed1)", "other"]
    assert found.encoders.index.is_unique
    assert found.encoders.loc["other step 10", "final"]
    assert (found.heads.groupby("name")["fingerprint"].nunique() == 1).all()


def test_weights_of_one_name_are_told_apart(tmp_path: Path) -> None:
    write(tmp_path / "a", [row("x", 0.1, fingerprint="aaaaaaaa")])
    write(tmp_path / "b", [row("x", 0.2, fingerprint="bbbbbbbb")])
    write(
        tmp_path / "c",
        [row("y", v, fingerprint=f, metric=f) for v, f in ((0.1, "cc"), (0.2, "dd"))],
    )
    found = gather([str(tmp_path)])
    assert list(found.encoders.index) == ["x (a)", "x (b)", "y (c) #cc", "y (c) #dd"]
    assert found.encoders["encoder"].is_unique
    assert not found.duplicates.shape[0]


def test_a_probe_of_a_checkpoint_belongs_to_its_training_run(tmp_path: Path) -> None:
    for seed in (1, 2):
        training(tmp_path / f"seed{seed}", "mine", seed=seed)
    probe = write(
        tmp_path / "probe",
        [row("mine", 0.4, benchmark="fmri/late", step=10, fingerprint="seed2 10")],
    )
    found = gather([str(tmp_path)])
    late = found.heads[found.heads["benchmark"] == "fmri/late"].iloc[0]
    assert (late["name"], late["run"]) == ("mine (seed2) step 10", str(probe))
    assert found.encoders.loc[late["name"], "run"] == str(tmp_path / "seed2")
    # Without the training run, its folder is known from the path of the checkpoint.
    for run in ("here", "there"):
        place = f"{tmp_path}/{run}/checkpoints/step_00000010.ckpt"
        rows = [row("mine", 0.4, step=10, fingerprint=run)]
        configured(write(tmp_path / "alone" / run, rows), encoder={"path": place})
    found = gather([str(tmp_path / "alone")])
    assert list(found.encoders.index) == ["mine (here) step 10", "mine (there) step 10"]


def test_facts_come_from_the_file_then_the_run_then_the_yaml(tmp_path: Path) -> None:
    training(tmp_path / "own", "mine")
    configured(write(tmp_path / "probe", [row("X-large", 0.1)]), {"encoder": "x_large"})
    facts = {"x_large": {"family": "X", "hours": 5}, "mine": {"family": "no", "parameters": 7}}
    overrides = {"X-large": {"hours": 6.0, "family": float("nan")}, "mine": {"trained_on": "me"}}
    found = gather([str(tmp_path)], facts=facts, overrides=overrides).encoders
    assert tuple(found.loc["X-large", ["family", "hours"]]) == ("X", 6.0)
    last = found.loc["mine step 10"]
    assert (last["family"], last["trained_on"], last["parameters"]) == ("Kind", "me", 7)


def test_facts_that_a_run_was_stored_with_stand_where_nothing_else_is_known(tmp_path: Path) -> None:
    said = {"family": "old", "hours": 3, "objective": None}
    configured(write(tmp_path / "probe", [row("X", 0.1)]), {"encoder": "x"}, encoder=said)
    found = gather([str(tmp_path)], facts={"x": {"family": "new"}}).encoders
    assert tuple(found.loc["X", ["family", "hours", "objective"]]) == ("new", 3, "")


def test_patterns_choose_and_leave_out(tmp_path: Path) -> None:
    training(tmp_path / "own", "mine")
    write(tmp_path / "probe", [row("theirs", 0.1)])
    include = {"encoder": ["mine"], "benchmark": ["probe/*"]}
    found = gather([str(tmp_path)], include=include)
    assert set(found.heads["benchmark"]) == {"probe/b"}
    assert noted(found, "left out") == "10 of 19 rows are left out by include or exclude"
    assert set(gather([str(tmp_path)], exclude=["*/own"]).heads["name"]) == {"theirs"}
    with pytest.raises(ValueError, match=r"no score is left .* called mine, theirs"):
        gather([str(tmp_path)], include={"encoder": ["nobody"]})


# ---- doubts --------------------------------------------------------------------------------------


def test_copies_count_once_and_are_named(tmp_path: Path) -> None:
    write(tmp_path / "a", [row("x", 0.1), row("y", 0.5)])
    write(tmp_path / "b", [row("x", 0.3), row("y", 0.5)])
    found = gather([str(tmp_path)])
    assert list(found.scores["value"]) == [0.3, 0.5]
    assert list(found.duplicates["difference"]) == pytest.approx([0.2, 0])
    assert "differ by up to 0.2" in noted(found, "x has scores")
    assert "the same values" in noted(found, "y has scores")


def test_benchmarks_with_other_settings_are_other_benchmarks(tmp_path: Path) -> None:
    for run, pooling in (("a", "mean"), ("b", "mean"), ("c", "max")):
        of_run = {"fmri": {"a": {"name": "fmri/a", "pooling": pooling, "root": f"/data/{run}"}}}
        configured(write(tmp_path / run, [row(run, 0.1)]), benchmark=of_run, paths={"data": run})
    write(tmp_path / "d", [row("d", 0.1)])
    found = gather([str(tmp_path)])
    called = dict(zip(found.heads["name"], found.heads["benchmark"], strict=True))
    assert called == dict.fromkeys("abd", "fmri/a") | {"c": "fmri/a (version 2)"}
    note = noted(found, "other settings")
    assert "in c" in note
    assert 'pooling is "max" instead of "mean"' in note
    assert "beside d" in noted(found, "no config")
    assert len(found.versions) == 2


def test_unequal_subjects_sizes_and_missing_cells_are_named(tmp_path: Path) -> None:
    for name, subjects, n in (("x", "12", 165), ("y", "12", 165), ("z", "1", 160)):
        rows = [row(name, 0.1, subject=subject, n=n) for subject in subjects]
        write(tmp_path / name, rows)
    failure = {"benchmark": "probe/b", "error": "no data", "encoder": "y", "step": None}
    write(tmp_path / "y", [failure], "failures.jsonl")
    write(tmp_path / "w", [row("w", 0.2, benchmark="probe/b")])
    found = gather([str(tmp_path)])
    note = noted(found, "subjects are not the same")
    assert note.startswith("fmri/a, r2")
    assert "2 (1, 2) of x, y; 1 (1) of z" in note
    assert "165 of x, y; 160 of z" in noted(found, ": n are")
    assert noted(found, "failed for") == "probe/b failed for 1 of 4 encoders: y"
    assert noted(found, "fmri/a has no score") == "fmri/a has no score of 1 of 4 encoders: w"
    assert "2 of 4 encoders: x, z" in noted(found, "probe/b has no score")
    assert list(found.failures["error"]) == ["no data"]


def test_a_run_that_stopped_early_is_named(tmp_path: Path) -> None:
    folder = training(tmp_path / "run", "mine")
    configured(folder, max_steps=50, benchmark=SETTINGS)
    assert noted(gather([str(tmp_path)]), "up to step").startswith(
        "mine was evaluated up to step 10 of 50"
    )


def test_notes_that_several_files_share_are_one() -> None:
    notes = ["a/s.jsonl: old", "b/s.jsonl: old", "b/s.jsonl: torn", "c names no scores.jsonl"]
    assert fold_notes(notes, ["a/s.jsonl", "b/s.jsonl"]) == [
        "a/s.jsonl and 1 more: old",
        "b/s.jsonl: torn",
        "c names no scores.jsonl",
    ]
