"""Not speed: how often encoding models find what is not there, and what is.

``python bench/encoding.py --runs 200`` simulates people who hear sentences. It counts p <= .05 of
``excess_r`` where layers know nothing of the response, and of ``r_beyond_acoustics`` where the
response follows acoustics alone; and how often what was planted is found.
"""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from unittest.mock import patch

import torch
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
from alignment.lags import delay
from datamodules.sentences import SentenceResponses, contiguous_folds
from datamodules.stimuli import Provenance, StimulusSet
from evaluation.features import Features
from evaluation.rows import SELECTED, Score
from evaluation.time import held_out
from evaluation.time.acoustics import Acoustics
from evaluation.time.encoding import FrameEncoding

SENTENCES, FRAMES, DIM, CHANNELS, RATE, LAG = 20, 60, 3, 3, 25, 3
MADE = Provenance(source="made here", licence="CC0-1.0", simulated=True)
SOUND = 24_000
LAYERS = ("layer.0", "layer.1")


def noise(draw: torch.Generator, columns: int, kind: str, frames: int = FRAMES) -> Tensor:
    """Series of every sentence, (sentences, frames, columns) of variance 1."""
    white = torch.randn(SENTENCES, 3 * frames, columns, generator=draw, dtype=torch.float64)
    spectrum = torch.fft.rfft(white, dim=1)
    hertz = torch.arange(spectrum.shape[1], dtype=torch.float64) * RATE / (3 * frames)
    gain = (-0.5 * (hertz / 2.5).square()).exp() if kind == "smooth" else hertz.clamp_min(0.1) ** -1
    series = torch.fft.irfft(spectrum * gain[:, None], n=3 * frames, dim=1)[:, frames : 2 * frames]
    return series / series.std()


def course(draw: torch.Generator, columns: int) -> Tensor:
    """What follows the onset of every sentence alike."""
    time = torch.arange(FRAMES, dtype=torch.float64)[:, None] / RATE
    return 3 * torch.randn(1, columns, generator=draw) * torch.exp(-time) * torch.cos(6 * time)


def answer(features: Tensor, draw: torch.Generator) -> Tensor:
    """Channels that follow features by 120 ms, of variance 1."""
    mixing = torch.randn(features.shape[2], CHANNELS, generator=draw, dtype=torch.float64)
    found = delay(features, [LAG]) @ mixing
    return found / found.std()


def sound(seed: int) -> tuple[Tensor, int]:
    """Noise whose loudness in two bands goes up and down."""
    draw = torch.Generator().manual_seed(seed)
    samples = FRAMES * SOUND // RATE
    spectrum = torch.fft.rfft(torch.randn(2, samples, generator=draw))
    low = torch.arange(spectrum.shape[1]) < spectrum.shape[1] // 8
    bands = torch.fft.irfft(torch.stack([spectrum[0] * low, spectrum[1] * ~low]), n=samples)
    level = torch.nn.functional.interpolate(
        torch.randn(1, 2, FRAMES // 4, generator=draw), size=samples, mode="linear"
    )
    return (0.05 * bands * (1.2 * level[0]).exp()).sum(0), SOUND


STIMULI = StimulusSet(
    "made",
    [f"s{i}" for i in range(SENTENCES)],
    [partial(sound, i) for i in range(SENTENCES)],
)


def people(values: Tensor) -> SentenceResponses:
    """Of (subjects, sentences, frames, channels)."""
    names = tuple(f"s{i}" for i in range(len(values)))
    channels = tuple(f"c{i}" for i in range(values.shape[3]))
    folds = contiguous_folds(SENTENCES, 5)
    return SentenceResponses(
        STIMULI, tuple(values.float().unbind(1)), RATE, 0.0, channels, names, folds, MADE
    )


@cache
def heard_acoustics() -> list[Tensor]:
    """The same in every run."""
    return COMPUTE(Acoustics(people(torch.zeros(1, SENTENCES, FRAMES, 1)), 2))


COMPUTE = Acoustics.frames


def evaluate(values: Tensor, layers: list[Tensor], metrics: tuple[str, ...]) -> list[Score]:
    lengths = torch.full((SENTENCES,), FRAMES)
    features = {
        name: Features(x.float(), lengths, RATE, 0.0)
        for name, x in zip(LAYERS, layers, strict=False)
    }
    benchmark = FrameEncoding(
        "eeg/made",
        people(values),
        metrics,
        lags=(0.0, 0.2),
        components=DIM,
        acoustic_components=2,
        log10_alphas=(-2, 2, 4),
        seconds=1.0,
        draws=99,
    )
    return benchmark.score(features)


# ---- cases ---------------------------------------------------------------------------------------


def unrelated(
    kind: str, subjects: int, seed: int, shared: float = 0.0, evoked: float = 0.0
) -> list[Score]:
    """Layers and responses that know nothing of each other.

    ``shared``: share of the response that all people have in common. ``evoked``: strength of what
    follows every onset in responses and layers.
    """
    draw = torch.Generator().manual_seed(seed)
    common = noise(draw, CHANNELS, kind) * shared**0.5
    own = [noise(draw, CHANNELS, kind) * (1 - shared) ** 0.5 for _ in range(subjects)]
    values = torch.stack([common + one for one in own]) + evoked * course(draw, CHANNELS)
    layers = [noise(draw, DIM, kind) + evoked * course(draw, DIM) for _ in LAYERS]
    return evaluate(values, layers, ("r",))


def planted(subjects: int, seed: int) -> list[Score]:
    """The response follows the second layer, and slow noise."""
    draw = torch.Generator().manual_seed(seed)
    layers = [noise(draw, DIM, "smooth") for _ in LAYERS]
    heard = answer(layers[1], draw) / 4
    own = [noise(draw, CHANNELS, "1/f") for _ in range(subjects)]
    return evaluate(torch.stack([heard + one for one in own]), layers, ("r",))


def acoustic(layer: str, subjects: int, seed: int) -> list[Score]:
    """The response follows acoustics, and with ``more`` something else that the layer has too."""
    draw = torch.Generator().manual_seed(seed)
    a = torch.stack(heard_acoustics())
    a = torch.nn.functional.pad(a / a.std((0, 1)), (0, 0, 0, FRAMES - a.shape[1]))
    other = noise(draw, 2, "smooth")
    mixing = torch.randn(a.shape[2], 2, generator=draw, dtype=torch.float64)
    copied = a @ mixing + 0.5 * noise(draw, 2, "smooth")
    x = {"unrelated": noise(draw, DIM, "smooth"), "noisy copy": copied}
    heard = answer(a, draw)
    if layer == "more":
        x["more"] = torch.cat([a @ mixing, other], 2)
        heard = heard + 0.3 * answer(other, draw)
    own = [noise(draw, CHANNELS, "1/f") for _ in range(subjects)]
    return evaluate(torch.stack([heard + o for o in own]), [x[layer]], ("r", "r_beyond_acoustics"))


def one(rows: list[Score], metric: str, layer: str = SELECTED) -> Score:
    return next(r for r in rows if (r.metric, r.layer, r.subject) == (metric, layer, ""))


def summary(case: Callable[[int], list[Score]], runs: int, metric: str) -> list[str]:
    """Shares of p <= .05 of a layer and of the headline, the mean, and how often it is covered."""
    layer, found, values, held, delays = 0, 0, [], 0, 0
    for seed in range(runs):
        rows = case(seed)
        first, head = one(rows, metric.removeprefix("excess_"), LAYERS[0]), one(rows, metric)
        layer += first.p is not None and first.p <= 0.05
        found += head.p is not None and head.p <= 0.05
        values.append(head.value)
        held += head.ci_low is not None and head.ci_high is not None and head.ci_low <= 0
        delays += abs(one(rows, "r_delay").value * RATE - LAG) < 1.5
    shares = [f"{count / runs:.3f}" for count in (layer, found)]
    return [*shares, f"{sum(values) / runs:+.4f}", f"{1 - held / runs:.3f}", f"{delays / runs:.2f}"]


CASES: dict[str, tuple[str, Callable[[int], list[Score]]]] = {
    f"{name}, {n} {'person' if n == 1 else 'people'}": (metric, partial(case, n))
    for n in (1, 3)
    for name, metric, case in (
        ("nothing, smooth", "excess_r", partial(unrelated, "smooth")),
        ("nothing, 1/f", "excess_r", partial(unrelated, "1/f")),
        ("nothing but onsets", "excess_r", partial(unrelated, "smooth", evoked=1.0)),
        ("nothing, people share it", "excess_r", partial(unrelated, "smooth", shared=0.7)),
        ("layer.1", "excess_r", planted),
        ("acoustics, layer unrelated", "r_beyond_acoustics", partial(acoustic, "unrelated")),
        ("acoustics, layer a noisy copy", "r_beyond_acoustics", partial(acoustic, "noisy copy")),
        ("acoustics and more", "r_beyond_acoustics", partial(acoustic, "more")),
    )
    if n > 1 or "share" not in name
}


def main() -> None:
    """Simulate and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    parser.add_argument("--narrow", action="store_true", help="draws as they are, not wider")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    table = Table(
        "the response follows",
        "p <= .05, layer.0",
        "selected",
        "mean",
        "interval above 0",
        "delay within 40 ms",
    )
    wider = 1.0 if options.narrow else held_out.WIDER
    with (
        patch.object(held_out, "WIDER", wider),
        patch.object(Acoustics, "frames", lambda _: heard_acoustics()),
    ):
        for name, (metric, case) in track(CASES.items(), transient=True):
            if options.only in name:
                table.add_row(name, *summary(case, options.runs, metric))
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
