"""Broderick et al. 2018 (OpenNeuro ds004408): EEG while an audio book was heard."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from datamodules.brain.eeg.assembly import Heard, assemble, select_subjects
from datamodules.brain.eeg.files import listed_bad, preprocess_file
from datamodules.brain.eeg.preprocessing import Preprocessing
from datamodules.progress import progress
from datamodules.sentences import SentenceResponses
from datamodules.stimuli import Provenance, require_path
from datamodules.words import Sentence, cut_phrases, read_words, sentence

PROVENANCE = Provenance(
    source="https://doi.org/10.18112/openneuro.ds004408.v1.0.8",
    paper="doi:10.1016/j.cub.2018.01.080",
    licence="CC0",
    device="EEG, 128-channel BioSemi ActiveTwo, 512 Hz",
    subjects=19,
    note="phrases are cut at silences: no sentence marks",
)
HINT = (
    f"get it from {PROVENANCE.source} (datalad get sub-* stimuli) "
    "and set ENTRAIN_DATA to the folder that holds brain/ds004408"
)
MONTAGE, LINE = "biosemi128", 50.0
_RUN = re.compile(r"(sub-[^_]+)_task-listening_run-(\d+)_eeg\.(vhdr|bdf)$")


def responses(
    root: str | Path,
    preprocessing: Preprocessing | None = None,
    cache: str | Path | None = None,
    subjects: Sequence[str] | None = None,
    max_subjects: int | None = None,
    runs: Sequence[int] | None = None,
    silence: float = 0.3,
    shortest: float = 2.0,
    longest: float = 12.0,
    pre: float = 0.3,
    post: float = 1.0,
) -> SentenceResponses:
    """Phrases of "The Old Man and the Sea", of whoever heard all of them.

    Recording and sound begin together. All 20 runs of 19 subjects take about 2.5 GB.

    Parameters
    ----------
    root : path
        The BIDS folder: ``sub-*/eeg`` and ``stimuli/audioNN.wav`` with ``audioNN.TextGrid``.
    cache : path, optional
        Folder for the clean recordings.
    subjects : sequence of str, optional
        Such as ``sub-001``; default all.
    runs : sequence of int, optional
        Default all (1 to 20); a subject who lacks one is left out.
    silence, shortest, longest : float
        Least silence between phrases, and bounds of their length (s).
    pre, post : float
        Seconds kept before the onset and after the end of a phrase.
    """
    options, root = preprocessing or Preprocessing(), Path(root)
    files = select_subjects(_recordings(root), subjects, max_subjects, "ds004408")
    heard_runs = sorted({run for mine in files.values() for run in mine})
    wanted = heard_runs if runs is None else sorted(runs)
    if unknown := [run for run in wanted if run not in heard_runs]:
        raise ValueError(f"ds004408 has no run {unknown[0]} in {root}: it has {heard_runs}")
    phrases = {run: _phrases(root, run, silence, shortest, longest) for run in wanted}

    def heard() -> Iterator[Heard]:
        pairs = [(s, run, mine[run]) for s, mine in files.items() for run in wanted if run in mine]
        for subject, run, path in progress(pairs, "Recordings of ds004408"):
            recording = preprocess_file(
                path,
                subject,
                options,
                cache,
                line=LINE,
                listed_bad=listed_bad(path),
                montage=MONTAGE,
            )
            yield Heard(subject, recording, {part.name: part.onset for part in phrases[run]})

    sentences = {part.name: part for run in wanted for part in phrases[run]}
    return assemble("ds004408", sentences, heard(), options, pre, post, PROVENANCE)


def _recordings(root: Path) -> dict[str, dict[int, Path]]:
    """Recording of each run of each subject."""
    found: dict[str, dict[int, Path]] = {}
    for path in sorted(require_path(root, HINT).glob("sub-*/eeg/*_eeg.*")):
        if match := _RUN.match(path.name):
            found.setdefault(match[1], {})[int(match[2])] = path
    if not found:
        raise FileNotFoundError(
            f"no sub-XXX/eeg/sub-XXX_task-listening_run-YY_eeg.vhdr (or .bdf) in {root}: {HINT}"
        )
    return found


def _phrases(
    root: Path, run: int, silence: float, shortest: float, longest: float
) -> list[Sentence]:
    audio = require_path(root / "stimuli" / f"audio{run:02d}.wav", HINT)
    grid = require_path(audio.with_suffix(".TextGrid"), HINT)
    cut = cut_phrases(read_words(grid), silence, shortest, longest)
    if not cut:
        raise ValueError(f"{grid} has no phrase of {shortest:g} to {longest:g} s")
    return [
        sentence(f"run{run:02d}_phrase{k + 1:03d}", audio, words) for k, words in enumerate(cut)
    ]
