"""ds004408: phrases cut at silences, heard from the first sample on, by whoever heard all runs."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import torch

from datamodules.brain import ds004408
from datamodules.brain.eeg.preprocessing import Preprocessing
from datamodules.sentences import SentenceResponses
from datamodules.sound_files import read_audio
from tests.datamodules.upstream_eeg import (
    AUDIO_RATE,
    BIOSEMI,
    LAG,
    PHRASES,
    course,
    write_ds004408,
    write_ds004408_run,
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ds004408")
    write_ds004408(folder)
    return folder


@pytest.fixture(scope="module")
def responses(root: Path) -> SentenceResponses:
    return ds004408.responses(root)


def test_the_response_to_each_phrase_is_at_its_time(responses: SentenceResponses) -> None:
    assert responses.stimuli.ids == [f"run{r:02d}_phrase{k:03d}" for r in (1, 2) for k in (1, 2, 3)]
    assert (responses.subjects, responses.channels) == (("sub-001", "sub-002"), BIOSEMI)
    assert (responses.rate, responses.start) == (50.0, -0.3)
    for k, values in enumerate(responses.values):
        run, (onset, end) = k // 3 + 1, PHRASES[k % 3]
        assert values.shape == (2, round((0.3 + end - onset + 1.0) * 50), len(BIOSEMI))
        for subject in range(2):
            measured = values[subject, :, values[subject].std(0).argmax()].numpy()
            times = onset - 0.3 + np.arange(len(measured)) / 50 - LAG
            shifts = range(-4, 5)
            r = [abs(np.corrcoef(measured, course(run)(times + s / 50))[0, 1]) for s in shifts]
            assert shifts[int(np.argmax(r))] == 0
            assert max(r) > 0.98


def test_the_sound_of_a_phrase(root: Path, responses: SentenceResponses) -> None:
    sound = read_audio(root / "stimuli" / "audio02.wav")[0]
    onset, end = (round(t * AUDIO_RATE) for t in PHRASES[1])
    torch.testing.assert_close(responses.stimuli.waveform(4, AUDIO_RATE), sound[onset:end])


def test_words_folds_and_provenance(responses: SentenceResponses) -> None:
    assert responses.words is not None
    assert responses.words[0].text == ("fish", "the") * 4
    assert responses.words[0].content.tolist() == [True, False] * 4
    assert responses.words[0].onsets[0] == 0
    assert responses.folds.tolist() == [0, 0, 1, 2, 3, 4]
    assert len(responses.quality) == 4
    assert responses.positions is not None
    assert responses.provenance.licence == "CC0"
    assert responses.provenance.subjects == 19


def test_a_listed_channel_is_interpolated(root: Path, tmp_path: Path) -> None:
    write_ds004408(tmp_path, ["sub-001"], [1])
    write_ds004408_run(tmp_path, "sub-001", 1, bad="B18")
    quality = ds004408.responses(tmp_path).quality[0]
    assert quality["bad_channels"] == ["B18"]
    assert quality["recording"] == "sub-001_task-listening_run-01_eeg.vhdr"


@pytest.mark.long
def test_a_subject_without_a_run_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_ds004408(tmp_path, ["sub-001", "sub-002", "sub-003"], [1])
    write_ds004408(tmp_path, ["sub-001", "sub-003"], [2])
    with caplog.at_level(logging.WARNING):
        assert ds004408.responses(tmp_path).subjects == ("sub-001", "sub-003")
    assert "skipped subject sub-002: run02_phrase001 was not heard (3 of 6" in caplog.text
    assert ds004408.responses(tmp_path, runs=[1]).subjects == ("sub-001", "sub-002", "sub-003")
    assert ds004408.responses(tmp_path, max_subjects=1).subjects == ("sub-001",)


def test_a_phrase_at_the_edge_is_left_out(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        found = ds004408.responses(root, runs=[1], pre=0.6)
    assert found.stimuli.ids == ["run01_phrase002", "run01_phrase003"]
    assert "run01_phrase001 is left out: with 2 of 2 subjects it begins 0.10 s" in caplog.text


def test_recordings_are_kept(root: Path, tmp_path: Path) -> None:
    options = Preprocessing(rate=64)
    first = ds004408.responses(root, options, cache=tmp_path, runs=[1])
    second = ds004408.responses(root, options, cache=tmp_path, runs=[1])
    assert len(list(tmp_path.iterdir())) == 2
    assert all(torch.equal(a, b) for a, b in zip(first.values, second.values, strict=True))
    assert first.quality == second.quality


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no nowhere at .*ds004408.*set ENTRAIN_DATA"):
        ds004408.responses(tmp_path / "nowhere")
    with pytest.raises(
        FileNotFoundError, match=r"no sub-XXX/eeg/.*_eeg\.vhdr \(or \.bdf\) in .*ENTRAIN_DATA"
    ):
        ds004408.responses(tmp_path)
    write_ds004408(tmp_path, ["sub-001"], [1])
    with pytest.raises(ValueError, match="ds004408 has no run 7 in"):
        ds004408.responses(tmp_path, runs=[7])
    with pytest.raises(ValueError, match="ds004408 has no subject sub-009: it has sub-001"):
        ds004408.responses(tmp_path, subjects=["sub-009"])
    with pytest.raises(ValueError, match=r"audio01\.TextGrid has no phrase of 20 to 30 s"):
        ds004408.responses(tmp_path, shortest=20, longest=30)
    (tmp_path / "stimuli" / "audio01.TextGrid").unlink()
    with pytest.raises(FileNotFoundError, match=r"no audio01\.TextGrid at"):
        ds004408.responses(tmp_path)
    (tmp_path / "stimuli" / "audio01.wav").unlink()
    with pytest.raises(FileNotFoundError, match=r"no audio01\.wav at"):
        ds004408.responses(tmp_path)
