"""Audio files as a source of clips: finding, remembering, decoding, and what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from datamodules.pretraining import headers
from datamodules.pretraining.audio import AudioFiles
from datamodules.pretraining.clips import ClipSource, CorpusSource
from datamodules.pretraining.crops import PretrainingData
from datamodules.sound_files import SoundInfo, read_audio, read_info

RATE = 8000
SUBTYPES = {"ogg": ("OGG", "VORBIS"), "opus": ("OGG", "OPUS"), "mp3": ("MP3", None)}


def write(path: Path, seconds: float = 1.0, rate: int = RATE, channels: int = 1) -> Path:
    """A two-tone sound that is never the same twice in its course."""
    time = np.arange(round(seconds * rate)) / rate
    chirp = 0.4 * np.sin(2 * np.pi * (300 * time + 100 * time**2)) + 0.1 * np.sin(1000 * time)
    path.parent.mkdir(parents=True, exist_ok=True)
    kind, subtype = SUBTYPES.get(path.suffix[1:], (None, None))
    signal = np.stack([chirp] * channels, axis=1).astype("float32")
    soundfile.write(path, signal, rate, format=kind, subtype=subtype)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "sounds" / "long.wav", 3.0)
    write(tmp_path / "sounds" / "deep" / "er" / "short.flac", 0.5)
    write(tmp_path / "sounds" / "vorbis.ogg", 1.0)
    (tmp_path / "sounds" / "notes.txt").write_text("no sound")
    (tmp_path / "sounds" / "._long.wav").write_text("left by another system")
    return tmp_path / "sounds"


@pytest.fixture
def manifest(folder: Path) -> Path:
    path = folder / "manifest.csv"
    path.write_text(
        "path,seconds,domain\nlong.wav,3.0,music\nvorbis.ogg,1.0,speech\ndeep/er/short.flac,,env\n"
    )
    return path


def test_a_folder_is_searched_recursively(folder: Path) -> None:
    source = AudioFiles({"main": {"path": folder}}, RATE)
    assert isinstance(source, ClipSource)
    assert isinstance(source, CorpusSource)
    assert source.names == ["main/deep/er/short.flac", "main/long.wav", "main/vorbis.ogg"]
    assert source.seconds == pytest.approx([0.5, 3.0, 1.0])
    assert AudioFiles([folder], RATE).seconds == source.seconds
    assert len(AudioFiles({"main": str(folder)}, RATE, extensions=["wav"])) == 1


def test_a_folder_linked_into_itself_is_searched_once(folder: Path) -> None:
    (folder / "deep" / "loop").symlink_to(folder)
    assert len(AudioFiles([folder], RATE)) == 3


def test_a_manifest_names_files_beside_it_and_rows_can_be_chosen(manifest: Path) -> None:
    source = AudioFiles({"main": {"manifest": manifest}}, RATE)
    assert source.seconds == pytest.approx([0.5, 3.0, 1.0])
    chosen = {"manifest": manifest, "where": {"domain": ["music", "speech"]}}
    assert AudioFiles({"main": chosen}, RATE).names == ["main/long.wav", "main/vorbis.ogg"]
    chosen = {"manifest": manifest, "where": {"domain": "speech"}}
    assert AudioFiles({"main": chosen}, RATE).names == ["main/vorbis.ogg"]


def test_files_too_short_or_too_long_are_left_out(folder: Path) -> None:
    source = AudioFiles([folder], RATE, min_seconds=0.6, max_seconds=3.0)
    assert source.names == ["corpus0/vorbis.ogg"]
    with pytest.raises(ValueError, match="none of 3 audio files is usable: 0 undecodable, 3 out"):
        AudioFiles([folder], RATE, min_seconds=50)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3"])
@pytest.mark.parametrize("rate", [16_000, 24_000])
def test_a_span_equals_that_part_of_the_whole_file(tmp_path: Path, name: str, rate: int) -> None:
    whole, _ = read_audio(write(tmp_path / name, 3.0, rate))
    source = AudioFiles([tmp_path], rate)
    for start in (0.0, 0.123, 1.7):
        span = source.read(0, start, 1.0)
        first = round(start * rate)
        assert span.shape == (rate,)
        torch.testing.assert_close(span, whole[first : first + rate], atol=1e-6, rtol=0)
    assert source.read(0, 2.5, 1.0).shape == (len(whole) - round(2.5 * rate),)


def test_a_span_of_opus_is_close_to_the_whole_file_and_repeatable(tmp_path: Path) -> None:
    whole, _ = read_audio(write(tmp_path / "a.opus", 3.0, 24_000))
    span = AudioFiles([tmp_path]).read(0, 0.7, 1.0)
    assert torch.equal(span, AudioFiles([tmp_path]).read(0, 0.7, 1.0))
    assert (span - whole[16_800:40_800]).abs().max() < 0.02


def test_channels_are_averaged_and_rates_converted(tmp_path: Path) -> None:
    write(tmp_path / "stereo.wav", 2.0, rate=44_100, channels=2)
    source = AudioFiles([tmp_path], 24_000)
    read = source.read(0, 0.5, 1.0)
    time = torch.arange(24_000) / 24_000 + 0.5
    expected = 0.4 * torch.sin(2 * torch.pi * (300 * time + 100 * time**2))
    expected += 0.1 * torch.sin(1000 * time)
    assert read.dtype == torch.float32
    torch.testing.assert_close(read[100:-100], expected[100:-100], atol=2e-3, rtol=0)


def test_decoded_audio_is_kept_and_read_back_the_same(folder: Path, tmp_path: Path) -> None:
    plain = AudioFiles([folder], 16_000)
    settings = {"cache_dir": tmp_path / "cache", "cache_decoded": True}
    fresh = [AudioFiles([folder], 16_000, **settings).read(i, 0.2, 0.5) for i in range(3)]
    for path in folder.rglob("*.*"):
        path.write_bytes(path.read_bytes())  # a new time of change: must be decoded again
    again = AudioFiles([folder], 16_000, **settings)
    for index, once in enumerate(fresh):
        assert torch.equal(again.read(index, 0.2, 0.5), once)
        assert torch.equal(again.read(index, 0.2, 0.5), once)
        # away from the ends of the span, where resampling lacks its context
        expected = plain.read(index, 0.2, 0.5)
        torch.testing.assert_close(once[200:-200], expected[200:-200], atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="needs a cache_dir"):
        AudioFiles([folder], cache_decoded=True)


def test_unchanged_files_are_opened_once(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def info(path: Path) -> SoundInfo:
        opened.append(path.name)
        return read_info(path)

    monkeypatch.setattr(headers, "read_info", info)
    first = AudioFiles([folder], RATE, cache_dir=tmp_path / "cache")
    assert len(opened) == 3
    second = AudioFiles([folder], RATE, cache_dir=tmp_path / "cache")
    assert len(opened) == 3
    assert first.fingerprint == second.fingerprint
    write(folder / "long.wav", 2.0)
    changed = AudioFiles([folder], RATE, cache_dir=tmp_path / "cache")
    assert opened[3:] == ["long.wav"]
    assert changed.fingerprint != first.fingerprint
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["headers.csv"]


def test_an_unreadable_header_is_skipped_and_written_down(folder: Path, tmp_path: Path) -> None:
    (folder / "broken.wav").write_bytes(b"RIFF no more")
    record = tmp_path / "bad_files.jsonl"
    for _ in range(2):  # the second time from the cache
        record.unlink(missing_ok=True)
        source = AudioFiles(
            [folder], RATE, cache_dir=tmp_path / "cache", max_bad_share=0.3, bad_files=record
        )
        assert len(source) == 3
        (line,) = map(json.loads, record.read_text().splitlines())
        assert line["path"] == str(folder / "broken.wav")
        assert line["error"]
    with pytest.raises(ValueError, match=r"1 of 4 audio files .* at most 5%") as caught:
        AudioFiles([folder], RATE)
    assert str(caught.value).endswith("or raise data.max_bad_share")


def test_a_manifest_row_without_its_file_counts_as_bad(manifest: Path) -> None:
    (manifest.parent / "long.wav").unlink()
    source = AudioFiles({"main": {"manifest": manifest}}, RATE, max_bad_share=0.5)
    assert len(source) == 2


def test_a_broken_body_is_replaced_during_training(tmp_path: Path) -> None:
    for number in range(8):
        write(tmp_path / "sounds" / f"{number}.flac", 2.0)
    victim = tmp_path / "sounds" / "5.flac"
    victim.write_bytes(victim.read_bytes()[:200])
    source = AudioFiles([tmp_path / "sounds"], RATE)
    record = tmp_path / "bad_files.jsonl"
    module = PretrainingData(
        source, 1.0, 8, num_workers=0, val_clips=0, bad_files=record, max_bad_share=0.2
    )
    batches = [batch for batch, _ in zip(module.train_dataloader(), range(4), strict=False)]
    assert all((batch["lengths"] == RATE).all() for batch in batches)
    (line,) = map(json.loads, record.read_text().splitlines())
    assert line["path"] == "corpus0/5.flac"


def test_weights_become_shares_and_are_part_of_the_fingerprint(folder: Path) -> None:
    corpora = {"a": {"path": folder / "deep", "weight": 3}, "b": {"path": folder, "weight": 1}}
    source = AudioFiles(corpora, RATE)
    assert source.shares == {"a": 3.0, "b": 1.0}
    assert list(source.corpus) == ["a", "b", "b", "b"]
    corpora["a"]["weight"] = 2
    assert AudioFiles(corpora, RATE).fingerprint != source.fingerprint


def test_moving_the_files_does_not_change_the_fingerprint(folder: Path) -> None:
    before = AudioFiles({"main": folder}, RATE).fingerprint
    moved = folder.rename(folder.with_name("elsewhere"))
    assert AudioFiles({"main": moved}, RATE).fingerprint == before


@pytest.mark.parametrize(
    ("entry", "error", "message"),
    [
        ({"path": "{0}/none"}, FileNotFoundError, "no folder .*none: check .*corpora.main.path"),
        ({"path": "{0}/empty"}, FileNotFoundError, "no wav, flac, ogg, opus, mp3 file under .*emp"),
        ({"manifest": "{0}/no.csv"}, FileNotFoundError, "no manifest .*corpora.main.manifest"),
        ({"path": "{0}", "weigth": 2}, ValueError, "corpora.main has weigth: expected path, man"),
        ({"path": "{0}", "weight": 0}, ValueError, "weight is 0: expected a positive number"),
        ({}, ValueError, "needs either path"),
        ({"path": "{0}", "where": {"domain": "x"}}, ValueError, "selects rows of a manifest"),
    ],
)
def test_errors_say_where_and_how_to_mend(
    folder: Path, entry: dict[str, str], error: type[Exception], message: str
) -> None:
    (folder / "empty").mkdir()
    entry = {k: v.format(folder) if isinstance(v, str) else v for k, v in entry.items()}
    with pytest.raises(error, match=message) as raised:
        AudioFiles({"main": entry}, RATE)
    assert "\n" not in str(raised.value)


def test_errors_of_manifests_and_weights(manifest: Path) -> None:
    with pytest.raises(ValueError, match="has no column genre, only path, seconds, domain"):
        AudioFiles({"main": {"manifest": manifest, "where": {"genre": "rock"}}}, RATE)
    with pytest.raises(FileNotFoundError, match=r"no row with .*opera.* in .*manifest.csv"):
        AudioFiles({"main": {"manifest": manifest, "where": {"domain": "opera"}}}, RATE)
    with pytest.raises(ValueError, match="corpora b have no weight but others have"):
        AudioFiles({"a": {"manifest": manifest, "weight": 1}, "b": {"manifest": manifest}}, RATE)


@pytest.mark.data("pretrain_mix/manifest.csv")
def test_the_pretraining_mix(data: Path) -> None:
    source = AudioFiles({"mix": {"manifest": data / "pretrain_mix" / "manifest.csv"}})
    assert len(source) == 1535
    assert sum(source.seconds) / 3600 == pytest.approx(4.26, abs=0.01)
    batch = next(iter(PretrainingData(source, batch_size=8, num_workers=0).train_dataloader()))
    assert batch["audio"].shape == (8, 96_000)
    assert (batch["lengths"] == 96_000).all()
    assert batch["audio"].abs().amax(dim=1).min() > 1e-3
