"""Alignment of frames: a model's states over a sentence and the brain's, metric by metric."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import Literal

import torch

from alignment.inference import fdr_bh
from datamodules.sentences import SentenceResponses
from evaluation.features import Features
from evaluation.quantities import Quantity
from evaluation.rows import Score
from evaluation.similarities import of_series
from evaluation.time.acoustics import SoundLayer
from evaluation.time.contrasts import contrast_rows
from evaluation.time.depth import ceiling, depth_rows
from evaluation.time.pieces import Cutter, Series, Span, TooShort
from evaluation.time.prosody import Prosody, sharing_rows
from evaluation.time.rows import People, TimeRows, with_p
from evaluation.time.scalp import map_rows
from evaluation.time.settings import (
    ALL,
    BOTH,
    CONTRASTED,
    GIVEN_SOUND,
    IN_WINDOWS,
    Analyses,
    Pieces,
    Surrogates,
    read_settings,
)
from evaluation.time.statistics import AgainstSurrogates, Memory
from evaluation.time.surrogates import circular_surrogates, mismatch_surrogates
from evaluation.time.windows import by_subject, named_windows, sliding_windows, window_rows
from evaluation.time.words import AFTER, BASELINE, word_rows

log = logging.getLogger(__name__)


class FrameAlignment:
    """Similarity of a layer's frames and the responses within sentences, tested and in time.

    Frames are averaged to the rate of the response; features and every subject's channels are
    reduced to principal components that are fitted on the sentences of other folds.

    ``metric=NAME`` (alignment/series/metrics.py): frames at t with the response at t; mean over
    sentences, then over subjects. Rows of layer ``selected``: the layer that lies highest above
    its surrogates on the sentences of the other folds. p of layers is adjusted for layers and
    metrics (Benjamini-Hochberg), p of ``selected`` needs no adjustment.
    ``metric=excess_NAME``: that of ``selected`` less the mean of each piece's surrogates.
    ``metrics.people`` adds ``excess_NAME`` of every layer and person; p of a layer by signs of
    people turned and the largest layer, where there are six people or more.
    ``metric=lag_NAME``: the response ``window`` seconds later; ``selected`` chooses layer and lag.
    p is corrected for all lags by their maximum.
    ``metric=window_NAME``: within 250 ms about ``window`` seconds from the onset of the sentence,
    both sides moving together (sentence time, not latency). p is corrected for all windows.
    ``metric=erp_NAME``: within named windows (``window=N100`` … ``P600``) likewise
    (evaluation/time/windows.py).
    ``metric=map_NAME``: electrode by electrode (evaluation/time/scalp.py).
    ``metric=word_NAME``, ``content_NAME``, ``function_NAME``: by words (evaluation/time/words.py).
    ``metric=prosody_NAME``, ``tnc``, ``mediation_ratio``: evaluation/time/contrasts.py, prosody.py.
    ``metric=ceiling_NAME``, ``peak_depth_…``: evaluation/time/depth.py.

    The null hypothesis keeps what each series is by itself: ``mismatch`` cuts sentences into pieces
    of equal length and takes the response to another sentence; ``circular`` shifts a whole
    sentence's response in a circle, which finds too much where series have trends.
    ``metric=null_…``: mean of the surrogates, interval the range of 95 % of them; it is
    not 0, since neighbouring frames are alike in both series. Intervals: for other people and
    other sentences (crossed), or for other sentences where there is one subject.

    Parameters
    ----------
    name : str
    responses : SentenceResponses
    metrics : sequence of str, "all", or mapping from analyses to sequences of str
        Metrics without delay, or those of each analysis (:class:`Analyses`); :meth:`in_full` takes
        all of it. ``alignment.MODULE.FUNCTION`` is one of one's own.
    lags : (float, float)
        First and last lag (s), in steps of one sample.
    until : float
        Latest centre of a window (s).
    components : int
    pieces : mapping
        ``seconds``: length of a piece, shorter sentences are left out. ``word_seconds``: that of
        analyses by words, which need longer ones.
    surrogates : mapping
        Fields of :class:`Surrogates`.
    """

    pooling = "frames"
    in_time = True

    def __init__(
        self,
        name: str,
        responses: SentenceResponses,
        metrics: Sequence[str] | Literal["all"] | Mapping[str, Sequence[str]] = "all",
        lags: Sequence[float] = (-0.2, 0.8),
        until: float = 1.0,
        components: int = 20,
        pieces: Mapping[str, float] | None = None,
        surrogates: Mapping[str, object] | None = None,
    ) -> None:
        chosen = Analyses.read(name, metrics)
        self.known = of_series(name, chosen.every())
        self.analyses = chosen.shortened()
        self.tests = read_settings(Surrogates, name, "surrogates", surrogates)
        lengths = read_settings(Pieces, name, "pieces", pieces)
        chosen.check(name, responses, self.tests)
        self.name, self.responses, self.stimuli = name, responses, responses.stimuli
        rate = responses.rate
        self.lags = [*range(round(lags[0] * rate), round(lags[1] * rate) + 1)]
        if self.analyses.delayed() and self.lags[0] < responses.start * rate - 1e-6:
            raise ValueError(
                f"{name}: lags from {lags[0]} s, but responses begin {-responses.start:g} s before "
                "the onset"
            )
        after = max(0, self.lags[-1])
        self.until = until
        self.least = round(lengths.seconds * rate)
        self.draws = self.tests.draws_of(rate, self.least)
        self.cutter = Cutter(name, responses, components, self.least, after, self.tests.circular)
        by_word = round(lengths.word_seconds * rate), round(AFTER * rate)
        self.word_cutter = Cutter(name, responses, components, *by_word)
        self.prosody = Prosody(responses.stimuli)
        self.acoustics = SoundLayer(responses, components)
        self._memory: dict[str, Memory] = {name: {} for name in self.known}
        self._ceilings: dict[tuple[str, tuple[int, ...]], tuple[float, float] | None] = {}

    def in_full(self) -> FrameAlignment:
        """With every metric and analysis that the data allow; values of this one stay.

        Every metric without delay; in windows those of ``IN_WINDOWS``, of prosody those of
        ``CONTRASTED``; the two of ``BOTH`` at delays, on the scalp where electrodes have places,
        and by words where these are known.
        """
        other = copy(self)
        whole = Analyses((*ALL, *sorted(GIVEN_SOUND)), people=BOTH, lag=BOTH)
        if not self.tests.circular:
            known = self.responses.words is not None and self.responses.start <= BASELINE[0]
            whole = replace(
                whole,
                window=IN_WINDOWS,
                erp=IN_WINDOWS,
                prosody=CONTRASTED,
                map=() if self.responses.positions is None else BOTH,
                word=BOTH if known else (),
            )
        other.analyses = whole.joined(self.analyses)
        return other

    def score(self, features: Mapping[str, Features]) -> list[Score]:
        series = self.cutter.cut(features)
        if GIVEN_SOUND.intersection(self.analyses.every()):
            series = self.acoustics.beside(series)
        return [*self._rows(series, [*features]), *self._word_rows(features)]

    def _rows(self, series: Series, layers: Sequence[str]) -> Iterator[Score]:
        rows = TimeRows(self.name, self.responses, series.sentence)
        plain = {name: self._tested(series, name, [0]) for name in self.analyses.plain}
        yield from self._plain(rows, layers, plain, series)
        for name in self.analyses.people:
            own = plain[name] if name in plain else self._tested(series, name, [0])
            yield from rows.above(Quantity(name), layers, own)
        delayed = self.analyses.delayed()
        later = {
            name: self._tested(series, name, self.lags) for name in self.known if name in delayed
        }
        times = [f"{lag / self.responses.rate:.2f}" for lag in self.lags]
        peaks = {}
        for name in self.analyses.lag:
            found, people = later[name], self._people(name, series, series.spans(self.lags))
            what = Quantity(name, "delay")
            yield from rows.timed(what, layers, found, times, people)
            peaks[what] = (people or found.at)(found.highest())
        yield from depth_rows(rows, peaks, layers)
        yield from self._window_rows(series.keep(series.position == 0), layers)
        for name in self.analyses.map:
            metric = self.known[name]
            yield from map_rows(rows, name, metric, series, later[name], self.lags, self.draws)
        if self.analyses.prosody:
            chosen = {name: later[name] for name in self.analyses.prosody}
            yield from contrast_rows(rows, self.prosody, chosen)
            first = chosen[self.analyses.prosody[0]]
            yield from sharing_rows(
                rows, self.prosody, series, first, self.lags, layers, self.draws
            )

    def _plain(
        self,
        rows: TimeRows,
        layers: Sequence[str],
        tested: Mapping[str, AgainstSurrogates],
        series: Series,
    ) -> Iterator[Score]:
        """Every metric without delay, with ceilings, and the depths at which metrics peak."""
        if not tested:
            return
        made: list[Score] = []
        for name, found in tested.items():
            made += rows.layers(Quantity(name), layers, found, self._ceiling(name, series))
        p = torch.cat([found.p()[:, 0] for found in tested.values()])
        yield from with_p(made, layers, fdr_bh(p))
        yield from depth_rows(rows, {Quantity(name): t for name, t in tested.items()}, layers)

    def _ceiling(self, name: str, series: Series) -> tuple[float, float] | None:
        """Noise ceiling; cached, since it depends on the responses alone."""
        key = name, tuple(series.sentence.tolist())
        if key not in self._ceilings:
            self._ceilings[key] = ceiling(self.known[name], series)
        return self._ceilings[key]

    def _window_rows(self, series: Series, layers: Sequence[str]) -> Iterator[Score]:
        """Of the beginnings of sentences."""
        rate = self.responses.rate
        rows = TimeRows(self.name, self.responses, series.sentence)
        for analysis, names, stretches in (
            ("window", self.analyses.window, sliding_windows(rate, self.until, self.least)),
            ("erp", self.analyses.erp, named_windows(rate, self.least)),
        ):
            chosen = {name: self.known[name] for name in names}
            yield from window_rows(
                rows, analysis, chosen, series, stretches, layers, self.draws, self._memory
            )

    def _word_rows(self, features: Mapping[str, Features]) -> Iterator[Score]:
        if not self.analyses.word:
            return
        assert self.responses.words is not None
        try:
            series = self.word_cutter.cut(features)
        except TooShort as error:
            log.warning("%s: words are left out (pieces.word_seconds)", error)
            return
        rows = TimeRows(self.name, self.responses, series.sentence)
        words, layers = self.responses.words, [*features]
        chosen = {name: self.known[name] for name in self.analyses.word}
        yield from word_rows(rows, chosen, series, words, layers, self.draws)

    def _tested(self, series: Series, name: str, lags: Sequence[int]) -> AgainstSurrogates:
        if self.tests.circular:
            return circular_surrogates(self.known[name], series, self.draws, lags)
        alone, spans = len(lags) == 1, series.spans(lags)
        memory = self._memory[name]
        return mismatch_surrogates(self.known[name], series, self.draws, spans, alone, memory)

    def _people(self, name: str, series: Series, spans: Sequence[Span]) -> People | None:
        """Every subject at one lag or window, where all of them hold the mean over subjects."""
        if self.tests.circular or len(self.responses.subjects) == 1:
            return None
        return by_subject(self.known[name], series, self.draws, spans)
