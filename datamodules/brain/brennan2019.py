"""Brennan & Hale 2019: EEG while the first chapter of Alice in Wonderland was heard."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy.io import loadmat

from datamodules.brain.brennan2019_words import HINT, PROVENANCE, read_table, sentences
from datamodules.brain.eeg.assembly import Heard, assemble, select_subjects
from datamodules.brain.eeg.files import preprocess_file, read_raw
from datamodules.brain.eeg.preprocessing import Preprocessing
from datamodules.progress import progress
from datamodules.sentences import SentenceResponses
from datamodules.stimuli import require_path

if TYPE_CHECKING:
    from mne.io import BaseRaw

log = logging.getLogger(__name__)

MONTAGE, LINE, MASTOIDS, ONLINE = "easycap-M10", 60.0, ("25", "29"), "29"
TABLE = "AliceChapterOne-EEG.csv"
DELAYS = {1: 0.060}
"""Sound after its marker (s), of segment 1; DELAY of the others (authors' get_alice2_trials.m)."""
DELAY = 0.050
FIRST_MARKER_MISSING = ("S26", "S34", "S35", "S36")
"""Subjects whose recording lacks the marker of segment 1: the authors' tables number the others
from 1 (Eelbrain/Alice, convert-all.py)."""


def alice(
    root: str | Path,
    audio: str | Path | None = None,
    textgrids: str | Path | None = None,
    preprocessing: Preprocessing | None = None,
    cache: str | Path | None = None,
    subjects: Sequence[str] | None = None,
    max_subjects: int | None = None,
    segments: Sequence[int] | None = None,
    pre: float = 0.3,
    post: float = 1.0,
) -> SentenceResponses:
    """84 sentences in 12 segments; the 6 that span two of them are cut into two stimuli each.

    Parameters
    ----------
    root : path
        Folder with ``S01.vhdr`` … (present deposit) or ``S01.mat`` … (FieldTrip structure ``raw``,
        first deposit), ``AliceChapterOne-EEG.csv``, where the segments begin in the recordings
        (see `segment_starts`), and ``datasets.mat``, where the deposit has it.
    audio : path, optional
        Folder of the 12 sound files; default ``root/audio``, else ``root``.
    textgrids : path, optional
        Folder of TextGrids of the sound files, for the ends of sentences; default that of the
        sounds. Where there is none, a sentence ends at the offset of its last word in the table
        (up to .2 s early or late), but before the next one begins.
    cache : path, optional
        Folder for the clean recordings.
    subjects : sequence of str, optional
        Such as ``S01``; default the 33 in ``use`` of ``datasets.mat``, without that file all whose
        recording and epochs are there.
    segments : sequence of int, optional
        Default all 12. Four of the 33 lack segment 1 and are left out unless it is.
    pre, post : float
        Seconds kept before the onset and after the end of a sentence.
    """
    options, root = preprocessing or Preprocessing(), require_path(Path(root), HINT)
    sounds = Path(audio) if audio else (root / "audio" if (root / "audio").is_dir() else root)
    table = read_table(root / TABLE, segments)
    files = select_subjects(_recordings(root, subjects), subjects, max_subjects, "Alice")
    parts_of = sentences(table, sounds, Path(textgrids) if textgrids else sounds)
    segment = {part.name: k for k, found in parts_of.items() for part in found}
    by_name = {part.name: part for found in parts_of.values() for part in found}

    def heard() -> Iterator[Heard]:
        for subject, path in progress(list(files.items()), "Recordings of Alice"):
            recording = preprocess_file(
                path,
                subject,
                options,
                cache,
                read=read_recording,
                line=LINE,
                listed_bad=_rejected_channels(root, subject),
                mastoids=MASTOIDS,
                implicit=ONLINE,
                montage=MONTAGE,
            )
            starts = segment_starts(root, subject)
            yield Heard(
                subject,
                recording,
                {
                    name: starts[segment[name]] + part.onset
                    for name, part in by_name.items()
                    if segment[name] in starts
                },
            )

    return assemble("alice", by_name, heard(), options, pre, post, PROVENANCE)


# ---- recordings ----------------------------------------------------------------------------------


def read_recording(path: Path) -> BaseRaw:
    """A subject's recording in volts; the authors' FieldTrip structures are in microvolts."""
    import mne

    if path.suffix != ".mat":
        return read_raw(path)
    raw = _read_mat(path, "raw")
    missing = [field for field in ("trial", "label", "fsample") if field not in raw]
    if missing:
        raise ValueError(f"{path}: raw has no {', '.join(missing)}, but {', '.join(raw)}")
    labels = [str(label) for label in np.atleast_1d(raw["label"])]
    trial = raw["trial"]
    values = np.asarray(trial[0] if isinstance(trial, list) else trial, dtype=np.float64)
    values = values[0] if values.ndim == 3 and len(values) == 1 else values
    if values.ndim != 2 or len(values) != len(labels):
        raise ValueError(
            f"{path}: raw.trial is {values.shape}, expected ({len(labels)} channels, samples)"
        )
    return mne.io.RawArray(
        1e-6 * values, mne.create_info(labels, float(raw["fsample"]), "eeg"), verbose="ERROR"
    )


def segment_starts(root: Path, subject: str) -> dict[int, float]:
    """Where the sound of each segment begins in a recording (s from its first sample).

    Taken from the first of these that is there:

    1. ``segments.tsv`` (columns ``subject``, ``segment``, ``onset`` in s): anybody's own.
    2. ``proc/<subject>.mat`` or ``timelock-preprocessing/<subject>.mat``: the authors' epochs
       around words, ``proc.trl`` with ``proc.varnames``. Row: first sample b (1-based), last, and
       offset o of an epoch, segment, onset t of its word (s). At a rate of f Hz the segment begins
       at sample b - 1 - o - ceil(t f). The delay of the sound after its marker is in them.
    3. Markers "Stimulus" of ``<subject>.vhdr``, one for each of 12 segments, plus that delay.
    """
    own = root / "segments.tsv"
    if own.is_file():
        table = pd.read_csv(own, sep="\t", dtype={"subject": str})
        missing = [c for c in ("subject", "segment", "onset") if c not in table]
        if missing:
            raise ValueError(f"{own} has no column {', '.join(missing)}")
        mine = table[table["subject"] == subject]
        if len(mine):
            return {int(k): float(t) for k, t in zip(mine["segment"], mine["onset"], strict=True)}
    if (proc := _proc(root, subject)) is not None:
        return _starts_of_epochs(proc[1], subject, proc[0])
    header = root / f"{subject}.vhdr"
    if header.is_file():
        return _starts_of_markers(header, subject)
    raise FileNotFoundError(
        f"no segment starts of {subject} in {root}: neither segments.tsv nor proc/{subject}.mat "
        f"nor {header.name}; {HINT}"
    )


def _starts_of_epochs(proc: Mapping[str, Any], subject: str, path: Path) -> dict[int, float]:
    missing = [field for field in ("trl", "varnames") if field not in proc]
    if missing:
        raise ValueError(f"{path}: proc has no {', '.join(missing)}, but {', '.join(proc)}")
    epochs = np.atleast_2d(np.asarray(proc["trl"], dtype=np.float64))
    names = [str(name) for name in np.atleast_1d(proc["varnames"])]
    columns = dict(zip(names, epochs.T[-len(names) :], strict=False))
    segment = next((columns[k] for k in ("segment", "passage") if k in columns), None)
    onset = next((columns[k] for k in ("tmin", "onset") if k in columns), None)
    if epochs.shape[1] < 3 + len(names) or segment is None or onset is None:
        raise ValueError(
            f"{path}: proc.trl has {epochs.shape[1]} columns, of them {', '.join(names)}: expected "
            "3 and then segment and tmin among them"
        )
    rate = 500.0
    starts = epochs[:, 0] - 1 - epochs[:, 2] - np.ceil(onset * rate)
    shift = int(subject in FIRST_MARKER_MISSING and 12 not in segment)
    return {
        int(k) + shift: float(np.median(starts[segment == k])) / rate for k in np.unique(segment)
    }


def _starts_of_markers(header: Path, subject: str) -> dict[int, float]:
    marks = read_raw(header).annotations
    times = sorted(float(m["onset"]) for m in marks if str(m["description"]).startswith("Stimulus"))
    if len(times) == 11 and subject in FIRST_MARKER_MISSING:
        found = dict(enumerate(times, 2))
    elif len(times) == 12:
        found = dict(enumerate(times, 1))
    else:
        raise ValueError(
            f"{header} has {len(times)} stimulus markers, expected 12: put the segments' onsets "
            f"into {header.with_name('segments.tsv')}"
        )
    return {k: time + DELAYS.get(k, DELAY) for k, time in found.items()}


def _recordings(root: Path, subjects: Sequence[str] | None) -> dict[str, Path]:
    """Recordings of the named subjects, else of those whom the authors used."""
    found = {}
    for subject in subjects or _default_subjects(root):
        header = root / f"{subject}.vhdr"
        found[subject] = header if header.is_file() else require_path(root / f"{subject}.mat", HINT)
    return found


def _default_subjects(root: Path) -> list[str]:
    table = root / "datasets.mat"
    headers = sorted(root.glob("S[0-9][0-9].vhdr"))
    if table.is_file() or not headers:
        return used_subjects(table)
    found = [path.stem for path in headers if _proc_path(root, path.stem) is not None]
    log.warning(
        "%s has no datasets.mat, which says whom the authors used (33): all %d with a recording "
        "and epochs are taken; subjects=[S01,…] names others",
        root, len(found),
    )  # fmt: skip
    return found


def used_subjects(path: Path) -> list[str]:
    """Subjects of the main analysis, ``use`` of ``datasets.mat``: neither low performers
    (``lowperf``) nor noisy (``highnoise``)."""
    content = loadmat(str(require_path(path, HINT)), simplify_cells=True)
    if "use" not in content:
        raise ValueError(f"{path} has no use, but {', '.join(k for k in content if k[0] != '_')}")
    return [str(name).strip().removesuffix(".mat") for name in np.atleast_1d(content["use"])]


def _proc_path(root: Path, subject: str) -> Path | None:
    """The authors' epochs of a subject; the folder has another name in each deposit."""
    paths = (root / f / f"{subject}.mat" for f in ("proc", "timelock-preprocessing"))
    return next((path for path in paths if path.is_file()), None)


def _proc(root: Path, subject: str) -> tuple[Path, dict[str, Any]] | None:
    path = _proc_path(root, subject)
    return None if path is None else (path, _read_mat(path, "proc"))


def _rejected_channels(root: Path, subject: str) -> list[str]:
    """Channels that the authors left out, for what they saw or for their impedance."""
    proc = _proc(root, subject)
    known = proc[1] if proc else {}
    found: dict[str, None] = {}
    for part, names in (("rejections", "badchans"), ("impedence", "bads")):
        fields = known.get(part)
        listed = fields.get(names, []) if isinstance(fields, dict) else []
        found.update(dict.fromkeys(str(name) for name in np.atleast_1d(listed)))
    return [*found]


def _read_mat(path: Path, name: str) -> dict[str, Any]:
    """A structure of a MATLAB 5 file, as a dictionary."""
    try:
        content = loadmat(str(path), variable_names=[name], simplify_cells=True)
    except NotImplementedError:
        raise ValueError(f"{path} is a MATLAB 7.3 file: save it with -v7 in MATLAB") from None
    if not isinstance(content.get(name), dict):
        raise ValueError(f"{path} has no structure {name}")
    return content[name]
