"""Not speed: does Fisher's z before means of correlations change what is found?

``python bench/fisher_z.py`` takes correlations of dissimilarities piece by piece, in simulated EEG
and in ECoG of natural sounds, and compares means of r with ``tanh`` of means of ``atanh r``: the
value of each layer, how far it lies above its surrogates, and p.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

sys.path.insert(0, str(Path(__file__).parents[1]))
from alignment.nulls import share_of_draws
from alignment.series.metrics import METRICS, product
from datamodules.brain.norman_haignere2022 import components
from datamodules.sentences import SentenceResponses, as_sentences
from datamodules.simulated.eeg import simulated_eeg
from evaluation.features import extract
from evaluation.time.frame_alignment import FrameAlignment
from evaluation.time.pieces import Draws, Series
from evaluation.time.statistics import stack_responses
from models.external.baselines.logmel import LogMelFrames

NAMES = ("rsa_spearman", "rsa_pearson", "rsa_partial")
LAGS = (0.0, 0.08, 0.16)


def correlations(name: str, series: Series, lag: int) -> Tensor:
    """Of every piece's frames with every response: (subjects, pieces, pieces)."""
    ((_, start, length),) = series.spans([lag])
    metric = METRICS[name]
    x = metric.signature(torch.stack([layers[0][:length] for layers in series.x]))
    each = stack_responses(series, start, length)
    return torch.stack([product(metric, x, metric.signature(y), length) for y in each])


def summary(r: Tensor, series: Series, z: bool) -> tuple[float, float, float]:
    """Value, how far above the surrogates, and p."""
    people = r.atanh() if z else r
    back = torch.tanh if z else torch.clone
    partner = series.partners(Draws(999, 1, 0))
    row = torch.arange(r.shape[1])
    own = back(people.diagonal(dim1=1, dim2=2).mean(1)).mean()
    null = torch.stack([back(people[:, row, one].mean(1)).mean() for one in partner])
    p = float(share_of_draws((null >= own - 1e-10)[:, None])[0])
    return float(own), float(own - null.mean()), p


def sets() -> dict[str, tuple[SentenceResponses, float]]:
    """Responses and the length of their pieces (s)."""
    data = Path(os.environ.get("ENTRAIN_DATA", "data")) / "brain"
    timed = components(data / "song_ecog2022", data / "natsound165")
    return {
        "simulated EEG": (simulated_eeg(24, 3), 3.0),
        "simulated EEG, loud": (simulated_eeg(24, 3, snr=5.0), 3.0),
        "ECoG of natural sounds": (as_sentences(timed), 1.9),
    }


def main() -> None:
    """Print a table."""
    table = Table("data", "metric", "delay (s)", "r: value, above, p", "by z: value, above, p")
    for label, (responses, seconds) in sets().items():
        features = extract(LogMelFrames(), responses.stimuli, ["frames"])["frames"]
        known = FrameAlignment("x", responses, pieces={"seconds": seconds}, lags=(0, 0.2))
        series = known.cutter.cut(features)
        for name in NAMES:
            for lag in LAGS:
                r = correlations(name, series, round(lag * responses.rate))
                cells = [
                    "{:.4f} {:.4f} {:.3f}".format(*summary(r, series, z)) for z in (False, True)
                ]
                table.add_row(label, name, f"{lag:.2f}", *cells)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
