"""Anybody's EEG: recordings, sound files and a table that says what was heard when."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import pandas as pd
import soundfile
import torch
from numpy.typing import NDArray
from pytorch_lightning.utilities import rank_zero_only
from rich.console import Console
from rich.progress import track
from torch import Tensor

from datamodules.eeg_preprocessing import Preprocessing, Recording, cut, preprocessed
from datamodules.sentences import SentenceResponses, Words
from datamodules.stimuli import Provenance, existing
from datamodules.words import Sentence, Word, blocks, is_content, sentence, stimulus_set

if TYPE_CHECKING:
    from mne.io import BaseRaw

log = logging.getLogger(__name__)
FORMATS = (".fif", ".vhdr", ".bdf", ".edf", ".set", ".cnt", ".gdf", ".mff")
"""Endings of recordings that are looked for in a folder."""
T = TypeVar("T")


@dataclass(frozen=True)
class Heard:
    """A recording and where each sentence was heard in it.

    Parameters
    ----------
    onsets : mapping of str to float
        Seconds from the first sample of the recording.
    """

    subject: str
    recording: Recording
    onsets: Mapping[str, float]


def responses(
    recordings: str | Path | Sequence[str | Path],
    audio: str | Path,
    events: str | Path | None = None,
    name: str = "continuous",
    montage: str | None = None,
    line: float | None = None,
    mastoids: Sequence[str] = (),
    preprocessing: Preprocessing | None = None,
    cache: str | Path | None = None,
    subjects: Sequence[str] | None = None,
    max_subjects: int | None = None,
    pre: float = 0.3,
    post: float = 1.0,
    source: str = "own recordings",
    licence: str = "not stated",
    paper: str = "",
    device: str = "EEG",
) -> SentenceResponses:
    """Sentences, or other sounds, that were heard during EEG recordings of any format of mne.

    Parameters
    ----------
    recordings : path or sequence of paths
        Files, or a folder of files (``<subject>.fif``, …), or a BIDS folder (``sub-*/eeg``).
    audio : path
        Folder of the sound files.
    events : path, optional
        Tab-separated table for all recordings; default ``<recording>_events.tsv`` beside each
        (without ``_eeg`` or ``_raw``), else ``events.tsv`` in its folder. Columns: ``onset`` (s
        from the first sample of the recording), ``duration`` (s), ``stimulus`` (sound file; the
        ``stim_file`` of BIDS will do), and optionally ``stim_onset`` (s in the sound file,
        default 0), ``sentence`` (a name: rows of one sentence belong together), ``word`` (each
        row is a word), ``content`` (0 or 1; default by a list of English function words). Rows
        without a stimulus are ignored.
    montage : str, optional
        Standard montage of mne, such as ``biosemi64``; default the positions in the file.
    line : float, optional
        Line frequency of the country (Hz), 50 or 60; default no notch.
    mastoids : sequence of str
        Channels for ``reference="mastoid"``.
    cache : path, optional
        Folder for the clean recordings.
    pre, post : float
        Seconds kept before the onset and after the end of a sentence.

    Raises
    ------
    FileNotFoundError, ValueError
        One line: a missing column, sound or recording; an event beyond a recording's or a sound's
        end; a sentence that is not the same stretch of sound in every recording.
    """
    options = preprocessing or Preprocessing()
    found = chosen(_by_subject(recordings), subjects, max_subjects, name)
    runs = [(subject, path) for subject, paths in found.items() for path in paths]
    tables = [read_events(_events_of(path, events), Path(audio)) for _, path in runs]
    sentences = _same_sentences(tables, [path.name for _, path in runs])

    def heard() -> Iterator[Heard]:
        pairs = list(zip(runs, tables, strict=True))
        for (subject, path), table in progress(pairs, f"Recordings of {name}"):
            recording = preprocessed(
                parts(path),
                partial(read_raw, path),
                options,
                subject=subject,
                recording=path.name,
                line=line,
                listed_bad=listed_bad(path),
                mastoids=mastoids,
                montage=montage,
                cache=cache,
            )
            for part, onset in table:
                end = onset + part.duration
                if onset < 0 or end > recording.duration + 1 / options.rate:
                    raise ValueError(
                        f"{path.name}: {part.name} is at {onset:.3f} to {end:.3f} s "
                        f"of a recording of {recording.duration:.3f} s"
                    )
            yield Heard(subject, recording, {part.name: onset for part, onset in table})

    provenance = Provenance(
        source=source, licence=licence, paper=paper, device=device, subjects=len(found)
    )
    return assemble(name, sentences, heard(), options, pre, post, provenance)


# ---- sentences cut out of recordings -------------------------------------------------------------


def assemble(
    name: str,
    sentences: Mapping[str, Sentence],
    recordings: Iterable[Heard],
    options: Preprocessing,
    pre: float,
    post: float,
    provenance: Provenance,
) -> SentenceResponses:
    """Time courses of all sentences and subjects, from ``-pre`` s to ``post`` s after the end.

    A sentence that more than half of the subjects lack is left out; then a subject who lacks one
    of the others is. Both are logged. Channels are those that all recordings have.
    """
    pieces: dict[str, dict[str, tuple[tuple[str, ...], NDArray[np.float32]]]] = {}
    reasons: dict[tuple[str, str], str] = {}
    places: dict[str, Tensor] = {}
    layouts: list[tuple[str, ...]] = []
    quality: list[Mapping[str, object]] = []
    for heard in recordings:
        recording, mine = heard.recording, pieces.setdefault(heard.subject, {})
        layouts.append(recording.channels)
        quality.append(recording.quality)
        if recording.positions is not None:
            positions = torch.from_numpy(recording.positions)
            places.update(zip(recording.channels, positions, strict=True))
        for key, onset in heard.onsets.items():
            times = round((pre + sentences[key].duration + post) * options.rate)
            try:
                values = cut(recording, onset - pre, times, options.phase == "zero")
            except ValueError as error:
                reasons[heard.subject, key] = str(error)
            else:
                mine[key] = (recording.channels, values)
    kept, subjects = _complete(name, list(sentences), pieces, reasons)
    channels = _common(name, layouts)
    return SentenceResponses(
        stimuli=stimulus_set(name, [sentences[key] for key in kept]),
        values=tuple(
            torch.from_numpy(np.stack([_ordered(*pieces[s].pop(key), channels) for s in subjects]))
            for key in kept
        ),
        rate=options.rate,
        start=-pre,
        channels=channels,
        subjects=tuple(subjects),
        folds=blocks(len(kept)),
        provenance=provenance,
        positions=torch.stack([places[c] for c in channels])
        if all(c in places for c in channels)
        else None,
        words=words_of([sentences[key] for key in kept]),
        quality=tuple(row for row in quality if row["subject"] in subjects),
    )


def words_of(sentences: Sequence[Sentence]) -> tuple[Words, ...] | None:
    """Words of all sentences, where all have them."""
    found = tuple(part.words for part in sentences if part.words is not None)
    return found if len(found) == len(sentences) else None


def _complete(
    name: str,
    sentences: Sequence[str],
    pieces: Mapping[str, Mapping[str, object]],
    reasons: Mapping[tuple[str, str], str],
) -> tuple[list[str], list[str]]:
    """Sentences that most subjects have, and subjects who have all of these."""

    def why(subject: str, key: str) -> str:
        return reasons.get((subject, key), "was not heard")

    kept = []
    for key in sentences:
        lack = [subject for subject in pieces if key not in pieces[subject]]
        if len(lack) > len(pieces) / 2:
            log.warning(
                "%s: %s is left out: with %d of %d subjects it %s",
                name, key, len(lack), len(pieces), why(lack[0], key),
            )  # fmt: skip
        else:
            kept.append(key)
    subjects = []
    for subject in pieces:
        lack = [key for key in kept if key not in pieces[subject]]
        if lack:
            log.warning(
                "%s: subject %s is left out: %s %s (%d of %d sentences are missing)",
                name, subject, lack[0], why(subject, lack[0]), len(lack), len(kept),
            )  # fmt: skip
        else:
            subjects.append(subject)
    if not kept or not subjects:
        first = next(((s, k) for s in pieces for k in sentences if k not in pieces[s]), None)
        detail = f": {first[1]} {why(*first)} with {first[0]}" if first else ""
        raise ValueError(f"{name}: no subject has all sentences{detail}")
    return kept, subjects


def _common(name: str, layouts: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    shared = tuple(c for c in layouts[0] if all(c in layout for layout in layouts))
    if not shared:
        raise ValueError(f"{name}: no channel is in all recordings")
    if dropped := sorted({c for layout in layouts for c in layout} - set(shared)):
        log.warning("%s: %s are not in all recordings and left out", name, ", ".join(dropped))
    return shared


def _ordered(
    names: tuple[str, ...], values: NDArray[np.float32], channels: tuple[str, ...]
) -> NDArray[np.float32]:
    return values if names == channels else values[:, [names.index(c) for c in channels]]


# ---- tables --------------------------------------------------------------------------------------


def read_events(path: Path, audio: Path) -> list[tuple[Sentence, float]]:
    """Sentences of an events table, and their onsets in the recording (s), in temporal order."""
    table = pd.read_csv(
        path,
        sep="\t",
        dtype={"stimulus": str, "stim_file": str, "sentence": str, "word": str},
        na_values=["", "n/a"],
        keep_default_na=False,
        encoding="utf-8-sig",
    )
    table = table.rename(columns={} if "stimulus" in table else {"stim_file": "stimulus"})
    missing = [column for column in ("onset", "duration", "stimulus") if column not in table]
    if missing:
        raise ValueError(
            f"{path} has no column {', '.join(missing)}: its columns are {', '.join(table.columns)}"
        )
    table = table[table["stimulus"].notna()].sort_values("onset", kind="stable")
    if not len(table):
        raise ValueError(f"{path} has no event with a stimulus")
    numbers = [c for c in ("onset", "duration", "stim_onset") if c in table]
    for column in numbers:
        table[column] = pd.to_numeric(table[column], errors="coerce")
        if table[column].isna().any():
            row = int(table.index[table[column].isna()][0]) + 2
            raise ValueError(f"{path}, line {row}: {column} is not a number")
    if "stim_onset" not in table:
        table["stim_onset"] = 0.0
    names = pd.Series(
        [_name_of(a, b) for a, b in zip(table["stimulus"], table["stim_onset"], strict=True)],
        index=table.index,
    )
    if "sentence" in table:
        names = table["sentence"].fillna(names)
    return [
        (_sentence_of(str(key), rows, audio, path), float(rows["onset"].iloc[0]))
        for key, rows in table.groupby(names, sort=False)
    ]


def _name_of(stimulus: str, onset: float) -> str:
    return f"{Path(stimulus).stem}@{onset:.3f}"


def _sentence_of(key: str, rows: pd.DataFrame, audio: Path, path: Path) -> Sentence:
    """One stimulus of one or more rows: a stretch of one sound, heard without a break."""
    if rows["stimulus"].nunique() > 1:
        raise ValueError(
            f"{path}: {key} is in more than one sound: give its parts names of their own"
        )
    apart = rows["onset"] - rows["stim_onset"]
    if apart.max() - apart.min() > 0.05 or ("word" not in rows and len(rows) > 1):
        raise ValueError(
            f"{path}: {key} occurs more than once: give the repetitions names of their own"
        )
    file = existing(audio / str(rows["stimulus"].iloc[0]), f"it is a stimulus of {path}")
    start, end = rows["stim_onset"].iloc[0], (rows["stim_onset"] + rows["duration"]).max()
    length = soundfile.info(file).duration
    if start < 0 or end > length + 0.001 or end <= start:
        raise ValueError(
            f"{path}: {key} is at {start:.3f} to {end:.3f} s of {file.name}, "
            f"which is {length:.3f} s long"
        )
    if "word" not in rows:
        return Sentence(key, file, float(start), float(end - start))
    words = [
        Word(
            str(row.word),
            float(row.stim_onset),
            float(row.stim_onset + row.duration),
            bool(row.content == 1) if "content" in rows else is_content(str(row.word)),
        )
        for row in rows.itertuples()
    ]
    return sentence(key, file, words, float(end))


def _same_sentences(
    tables: Sequence[Sequence[tuple[Sentence, float]]], names: Sequence[str]
) -> dict[str, Sentence]:
    found: dict[str, Sentence] = {}
    for table, name in zip(tables, names, strict=True):
        for part, _ in table:
            known = found.setdefault(part.name, part)
            same = known.audio == part.audio and np.allclose(
                (known.onset, known.duration), (part.onset, part.duration), atol=0.01
            )
            if not same:
                raise ValueError(
                    f"{name}: {part.name} is {part.duration:.3f} s at {part.onset:.3f} s of "
                    f"{part.audio.name}, but in another recording {known.duration:.3f} s at "
                    f"{known.onset:.3f} s of {known.audio.name}"
                )
    return found


# ---- files ---------------------------------------------------------------------------------------


def _by_subject(recordings: str | Path | Sequence[str | Path]) -> dict[str, list[Path]]:
    if isinstance(recordings, str | Path):
        folder = existing(Path(recordings), "it holds the EEG recordings")
        inside = sorted(folder.glob("sub-*/**/*_eeg.*")) or sorted(folder.iterdir())
        files = [path for path in inside if path.suffix.lower() in FORMATS]
        if folder.is_file() or folder.suffix.lower() in FORMATS:
            files = [folder]
        if not files:
            raise FileNotFoundError(f"no recording ({', '.join(FORMATS)}) in {folder}")
    else:
        files = [existing(Path(path), "it is an EEG recording") for path in recordings]
    found: dict[str, list[Path]] = {}
    for path in files:
        label = re.match(r"(sub-[^_]+)_", path.name)
        found.setdefault(label[1] if label else stem(path), []).append(path)
    return found


def chosen(
    found: Mapping[str, T], subjects: Sequence[str] | None, most: int | None, name: str
) -> dict[str, T]:
    """Those of ``subjects`` (default all), of whom the first ``most``."""
    unknown = [subject for subject in subjects or () if subject not in found]
    if unknown:
        raise ValueError(f"{name} has no subject {unknown[0]}: it has {', '.join(found)}")
    return {subject: found[subject] for subject in list(subjects or found)[:most]}


def stem(path: Path) -> str:
    """Name of a recording without its ending and ``_eeg`` or ``_raw``."""
    return re.sub(r"[_-](eeg|raw)$", "", path.name.removesuffix(path.suffix))


def sidecar(path: Path, ending: str) -> Path:
    """File that belongs to a recording, such as ``<recording>_channels.tsv``."""
    return path.with_name(f"{stem(path)}_{ending}")


def _events_of(path: Path, events: str | Path | None) -> Path:
    hint = "it says what was heard when; see datamodules.brain.continuous.responses"
    if events is not None:
        return existing(Path(events), hint)
    own = sidecar(path, "events.tsv")
    return (
        own if own.is_file() else existing(path.with_name("events.tsv"), f"nor {own.name}; {hint}")
    )


def listed_bad(path: Path) -> list[str]:
    """Channels that ``<recording>_channels.tsv`` of BIDS calls bad; none where there is none."""
    table = sidecar(path, "channels.tsv")
    if not table.is_file():
        return []
    rows = pd.read_csv(table, sep="\t", dtype=str, encoding="utf-8-sig")
    if "status" not in rows or "name" not in rows:
        return []
    return rows["name"][rows["status"].str.strip() == "bad"].tolist()


def parts(path: Path) -> list[Path]:
    """All files that hold a recording: BrainVision has three, some formats a folder."""
    if path.is_dir():
        return sorted(inside for inside in path.rglob("*") if inside.is_file())
    endings = {".vhdr": (".eeg", ".vmrk", ".dat"), ".set": (".fdt",)}.get(path.suffix.lower(), ())
    return [path, *(p for ending in endings if (p := path.with_suffix(ending)).is_file())]


def read_raw(path: Path) -> BaseRaw:
    """A recording in memory, in volts."""
    import mne

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "This filename .* does not conform", RuntimeWarning)
        return mne.io.read_raw(path, preload=True, verbose="ERROR")


def progress(items: Sequence[T], what: str) -> Iterable[T]:
    """The items, with a bar on a terminal."""
    console = Console(stderr=True)
    hidden = getattr(rank_zero_only, "rank", 0) not in (None, 0) or not console.is_terminal
    return track(items, what, console=console, disable=hidden, transient=True)
