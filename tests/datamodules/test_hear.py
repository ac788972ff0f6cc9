"""HEAR's folder format: what is written is read again, and every way in which it can be wrong."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from datamodules.stimuli import Provenance, StimulusSet
from datamodules.tasks.hear import hear_task, write_hear_task
from datamodules.tasks.hear_files import hear_folders
from datamodules.tasks.task import TRAIN_VALID_TEST, Task

N = 12
SINGLE = torch.arange(N) % 3
SEVERAL = torch.tensor([[i % 2 == 0, i % 3 == 0, i % 4 == 1] for i in range(N)])


def noise(seed: int) -> tuple[Tensor, int]:
    generator = torch.Generator().manual_seed(seed)
    return 0.2 * torch.randn(400 + 10 * seed, generator=generator), 8000


def task(labels: Tensor = SINGLE, names: tuple[str, ...] = TRAIN_VALID_TEST) -> Task:
    ids = [f"sounds/{i}" for i in range(N)]
    stimuli = StimulusSet("made", ids, [partial(noise, seed) for seed in range(N)])
    folds = torch.arange(N) // 3 % (len(names) or 4)
    made = Provenance(source="made here", licence="CC0-1.0", simulated=True)
    return Task(stimuli, labels, ("water", "ant", "10"), folds, made, names)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_hear_task(task(), tmp_path, 8000)


@pytest.mark.parametrize("labels", [SINGLE, SEVERAL])
@pytest.mark.parametrize("names", [TRAIN_VALID_TEST, ()])
def test_what_is_written_is_read_again(
    tmp_path: Path, labels: Tensor, names: tuple[str, ...]
) -> None:
    written = task(labels, names)
    folder = write_hear_task(written, tmp_path, 8000, version="2.0", mode="small")
    assert folder == tmp_path / "made-2.0-small"
    found = hear_task(folder, source="here", licence="CC0-1.0")
    assert found.classes == written.classes
    assert found.multilabel == written.multilabel
    assert found.fold_names == (names or ("fold00", "fold01", "fold02", "fold03"))
    assert len(found.splits) == (1 if names else 4)
    assert (found.provenance.source, found.provenance.licence) == ("here", "CC0-1.0")
    place = {name.split("/")[1]: row for row, name in enumerate(found.stimuli.ids)}
    assert len(place) == N
    for row in range(N):
        other = place[f"sounds__{row}.wav"]
        assert found.labels[other].tolist() == written.labels[row].tolist()
        assert found.folds[other] == written.folds[row]
        same = found.stimuli.waveform(other, 8000), written.stimuli.waveform(row, 8000)
        torch.testing.assert_close(*same)


def test_a_task_that_was_read_is_written_the_same(folder: Path, tmp_path: Path) -> None:
    again = write_hear_task(hear_task(folder, name="made"), tmp_path / "again", 8000)
    for file in sorted(folder.rglob("*")):
        copy = again / file.relative_to(folder)
        assert copy.exists()
        if file.suffix == ".wav":  # which hold the second that they were written in
            assert np.array_equal(soundfile.read(copy)[0], soundfile.read(file)[0])
        elif file.is_file():
            assert copy.read_bytes() == file.read_bytes()


def test_metrics_are_read_in_their_order_and_written_again(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert hear_task(folder).metrics == ("accuracy",)
    names = ["aucroc", "mAP", "d_prime", "top1_acc", "pitch_acc", "chroma_acc"]
    rewrite(folder / "task_metadata.json", evaluation=names)
    found = hear_task(folder, name="made")
    assert found.metrics == (
        "auc",
        "map",
        "d_prime",
        "accuracy",
        "pitch_accuracy",
        "chroma_accuracy",
    )
    again = write_hear_task(found, tmp_path / "again", 8000)
    assert json.loads((again / "task_metadata.json").read_text())["evaluation"] == names
    rewrite(folder / "task_metadata.json", evaluation=["loudness", "mAP"])
    assert hear_task(folder).metrics == ("map",)
    assert "no metric loudness is known" in caplog.text
    rewrite(folder / "task_metadata.json", evaluation=None)
    assert hear_task(folder).metrics == ()


def test_any_rate_is_resampled_and_the_highest_is_taken(folder: Path) -> None:
    for path in (folder / "8000").rglob("*.wav"):
        other = folder / "16000" / path.relative_to(folder / "8000")
        other.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(other, soundfile.read(path)[0].repeat(2), 16_000)
    highest, lowest = hear_task(folder), hear_task(folder, sample_rate=8000)
    assert highest.provenance.note == "16000 Hz"
    assert "16000" in str(highest.stimuli.sources[0])
    assert "8000" in str(lowest.stimuli.sources[0])
    for read in (highest, lowest):
        assert len(read.stimuli.waveform(0, 24_000)) == 1200
    with pytest.raises(FileNotFoundError, match=r"no folder 44100/: there are \[8000, 16000\]"):
        hear_task(folder, sample_rate=44_100)


@pytest.mark.long
def test_labels_are_in_the_order_of_the_vocabulary_whatever_the_hash_seed(folder: Path) -> None:
    code = (
        "from datamodules.tasks.hear import hear_task\n"
        f"t = hear_task({str(folder)!r}); print(t.classes, t.labels.tolist(), t.stimuli.ids)"
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
        for seed in ("1", "2")
    }
    assert len(found) == 1
    assert found.pop().startswith("('water', 'ant', '10')")


def test_the_vocabulary_may_be_in_any_order_of_lines(folder: Path) -> None:
    expected = hear_task(folder)
    (folder / "labelvocabulary.csv").write_text("idx,label\n2,10\n0,water\n1,ant\n")
    found = hear_task(folder)
    assert found.classes == expected.classes
    assert torch.equal(found.labels, expected.labels)


def test_a_star_stands_for_what_is_not_known(folder: Path) -> None:
    assert hear_task(folder.parent / "*ade-*").stimuli.name == folder.name
    shutil.copytree(folder, folder.parent / "made-1.1.0-full")
    with pytest.raises(ValueError, match=r"2 tasks are named .*made-1\.0\.0-full, made-1\.1\.0"):
        hear_task(folder.parent / "*ade-*")


def test_folders_are_found_in_a_folder_or_are_the_folder(folder: Path, tmp_path: Path) -> None:
    assert hear_folders(folder) == hear_folders(folder.parent) == [folder]
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no task_metadata\.json in .*empty"):
        hear_folders(tmp_path / "empty")
    for reader in (hear_folders, hear_task):
        with pytest.raises(ValueError, match="hear is not set: give hear=FOLDER"):
            reader(None)


def rewrite(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_what_is_missing_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no task .*none-\*: get it from https://x\.org"):
        hear_task(tmp_path / "none-*", source="https://x.org")
    (folder / "8000" / "test" / "sounds__6.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"lists test/sounds__6\.wav.*\(1 of 12 clips"):
        hear_task(folder)
    (folder / "valid.json").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no valid\.json: unpack"):
        hear_task(folder)
    (folder / "labelvocabulary.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no labelvocabulary\.csv"):
        hear_task(folder)


def test_a_folder_without_sounds_is_explained(folder: Path) -> None:
    shutil.rmtree(folder / "8000")
    with pytest.raises(FileNotFoundError, match="has no sounds, such as 48000/: unpack"):
        hear_task(folder)


def test_a_clip_that_cannot_be_read_is_named(folder: Path) -> None:
    (folder / "8000" / "train" / "sounds__0.wav").write_text("no sound")
    with pytest.raises(ValueError, match=r"sounds__0\.wav cannot be read"):
        hear_task(folder)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        ("train.json", {"sounds__0.wav": ["bird"]}, "'bird' of train/sounds__0.wav is not in"),
        ("train.json", {"sounds__0.wav": ["ant", "10"]}, "has 2 labels, expected one"),
        ("task_metadata.json", {"split_mode": "none"}, "has split_mode 'none' and splits"),
        (
            "task_metadata.json",
            {"split_mode": "new_split_kfold", "splits": None, "nfolds": 1},
            r"splits \['fold00'\], expected .* at least two folds",
        ),
        ("task_metadata.json", {"embedding_type": "event"}, "expected 'scene', whole clips"),
    ],
)
def test_what_is_wrong_is_explained(
    folder: Path, file: str, changes: dict[str, Any], message: str
) -> None:
    rewrite(folder / file, **changes)
    with pytest.raises(ValueError, match=message):
        hear_task(folder)


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("train.json", "{", r"train\.json is no JSON"),
        ("train.json", "[]", r"train\.json holds a list"),
        ("labelvocabulary.csv", "idx,label\n1,a\n", "does not number its labels from 0"),
        ("labelvocabulary.csv", "a,b\n", "expected columns idx,label"),
    ],
)
def test_files_of_another_shape_are_refused(
    folder: Path, file: str, text: str, message: str
) -> None:
    (folder / file).write_text(text)
    with pytest.raises(ValueError, match=message):
        hear_task(folder)


def test_two_clips_of_one_name_are_not_written(tmp_path: Path) -> None:
    made = task()
    stimuli = StimulusSet("twins", ["a/b", "a__b"], made.stimuli.sources[:2])
    twins = Task(stimuli, SINGLE[:2], made.classes, torch.tensor([0, 0]), made.provenance)
    with pytest.raises(ValueError, match=r"two clips of fold00 would be written as a__b\.wav"):
        write_hear_task(twins, tmp_path, 8000)


@pytest.mark.data("probes/hear_official_small")
def test_the_official_archive_is_read_whole(data: Path, tmp_path: Path) -> None:
    archive = data / "probes" / "hear_official_small"
    (file,) = archive.glob("hear-2021.0.6-spoken_digit-*.tar.gz")
    with tarfile.open(file) as content:
        content.extractall(tmp_path, filter="data")
    (root,) = hear_folders(tmp_path / "hear-2021.0.6" / "tasks")
    found = hear_task(root)
    assert found.stimuli.name == "spoken_digit-1.0.9-small"
    assert found.classes == tuple("0123456789")
    assert found.fold_names == tuple(f"fold0{k}" for k in range(5))
    assert len(found.stimuli) == 100
    for fold, name in enumerate(found.fold_names):
        listed = json.loads((root / f"{name}.json").read_text())
        own = (found.folds == fold).nonzero().flatten().tolist()
        assert {found.stimuli.ids[row].split("/")[1] for row in own} == set(listed)
        for row in own:
            stored = listed[found.stimuli.ids[row].split("/")[1]]
            assert [found.classes[found.labels[row]]] == [str(label) for label in stored]
    for row in range(100):
        assert found.stimuli.waveform(row, 16_000).shape == (16_000,)
        assert found.stimuli.waveform(row, 16_000).abs().max() > 0


def test_a_class_that_cannot_be_learned_is_said(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    hear_task(folder)
    assert "cannot be learned" not in caplog.text
    gone = next(iter(json.loads((folder / "test.json").read_text()).values()))
    for split in ("train", "valid"):
        labels = json.loads((folder / f"{split}.json").read_text())
        rest = {file: held for file, held in labels.items() if held != gone}
        (folder / f"{split}.json").write_text(json.dumps(rest))
    hear_task(folder)
    assert f"class {gone[0]} is in test alone: it cannot be learned" in caplog.text
