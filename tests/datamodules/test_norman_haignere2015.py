"""The 165 sounds and six components, joined by name: what is known of them must be there."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from pathlib import Path

import pytest
import torch

from datamodules.brain.norman_haignere2015 import (
    category_task,
    components,
    stimuli,
    stimulus_number,
)


@pytest.fixture(scope="module")
def root(data: Path) -> Path:
    return data / "brain" / "natsound165"


@pytest.fixture(scope="module")
def categories(root: Path) -> dict[str, str]:
    with (root / "category_labels.csv").open() as file:
        return dict(row for row in csv.reader(file))  # type: ignore[misc]


def test_a_stimulus_number_is_its_first_part() -> None:
    assert stimulus_number("stim12_background_speech") == 12
    assert stimulus_number("stim5_alarm_clock") == 5


def test_a_missing_folder_says_where_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no wav at .*github\.com.*set ENTRAIN_DATA"):
        stimuli(tmp_path)
    (tmp_path / "wav").mkdir()
    with pytest.raises(ValueError, match=r"0 sounds in .*, expected 165"):
        stimuli(tmp_path)


@pytest.mark.data("brain/natsound165")
def test_the_sounds_are_in_numeric_order_and_two_seconds_long(root: Path) -> None:
    sounds = stimuli(root, rms=0.02)
    assert len(sounds) == 165
    numbers = [stimulus_number(name) for name in sounds.ids]
    assert numbers == sorted(numbers)
    assert numbers[:4] == [5, 7, 11, 12]
    for index in (0, 80, 164):
        waveform = sounds.waveform(index, 24_000)
        assert waveform.shape == (48_000,)
        assert float(waveform.square().mean().sqrt()) == pytest.approx(0.02, rel=1e-3)


@pytest.mark.data("brain/natsound165")
def test_responses_are_joined_by_name(root: Path, categories: dict[str, str]) -> None:
    responses = components(root)
    assert responses.targets == ("lowfreq", "highfreq", "envsounds", "pitch", "speech", "music")
    assert not responses.provenance.simulated

    def strongest(target: str) -> list[str]:
        column = responses.values[:, responses.targets.index(target)]
        kinds = [categories[name] for name in responses.stimuli.ids]
        means = {
            kind: float(column[torch.tensor([k == kind for k in kinds])].mean())
            for kind in set(kinds)
        }
        return sorted(means, key=means.__getitem__, reverse=True)

    assert set(strongest("speech")[:2]) == {"EngSpeech", "ForSpeech"}
    assert set(strongest("music")[:2]) == {"Music", "Song"}


@pytest.mark.data("brain/natsound165")
def test_folds_are_the_five_of_33_balanced_over_categories(
    root: Path, categories: dict[str, str]
) -> None:
    responses = components(root)
    assert Counter(responses.folds.tolist()) == dict.fromkeys(range(5), 33)
    music = [
        fold
        for name, fold in zip(responses.stimuli.ids, responses.folds.tolist(), strict=True)
        if categories[name] == "Music"
    ]
    assert set(Counter(music).values()) <= {4, 5}


@pytest.mark.data("brain/natsound165")
def test_a_missing_response_or_fold_is_named(root: Path, tmp_path: Path) -> None:
    for file in ("components.mat", "wav"):
        (tmp_path / file).symlink_to(root / file)
    with pytest.raises(FileNotFoundError, match=r"no folds_5x33\.csv at"):
        components(tmp_path)
    lines = (root / "folds_5x33.csv").read_text().splitlines()
    (tmp_path / "folds_5x33.csv").write_text("\n".join(lines[:1] + lines[2:]))
    with pytest.raises(ValueError, match="no fold for stim5_alarm_clock \\(1 missing\\)"):
        components(tmp_path)
    (tmp_path / "wav").unlink()
    shutil.copytree(root / "wav", tmp_path / "wav")
    (tmp_path / "wav" / "stim5_alarm_clock.wav").rename(tmp_path / "wav" / "stim5_bell.wav")
    with pytest.raises(ValueError, match="no response to stim5_bell"):
        components(tmp_path)


@pytest.mark.data("brain/natsound165")
def test_categories_are_those_of_at_least_ten_sounds(root: Path) -> None:
    task = category_task(root)
    assert task.classes == (
        "AniVoc",
        "EngSpeech",
        "EnvSound",
        "HumNonVoc",
        "HumVoc",
        "Mechanical",
        "Music",
        "Song",
    )
    assert task.labels.bincount().tolist() == [10, 10, 27, 15, 13, 39, 24, 11]
    name = "stim33_bluegrass"
    row = list(task.stimuli.ids).index(name)
    assert task.classes[task.labels[row]] == "Music"
    assert name in str(task.stimuli.sources[row])
    whole = components(root)
    fold = dict(zip(whole.stimuli.ids, whole.folds.tolist(), strict=True))
    assert task.folds.tolist() == [fold[name] for name in task.stimuli.ids]
    with pytest.raises(ValueError, match=r"1 categories have 30 sounds .* minimum=27 or less"):
        category_task(root, minimum=30)
