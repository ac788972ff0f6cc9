"""Not speed: EEG in BIDS folders, made without our simulator, that follows one layer of an encoder.

``python bench/planted.py OUT --speech FOLDER encoder=checkpoint encoder.path=FILE.ckpt`` takes real
speech and writes recordings (FIF) of six people into ``OUT/eeg``, the sounds into ``OUT/audio`` and
the truth into ``OUT/truth.json``, then prints the command that evaluates them. The response is
layer ``planted`` of ``OUT/features.npz``, which no sound holds, 180 ms later, about one electrode;
the other layers are those of the encoder. To it come background with a falling spectrum, alpha,
blinks, mains, and a bad channel. So the layer, the delay and the electrode are to be found, and
neither other layers nor anything of prosody.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import mne
import numpy as np
import pandas as pd
import soundfile
from hydra import compose, initialize_config_dir
from numpy.typing import NDArray
from rich.console import Console
from scipy.signal import lfilter

sys.path.insert(0, str(Path(__file__).parents[1]))
from commands.building import build_encoder
from datamodules.sound_files import read_audio
from datamodules.stimuli import StimulusSet
from evaluation.features import extract
from models.encoder import Encoder

Array = NDArray[np.float64]
RATE, SECONDS = 250, 8.0
PLANTED = "planted"
DIMENSIONS, SPREAD = 10, 0.035
"""Of the planted response, and the standard deviation of its patches on the scalp (m)."""


@dataclass(frozen=True)
class Truth:
    """What is planted; the strength is that at the electrode, over the background."""

    layer: str
    electrode: str
    delay: float
    strength: float
    seed: int


def cut_sounds(speech: Path, folder: Path, count: int, seed: int) -> list[Path]:
    """The first seconds of some sound files, as wav."""
    files = sorted(p for p in speech.rglob("*") if p.suffix in (".opus", ".ogg", ".flac", ".wav"))
    if len(files) < count:
        sys.exit(f"{speech} has {len(files)} sound files, expected {count}: set --sentences lower")
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for k in sorted(np.random.default_rng(seed).choice(len(files), count, replace=False)):
        waveform, rate = read_audio(files[k])
        found.append(folder / f"{files[k].stem}.wav")
        soundfile.write(found[-1], waveform[: round(SECONDS * rate)].numpy(), rate)
    return found


def write_features(encoder: Encoder, sounds: Sequence[Path], path: Path, seed: int) -> list[Array]:
    """Layers of an encoder and one that no sound holds; what the latter drives the response with.

    The layer ``planted`` has the spectra of the encoder's middle layer and the correlations between
    its dimensions, but other phases in every sentence (alignment.nulls.phase_scramble has such a
    null). So it moves as layers move, and is related to no sound.

    Returns
    -------
    list of arrays of shape (times, DIMENSIONS)
        Principal components of ``planted`` by sentence, at RATE, of variance 1.
    """
    names = [f"{path.stem}@0.000" for path in sounds]
    features = extract(encoder, StimulusSet("planted", names, [*sounds]), ["frames"])["frames"]
    one = next(iter(features.values()))
    count = int(one.lengths.min())
    arrays = {name: layer.values[:, :count].numpy() for name, layer in features.items()}
    middle = arrays[[*arrays][len(arrays) // 2]].astype(float)
    arrays[PLANTED] = scramble(middle - middle.mean((0, 1)), seed).astype(np.float32)
    np.savez(path, stimuli=names, rate=one.rate, offset=one.offset, **arrays)
    rows = arrays[PLANTED].reshape(-1, middle.shape[2])
    rows = rows @ np.linalg.eigh(np.cov(rows.T))[1][:, -DIMENSIONS:]
    frames = (rows / rows.std(0)).reshape(len(sounds), count, DIMENSIONS)
    times = np.arange(round(SECONDS * RATE)) / RATE
    centres = np.arange(count) / one.rate + one.offset
    return [np.stack([np.interp(times, centres, column) for column in x.T], 1) for x in frames]


def scramble(series: Array, seed: int) -> Array:
    """Series (n, times, dim) with random phases, the same for all dimensions."""
    spectra = np.fft.rfft(series, axis=1)
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, (*spectra.shape[:2], 1))
    return np.fft.irfft(spectra * np.exp(1j * phases), series.shape[1], axis=1)


def patch(positions: Array, centre: int, seed: int) -> Array:
    """Topographies of the planted dimensions about one electrode: (channels, DIMENSIONS)."""
    rng = np.random.default_rng(seed)
    places = positions[centre] + 0.01 * rng.normal(size=(DIMENSIONS, 3))
    apart = np.linalg.norm(positions[:, None] - places, axis=2)
    return np.exp(-0.5 * (apart / SPREAD) ** 2) * rng.choice([-1, 1], DIMENSIONS)


def background(samples: int, positions: Array, rng: np.random.Generator) -> Array:
    """Microvolts that know nothing of the sounds: (channels, samples)."""
    channels = len(positions)
    slow = sum(
        lfilter([1], [1, -a], rng.normal(size=(channels, samples)), axis=1) * (1 - a) ** 0.5
        for a in (0.5, 0.9, 0.98, 0.995)
    )
    apart = np.linalg.norm(positions[:, None] - positions, axis=2)
    slow = np.exp(-0.5 * (apart / 0.04) ** 2) @ slow
    times = np.arange(samples) / RATE
    strength = 1 + lfilter([1], [1, -0.998], rng.normal(size=samples)) / 16
    alpha = strength * np.sin(2 * np.pi * 10.1 * times + rng.uniform(0, 6))
    back, front = (np.exp(8 * side * positions[:, 1] - 0.8) for side in (-1, 1))
    blinks = np.zeros(samples)
    blinks[rng.choice(samples, samples // (5 * RATE))] = 1
    blinks = np.convolve(blinks, np.hanning(RATE // 3), "same")
    mains = 3 * np.sin(2 * np.pi * 50 * times)
    slow = 8 * slow / slow.std()
    made = slow + 4 * back[:, None] * alpha + 60 * front[:, None] ** 2 * blinks / 4 + mains
    return made + rng.normal(size=made.shape)


def write_person(
    folder: Path, number: int, sounds: Sequence[Path], codes: Sequence[Array], truth: Truth
) -> None:
    """A recording with its events, in an order of the sentences of its own."""
    rng = np.random.default_rng((truth.seed, number))
    montage = mne.channels.make_standard_montage("biosemi32")
    info = mne.create_info(montage.ch_names, RATE, "eeg").set_montage(montage)
    positions = np.array([channel["loc"][:3] for channel in info["chs"]])
    order = rng.permutation(len(sounds))
    onsets = 3 + np.cumsum(SECONDS + rng.uniform(1.5, 2.5, len(sounds))) - SECONDS - 1.5
    onsets = np.round(onsets * RATE) / RATE
    samples = round((onsets[-1] + SECONDS + 5) * RATE)
    drive = np.zeros((samples, DIMENSIONS))
    for k, onset in zip(order, onsets, strict=True):
        first = round((onset + truth.delay) * RATE)
        drive[first : first + len(codes[k])] = codes[k]
    smooth = np.hanning(RATE // 8)
    drive = np.stack([np.convolve(column, smooth, "same") for column in drive.T])
    mixing = patch(positions, info.ch_names.index(truth.electrode), truth.seed)
    response = mixing * rng.uniform(0.7, 1.3, mixing.shape) @ drive
    values = background(samples, positions, rng)
    place = info.ch_names.index(truth.electrode)
    values += truth.strength * values[place].std() * response / response[place].std()
    values[(place + 1 + rng.integers(len(values) - 1)) % len(values)] *= 20  # a bad channel
    name = f"sub-{number:02d}"
    (folder / name / "eeg").mkdir(parents=True, exist_ok=True)
    stem = folder / name / "eeg" / f"{name}_task-listen"
    raw = mne.io.RawArray(1e-6 * values, info, verbose="ERROR")
    raw.save(f"{stem}_eeg.fif", overwrite=True, verbose="ERROR")
    heard = [sounds[k].name for k in order]
    table = pd.DataFrame({"onset": onsets, "duration": SECONDS, "stim_file": heard})
    table.to_csv(f"{stem}_events.tsv", sep="\t", index=False)


def main() -> None:
    """Write the data set and print how to evaluate it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("encoder", nargs="+", help="as for probe.py")
    parser.add_argument("--speech", type=Path, required=True, help="sound files of 8 s or more")
    parser.add_argument("--electrode", default="C3")
    parser.add_argument("--delay", type=float, default=0.18, help="s")
    parser.add_argument("--strength", type=float, default=0.5, help="over the background")
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--sentences", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with initialize_config_dir(str(Path(__file__).parents[1] / "conf"), version_base="1.3"):
        encoder = build_encoder(compose("probe", args.encoder).encoder)
    sounds = cut_sounds(args.speech, args.out / "audio", args.sentences, args.seed)
    features = args.out / "features.npz"
    codes = write_features(encoder, sounds, features, args.seed)
    truth = Truth(PLANTED, args.electrode, args.delay, args.strength, args.seed)
    for number in range(1, args.people + 1):
        write_person(args.out / "eeg", number, sounds, codes, truth)
    described = {"Name": "planted", "BIDSVersion": "1.8.0", "DatasetType": "raw"}
    (args.out / "eeg" / "dataset_description.json").write_text(json.dumps(described))
    (args.out / "truth.json").write_text(json.dumps(asdict(truth)))
    two = "[rsa_spearman, cka_debiased]"
    metrics = f"{{plain: {two}, lag: {two}, map: {two}, prosody: [cka_debiased]}}"
    settings = f"'benchmark.eeg.continuous.metrics={metrics}' "
    settings += "'benchmark.eeg.continuous_encoding.metrics=[r, map_r]'"
    for name in ("continuous", "continuous_encoding"):
        place = f"benchmark.eeg.{name}.responses"
        settings += f" {place}.recordings={args.out}/eeg {place}.audio={args.out}/audio"
        settings += f" {place}.line=50 {place}.preprocessing.reference=none"
    Console().print(
        f"planted {truth}; evaluate it with\n"
        f"python probe.py encoder=precomputed encoder.path={features} suite=none "
        f"'benchmark=[eeg/continuous,eeg/continuous_encoding]' {settings}",
        markup=False,
        soft_wrap=True,
    )


if __name__ == "__main__":
    main()
