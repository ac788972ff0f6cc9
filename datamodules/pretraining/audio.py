"""Pretraining audio in folders and manifests, of any length, rate and number of channels."""

from __future__ import annotations

import hashlib
import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torchaudio.transforms import Resample

from datamodules.pretraining.corpora import Corpus, Entry
from datamodules.pretraining.failures import BadFiles
from datamodules.pretraining.headers import Header, scan
from datamodules.sound_files import read_audio, read_span

log = logging.getLogger(__name__)

EXTENSIONS = ("wav", "flac", "ogg", "opus", "mp3")


class AudioFiles:
    """Audio files of one or more corpora as a source of clips.

    Files are visited in proportion to their duration. Where corpora have a ``weight``, the weights
    set each corpus' share of all visits, and duration counts inside a corpus.

    Parameters
    ----------
    corpora : mapping from name to settings, or sequence of folders
        Settings are a folder, or a mapping with ``path`` (a folder, searched recursively) or
        ``manifest`` (a CSV file with the column ``path``, relative to the manifest, and optionally
        ``seconds``, which saves opening the file), and optionally ``weight`` and ``where``
        (column: value or list of values; manifest rows to keep).
    sample_rate : int
        Hz that sounds are resampled to.
    extensions : sequence of str
        Files to look for in folders.
    cache_dir : Path, optional
        Headers are remembered here, so that unchanged files are opened once in a lifetime.
    min_seconds, max_seconds : float
        Shorter and longer files are left out (s).
    max_bad_share : float
        More undecodable files than this share are an error.
    bad_files : Path, optional
        Undecodable files are appended here as JSON lines.
    cache_decoded : bool
        Keep every file under ``cache_dir`` as 16-bit samples once it was decoded: 0.17 GB per
        hour at 24 kHz, and reading becomes a disk access. Whole files are decoded in memory.

    Notes
    -----
    A span of a WAV, FLAC, Vorbis or MP3 file equals that part of the whole decoded file. libopus
    does not converge fully after a jump: spans of Opus differ by up to 0.01 of full scale, the
    same way each time.

    Raises
    ------
    FileNotFoundError
        If a folder or manifest is missing or holds no audio.
    ValueError
        If settings contradict each other or too many files are undecodable.
    """

    def __init__(
        self,
        corpora: Mapping[str, Entry] | Sequence[str | Path],
        sample_rate: int = 24_000,
        extensions: Sequence[str] = EXTENSIONS,
        cache_dir: Path | str | None = None,
        min_seconds: float = 0.1,
        max_seconds: float = 10_000.0,
        max_bad_share: float = 0.05,
        bad_files: Path | str | None = None,
        cache_decoded: bool = False,
    ) -> None:
        self.sample_rate = sample_rate
        self.cache_dir = None if cache_dir is None else Path(cache_dir)
        if cache_decoded and self.cache_dir is None:
            raise ValueError("cache_decoded=true needs a cache_dir to keep the decoded audio in")
        self.cache_decoded = cache_decoded
        found = Corpus.collect(corpora, extensions)
        headers = scan(
            [path for corpus in found for path in corpus.paths],
            [seconds for corpus in found for seconds in corpus.seconds],
            None if self.cache_dir is None else self.cache_dir / "headers.csv",
        )
        bad = BadFiles(bad_files, len(headers), max_bad_share)
        for header in headers:
            if header.error:
                bad.add(header.path, header.error)
        bad.check()
        owners = [corpus for corpus in found for _ in corpus.paths]
        kept = [
            (corpus, header)
            for corpus, header in zip(owners, headers, strict=True)
            # a manifest's seconds may be 0, and min_seconds too
            if not header.error
            and header.seconds > 0
            and min_seconds <= header.seconds < max_seconds
        ]
        self._report(kept, len(headers), len(bad.errors), min_seconds, max_seconds)
        self.corpus: Sequence[str] = [corpus.name for corpus, _ in kept]
        self.shares: Mapping[str, float] = {
            corpus.name: corpus.weight for corpus in found if corpus.weight is not None
        }
        self.headers = [header for _, header in kept]
        self.names: Sequence[str] = [
            f"{corpus.name}/{os.path.relpath(header.path, corpus.root)}" for corpus, header in kept
        ]
        self.seconds: Sequence[float] = [header.seconds for header in self.headers]

    @staticmethod
    def _report(
        kept: list[tuple[Corpus, Header]],
        total: int,
        bad: int,
        min_seconds: float,
        max_seconds: float,
    ) -> None:
        for name, count in Counter(corpus.name for corpus, _ in kept).items():
            seconds = sum(header.seconds for corpus, header in kept if corpus.name == name)
            log.info("corpus %s: %d files, %.2f h", name, count, seconds / 3600)
        left_out = total - len(kept) - bad
        if left_out:
            log.warning("left out %d files not in %g–%g s", left_out, min_seconds, max_seconds)
        if not kept:
            raise ValueError(
                f"none of {total} audio files is usable: {bad} undecodable, {left_out} outside "
                f"{min_seconds:g}–{max_seconds:g} s: check min_seconds and max_seconds"
            )

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over names, sizes, durations, shares, rate and way of decoding."""
        settings = (self.sample_rate, self.cache_decoded, sorted(self.shares.items()))
        digest = hashlib.sha256(repr(settings).encode())
        for name, header in zip(self.names, self.headers, strict=True):
            digest.update(repr((name, header.size, round(header.seconds, 6))).encode())
        return digest.hexdigest()

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int, start: float, seconds: float) -> Tensor:
        """A span of file ``index``: mono float32 of shape (samples,) at ``sample_rate``.

        Parameters
        ----------
        start, seconds : float
            Onset within the file and length (s); shorter where the file ends earlier.

        Raises
        ------
        RuntimeError or OSError
            If it cannot be decoded.
        """
        if self.cache_decoded:
            return self._read_decoded(self.headers[index], start, seconds)
        waveform, rate = read_span(self.headers[index].path, start, seconds)
        return self._resample(waveform, rate)[: round(seconds * self.sample_rate)]

    def _resample(self, waveform: Tensor, rate: int) -> Tensor:
        return (
            waveform if rate == self.sample_rate else _resampler(rate, self.sample_rate)(waveform)
        )

    def _read_decoded(self, header: Header, start: float, seconds: float) -> Tensor:
        assert self.cache_dir is not None
        key = hashlib.sha256(repr((header.path, header.size, header.mtime_ns)).encode()).hexdigest()
        path = self.cache_dir / f"decoded_{self.sample_rate}" / key[:2] / f"{key}.int16"
        first, count = round(start * self.sample_rate), round(seconds * self.sample_rate)
        if path.exists():
            span = np.fromfile(path, dtype=np.int16, offset=2 * first, count=count)
        else:
            waveform = self._resample(*read_audio(Path(header.path)))
            samples = (waveform * 32768).round().clamp(-32768, 32767).to(torch.int16).numpy()
            try:
                _write_whole(path, samples)
            except OSError as error:
                # a full disk makes reading slow, but the sound is fine
                log.warning("cannot keep decoded audio in %s: %s", self.cache_dir, error)
            span = samples[first : first + count]
        return torch.from_numpy(span).float() / 32768


def _write_whole(path: Path, samples: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # other workers may decode the same file at the same time: the last one wins
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    samples.tofile(partial)
    os.replace(partial, path)


@lru_cache(maxsize=16)
def _resampler(rate: int, sample_rate: int) -> Resample:
    return Resample(rate, sample_rate)
