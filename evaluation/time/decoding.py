"""Which of two talkers was attended to, read from EEG: a control that needs no model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction

import torch
from jaxtyping import Float
from scipy.signal import butter, resample_poly, sosfiltfilt
from torch import Tensor

from alignment.inference import mean_interval
from alignment.lags import fit_trf
from alignment.nulls import NullTest, draw_shifts
from alignment.ridge import penalties
from alignment.rsa import pearson
from datamodules.talkers import TwoTalkerRecording
from evaluation.features import Features, Pooling
from evaluation.rows import Score

TALKERS = ("attended", "unattended")
COLUMNS = (*(("r", talker) for talker in TALKERS), ("r_difference", "-".join(TALKERS)))
"""Metric and target of each row."""


class AttentionDecoder:
    """Reconstruct the attended envelope from EEG; does it resemble that talker more?

    EEG and envelopes are band-passed without delay, resampled and z-scored in each trial. A ridge
    decoder reads the EEG that follows the envelope (O'Sullivan et al. 2015, Cereb Cortex 25:1697).
    Trials are left out one at a time, the penalty is chosen on the others.

    ``metric=r``, one row a talker (``target``, and ``layer`` too): correlation of the
    reconstruction with the talker's envelope, mean over trials. ``metric=r_difference``: attended
    less unattended. Intervals are Student's over trials, as if these were independent. p counts
    how often a value is as high when the envelopes of each trial are rolled in time, by a random
    shift of its own that keeps the autocorrelation. The decoder is fitted again to each rolled
    attended envelope: held-out trials train each other's decoders, so that their correlations
    agree by chance more than those of one reconstruction rolled afterwards would (measured on
    noise: 9 false positives of 100 at .05 instead of 5). The difference is so tested against a
    brain that follows nobody, not one that follows both alike.

    Scores are the same for every encoder: it brings the envelopes itself.

    Parameters
    ----------
    name : str
        ``eeg/…``.
    recording : TwoTalkerRecording
    band : (float, float)
        Hz.
    rate : float
        Samples a second (Hz) that are decoded.
    lags : (float, float)
        Seconds by which the EEG follows the envelope, both ends included.
    log10_alphas : (float, float, int)
        Smallest and largest penalty and their number; features have variance 1.
    shifts : int
    min_shift : float
        Least shift (s) to either side; more where five autocorrelation lengths are more.
    """

    stimuli = None
    pooling: Pooling = "frames"

    def __init__(
        self,
        name: str,
        recording: TwoTalkerRecording,
        band: Sequence[float] = (1.0, 9.0),
        rate: float = 64.0,
        lags: Sequence[float] = (0.0, 0.25),
        log10_alphas: Sequence[float] = (-2, 8, 11),
        shifts: int = 500,
        min_shift: float = 1.0,
        seed: int = 0,
    ) -> None:
        self.name, self.recording = name, recording
        self.band, self.rate = band, rate
        self.lags = range(round(lags[0] * rate), round(lags[1] * rate) + 1)
        self.alphas = penalties(log10_alphas)
        self.shifts, self.min_shift, self.seed = shifts, min_shift, seed

    def score(self, features: Mapping[str, Features]) -> list[Score]:
        found = torch.stack(self._correlations(), 1)
        test = NullTest.upper(found[0].mean(0), found[1:].mean(1))
        columns = zip(COLUMNS, found[0].T, test.p.tolist(), strict=True)
        return [self._row(metric, target, values, p) for (metric, target), values, p in columns]

    def _row(self, metric: str, target: str, values: Tensor, p: float) -> Score:
        low, high = mean_interval(values)
        return Score(
            self.name,
            metric,
            target,
            float(values.mean()),
            target=target,
            ci_low=low,
            ci_high=high,
            p=p,
            n=len(values),
            simulated=self.recording.provenance.simulated,
        )

    def _correlations(self) -> list[Float[Tensor, "draws columns"]]:
        """Of each trial, as it is and then with rolled envelopes."""
        generator = torch.Generator().manual_seed(self.seed)
        trials = self.recording.trials
        eeg = [self._prepare(trial.eeg) for trial in trials]
        attended, unattended = [], []
        for trial in trials:
            both = self._prepare(torch.stack([trial.attended, trial.unattended], 1))
            rolled = self._roll(both, generator)
            attended.append(rolled[0])
            unattended.append(rolled[1])
        decoder = fit_trf(eeg, attended, [-lag for lag in self.lags], self.alphas)
        found = []
        for r, guess, other in zip(decoder.r, decoder.prediction, unattended, strict=True):
            of_other = pearson(guess[:, :1].T, other.T)
            found.append(torch.stack([r, of_other, r - pearson(guess.T, other.T)], 1))
        return found

    def _roll(
        self, envelopes: Float[Tensor, "t talkers"], generator: torch.Generator
    ) -> Float[Tensor, "talkers t draws"]:
        """Envelopes as they are, then rolled alike by each of the random shifts."""
        length = max(autocorrelation_length(envelope) for envelope in envelopes.T)
        least = max(round(self.min_shift * self.rate), 5 * length)
        drawn = draw_shifts(len(envelopes), self.shifts, least, generator, replace=True)
        shifts = torch.cat([torch.zeros(1, dtype=torch.long), drawn])
        place = (torch.arange(len(envelopes))[:, None] - shifts) % len(envelopes)
        return envelopes.T[:, place]

    def _prepare(self, x: Float[Tensor, "t c"]) -> Float[Tensor, "u c"]:
        return band_passed(x, self.recording.rate, self.band, self.rate)


def band_passed(
    x: Float[Tensor, "t c"], given: float, band: Sequence[float], rate: float
) -> Float[Tensor, "u c"]:
    """Filtered (Butterworth of order 4, forth and back), resampled, z-scored."""
    sections = butter(4, band, "bandpass", fs=given, output="sos")
    ratio = Fraction(rate / given).limit_denominator(1000)
    filtered = sosfiltfilt(sections, x.numpy(), axis=0)
    slow = torch.from_numpy(resample_poly(filtered, ratio.numerator, ratio.denominator, axis=0))
    return (slow - slow.mean(0)) / slow.std(0).clamp_min(1e-12)


def autocorrelation_length(x: Float[Tensor, " t"]) -> int:
    """Samples after which the (circular) autocorrelation has fallen below 1/e."""
    power = torch.fft.rfft(x - x.mean()).abs().square()
    autocorrelation = torch.fft.irfft(power, len(x))
    return int((autocorrelation < autocorrelation[0] / math.e).int().argmax())
