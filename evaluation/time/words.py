"""Alignment by words: what a model holds of a word, and the response that follows its onset."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from alignment.series.metrics import Metric, product
from datamodules.sentences import Words
from evaluation.quantities import Quantity
from evaluation.rows import Score
from evaluation.time.pieces import FEWEST, Draws, Series
from evaluation.time.rows import TimeRows
from evaluation.time.statistics import AgainstSurrogates, Collector

COMPONENTS = {
    "N1": (0.08, 0.15),
    "P2": (0.15, 0.25),
    "N200": (0.2, 0.3),
    "P300": (0.25, 0.5),
    "N400": (0.3, 0.5),
    "P600": (0.5, 0.8),
}
"""Seconds after the onset of a word, named by what is seen there in averages over words."""
BASELINE = (-0.2, 0.0)
AFTER = COMPONENTS["P600"][1]
LEAST_WORDS = 5
LONGEST = 0.5
"""A word lasts until the next one, or as long as this (s)."""


def word_rows(
    rows: TimeRows,
    metrics: Mapping[str, Metric],
    series: Series,
    words: Sequence[Words],
    layers: Sequence[str],
    draws: Draws,
) -> Iterator[Score]:
    """Rows ``word_NAME`` of all words, ``content_NAME`` and ``function_NAME``.

    ``window`` names the component: the response is its mean over that time from the onset of the
    word, less the 200 ms before; the model's vector is the mean over the word. Words of a piece
    are compared with each other. A surrogate is the response to another sentence, cut at the
    onsets of this one, so that words that follow each other closely do so in both. p is corrected
    for the components.
    """
    rate = rows.responses.rate
    for kind in ("word", "content", "function"):
        onsets = [
            _onsets(words[i], kind, int(first) / rate, len(layers_of[0]) / rate)
            for i, first, layers_of in zip(
                series.sentence.tolist(), series.position, series.x, strict=True
            )
        ]
        kept = _keep_pieces(series, onsets)
        if not bool(kept.any()):
            continue
        part = series.keep(kept)
        times = [onset for onset, own in zip(onsets, kept.tolist(), strict=True) if own]
        own_rows = TimeRows(rows.name, rows.responses, part.sentence)
        for name, metric in metrics.items():
            found = by_words(metric, part, times, rate, draws)
            yield from own_rows.timed(Quantity(name, kind), layers, found, [*COMPONENTS])


def _onsets(words: Words, kind: str, first: float, length: float) -> Float[Tensor, "words 2"]:
    """Onsets and ends of the words of a piece (s from its beginning)."""
    end = torch.cat([words.onsets[1:], torch.full((1,), math.inf).to(words.onsets)])
    end = torch.minimum(end, words.onsets + LONGEST)
    wanted = (words.onsets >= first) & (words.onsets < first + length)
    if kind != "word":
        wanted &= words.content == (kind == "content")
    return torch.stack([words.onsets, end], 1)[wanted].double() - first


def _keep_pieces(series: Series, onsets: Sequence[Tensor]) -> Tensor:
    """Pieces with words enough, of positions with pieces enough."""
    enough = torch.tensor([len(onset) >= LEAST_WORDS for onset in onsets])
    for members in series.alike():
        if int(enough[members].sum()) < FEWEST:
            enough[members] = False
    return enough


def by_words(
    metric: Metric, series: Series, onsets: Sequence[Tensor], rate: float, draws: Draws
) -> AgainstSurrogates:
    """Statistics of every layer and component (the last axis of what is found).

    Parameters
    ----------
    onsets : sequence of tensors of shape (words, 2)
        Onsets and ends (s from the beginning of each piece).
    rate : float
        Hz.

    Raises
    ------
    ValueError
        If the response does not begin 200 ms before the sentences.
    """
    if series.zero + math.ceil(BASELINE[0] * rate) < 0:
        raise ValueError(
            f"responses begin {series.zero / rate:g} s before the onset, but words are measured "
            f"from a baseline of {-BASELINE[0]:g} s"
        )
    collect = Collector(series, draws, len(COMPONENTS), len(series.x[0]))
    frames = len(series.x[0][0])
    length = frames + round(AFTER * rate)
    for members in series.alike():
        # Running sums: the mean over any stretch is one difference.
        heard = torch.stack([series.y[i][:, : series.zero + length] for i in members.tolist()])
        sums = torch.nn.functional.pad(heard.cumsum(2), (0, 0, 1, 0))
        for i in members.tolist():
            start = (onsets[i][:, 0] * rate).round().long().clamp_max(frames - 1) + series.zero
            means = [_word_means(layer, onsets[i], rate) for layer in series.x[i]]
            x = [metric.signature(mean[None]) for mean in means]
            before = _stretch(sums, start, BASELINE, rate)
            for k, span in enumerate(COMPONENTS.values()):
                after = (_stretch(sums, start, span, rate) - before).flatten(0, 1)
                y = metric.signature(after)
                values = torch.cat([product(metric, one, y, len(start)) for one in x])
                collect.piece(i, members, values.unflatten(1, heard.shape[:2]).mT, k)
    return collect.result()


def _word_means(
    frames: Float[Tensor, "frames dim"], onsets: Float[Tensor, "words 2"], rate: float
) -> Float[Tensor, "words dim"]:
    """Mean over the frames of each word, the nearest one at least."""
    time = torch.arange(len(frames), dtype=torch.float64) / rate
    inside = (time >= onsets[:, :1]) & (time < onsets[:, 1:])
    nearest = (onsets[:, 0] * rate).round().long().clamp_max(len(frames) - 1)
    inside[torch.arange(len(onsets)), nearest] = True
    weight = inside.double()
    return weight / weight.sum(1, keepdim=True) @ frames


def _stretch(
    sums: Float[Tensor, "members subjects times dim"],
    start: Int[Tensor, " words"],
    span: tuple[float, float],
    rate: float,
) -> Float[Tensor, "members subjects words dim"]:
    """Mean response over a stretch of time from each onset, one sample at least."""
    low, high = math.ceil(span[0] * rate - 1e-6), math.floor(span[1] * rate + 1e-6)
    if high < low:
        low = high = round(sum(span) / 2 * rate)
    return (sums[:, :, start + high + 1] - sums[:, :, start + low]) / (high - low + 1)
