"""A task from a csv file, and every way in which the file can be wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

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


WHOLE = "path,label,fold,speaker\na.wav,10,0,ann\nb.wav,2,1,ben\nc.wav,2,0,ann\nd.wav,1,1,ben\n"


def test_labels_and_folds_stay_with_their_sounds(tmp_path: Path) -> None:
    task = manifest_task(manifest(tmp_path / "digits", WHOLE), source="here", licence="CC0-1.0")
    assert task.stimuli.name == "digits"
    assert list(task.stimuli.ids) == ["a.wav", "b.wav", "c.wav", "d.wav"]
    assert [task.classes[label] for label in task.labels] == ["10", "2", "2", "1"]
    assert task.folds.tolist() == [0, 1, 0, 1]
    assert (task.provenance.source, task.provenance.licence) == ("here", "CC0-1.0")
    assert not task.provenance.simulated
    expected = soundfile.read(tmp_path / "digits" / "c.wav", dtype="float32")[0]
    assert task.stimuli.waveform(2, 8000).tolist() == expected.tolist()


def test_classes_that_are_numbers_are_in_numeric_order(tmp_path: Path) -> None:
    assert manifest_task(manifest(tmp_path, WHOLE)).classes == ("1", "2", "10")


def test_classes_that_are_names_are_in_alphabetic_order(tmp_path: Path) -> None:
    text = "path,label,fold\na.wav,water,0\nb.wav,explosion,1\nc.wav,ant,0\nd.wav,7,1\n"
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
    assert len(manifest_task(path).stimuli) == 4


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,fold\na.wav,0\n", r"columns \['path', 'fold'\] but no column label"),
        ("file,label,fold\na.wav,x,0\n", "no column path"),
        ("path,label,fold\n", "lists no clips"),
        ("", "no column path"),
        ("path,label,fold\na.wav,x,0\nb.wav,y,0\n", "one fold only, expected at least two"),
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
