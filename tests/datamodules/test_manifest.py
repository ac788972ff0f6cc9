"""A task from a csv file, and every way in which the file can be wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from datamodules.tasks.manifest import manifest_task


def manifest(folder: Path, text: str, encoding: str = "utf-8") -> Path:
    """A manifest, and a sound for every path that it names."""
    folder.mkdir(parents=True, exist_ok=True)
    for line in text.splitlines()[1:]:
        level = 0.001 * (1 + sum(map(ord, line.split(",")[0])))
        soundfile.write(folder / line.split(",")[0], np.full(800, level % 1), 8000)
    path = folder / "manifest.csv"
    path.write_text(text, encoding=encoding)
    return path


WHOLE = (
    "path,label,fold,speaker\na.wav,10,0,ann\nb.wav,2,1,ben\nc.wav,2,0,ann\n"
    "d.wav,1,1,ben\ne.wav,10,1,ben\nf.wav,1,0,ann\n"
)


def test_labels_and_folds_stay_with_their_sounds(tmp_path: Path) -> None:
    task = manifest_task(manifest(tmp_path / "digits", WHOLE), source="here", licence="CC0-1.0")
    assert task.stimuli.name == "digits"
    assert list(task.stimuli.ids) == [f"{letter}.wav" for letter in "abcdef"]
    assert [task.classes[label] for label in task.labels] == ["10", "2", "2", "1", "10", "1"]
    assert not task.multilabel
    assert task.folds.tolist() == [0, 1, 0, 1, 1, 0]
    assert (task.provenance.source, task.provenance.licence) == ("here", "CC0-1.0")
    assert not task.provenance.simulated
    expected = soundfile.read(tmp_path / "digits" / "c.wav", dtype="float32")[0]
    assert task.stimuli.waveform(2, 8000).tolist() == expected.tolist()


def test_classes_that_are_numbers_are_in_numeric_order(tmp_path: Path) -> None:
    assert manifest_task(manifest(tmp_path, WHOLE)).classes == ("1", "2", "10")


def test_classes_that_are_names_are_in_alphabetic_order(tmp_path: Path) -> None:
    labels = ("water", "explosion", "ant", "7")
    lines = [f"{fold}{label}.wav,{label},{fold}" for label in labels for fold in "01"]
    text = "\n".join(["path,label,fold", *lines])
    assert manifest_task(manifest(tmp_path, text)).classes == ("7", "ant", "explosion", "water")


def test_other_columns_can_be_label_and_fold(tmp_path: Path) -> None:
    path = manifest(tmp_path, WHOLE)
    task = manifest_task(path, label="speaker", fold="label", name="speakers", max_seconds=0.05)
    assert task.classes == ("ann", "ben")
    assert task.folds.unique().numel() == 3
    assert task.stimuli.name == "speakers"
    assert task.stimuli.waveform(0, 8000).shape == (400,)


def test_a_manifest_saved_by_a_spreadsheet_is_read(tmp_path: Path) -> None:
    path = manifest(tmp_path, WHOLE, encoding="utf-8-sig")
    assert len(manifest_task(path).stimuli) == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,fold\na.wav,0\n", r"columns \['path', 'fold'\] but no column label"),
        ("file,label,fold\na.wav,x,0\n", "no column path"),
        ("path,label,fold\n", "lists no clips"),
        ("", "no column path"),
        ("path,label,fold\na.wav,x,0\nb.wav,y,0\n", "one fold only, expected at least two"),
        ("path,label,fold\na.wav,x,0\nb.wav,,1\n", "line 3 has no label: fill it in"),
        ("path,label,fold\na.wav,x,0\nb.wav,x,\n", "line 3 has no fold: fill it in"),
        ("path,label,fold\na.wav,x,0\nb.wav,x,1\n", "one class, x: at least two"),
        (
            "path,label,fold\na.wav,x,0\nb.wav,y,1\nc.wav,x,1\n",
            "all clips of class y are in fold 1, .* move some to another fold",
        ),
        (
            "path,label,fold\na.wav,x,train\nb.wav,y,train\nc.wav,z|x,test\n",
            "all clips of class z are in fold test",
        ),
    ],
)
def test_a_manifest_that_is_wrong_is_explained(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ValueError, match=rf"manifest\.csv.*{message}"):
        manifest_task(manifest(tmp_path, text))


def test_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no manifest at .*none\.csv: set ENTRAIN_DATA"):
        manifest_task(tmp_path / "none.csv")
    path = manifest(tmp_path, WHOLE)
    (tmp_path / "b.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"lists b\.wav, which is not at .*b\.wav"):
        manifest_task(path)


def test_a_path_that_occurs_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the name a\.wav occurs more than once"):
        manifest_task(manifest(tmp_path, "path,label,fold\na.wav,x,0\na.wav,y,1\n"))


def test_a_clip_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    path = manifest(tmp_path, WHOLE)
    (tmp_path / "c.wav").write_text("no sound")
    with pytest.raises(ValueError, match=r"c\.wav cannot be read \(.*\): convert it to wav"):
        manifest_task(path)
    soundfile.write(tmp_path / "c.wav", np.zeros(0), 8000)
    with pytest.raises(ValueError, match=r"c\.wav holds no samples: leave it out"):
        manifest_task(path)


def test_a_manifest_in_another_encoding_is_named_with_the_mend(tmp_path: Path) -> None:
    path = tmp_path / "clips.csv"
    path.write_bytes("path,label\na.wav,h\xfcnd\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"clips\.csv is no UTF-8 text .* save it as a csv"):
        manifest_task(path)


def test_no_manifest_says_how_to_give_one() -> None:
    with pytest.raises(ValueError, match=r"manifest is not set: give manifest=FILE\.csv"):
        manifest_task(None)


def listed(labels: list[str], columns: str = "path,label", fold: str = "") -> str:
    return "\n".join([columns, *(f"clip{i}.wav,{label}{fold}" for i, label in enumerate(labels))])


MANY = ["dog"] * 13 + ["cat"] * 7 + ["owl"] * 5


def test_without_folds_five_stratified_ones_are_made(tmp_path: Path) -> None:
    task = manifest_task(manifest(tmp_path, listed(MANY)))
    assert task.folds.unique().tolist() == [0, 1, 2, 3, 4]
    for label, name in enumerate(task.classes):
        counts = task.folds[task.labels == label].bincount(minlength=5)
        assert counts.max() - counts.min() <= 1, name
    assert set(task.folds.bincount().tolist()) == {5}
    assert len(task.splits) == 5


def test_folds_follow_the_clips_and_not_the_order_of_lines(tmp_path: Path) -> None:
    text = listed(MANY)
    head, *lines = text.splitlines()
    one = manifest_task(manifest(tmp_path / "one", text))
    two = manifest_task(manifest(tmp_path / "two", "\n".join([head, *reversed(lines)])))
    assert dict(zip(one.stimuli.ids, one.folds.tolist(), strict=True)) == dict(
        zip(two.stimuli.ids, two.folds.tolist(), strict=True)
    )


@pytest.mark.long
def test_classes_and_folds_do_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    path = manifest(tmp_path, listed([f"{label}|rain" for label in MANY]))
    code = (
        "from datamodules.tasks.manifest import manifest_task as m\n"
        f"t = m({str(path)!r}); print(t.classes, t.folds.tolist(), t.labels.int().tolist())"
    )
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(found) == 1


def test_labels_that_are_separated_by_a_bar_are_several(tmp_path: Path) -> None:
    task = manifest_task(manifest(tmp_path, listed(["dog|rain", "rain", "", "dog", "rain|dog"])))
    assert task.multilabel
    assert task.classes == ("dog", "rain")
    assert task.labels.dtype == torch.bool
    assert task.labels.int().tolist() == [[1, 1], [0, 1], [0, 0], [1, 0], [1, 1]]


def test_folds_of_several_labels_are_stratified_by_the_rarest(tmp_path: Path) -> None:
    labels = [["dog|rain", "rain", "rain", "", "dog"][i % 5] for i in range(100)]
    task = manifest_task(manifest(tmp_path, listed(labels)))
    for label in range(2):
        counts = task.folds[task.labels[:, label]].bincount(minlength=5)
        assert counts.max() - counts.min() <= 2


def test_train_valid_and_test_are_one_split(tmp_path: Path) -> None:
    names = ["test", "train", "valid"] * 2
    lines = [f"c{i}.wav,{'xy'[i // 3]},{name}" for i, name in enumerate(names)]
    task = manifest_task(manifest(tmp_path, "\n".join(["path,label,fold", *lines])))
    (split,) = task.splits
    for mask, name in ((split.train, "train"), (split.valid, "valid"), (split.test, "test")):
        assert mask.tolist() == [other == name for other in names]


def test_numbers_can_be_taken_modulo(tmp_path: Path) -> None:
    path = manifest(tmp_path, listed(["60", "72", "61", "73"]))
    task = manifest_task(path, modulo=12, fold=None)
    assert task.classes == ("0", "1")
    assert task.labels.tolist() == [0, 0, 1, 1]
    with pytest.raises(ValueError, match="label 'c4' is no whole number, as modulo=12 needs"):
        manifest_task(manifest(tmp_path, listed(["60", "c4"])), modulo=12)
