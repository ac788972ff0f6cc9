"""Does the geometry of EEG over time follow the attended talker more than the other one?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from alignment.lags import delay
from datamodules.sentences import SentenceResponses
from datamodules.stimuli import StimulusSet
from datamodules.talkers import TwoTalkerRecording
from evaluation.features import Features, Pooling
from evaluation.rows import Score
from evaluation.time.decoding import TALKERS, band_passed
from evaluation.time.frame_alignment import FrameAlignment


class TalkerAlignment:
    """:class:`FrameAlignment` of EEG with the last quarter second of each talker's envelope.

    Rows of layer ``attended`` and ``unattended``; lags run from 0. The envelopes come with the
    recording, so that scores are the same for every encoder.

    Parameters
    ----------
    name : str
    recording : TwoTalkerRecording
    band : (float, float)
        Hz.
    rate : float
        Samples a second (Hz).
    history : float
        Seconds of envelope that one frame holds.
    **options
        Of :class:`FrameAlignment`.
    """

    stimuli = None
    pooling: Pooling = "frames"

    def __init__(
        self,
        name: str,
        recording: TwoTalkerRecording,
        band: Sequence[float] = (1.0, 9.0),
        rate: float = 32.0,
        history: float = 0.25,
        **options: Any,
    ) -> None:
        self.name, self.recording = name, recording

        def ready(x: Tensor) -> Tensor:
            return band_passed(x, recording.rate, band, rate)

        steps = range(round(history * rate) + 1)
        trials = recording.trials
        self.features = {
            talker: _frames(
                [delay(ready(getattr(t, talker)[:, None]), steps) for t in trials], rate
            )
            for talker in TALKERS
        }
        ids = [f"trial{k + 1}" for k in range(len(trials))]
        count = trials[0].eeg.shape[1]
        responses = SentenceResponses(
            StimulusSet(name, ids, [_no_sound] * len(ids)),
            tuple(ready(trial.eeg)[None].float() for trial in trials),
            rate,
            0.0,
            tuple(f"channel{k + 1:03d}" for k in range(count)),
            ("",),
            torch.arange(len(trials)),
            recording.provenance,
        )
        self.alignment = FrameAlignment(name, responses, **({"lags": (0.0, 0.4)} | options))

    def score(self, features: Mapping[str, Features]) -> list[Score]:
        return self.alignment.score(self.features)


def _frames(trials: Sequence[Tensor], rate: float) -> Features:
    lengths = torch.tensor([len(x) for x in trials])
    values = torch.nn.utils.rnn.pad_sequence([*trials], batch_first=True)
    return Features(values, lengths, rate, 0.0)


def _no_sound() -> tuple[Tensor, int]:
    raise ValueError("this data set holds envelopes and no sounds: it cannot be encoded")
