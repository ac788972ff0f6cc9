"""EEG in the layouts of its authors, made here: every channel follows the sound at a known lag."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import scipy.io
import soundfile

LAG = 0.12
"""Of the planted response (s)."""
AUDIO_RATE = 8000
M10 = ("1", "5", "9", "13", "17", "21", "25", "33", "41", "49", "57", "61")
BIOSEMI = ("A1", "A10", "A20", "A30", "B8", "B18", "B28", "C6", "C16", "C26", "D4", "D14", "D24")


def course(seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """A smooth random function of time (s) with power from 1 to 8 Hz only, standard deviation 1."""
    rng = np.random.default_rng(seed)
    frequencies, phases = rng.uniform(1, 8, 24), rng.uniform(0, 2 * np.pi, 24)

    def values(times: np.ndarray) -> np.ndarray:
        waves = np.cos(2 * np.pi * frequencies * np.asarray(times)[..., None] + phases)
        return waves.sum(-1) / np.sqrt(12)

    return values


def write_sound(path: Path, seconds: float, seed: int, channels: int = 1) -> None:
    """Noise whose amplitude follows ``course(seed)``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    times = np.arange(round(seconds * AUDIO_RATE)) / AUDIO_RATE
    noise = np.random.default_rng(seed).normal(size=(len(times), channels))
    envelope = 0.02 * (4 + course(seed)(times)).clip(0)
    soundfile.write(path, envelope[:, None] * noise, AUDIO_RATE, subtype="FLOAT")


def response(
    segments: Mapping[float, tuple[int, float]],
    seconds: float,
    rate: float,
    gains: np.ndarray,
    seed: int = 0,
    lag: float = LAG,
) -> np.ndarray:
    """Microvolts of shape (channels, samples): gains times the course of whatever is heard.

    Parameters
    ----------
    segments : mapping
        Start in the recording (s): seed and length (s) of the sound.
    """
    times = np.arange(round(seconds * rate)) / rate
    planted = np.zeros(len(times))
    for start, (sound, length) in segments.items():
        inside = (times >= start - 1) & (times < start + length + 2)
        planted[inside] = course(sound)(times[inside] - start - lag)
    noise = np.random.default_rng(seed).normal(size=(len(gains), len(times)))
    return 10 * gains[:, None] * planted + 0.3 * noise


def gains(channels: int, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return rng.uniform(0.7, 1.4, channels) * rng.choice([-1, 1], channels)


def write_textgrid(path: Path, words: Sequence[tuple[str, float, float]], end: float) -> None:
    """Tiers ``words`` and ``phones`` in the long format; gaps are empty intervals."""
    path.parent.mkdir(parents=True, exist_ok=True)
    intervals, last = [], 0.0
    for text, start, stop in words:
        if start > last:
            intervals.append(("", last, start))
        intervals.append((text, start, stop))
        last = stop
    if end > last:
        intervals.append(("", last, end))
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0 "]
    lines += [f"xmax = {end} ", "tiers? <exists> ", "size = 2 ", "item []: "]
    for number, tier in enumerate(("words", "phones"), 1):
        lines += [f"    item [{number}]:", '        class = "IntervalTier" ']
        lines += [f'        name = "{tier}" ', "        xmin = 0 ", f"        xmax = {end} "]
        lines += [f"        intervals: size = {len(intervals)} "]
        for k, (text, start, stop) in enumerate(intervals, 1):
            escaped = text.replace('"', '""')
            lines += [f"        intervals [{k}]:", f"            xmin = {start} "]
            lines += [f"            xmax = {stop} ", f'            text = "{escaped}" ']
    path.write_text("\n".join(lines) + "\n")


# ---- Alice ---------------------------------------------------------------------------------------

STORY = (
    (1, 1, 0.4, 4.0),
    (2, 1, 4.3, 8.0),
    (3, 1, 8.4, 9.9),
    (3, 2, 0.3, 3.0),
    (4, 2, 3.1, 6.0),
    (5, 3, 0.5, 4.0),
    (6, 3, 4.2, 8.5),
)
"""Sentence, segment, onset and end in the segment (s); sentence 3 spans two segments."""
LENGTHS = {1: 10.0, 2: 7.0, 3: 9.5}
STARTS = {1: 3.2, 2: 15.002, 3: 24.996}
"""Of the segments in the recordings (s)."""
ALICE_SECONDS, ALICE_RATE = 37.0, 500


def alice_words() -> pd.DataFrame:
    """Words of .4 s every half second; every other one is a content word; offsets come late."""
    rows = []
    for sentence, segment, onset, end in STORY:
        for k, start in enumerate(np.arange(onset, end - 0.4 + 1e-9, 0.5)):
            rows.append(
                {
                    "Word": f"word{k}",
                    "Trigger": 1,
                    "Segment": segment,
                    "onset": round(float(start), 3),
                    "offset": round(float(start) + 0.7, 3),
                    "Position": k + 1,
                    "Sentence": sentence,
                    "IsLexical": float(k % 2),
                }
            )
    table = pd.DataFrame(rows)
    table.insert(5, "Order", np.arange(1, len(table) + 1))
    return table


def write_alice(
    root: Path,
    subjects: Sequence[str] = ("S01", "S03"),
    textgrids: bool = True,
    low: Sequence[str] = ("S07",),
    noisy: Sequence[str] = ("S02",),
    brainvision: str | None = None,
) -> pd.DataFrame:
    """A deposit with its recordings (`write_alice_subject`).

    ``brainvision`` is the name of the sound's channel in the present deposit, which has no
    ``datasets.mat``; default the first deposit.
    """
    table = alice_words()
    root.mkdir(parents=True, exist_ok=True)
    table.to_csv(root / "AliceChapterOne-EEG.csv", index=False)
    for segment, seconds in LENGTHS.items():
        name = f"DownTheRabbitHoleFinal_SoundFile{segment}"
        write_sound(root / "audio" / f"{name}.wav", seconds, segment)
        rows = table[table["Segment"] == segment]
        words = [
            (w, t + 0.004, t + 0.404) for w, t in zip(rows["Word"], rows["onset"], strict=True)
        ]
        if textgrids:
            write_textgrid(root / "audio" / f"{name}.TextGrid", words, seconds)
    flags = {
        "use": [f"{s}.mat" for s in subjects],
        "lowperf": [f"{s}.mat" for s in low],
        "highnoise": [f"{s}.mat" for s in noisy],
    }
    cells = {key: np.array(value, dtype=object)[None] for key, value in flags.items()}
    if brainvision is None:
        scipy.io.savemat(root / "datasets.mat", cells)
    for k, subject in enumerate(subjects):
        write_alice_subject(root, subject, seed=k, brainvision=brainvision)
    return table


def write_alice_subject(
    root: Path,
    subject: str,
    seed: int = 0,
    shift: float = 0.0,
    lost: Sequence[int] = (),
    bad: Sequence[str] = (),
    impedance: Sequence[str] = (),
    change: Callable[[np.ndarray], None] | None = None,
    brainvision: str | None = None,
) -> None:
    """A recording and its epochs; segments ``lost`` have no marker, the others move up.

    ``S01.mat`` and ``proc/S01.mat``, or ``S01.vhdr`` and ``timelock-preprocessing/S01.mat``.
    ``shift`` (s) moves all segments in the recording.
    """
    starts = {k: t + shift for k, t in STARTS.items()}
    segments = {t: (k, LENGTHS[k]) for k, t in starts.items()}
    labels = [*M10, "VEOG", brainvision or "Aux5"]
    eeg = response(segments, ALICE_SECONDS, ALICE_RATE, gains(len(M10), seed), seed)
    others = np.random.default_rng(seed + 50).normal(size=(2, eeg.shape[1])) * 100
    values = np.concatenate([eeg, others])
    if change is not None:
        change(values)
    if brainvision is None:
        trial = np.empty((1, 1), dtype=object)
        trial[0, 0] = values
        label = np.array(labels, dtype=object)[:, None]
        raw = {"trial": trial, "label": label, "fsample": float(ALICE_RATE)}
        scipy.io.savemat(root / f"{subject}.mat", {"raw": raw})
    else:
        write_brainvision(root / f"{subject}.vhdr", values, labels, ALICE_RATE)
    rows = []
    found = [k for k in starts if k not in lost]
    for row in alice_words().itertuples():
        if row.Segment > len(found):
            continue
        passage = 1 + round(starts[found[row.Segment - 1]] * ALICE_RATE)
        zero = passage + np.ceil(row.onset * ALICE_RATE)
        rows.append([zero - 150, zero + 500, -150, row.Segment, row.onset, row.Order])
    names = np.array(["segment", "tmin", "Order"], dtype=object)[None]
    proc = {
        "trl": np.array(rows),
        "varnames": names,
        "rejections": {"badchans": np.array(list(bad), dtype=object)[None]},
        "impedence": {"bads": np.array(list(impedance), dtype=object)[None]},
    }
    folder = root / ("proc" if brainvision is None else "timelock-preprocessing")
    folder.mkdir(exist_ok=True)
    scipy.io.savemat(folder / f"{subject}.mat", {"proc": proc})


# ---- BrainVision and BIDS ------------------------------------------------------------------------


def write_brainvision(
    path: Path,
    microvolts: np.ndarray,
    channels: Sequence[str],
    rate: float,
    markers: Sequence[tuple[str, str, float]] = (),
) -> None:
    """The three files of a recording; markers are type, description and time (s)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stem = path.name.removesuffix(".vhdr")
    head = ["Brain Vision Data Exchange Header File Version 1.0", "", "[Common Infos]"]
    head += ["Codepage=UTF-8", f"DataFile={stem}.eeg", f"MarkerFile={stem}.vmrk"]
    head += ["DataFormat=BINARY", "DataOrientation=MULTIPLEXED"]
    head += [f"NumberOfChannels={len(channels)}", f"SamplingInterval={1e6 / rate}", ""]
    head += ["[Binary Infos]", "BinaryFormat=IEEE_FLOAT_32", "", "[Channel Infos]"]
    head += [f"Ch{k}={name},,1,µV" for k, name in enumerate(channels, 1)]
    path.write_text("\n".join(head) + "\n", encoding="utf-8")
    marks = ["Brain Vision Data Exchange Marker File, Version 1.0", "", "[Common Infos]"]
    marks += ["Codepage=UTF-8", f"DataFile={stem}.eeg", "", "[Marker Infos]"]
    marks += ["Mk1=New Segment,,1,1,0,00000000000000000000"]
    marks += [
        f"Mk{k}={kind},{text},{round(time * rate) + 1},1,0"
        for k, (kind, text, time) in enumerate(markers, 2)
    ]
    path.with_suffix(".vmrk").write_text("\n".join(marks) + "\n", encoding="utf-8")
    microvolts.T.astype("<f4").tofile(path.with_suffix(".eeg"))


PHRASES = ((0.5, 3.1), (3.6, 7.0), (7.5, 10.6))
"""Onsets and ends of phrases in the runs of ds004408 (s), with silences of half a second."""
RUN_SECONDS = 12.0


def write_ds004408(
    root: Path, subjects: Sequence[str] = ("sub-001", "sub-002"), runs: Sequence[int] = (1, 2)
) -> None:
    """Stereo sounds, TextGrids and recordings that begin with the sound and run on for 2 s."""
    for run in runs:
        write_sound(root / "stimuli" / f"audio{run:02d}.wav", RUN_SECONDS, run, channels=2)
        words = []
        for onset, end in PHRASES:
            edges = np.linspace(onset, end, 9)
            words += [
                ("the" if k % 2 else "fish", round(a, 4), round(b, 4))
                for k, (a, b) in enumerate(pairwise(edges))
            ]
        write_textgrid(root / "stimuli" / f"audio{run:02d}.TextGrid", words, RUN_SECONDS)
        for k, subject in enumerate(subjects):
            write_ds004408_run(root, subject, run, k)


def write_ds004408_run(root: Path, subject: str, run: int, seed: int = 0, bad: str = "") -> None:
    values = response({0.0: (run, RUN_SECONDS)}, RUN_SECONDS + 2, 512, gains(len(BIOSEMI), seed))
    values += 2e4 * np.random.default_rng(seed).normal(size=(len(BIOSEMI), 1))
    stem = f"{subject}_task-listening_run-{run:02d}"
    path = root / subject / "eeg" / f"{stem}_eeg.vhdr"
    write_brainvision(path, values, BIOSEMI, 512)
    rows = [f"{c}\tEEG\tV\t512.0\t{'bad' if c == bad else 'good'}" for c in BIOSEMI]
    table = "\n".join(["name\ttype\tunits\tsampling_frequency\tstatus", *rows]) + "\n"
    path.with_name(f"{stem}_channels.tsv").write_text(table)
