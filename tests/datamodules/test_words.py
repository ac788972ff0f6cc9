"""Words and sentences: read from TextGrids, told apart, cut into phrases of bounded length."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from datamodules.sound_files import read_audio
from datamodules.words import (
    Interval,
    Sentence,
    Word,
    cut_phrases,
    is_content,
    read_textgrid,
    read_words,
    seconds,
    sentence,
    stimulus_set,
)
from tests.datamodules.upstream_eeg import AUDIO_RATE, write_sound, write_textgrid


def spoken(*times: tuple[float, float]) -> list[Word]:
    return [Word(f"w{k}", a, b, True) for k, (a, b) in enumerate(times)]


def test_a_textgrid_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    write_textgrid(path, [("alice", 0.5, 0.9), ("sp", 0.9, 1.0), ('"so"', 1.0, 1.5)], 2.0)
    tiers = read_textgrid(path)
    assert list(tiers) == ["words", "phones"]
    assert tiers["words"][0] == Interval(0.0, 0.5, "")
    assert tiers["words"][3].text == '"so"'
    assert read_words(path) == [Word("alice", 0.5, 0.9, True), Word('"so"', 1.0, 1.5, False)]
    path.write_bytes(path.read_text().encode("utf-16"))
    assert len(read_words(path)) == 2


def test_what_is_not_a_textgrid_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text('"ooTextFile"\n"TextGrid"\n0\n1\n')
    with pytest.raises(ValueError, match=r"a\.TextGrid is not a TextGrid in the long text format"):
        read_words(path)
    write_textgrid(path, [("alice", 0.5, 0.9)], 2.0)
    with pytest.raises(ValueError, match="has no tier syllables, only words, phones"):
        read_words(path, ["syllables"])


@pytest.mark.parametrize("word", ["the", "Of", "couldn't", "I", "there’s", "(and"])
def test_function_words(word: str) -> None:
    assert not is_content(word)


@pytest.mark.parametrize("word", ["rabbit", "Alice", "tired", "ran", "suddenly"])
def test_content_words(word: str) -> None:
    assert is_content(word)


def test_phrases_are_cut_at_silences() -> None:
    words = spoken((0, 1), (1.1, 2.5), (2.9, 4), (4.1, 5.2), (5.6, 8))
    found = cut_phrases(words, silence=0.3, shortest=2, longest=12)
    assert [(part[0].onset, part[-1].end) for part in found] == [(0, 2.5), (2.9, 5.2), (5.6, 8)]
    assert len(cut_phrases(words, silence=0.5, shortest=2, longest=12)) == 1


def test_phrases_are_of_bounded_length() -> None:
    words = spoken(*((0.5 * k + (0.1 if k >= 11 else 0), 0.5 * k + 0.45) for k in range(40)))
    found = cut_phrases(words, silence=0.3, shortest=2, longest=6)
    assert all(2 <= seconds(part) <= 6 for part in found)
    assert [word for part in found for word in part] == words
    assert found[0][-1] == words[10]


def test_a_short_phrase_is_joined_or_left_out() -> None:
    words = spoken((0, 1), (1.5, 4), (9, 9.5))
    found = cut_phrases(words, silence=0.3, shortest=2, longest=6)
    assert [(part[0].onset, part[-1].end) for part in found] == [(0, 4)]
    with pytest.raises(ValueError, match="phrases of 3 to 2 s"):
        cut_phrases(words, shortest=3, longest=2)


def test_sentences_are_cut_from_sounds_by_the_sample(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_sound(path, 3.0, seed=1)
    part = sentence("s", path, [Word("a", 0.5, 1.0, True), Word("b", 1.25, 2.0, False)])
    assert part.words is not None
    assert part.words.onsets.tolist() == [0, 0.75]
    assert part.words.content.tolist() == [True, False]
    stimuli = stimulus_set("set", [part])
    torch.testing.assert_close(stimuli.waveform(0, AUDIO_RATE), read_audio(path)[0][4000:16000])
    again = stimulus_set("set", [Sentence("s", path, 0.5, 1.5 + 1 / AUDIO_RATE)])
    assert again.fingerprint != stimuli.fingerprint


def test_a_sentence_beyond_its_sound_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    write_sound(path, 3.0, seed=1)
    with pytest.raises(
        ValueError, match=r"stimulus s is at 2\.500 to 3\.500 s of a\.wav, which is 3"
    ):
        stimulus_set("set", [Sentence("s", path, 2.5, 1.0)])
    with pytest.raises(FileNotFoundError, match=r"no b\.wav at .*stimulus of set"):
        stimulus_set("set", [Sentence("s", tmp_path / "b.wav", 2.5, 1.0)])
