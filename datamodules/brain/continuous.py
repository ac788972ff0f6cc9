"""Anybody's EEG: recordings, sound files and a table that says what was heard when."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from datamodules.brain.eeg.assembly import Heard, assemble, select_subjects
from datamodules.brain.eeg.events import MEND, read_events, same_sentences
from datamodules.brain.eeg.files import listed_bad, preprocess_file, sidecar, stem
from datamodules.brain.eeg.preprocessing import Preprocessing
from datamodules.progress import progress
from datamodules.sentences import SentenceResponses
from datamodules.stimuli import Provenance, require_path

FORMATS = (".fif", ".vhdr", ".bdf", ".edf", ".set", ".cnt", ".gdf", ".mff")
"""Endings of recordings that are looked for in a folder."""


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
    found = select_subjects(_by_subject(recordings), subjects, max_subjects, name)
    runs = [(subject, path) for subject, paths in found.items() for path in paths]
    tables = [read_events(_events_of(path, events), Path(audio)) for _, path in runs]
    sentences = same_sentences(tables, [path.name for _, path in runs])

    def heard() -> Iterator[Heard]:
        pairs = list(zip(runs, tables, strict=True))
        for (subject, path), table in progress(pairs, f"Recordings of {name}"):
            recording = preprocess_file(
                path,
                subject,
                options,
                cache,
                line=line,
                listed_bad=listed_bad(path),
                mastoids=mastoids,
                montage=montage,
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


def _by_subject(recordings: str | Path | Sequence[str | Path]) -> dict[str, list[Path]]:
    if isinstance(recordings, str | Path):
        folder = require_path(Path(recordings), f"it holds the EEG recordings; {MEND}")
        inside = sorted(folder.glob("sub-*/**/*_eeg.*")) or sorted(folder.iterdir())
        files = [path for path in inside if path.suffix.lower() in FORMATS]
        if folder.is_file() or folder.suffix.lower() in FORMATS:
            files = [folder]
        if not files:
            raise FileNotFoundError(f"no recording ({', '.join(FORMATS)}) in {folder}: {MEND}")
    else:
        files = [require_path(Path(path), f"it is an EEG recording; {MEND}") for path in recordings]
    found: dict[str, list[Path]] = {}
    for path in files:
        label = re.match(r"(sub-[^_]+)_", path.name)
        found.setdefault(label[1] if label else stem(path), []).append(path)
    return found


def _events_of(path: Path, events: str | Path | None) -> Path:
    hint = f"it says what was heard when (see datamodules.brain.continuous.responses); {MEND}"
    if events is not None:
        return require_path(Path(events), hint)
    own = sidecar(path, "events.tsv")
    return (
        own
        if own.is_file()
        else require_path(path.with_name("events.tsv"), f"nor {own.name}; {hint}")
    )
