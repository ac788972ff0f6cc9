"""Words and sentences of Alice in Wonderland, chapter 1, as Brennan & Hale 2019 cut them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from datamodules.sound_files import read_info
from datamodules.stimuli import Provenance, require_path
from datamodules.words import Sentence, Word, is_content, read_words, sentence

PROVENANCE = Provenance(
    source="https://doi.org/10.7302/746w-g237",
    paper="doi:10.1371/journal.pone.0207741",
    licence="CC BY 4.0",
    device="EEG, 61-channel actiCHamp (easycap M10), 500 Hz",
    subjects=33,
    note="33 of 49: 8 left out for low comprehension, 8 for noise",
)
HINT = (
    f"get it from {PROVENANCE.source} "
    "and set ENTRAIN_DATA to the folder that holds brain/brennan2019"
)
SOUND = "DownTheRabbitHoleFinal_SoundFile{}"
COLUMNS = ("Word", "Segment", "onset", "offset", "Sentence", "IsLexical")
NEAR = 0.1
"""Greatest distance of the onsets of one word in the table and in the TextGrid (s)."""


def read_table(path: Path, segments: Sequence[int] | None = None) -> pd.DataFrame:
    """Words in the order in which they were heard; onsets are those in the segment (s)."""
    table = pd.read_csv(require_path(path, HINT), encoding="utf-8-sig", keep_default_na=False)
    missing = [column for column in COLUMNS if column not in table]
    if missing:
        raise ValueError(f"{path} has no column {', '.join(missing)}")
    for column in ("onset", "offset", "IsLexical"):
        table[column] = pd.to_numeric(table[column], errors="coerce")
    if segments is not None:
        unknown = sorted(set(segments) - set(table["Segment"]))
        if unknown:
            raise ValueError(f"{path} has no segment {unknown[0]}")
        table = table[table["Segment"].isin(segments)]
    onsets = table.groupby("Segment")["onset"]
    if table[["onset", "offset"]].isna().any(axis=None) or (onsets.diff() < 0).any():
        raise ValueError(f"{path}: onsets do not rise within each segment")
    return table


def sentences(table: pd.DataFrame, audio: Path, textgrids: Path) -> dict[int, list[Sentence]]:
    """Sentences of each segment, named ``sentence001`` …; those in two are parts ``a`` and ``b``.

    A sentence ends with its last word, but not after the onset of the next or the sound's end.
    """
    spread = table.groupby("Sentence")["Segment"].unique()
    found: dict[int, list[Sentence]] = {}
    for segment, rows in table.groupby("Segment", sort=False):
        file = require_path(audio / f"{SOUND.format(segment)}.wav", HINT)
        grid = textgrids / f"{SOUND.format(segment)}.TextGrid"
        words = _words(rows, read_words(grid) if grid.is_file() else [])
        groups = [np.flatnonzero(rows["Sentence"] == k) for k in rows["Sentence"].unique()]
        onsets = [words[group[0]].onset for group in groups]
        bounds = [*onsets[1:], read_info(file).seconds]
        for group, bound in zip(groups, bounds, strict=True):
            number = int(rows["Sentence"].iloc[group[0]])
            mine = [words[k] for k in group]
            in_segments = spread[number].tolist()
            part = "" if len(in_segments) == 1 else "abcdef"[in_segments.index(segment)]
            name = f"sentence{number:03d}{part}"
            end = min(mine[-1].end, bound)
            found.setdefault(int(segment), []).append(sentence(name, file, mine, end))
    return found


def _words(rows: pd.DataFrame, aligned: Sequence[Word]) -> list[Word]:
    """Words of one segment; their ends from the TextGrid where it has one at the same time."""
    onsets = np.array([word.onset for word in aligned])
    found = []
    for row in rows.itertuples():
        end = float(row.offset)
        if len(onsets):
            nearest = int(np.abs(onsets - row.onset).argmin())
            if abs(onsets[nearest] - row.onset) <= NEAR:
                end = aligned[nearest].end
        content = is_content(row.Word) if np.isnan(row.IsLexical) else row.IsLexical == 1
        found.append(Word(str(row.Word), float(row.onset), end, content))
    return found
