"""Tables that say what was heard when in a recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from datamodules.sound_files import read_info
from datamodules.stimuli import require_path
from datamodules.words import Sentence, Word, is_content, sentence

MEND = (
    "set recordings, audio and events to your own, "
    "or ENTRAIN_DATA to the folder that holds brain/continuous"
)


def read_events(path: Path, audio: Path) -> list[tuple[Sentence, float]]:
    """Sentences of an events table, and their onsets in the recording (s), in temporal order.

    Parameters
    ----------
    path : Path
        Tab-separated; columns as in :func:`datamodules.brain.continuous.responses`.
    audio : Path
        Folder of the sound files.

    Raises
    ------
    FileNotFoundError, ValueError
        One line: a missing column or sound, or a sentence that is no stretch of one sound.
    """
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
    name = str(rows["stimulus"].iloc[0])
    file = require_path(audio / name, f"it is a stimulus of {path}; {MEND}")
    start, end = rows["stim_onset"].iloc[0], (rows["stim_onset"] + rows["duration"]).max()
    length = read_info(file).seconds
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


def same_sentences(
    tables: Sequence[Sequence[tuple[Sentence, float]]], names: Sequence[str]
) -> dict[str, Sentence]:
    """Sentences of all recordings by name, each the same stretch of sound wherever it occurs.

    Parameters
    ----------
    tables : sequence
        What `read_events` gave for each recording.
    names : sequence of str
        Of the recordings, for errors.
    """
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
