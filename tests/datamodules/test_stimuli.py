"""Named sounds: how they are prepared, what makes two sets equal, what is refused."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

from datamodules.sound_files import read_audio
from datamodules.stimuli import Provenance, ResponseSet, StimulusSet
from datamodules.tasks.task import Task

MADE = Provenance(source="made here", licence="CC0-1.0")


def tone(path: Path, hertz: float = 200.0, seconds: float = 1.0, rate: int = 8000) -> Path:
    time = np.arange(round(seconds * rate)) / rate
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, 0.5 * np.sin(2 * np.pi * hertz * time), rate, subtype="FLOAT")
    return path


def noise(samples: int = 800, rate: int = 8000) -> tuple[Tensor, int]:
    return torch.randn(samples, generator=torch.Generator().manual_seed(0)), rate


def test_channels_are_averaged_and_parts_can_be_read(tmp_path: Path) -> None:
    left = np.linspace(-0.5, 0.5, 100, dtype="float32")
    soundfile.write(tmp_path / "two.wav", np.stack([left, 0 * left], 1), 8000, subtype="FLOAT")
    waveform, rate = read_audio(tmp_path / "two.wav")
    assert rate == 8000
    torch.testing.assert_close(waveform, torch.from_numpy(left) / 2)
    part, _ = read_audio(tmp_path / "two.wav", start=10, frames=5)
    assert torch.equal(part, waveform[10:15])


def test_a_resampled_tone_keeps_its_pitch_and_length(tmp_path: Path) -> None:
    stimuli = StimulusSet("tones", ["a"], [tone(tmp_path / "a.wav", hertz=440)])
    waveform = stimuli.waveform(0, 24_000)
    assert waveform.shape == (24_000,)
    assert waveform.dtype == torch.float32
    assert int(torch.fft.rfft(waveform).abs().argmax()) == 440
    assert stimuli.waveform(0, 8000).shape == (8000,)


def test_a_sound_is_decoded_once_for_each_rate() -> None:
    calls: list[int] = []

    def source() -> tuple[Tensor, int]:
        calls.append(1)
        return noise()

    stimuli = StimulusSet("counted", ["a"], [source])
    assert torch.equal(stimuli.waveform(0, 8000), stimuli.waveform(0, 8000))
    assert len(calls) == 1
    stimuli.waveform(0, 4000)
    assert len(calls) == 2


def test_sounds_past_the_kept_hours_are_decoded_again() -> None:
    calls: list[int] = []

    def source(number: int) -> tuple[Tensor, int]:
        calls.append(number)
        return noise(8000)

    names = ["a", "b", "c"]
    sources = [partial(source, number) for number in range(3)]
    stimuli = StimulusSet("large", names, sources, kept_hours=2.5 / 3600)
    whole = [stimuli.waveform(i, 8000) for i in range(3)]
    again = [stimuli.waveform(i, 8000) for i in range(3)]
    assert calls == [0, 1, 2, 2]
    assert all(torch.equal(a, b) for a, b in zip(whole, again, strict=True))


def test_a_sound_that_was_cut_does_not_keep_the_rest(tmp_path: Path) -> None:
    stimuli = StimulusSet("cut", ["a"], [tone(tmp_path / "a.wav")], max_seconds=0.25)
    assert stimuli.waveform(0, 8000).untyped_storage().nbytes() == 4 * 2000


@pytest.mark.parametrize("rate", [8000, 11_025, 24_000])
@pytest.mark.parametrize("max_seconds", [None, 0.1])
def test_lengths_are_those_of_the_decoded_sounds(
    tmp_path: Path, rate: int, max_seconds: float | None
) -> None:
    files = [tone(tmp_path / f"{i}.wav", seconds=s) for i, s in enumerate((0.05, 0.3333, 1.0))]
    soundfile.write(tmp_path / "a.mp3", np.zeros(5000), 44_100)
    sources = [*files, tmp_path / "a.mp3", noise]
    stimuli, decoded = (StimulusSet("five", list("abcde"), sources, max_seconds) for _ in range(2))
    lengths = [stimuli.length(i, rate) for i in range(5)]
    assert lengths == [len(decoded.waveform(i, rate)) for i in range(5)]
    assert lengths == [decoded.length(i, rate) for i in range(5)]


def test_lengths_of_files_need_no_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stimuli = StimulusSet("tones", ["a"], [tone(tmp_path / "a.wav")])
    monkeypatch.setattr("datamodules.stimuli.read_audio", None)
    assert stimuli.length(0, 24_000) == 24_000
    (tmp_path / "a.wav").write_bytes(b"nothing of the kind")
    assert stimuli.length(0, 24_000) == 24_000
    with pytest.raises(ValueError, match=r"stimulus set tones: .*a.wav cannot be read"):
        stimuli.length(0, 8000)


def test_hashing_tells_of_every_sound(tmp_path: Path) -> None:
    steps: list[int] = []
    stimuli = StimulusSet("two", ["a", "b"], [tone(tmp_path / "a.wav"), noise])
    assert stimuli.hashed(lambda: steps.append(1)) == stimuli.fingerprint
    stimuli.hashed(lambda: steps.append(1))
    assert steps == [1, 1]


def test_sounds_are_cut_and_levelled(tmp_path: Path) -> None:
    file = tone(tmp_path / "a.wav", seconds=1.0)
    stimuli = StimulusSet("short", ["a", "b"], [file, noise], max_seconds=0.25, rms=0.01)
    waveform = stimuli.waveform(0, 16_000)
    assert waveform.shape == (4000,)
    assert float(waveform.square().mean().sqrt()) == pytest.approx(0.01, rel=1e-4)
    assert stimuli.waveform(1, 8000).shape == (800,)
    silent = StimulusSet("silent", ["a"], [lambda: (torch.zeros(100), 8000)], rms=0.01)
    assert silent.waveform(0, 8000).eq(0).all()


def test_fingerprint_is_of_names_contents_and_preparation(tmp_path: Path) -> None:
    file = tone(tmp_path / "a.wav")

    def mark(*sources: object, **changes: object) -> str:
        names = changes.pop("ids", ["a"])
        return StimulusSet("set", names, sources or (file,), **changes).fingerprint  # type: ignore[arg-type]

    same = mark()
    os.utime(file, (0, 0))
    # A copy: rewritten, the header of such a wav holds another second.
    moved = tmp_path / "b.wav"
    moved.write_bytes(file.read_bytes())
    assert mark() == same
    assert mark(moved) == same
    assert StimulusSet("another name", ["a"], [file]).fingerprint == same
    different = [
        mark(tone(tmp_path / "c.wav", hertz=201)),
        mark(ids=["b"]),
        mark(max_seconds=0.5),
        mark(rms=0.01),
        mark(noise),
        mark(lambda: noise(801)),
        mark(lambda: noise(rate=16_000)),
    ]
    assert len({same, *different}) == 1 + len(different)


def test_order_of_stimuli_is_part_of_the_fingerprint(tmp_path: Path) -> None:
    a, b = tone(tmp_path / "a.wav"), tone(tmp_path / "b.wav", hertz=300)
    one, two = StimulusSet("s", ["a", "b"], [a, b]), StimulusSet("s", ["b", "a"], [b, a])
    assert one.fingerprint != two.fingerprint


def test_names_must_be_one_each() -> None:
    with pytest.raises(ValueError, match="set twins: the name a occurs more than once"):
        StimulusSet("twins", ["b", "a", "a"], [noise] * 3)
    with pytest.raises(ValueError, match="set odd: 2 names but 1 sounds"):
        StimulusSet("odd", ["a", "b"], [noise])


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_response_that_is_no_number_names_its_stimulus(bad: float) -> None:
    stimuli = StimulusSet("three", ["a", "b", "c"], [noise] * 3)
    values = torch.zeros(3, 2, dtype=torch.float64)
    values[1, 0] = bad
    with pytest.raises(ValueError, match="not a number at stimulus b: fill it in, or"):
        ResponseSet(stimuli, values, ("x", "y"), torch.tensor([0, 1, 0]), MADE)


def test_responses_and_labels_are_as_many_as_the_stimuli() -> None:
    stimuli = StimulusSet("three", ["a", "b", "c"], [noise] * 3)
    folds = torch.tensor([0, 1, 0])
    with pytest.raises(ValueError, match=r"values \(2, 2\).* but 3 stimuli and 2 targets"):
        ResponseSet(stimuli, torch.zeros(2, 2), ("x", "y"), folds, MADE)
    with pytest.raises(ValueError, match=r"folds \(2,\), but 3 stimuli"):
        ResponseSet(stimuli, torch.zeros(3, 2), ("x", "y"), folds[:2], MADE)
    with pytest.raises(ValueError, match=r"task three: 3 stimuli but labels \(2,\)"):
        Task(stimuli, torch.tensor([0, 1]), ("x", "y"), folds, MADE)


def task_of(folds: list[int], names: tuple[str, ...] = ()) -> Task:
    stimuli = StimulusSet("some", [str(i) for i in range(len(folds))], [noise] * len(folds))
    return Task(stimuli, torch.zeros(len(folds)).long(), ("x",), torch.tensor(folds), MADE, names)


def test_folds_are_tested_in_turn_and_the_next_one_validates() -> None:
    folds = [0, 1, 2, 3, 0, 1]
    splits = task_of(folds).splits
    assert len(splits) == 4
    for k, split in enumerate(splits):
        assert split.test.tolist() == [fold == k for fold in folds]
        assert split.valid.tolist() == [fold == (k + 1) % 4 for fold in folds]
        assert (split.train.int() + split.valid.int() + split.test.int()).tolist() == [1] * 6


def test_two_folds_leave_none_to_validate() -> None:
    for split in task_of([0, 1, 1]).splits:
        assert not split.valid.any()
        assert split.train.tolist() == (~split.test).tolist()


def test_several_labels_are_a_table_of_bool() -> None:
    stimuli, folds = StimulusSet("two", ["a", "b"], [noise] * 2), torch.tensor([0, 1])
    table = torch.tensor([[True, False, True], [False, False, False]])
    assert Task(stimuli, table, ("x", "y", "z"), folds, MADE).multilabel
    with pytest.raises(ValueError, match=r"task two: 2 stimuli but labels \(2, 3\)"):
        Task(stimuli, table, ("x", "y"), folds, MADE)
    with pytest.raises(ValueError, match=r"labels of several classes are torch\.int64"):
        Task(stimuli, table.long(), ("x", "y", "z"), folds, MADE)


def test_a_sound_that_breaks_off_is_named(tmp_path: Path) -> None:
    path = tmp_path / "broken.wav"
    path.write_text("no sound")
    with pytest.raises(ValueError, match=r"set some: .*broken\.wav cannot be read \(.*\): convert"):
        StimulusSet("some", ["broken"], [path]).waveform(0, 8000)
