"""Anybody's EEG: tables are read, each stimulus is found in its recording, faults are named."""

from __future__ import annotations

import logging
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import pytest
import torch

from datamodules.brain import continuous
from datamodules.sound_files import read_audio
from tests.datamodules.upstream_eeg import (
    AUDIO_RATE,
    BIOSEMI,
    LAG,
    course,
    gains,
    response,
    write_brainvision,
    write_sound,
)

RATE, SECONDS = 256.0, 32.0
STARTS = {"one.wav": 2.517, "two.wav": 17.031}
SEEDS = {"one.wav": 1, "two.wav": 2}
EVENTS = pd.DataFrame(
    [
        (2.517 + 0.5, 3.0, "one.wav", 0.5, "b"),
        (2.517 + 5.0, 4.0, "one.wav", 5.0, "a"),
        (17.031, 5.0, "two.wav", 0.0, "c"),
    ],
    columns=["onset", "duration", "stimulus", "stim_onset", "sentence"],
)


def write_sounds(folder: Path) -> Path:
    for name, seed in SEEDS.items():
        write_sound(folder / name, 10.0, seed)
    return folder


def microvolts(seed: int = 0, channels: tuple[str, ...] = BIOSEMI) -> np.ndarray:
    heard = {STARTS[name]: (SEEDS[name], 10.0) for name in STARTS}
    return response(heard, SECONDS, RATE, gains(len(channels), seed), seed)


def write_fif(path: Path, seed: int = 0, channels: tuple[str, ...] = BIOSEMI) -> None:
    info = mne.create_info(list(channels), RATE, "eeg")
    info.set_montage("biosemi128", on_missing="ignore")
    raw = mne.io.RawArray(1e-6 * microvolts(seed, channels), info, first_samp=1000, verbose="ERROR")
    path.parent.mkdir(parents=True, exist_ok=True)
    raw.save(path, verbose="ERROR")


def write_events(path: Path, table: pd.DataFrame = EVENTS) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, sep="\t", index=False, na_rep="n/a")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two subjects' FIF files, with one table for both, and the sounds."""
    for seed, subject in enumerate(("anna", "bert")):
        write_fif(tmp_path / "eeg" / f"{subject}_raw.fif", seed)
    write_events(tmp_path / "eeg" / "events.tsv")
    write_sounds(tmp_path / "audio")
    return tmp_path


def check_times(values: torch.Tensor, seed: int, onset: float, pre: float = 0.3) -> None:
    """The planted course fits best, and well, where it was planted."""
    for subject in values:
        measured = subject[:, subject.std(0).argmax()].numpy()
        times = onset - pre + np.arange(len(measured)) / 50 - LAG
        shifts = range(-4, 5)
        r = [abs(np.corrcoef(measured, course(seed)(times + s / 50))[0, 1]) for s in shifts]
        assert shifts[int(np.argmax(r))] == 0
        assert max(r) > 0.98


def test_fif_files_with_one_table(root: Path) -> None:
    found = continuous.responses(
        root / "eeg", root / "audio", line=50, paper="doi:1", licence="CC0"
    )
    assert found.stimuli.ids == ["b", "a", "c"]
    assert (found.subjects, found.channels) == (("anna", "bert"), BIOSEMI)
    assert [v.shape[1] for v in found.values] == [215, 265, 315]
    for values, (seed, onset) in zip(found.values, [(1, 0.5), (1, 5.0), (2, 0.0)], strict=True):
        check_times(values, seed, onset)
    sound = read_audio(root / "audio" / "one.wav")[0]
    torch.testing.assert_close(found.stimuli.waveform(1, AUDIO_RATE), sound[40000:72000])
    assert found.positions is not None
    assert found.words is None
    assert found.folds.tolist() == [0, 1, 3]
    assert (found.provenance.paper, found.provenance.subjects) == ("doi:1", 2)


def test_a_bids_folder_with_runs(tmp_path: Path) -> None:
    """Each run its own table; columns as in BIDS; a bad channel is listed."""
    write_sounds(tmp_path / "stimuli")
    for seed, subject in enumerate(("sub-01", "sub-02")):
        for run, name in enumerate(STARTS, 1):
            stem = tmp_path / subject / "eeg" / f"{subject}_task-story_run-{run}"
            write_brainvision(Path(f"{stem}_eeg.vhdr"), microvolts(seed), BIOSEMI, RATE)
            rows = [(0.1, 0.0, None), (STARTS[name], 10.0, name)]
            table = pd.DataFrame(rows, columns=["onset", "duration", "stim_file"])
            write_events(Path(f"{stem}_events.tsv"), table)
            status = ["bad" if c == "A10" and run == 2 else "good" for c in BIOSEMI]
            listed = pd.DataFrame({"name": BIOSEMI, "status": status})
            listed.to_csv(f"{stem}_channels.tsv", sep="\t", index=False)
    found = continuous.responses(tmp_path, tmp_path / "stimuli", montage="biosemi128")
    assert found.stimuli.ids == ["one@0.000", "two@0.000"]
    assert found.subjects == ("sub-01", "sub-02")
    check_times(found.values[0], 1, 0.0)
    check_times(found.values[1], 2, 0.0)
    assert [row["bad_channels"] for row in found.quality] == [[], ["A10"], [], ["A10"]]
    few = continuous.responses(tmp_path, tmp_path / "stimuli", montage="biosemi128", max_subjects=1)
    assert few.subjects == ("sub-01",)


def test_rows_that_are_words_make_sentences(root: Path) -> None:
    onsets = np.array([0.5, 1.0, 1.6, 4.0, 4.5])
    table = pd.DataFrame(
        {
            "onset": onsets + STARTS["one.wav"],
            "duration": 0.4,
            "stimulus": "one.wav",
            "stim_onset": onsets,
            "sentence": [1, 1, 1, 2, 2],
            "word": ["the", "old", "man", "he", "fished"],
        }
    )
    write_events(root / "words.tsv", table)
    found = continuous.responses(root / "eeg", root / "audio", root / "words.tsv")
    assert found.stimuli.ids == ["1", "2"]
    assert [v.shape[1] for v in found.values] == [140, 110]
    assert found.words is not None
    assert found.words[0].text == ("the", "old", "man")
    assert found.words[0].content.tolist() == [False, True, True]
    torch.testing.assert_close(found.words[0].onsets, torch.tensor([0.0, 0.5, 1.1]))
    table["content"] = [1, 0, 0, 0, 0]
    write_events(root / "words.tsv", table)
    found = continuous.responses(root / "eeg", root / "audio", root / "words.tsv")
    assert found.words is not None
    assert found.words[0].content.tolist() == [True, False, False]


def test_subjects_hear_in_an_order_of_their_own(root: Path) -> None:
    """Sentences are joined by name: a subject may have heard the second sound first."""
    swapped = {STARTS["one.wav"]: (2, 10.0), STARTS["two.wav"]: (1, 10.0)}
    write_brainvision(
        root / "eeg" / "carl.vhdr",
        response(swapped, SECONDS, RATE, gains(len(BIOSEMI), 3), 3),
        BIOSEMI,
        RATE,
    )
    table = EVENTS.copy()
    moved = table["stim_onset"] + [STARTS["two.wav"], STARTS["two.wav"], STARTS["one.wav"]]
    table["onset"] = moved
    write_events(root / "eeg" / "carl_events.tsv", table.sort_values("onset"))
    found = continuous.responses(root / "eeg", root / "audio", montage="biosemi128")
    assert found.stimuli.ids == ["b", "a", "c"]
    assert found.subjects == ("anna", "bert", "carl")
    for values, (seed, onset) in zip(found.values, [(1, 0.5), (1, 5.0), (2, 0.0)], strict=True):
        check_times(values, seed, onset)


def test_channels_that_some_lack_are_left_out(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_fif(root / "eeg" / "carl_raw.fif", 3, BIOSEMI[::-1][:-1])
    with caplog.at_level(logging.WARNING):
        found = continuous.responses(root / "eeg", root / "audio")
    assert found.channels == BIOSEMI[1:]
    assert "channels A1 are missing in some recordings and dropped" in caplog.text
    check_times(found.values[0][2:], 1, 0.5)


def test_a_subject_who_lacks_a_sentence_is_left_out(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_fif(root / "eeg" / "carl_raw.fif", 3)
    write_events(root / "eeg" / "carl_events.tsv", EVENTS.iloc[:2])
    with caplog.at_level(logging.WARNING):
        found = continuous.responses(root / "eeg", root / "audio")
    assert found.subjects == ("anna", "bert")
    assert [row["subject"] for row in found.quality] == ["anna", "bert"]
    assert "skipped subject carl: c was not heard (1 of 3" in caplog.text


def test_nobody_with_all_sentences(root: Path) -> None:
    write_events(root / "eeg" / "anna_events.tsv", EVENTS.iloc[:1])
    write_events(root / "eeg" / "bert_events.tsv", EVENTS.iloc[1:])
    with pytest.raises(ValueError, match="no subject has all sentences: a was not heard with anna"):
        continuous.responses(root / "eeg", root / "audio")


def test_a_changed_recording_is_not_taken_from_the_cache(root: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    first = continuous.responses(root / "eeg", root / "audio", cache=cache)
    again = continuous.responses(root / "eeg", root / "audio", cache=cache)
    assert len(list(cache.iterdir())) == 2
    assert torch.equal(first.values[0], again.values[0])
    (root / "eeg" / "bert_raw.fif").unlink()
    write_fif(root / "eeg" / "bert_raw.fif", 5)
    other = continuous.responses(root / "eeg", root / "audio", cache=cache)
    assert torch.equal(first.values[0][0], other.values[0][0])
    assert not torch.equal(first.values[0][1], other.values[0][1])


def changed(**columns: object) -> pd.DataFrame:
    return EVENTS.assign(**columns)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            EVENTS.drop(columns="duration"),
            r"events\.tsv has no column duration: its columns are on",
        ),
        (EVENTS.drop(columns="stimulus"), r"events\.tsv has no column stimulus"),
        (changed(stimulus=None), r"events\.tsv has no event with a stimulus"),
        (changed(onset=["x", 1, 2]), r"events\.tsv, line 2: onset is not a number"),
        (
            changed(duration=[3, 9, 5]),
            r"a is at 5\.000 to 14\.000 s of one\.wav, which is 10\.000 s",
        ),
        (changed(duration=[3, 0, 5]), r"a is at 5\.000 to 5\.000 s of one\.wav"),
        (
            changed(onset=[3, 7, 29]),
            r"fif: c is at 29\.000 to 34\.000 s of a recording of 32\.000 s",
        ),
        (changed(onset=[-1, 7, 9]), r"fif: b is at -1\.000 to 2\.000 s of a recording"),
        (changed(sentence="s"), r"s is in more than one sound: give its parts names"),
        (changed(sentence="s").iloc[:2], r"s occurs more than once: give the repetitions names"),
    ],
)
def test_faults_of_a_table_are_named(root: Path, table: pd.DataFrame, message: str) -> None:
    write_events(root / "eeg" / "events.tsv", table)
    with pytest.raises(ValueError, match=message):
        continuous.responses(root / "eeg", root / "audio")


def test_what_is_missing_is_named(root: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"no nowhere at .*it holds the EEG recordings.*ENTRAIN_DATA"
    ):
        continuous.responses(root / "nowhere", root / "audio")
    with pytest.raises(
        FileNotFoundError, match=r"no recording \(\.fif, .*\) in .*audio.*ENTRAIN_DATA"
    ):
        continuous.responses(root / "audio", root / "audio")
    with pytest.raises(
        FileNotFoundError, match=r"no dora\.fif at .*it is an EEG recording.*ENTRAIN_DATA"
    ):
        continuous.responses([root / "eeg" / "dora.fif"], root / "audio")
    with pytest.raises(ValueError, match="continuous has no subject dora: it has anna, bert"):
        continuous.responses(root / "eeg", root / "audio", subjects=["dora"])
    (root / "audio" / "two.wav").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"no two\.wav at .*stimulus of .*events\.tsv.*ENTRAIN_DATA"
    ):
        continuous.responses(root / "eeg", root / "audio")
    (root / "eeg" / "events.tsv").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"no events\.tsv at .*nor anna_events\.tsv.*ENTRAIN_DATA"
    ):
        continuous.responses(root / "eeg", root / "audio")


def test_a_name_is_one_stretch_of_sound(root: Path) -> None:
    write_events(root / "eeg" / "bert_events.tsv", changed(stim_onset=[0.5, 4.0, 0.0]))
    with pytest.raises(
        ValueError, match=r"bert_raw\.fif: a is 4\.000 s at 4\.000 s of one\.wav, but"
    ):
        continuous.responses(root / "eeg", root / "audio")
