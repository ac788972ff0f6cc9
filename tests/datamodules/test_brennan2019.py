"""Alice: words and sentences at their time in each segment, and each segment in the recording."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from datamodules.brain import brennan2019, brennan2019_words
from datamodules.brain.eeg.preprocessing import Preprocessing
from datamodules.sentences import SentenceResponses
from datamodules.sound_files import read_audio
from datamodules.words import read_textgrid
from tests.datamodules.upstream_eeg import (
    ALICE_RATE,
    ALICE_SECONDS,
    AUDIO_RATE,
    LAG,
    LENGTHS,
    M10,
    STARTS,
    STORY,
    course,
    gains,
    response,
    write_alice,
    write_alice_subject,
    write_brainvision,
)

NAMES = ["sentence001", "sentence002", "sentence003a", "sentence003b", "sentence004", "sentence005"]
NAMES.append("sentence006")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("alice")
    write_alice(folder)
    return folder


@pytest.fixture(scope="module")
def responses(root: Path) -> SentenceResponses:
    return brennan2019.alice(root, pre=0.2, post=0.5)


def best_shift(values: np.ndarray, seed: int, first: float, rate: float, lag: float = LAG) -> int:
    """Samples by which a planted course has to be moved to fit the measured one best."""
    shifts = range(-5, 6)
    times = first + np.arange(len(values)) / rate - lag
    r = [abs(np.corrcoef(values, course(seed)(times + s / rate))[0, 1]) for s in shifts]
    assert max(r) > 0.98
    return shifts[int(np.argmax(r))]


def test_the_response_to_each_sentence_is_at_its_time(responses: SentenceResponses) -> None:
    assert list(responses.stimuli.ids) == NAMES
    assert responses.subjects == ("S01", "S03")
    assert responses.channels == M10
    assert responses.positions is not None
    assert responses.positions.shape == (12, 3)
    assert (responses.rate, responses.start) == (50.0, -0.2)
    for (_, segment, onset, _), values in zip(STORY, responses.values, strict=True):
        for subject in range(2):
            strongest = values[subject].std(0).argmax()
            course_of = values[subject, :, strongest].numpy()
            assert best_shift(course_of, segment, onset - 0.2, 50.0) == 0


def test_a_sentence_in_two_segments_is_cut_in_two(root: Path, responses: SentenceResponses) -> None:
    index = NAMES.index("sentence003b")
    assert responses.words is not None
    assert responses.words[index].onsets[0] == 0
    waveform = responses.stimuli.waveform(index, AUDIO_RATE)
    sound = read_audio(root / "audio" / "DownTheRabbitHoleFinal_SoundFile2.wav")[0]
    start, end = round(0.3 * AUDIO_RATE), round((0.3 + 4 * 0.5 + 0.404) * AUDIO_RATE)
    torch.testing.assert_close(waveform, sound[start:end])


def test_sentences_end_with_their_last_word(root: Path, tmp_path: Path) -> None:
    table = brennan2019.read_table(root / brennan2019.TABLE)
    exact = brennan2019.sentences(table, root / "audio", root / "audio")
    late = brennan2019.sentences(table, root / "audio", tmp_path)
    first, bounded = exact[1][0], late[1][0]
    last = table[table["Sentence"] == 1]["onset"].max()
    assert first.onset + first.duration == pytest.approx(last + 0.404)
    assert bounded.onset + bounded.duration == pytest.approx(min(last + 0.7, 4.3))
    assert max(part.onset + part.duration for part in late[3]) <= LENGTHS[3]


def test_content_words_are_marked(responses: SentenceResponses) -> None:
    assert responses.words is not None
    words = responses.words[0]
    torch.testing.assert_close(words.onsets, torch.arange(len(words.onsets)) * 0.5)
    assert words.content.tolist() == [k % 2 == 1 for k in range(len(words.text))]
    assert words.text[1] == "word1"


def test_folds_quality_and_provenance(responses: SentenceResponses) -> None:
    assert responses.folds.tolist() == [0, 0, 1, 2, 2, 3, 4]
    assert [row["subject"] for row in responses.quality] == ["S01", "S03"]
    assert {"recording", "bad_channels", "interpolated", "rejected_seconds"} <= set(
        responses.quality[0]
    )
    assert responses.provenance.paper == "doi:10.1371/journal.pone.0207741"
    assert responses.provenance.licence == "CC BY 4.0"


def test_excluded_subjects_come_only_when_named(root: Path, tmp_path: Path) -> None:
    assert brennan2019.used_subjects(root / "datasets.mat") == ["S01", "S03"]
    assert brennan2019.alice(root, max_subjects=1).subjects == ("S01",)
    with pytest.raises(FileNotFoundError, match=r"no S07\.mat at .*10\.7302"):
        brennan2019.alice(root, subjects=["S07"])


@pytest.mark.long
def test_a_subject_without_a_segment_is_left_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_alice(tmp_path, ("S01", "S03", "S26"))
    write_alice_subject(tmp_path, "S26", seed=7, lost=[1])
    with caplog.at_level(logging.WARNING):
        found = brennan2019.alice(tmp_path, pre=0.2, post=0.5)
    assert found.subjects == ("S01", "S03")
    assert "skipped subject S26: sentence001 was not heard (3 of 7" in caplog.text
    found = brennan2019.alice(tmp_path, segments=[2, 3], pre=0.2, post=0.5)
    assert found.subjects == ("S01", "S03", "S26")
    values = found.values[2][2]
    assert best_shift(values[:, values.std(0).argmax()].numpy(), 3, 0.5 - 0.2, 50.0) == 0


def test_a_subject_whose_recording_is_short_is_left_out(
    root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_alice(tmp_path, ("S01", "S03", "S04"))
    write_alice_subject(tmp_path, "S03", shift=3.0)
    with caplog.at_level(logging.WARNING):
        found = brennan2019.alice(tmp_path)
    assert found.subjects == ("S01", "S04")
    assert "skipped subject S03: sentence006 ends 0.1" in caplog.text
    assert "s after the recording" in caplog.text


def test_bad_channels_of_the_authors_are_interpolated(tmp_path: Path) -> None:
    write_alice(tmp_path, ("S01",))
    write_alice_subject(tmp_path, "S01", bad=["9"])
    quality = brennan2019.alice(tmp_path).quality[0]
    assert quality["bad_channels"] == ["9"]
    assert quality["interpolated"] is True


def test_the_mastoid_reference_counts_the_online_one(tmp_path: Path) -> None:
    write_alice(tmp_path, ("S01",))
    options = Preprocessing(reference="mastoid", zscore=False)
    plain = Preprocessing(reference="none", zscore=False)
    linked = brennan2019.alice(tmp_path, preprocessing=options).values[0]
    raw = brennan2019.alice(tmp_path, preprocessing=plain).values[0]
    half = raw[..., [M10.index("25")]] / 2
    torch.testing.assert_close(linked, raw - half, atol=0.2, rtol=0)


def test_segments_begin_where_a_table_says(tmp_path: Path) -> None:
    write_alice(tmp_path, ("S01",))
    (tmp_path / "segments.tsv").write_text("subject\tsegment\tonset\nS01\t1\t3.5\nS01\t2\t20\n")
    assert brennan2019.segment_starts(tmp_path, "S01") == {1: 3.5, 2: 20.0}
    (tmp_path / "segments.tsv").write_text("subject\tsegment\tonset\nS03\t1\t3.5\n")
    assert brennan2019.segment_starts(tmp_path, "S01") == pytest.approx(STARTS)
    (tmp_path / "segments.tsv").write_text("subject\tonset\nS03\t3.5\n")
    with pytest.raises(ValueError, match=r"segments\.tsv has no column segment"):
        brennan2019.segment_starts(tmp_path, "S01")


@pytest.mark.parametrize("count", [11, 12])
def test_segments_begin_after_markers(tmp_path: Path, count: int) -> None:
    times = 1.0 + 2.0 * np.arange(count)
    marks = [("Stimulus", f"S {k:2d}", float(t)) for k, t in enumerate(times, 1)]
    values = np.zeros((2, 30 * 100))
    for subject in ("S26", "S01"):
        write_brainvision(tmp_path / f"{subject}.vhdr", values, ["1", "2"], 100, marks)
    first = 13 - count
    expected = {k: t + 0.05 for k, t in enumerate(times, first)}
    if count == 12:
        expected[1] += 0.01
    assert brennan2019.segment_starts(tmp_path, "S26") == pytest.approx(expected)
    if count == 11:
        with pytest.raises(ValueError, match=r"S01\.vhdr has 11 stimulus markers, expected 12"):
            brennan2019.segment_starts(tmp_path, "S01")


def test_brainvision_and_fieldtrip_are_one(root: Path, tmp_path: Path) -> None:
    segments = {t: (k, LENGTHS[k]) for k, t in STARTS.items()}
    values = response(segments, ALICE_SECONDS, ALICE_RATE, gains(len(M10), 0), 0)
    write_brainvision(tmp_path / "S01.vhdr", values, M10, ALICE_RATE)
    header = brennan2019.read_recording(tmp_path / "S01.vhdr")
    matlab = brennan2019.read_recording(root / "S01.mat")
    assert matlab.ch_names == [*M10, "VEOG", "Aux5"]
    np.testing.assert_allclose(matlab.get_data()[: len(M10)], header.get_data(), atol=1e-11)


@pytest.mark.parametrize("extra", ["Aux5", "AUD"])
def test_the_present_deposit_is_read(
    root: Path, tmp_path: Path, responses: SentenceResponses, extra: str
) -> None:
    """BrainVision files beside timelock-preprocessing, without datasets.mat."""
    write_alice(tmp_path, ("S01", "S03", "S04"), brainvision=extra)
    (tmp_path / "timelock-preprocessing" / "S04.mat").unlink()
    found = brennan2019.alice(tmp_path, pre=0.2, post=0.5)
    assert found.subjects == ("S01", "S03")
    assert found.channels == M10
    for new, old in zip(found.values, responses.values, strict=True):
        torch.testing.assert_close(new, old, atol=1e-4, rtol=0)


def test_the_present_deposit_says_whom_it_takes(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_alice(tmp_path, ("S01", "S03"), brainvision="AUD")
    with caplog.at_level(logging.WARNING):
        assert brennan2019.alice(tmp_path).subjects == ("S01", "S03")
    assert "no datasets.mat, which says whom the authors used (33): all 2 with" in caplog.text
    assert brennan2019.alice(tmp_path, subjects=["S03"]).subjects == ("S03",)


def test_channels_of_high_impedance_are_bad(tmp_path: Path) -> None:
    write_alice(tmp_path, ("S01",), brainvision="AUD")
    write_alice_subject(tmp_path, "S01", bad=["9"], impedance=["13"], brainvision="AUD")
    assert brennan2019.alice(tmp_path).quality[0]["bad_channels"] == ["9", "13"]


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no alice at .*10\.7302.*set ENTRAIN_DATA"):
        brennan2019.alice(tmp_path / "alice")
    table = write_alice(tmp_path, ("S01",))
    (tmp_path / "proc" / "S01.mat").unlink()
    with pytest.raises(
        FileNotFoundError, match=r"no segment starts of S01 in .*proc/S01\.mat.*ENTRAIN_DATA"
    ):
        brennan2019.alice(tmp_path)
    write_alice_subject(tmp_path, "S01")
    sound = tmp_path / "audio" / "DownTheRabbitHoleFinal_SoundFile2.wav"
    sound.rename(tmp_path / "other.wav")
    with pytest.raises(FileNotFoundError, match=r"no DownTheRabbitHoleFinal_SoundFile2\.wav at"):
        brennan2019.alice(tmp_path)
    table.drop(columns="IsLexical").to_csv(tmp_path / brennan2019.TABLE, index=False)
    with pytest.raises(ValueError, match=r"EEG\.csv has no column IsLexical"):
        brennan2019.alice(tmp_path)
    table.iloc[::-1].to_csv(tmp_path / brennan2019.TABLE, index=False)
    with pytest.raises(ValueError, match="onsets do not rise"):
        brennan2019.alice(tmp_path)
    (tmp_path / "datasets.mat").unlink()
    table.to_csv(tmp_path / brennan2019.TABLE, index=False)
    with pytest.raises(FileNotFoundError, match=r"no datasets\.mat at"):
        brennan2019.alice(tmp_path)


def test_a_structure_of_another_shape_is_refused(root: Path, tmp_path: Path) -> None:
    from scipy.io import savemat

    path = tmp_path / "S01.mat"
    savemat(path, {"raw": {"trial": np.zeros((3, 9)), "label": ["1", "2"], "fsample": 500.0}})
    with pytest.raises(ValueError, match=r"raw\.trial is \(3, 9\), expected \(2 channels, samples"):
        brennan2019.read_recording(path)
    savemat(path, {"raw": {"trial": np.zeros((3, 9))}})
    with pytest.raises(ValueError, match=r"raw has no label, fsample, but trial"):
        brennan2019.read_recording(path)
    savemat(path, {"dat": {"trial": np.zeros((3, 9))}})
    with pytest.raises(ValueError, match="has no structure raw"):
        brennan2019.read_recording(path)
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + b"\0" * 400)
    with pytest.raises(ValueError, match=r"is a MATLAB 7\.3 file: save it with -v7"):
        brennan2019.read_recording(path)


@pytest.mark.data("brain/alice_alignment")
def test_the_sentences_of_the_story(data: Path, tmp_path: Path) -> None:
    """The real words: 84 sentences, of which 6 span two segments, all within their sounds."""
    folder = data / "brain" / "alice_alignment"
    lengths = {}
    for segment in range(1, 13):
        name = brennan2019_words.SOUND.format(segment)
        lengths[segment] = read_textgrid(folder / f"{name}.TextGrid")["words"][-1].end
        silence = np.zeros(round(1000 * lengths[segment]), dtype="int16")
        soundfile.write(tmp_path / f"{name}.wav", silence, 1000)
    table = brennan2019.read_table(folder / brennan2019.TABLE)
    found = brennan2019.sentences(table, tmp_path, folder)
    parts = [part for parts in found.values() for part in parts]
    assert len(parts) == 90
    assert len({part.name[:11] for part in parts}) == 84
    split = {part.name for part in parts if part.name[-1] in "ab"}
    assert split == {f"sentence{k:03d}{p}" for k in (8, 31, 41, 53, 67, 74) for p in "ab"}
    assert sum(len(part.words.text) for part in parts if part.words is not None) == 2129
    words = [part.words for part in parts if part.words is not None]
    content = {k: bool(c) for w in words for k, c in zip(w.text, w.content, strict=True)}
    assert table["IsLexical"].isna().sum() == 6
    assert (content["fortunately"], content["as"]) == (True, False)
    for segment, mine in found.items():
        assert all(part.duration > 0.3 for part in mine)
        ends = [part.onset + part.duration for part in mine]
        assert ends[-1] <= lengths[segment] + 0.001
        assert all(end <= later.onset for end, later in zip(ends, mine[1:], strict=False))
    assert max(part.duration for part in parts) < 24
    plain = brennan2019.sentences(table, tmp_path, tmp_path)
    pairs = [(a, b) for k in found for a, b in zip(found[k], plain[k], strict=True)]
    later = np.array([b.duration - a.duration for a, b in pairs])
    assert later.min() > -0.2
    assert abs(np.median(later)) < 0.02
