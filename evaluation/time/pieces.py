"""Sentences cut to pieces of equal length: reduced frames of every layer beside the responses."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from datamodules.sentences import SentenceResponses
from evaluation.features import Features
from evaluation.time.frames import frames_at, reduce_components, require_frames

log = logging.getLogger(__name__)

FEWEST = 4
"""Least number of pieces of one position, which take each other's responses."""


@dataclass(frozen=True)
class Draws:
    """How many surrogates, the least circular shift (frames), and the seed."""

    count: int
    least: int
    seed: int


Span = tuple[int, int, int]
"""First frame, first sample of the response, and number of both."""


@dataclass(frozen=True)
class Series:
    """Reduced frames and responses of sentences, or of pieces of them.

    Attributes
    ----------
    x : list of lists of tensors of shape (frames, dim)
        By piece and layer.
    y : list of tensors of shape (subjects, times, dim)
        By piece; time ``zero`` goes with the first frame.
    zero : int
    folds : tensor of shape (pieces,)
    sentence : tensor of shape (pieces,)
        Which stimulus it is cut from.
    position : tensor of shape (pieces,)
        Its first frame in the sentence.
    acoustics : list of tensors of shape (frames, dim)
        Of the sound, by piece (evaluation/time/acoustics.py); empty where no metric needs it.
    """

    x: list[list[Tensor]]
    y: list[Tensor]
    zero: int
    folds: Int[Tensor, " pieces"]
    sentence: Int[Tensor, " pieces"]
    position: Int[Tensor, " pieces"]
    acoustics: list[Tensor] = field(default_factory=list)

    def spans(self, lags: Sequence[int]) -> list[Span]:
        """All frames of the shortest piece, with the response each lag later."""
        shortest = min(len(layers[0]) for layers in self.x)
        return [(0, self.zero + lag, shortest) for lag in lags]

    def keep(self, wanted: Bool[Tensor, " pieces"]) -> Series:
        """Some of the pieces."""
        chosen = wanted.nonzero().flatten()
        return replace(
            self,
            x=[self.x[i] for i in chosen.tolist()],
            y=[self.y[i] for i in chosen.tolist()],
            folds=self.folds[chosen],
            sentence=self.sentence[chosen],
            position=self.position[chosen],
            acoustics=[self.acoustics[i] for i in chosen.tolist() if self.acoustics],
        )

    def alike(self) -> Iterator[Int[Tensor, " members"]]:
        """Pieces of the same position, which may take each other's responses."""
        for position in self.position.unique():
            yield (self.position == position).nonzero().flatten()

    def same(self) -> Float[Tensor, "pieces pieces"]:
        """1 where two pieces are of the same position."""
        return (self.position[:, None] == self.position).double()

    def partners(self, draws: Draws, turn: int = 1) -> Int[Tensor, "draws pieces"]:
        """Whose response each piece gets: of the same position (:func:`draw_partners`)."""
        return draw_partners(self.position, draws, turn)


def draw_partners(
    group: Int[Tensor, " pieces"], draws: Draws, turn: int = 1
) -> Int[Tensor, "draws pieces"]:
    """Whose response each piece gets: of the same group, and never its own where there are others.

    Every response is given once in a draw: to the ``turn``-th before it in a random order.
    """
    generator = torch.Generator().manual_seed(draws.seed)
    partner = torch.empty(draws.count, len(group), dtype=torch.long)
    for number in group.unique():
        members = (group == number).nonzero().flatten()
        order = torch.rand(draws.count, len(members), generator=generator).argsort(1)
        given = torch.empty_like(order).scatter_(1, order, order.roll(-turn, 1))
        partner[:, members] = members[given]
    return partner


def stretch(frames: Tensor, first: int, length: int) -> Tensor:
    """Some frames of a sound; the last one is repeated where it ends a little early."""
    place = torch.arange(first, first + length).clamp_max(len(frames) - 1)
    return frames[place]


class TooShort(ValueError):
    """Too few sentences are as long as a piece."""


class Cutter:
    """Brings features and responses to the same times and components, and cuts them.

    Frames are averaged to the rate of the response. Features and every subject's channels are
    reduced to principal components that are fitted on the sentences of other folds; those of the
    responses are found once.

    Parameters
    ----------
    name : str
        Of the benchmark, for messages.
    components : int
    length : int
        Frames of a piece; shorter sentences are left out.
    after : int
        Samples of the response that must follow a piece.
    whole : bool
        Keep sentences whole that are long enough.
    """

    def __init__(
        self,
        name: str,
        responses: SentenceResponses,
        components: int,
        length: int,
        after: int,
        whole: bool = False,
    ) -> None:
        self.name, self.responses, self.components = name, responses, components
        self.length, self.whole = length, whole
        self.zero = round(-responses.start * responses.rate)
        self.heard = slice(self.zero, -after if after else None)
        self._brains: list[Tensor] | None = None

    def brains(self) -> list[Tensor]:
        """Components of every subject's channels: (subjects, times, components) by sentence."""
        known = self.responses
        if self._brains is None:
            people = [
                reduce_components(
                    [v[s].double() for v in known.values],
                    known.folds,
                    self.components,
                    [v[s, self.heard].double() for v in known.values],
                )
                for s in range(len(known.subjects))
            ]
            self._brains = [torch.stack(parts) for parts in zip(*people, strict=True)]
        return self._brains

    def cut(self, features: Mapping[str, Features]) -> Series:
        """
        Raises
        ------
        ValueError
            For layers without frames.
        TooShort
            For fewer than four sentences that are long enough.
        """
        rate, folds = self.responses.rate, self.responses.folds
        require_frames(features)
        frames = [
            reduce_components(frames_at(feature, rate), folds, self.components)
            for feature in features.values()
        ]
        spans = [
            (i, first, count)
            for i in range(len(self.responses.values))
            for first, count in self._spans(i, min(len(layer[i]) for layer in frames))
        ]
        position = torch.tensor([first for _, first, _ in spans], dtype=torch.long)
        kept = [k for k in range(len(spans)) if (position == position[k]).sum() >= FEWEST]
        chosen = [spans[k] for k in kept]
        self._report([i for i, _, _ in chosen])
        sentence = torch.tensor([i for i, _, _ in chosen])
        brains = self.brains()
        return Series(
            [[layer[i][first : first + n] for layer in frames] for i, first, n in chosen],
            [brains[i][:, first:] for i, first, _ in chosen],
            self.zero,
            folds[sentence],
            sentence,
            position[torch.tensor(kept)],
        )

    def _spans(self, sentence: int, frames: int) -> list[tuple[int, int]]:
        """First frame and number of frames of the pieces of a sentence."""
        room = min(self.responses.values[sentence][0, self.heard].shape[0], frames)
        if self.whole:
            return [(0, room)] if room >= self.length else []
        return [(k * self.length, self.length) for k in range(room // self.length)]

    def _report(self, sentences: list[int]) -> None:
        seconds = self.length / self.responses.rate
        if len(sentences) < FEWEST:
            raise TooShort(
                f"{self.name}: {len(sentences)} sentences of {seconds:.2f} s or more, "
                f"expected at least {FEWEST}: set pieces.seconds lower"
            )
        heard, every = len(set(sentences)), len(self.responses.stimuli)
        if heard < every:
            log.warning(
                "%s: %d of %d sentences are shorter than %.2f s and left out",
                self.name, every - heard, every, seconds,
            )  # fmt: skip
