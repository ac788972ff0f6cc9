"""Words in time: TextGrids, content and function words, and sentences cut out of a recording."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from datamodules.sentences import Words
from datamodules.sound_files import read_audio, read_info
from datamodules.stimuli import StimulusSet, require_path

SILENCES = frozenset({"", "sil", "sp", "spn", "br", "ns", "<p>", "<unk>", "{sl}"})
"""Labels of intervals without a word, in the tiers of common forced aligners."""

_FUNCTION_WORDS = """
a an the this that these those each every either neither some any no such what which
whose i me my mine myself you your yours yourself yourselves he him his himself she her hers
herself it its itself we us our ours ourselves they them their theirs themselves one ones
who whom whoever whatever whichever somebody someone something anybody anyone anything nobody
nothing everybody everyone everything none both all half another other others
am is are was were be been being have has had having do does did doing will would shall should
can could may might must ought need dare cannot
isn't aren't wasn't weren't haven't hasn't hadn't don't doesn't didn't won't wouldn't shan't
shouldn't can't couldn't mayn't mightn't mustn't needn't
i'm i've i'd i'll you're you've you'd you'll he's he'd he'll she's she'd she'll it's it'd it'll
we're we've we'd we'll they're they've they'd they'll that's there's there'd what's who's let's
about above across after against along amid among around as at before behind below beneath
beside besides between beyond by despite down during except for from in inside into like near
of off on onto out outside over past per round since than through throughout till to toward
towards under underneath until unto up upon via with within without
and but or nor so yet if unless because although though while whereas whether when whenever
where wherever how why lest once not there
"""
FUNCTION_WORDS = frozenset(_FUNCTION_WORDS.split())
"""Closed-class words of English: determiners, pronouns, auxiliaries, prepositions, conjunctions."""


class Interval(NamedTuple):
    """A labelled stretch of a tier (s)."""

    start: float
    end: float
    text: str


class Word(NamedTuple):
    """A word in a sound file (s)."""

    text: str
    onset: float
    end: float
    content: bool


@dataclass(frozen=True)
class Sentence:
    """A part of a sound file that is one stimulus.

    Parameters
    ----------
    onset, duration : float
        Where the part begins in the file, and its length (s).
    words : Words, optional
        With onsets from the onset of the sentence.
    """

    name: str
    audio: Path
    onset: float
    duration: float
    words: Words | None = None


_ITEM = re.compile(r"^\s*item\s*\[\d+\]\s*:", re.M)
_NAME = re.compile(r'name\s*=\s*"([^"]*)"')
_INTERVAL = re.compile(r'xmin\s*=\s*(\S+)\s+xmax\s*=\s*(\S+)\s+text\s*=\s*"((?:[^"]|"")*)"')


def read_textgrid(path: Path) -> dict[str, list[Interval]]:
    """Interval tiers of a Praat TextGrid in the long text format, by name.

    Raises
    ------
    ValueError
        Where the file is not one.
    """
    content = path.read_bytes()
    utf16 = content[:2] in (b"\xff\xfe", b"\xfe\xff")
    text = content.decode("utf-16" if utf16 else "utf-8-sig", errors="replace")
    tiers = {}
    for item in _ITEM.split(text)[1:]:
        if name := _NAME.search(item):
            found = _INTERVAL.findall(item)
            tiers[name[1]] = [
                Interval(float(a), float(b), label.replace('""', '"').strip())
                for a, b, label in found
            ]
    if not tiers:
        raise ValueError(f"{path} is not a TextGrid in the long text format")
    return tiers


def read_words(path: Path, tiers: Sequence[str] = ("words", "word")) -> list[Word]:
    """Words of the first of ``tiers`` in a TextGrid; silences are left out."""
    content = read_textgrid(path)
    tier = next((content[name] for name in tiers if name in content), None)
    if tier is None:
        raise ValueError(f"{path} has no tier {tiers[0]}, only {', '.join(content)}")
    return [
        Word(text, start, end, is_content(text))
        for start, end, text in tier
        if text.lower() not in SILENCES
    ]


def is_content(word: str) -> bool:
    """Whether an English word is of an open class: noun, verb, adjective or adverb."""
    return word.lower().replace("’", "'").strip(".,;:!?\"'()-") not in FUNCTION_WORDS


def seconds(words: Sequence[Word]) -> float:
    """Time from the onset of the first word to the end of the last."""
    return words[-1].end - words[0].onset


def cut_phrases(
    words: Sequence[Word], silence: float = 0.3, shortest: float = 2.0, longest: float = 12.0
) -> list[list[Word]]:
    """Words in phrases: cut at silences, of bounded length.

    A phrase that is too long is cut at its longest silence, again and again; one that is too
    short is joined to the next where both together are not too long, and else left out.

    Parameters
    ----------
    silence : float
        Least silence between two phrases (s).
    shortest, longest : float
        Bounds of a phrase's length (s).
    """
    if not 0 <= shortest <= longest:
        raise ValueError(f"phrases of {shortest} to {longest} s: expected 0 <= shortest <= longest")
    parts: list[list[Word]] = []
    for word in words:
        if parts and word.onset - parts[-1][-1].end < silence:
            parts[-1].append(word)
        else:
            parts.append([word])
    joined: list[list[Word]] = []
    for part in chain.from_iterable(_within_bounds(whole, longest) for whole in parts):
        short = bool(joined) and min(seconds(joined[-1]), seconds(part)) < shortest
        if short and seconds([joined[-1][0], part[-1]]) <= longest:
            joined[-1].extend(part)
        else:
            joined.append(part)
    return [part for part in joined if shortest <= seconds(part) <= longest]


def _within_bounds(words: list[Word], longest: float) -> list[list[Word]]:
    if seconds(words) <= longest or len(words) == 1:
        return [words]
    middle = (words[0].onset + words[-1].end) / 2

    def silence_before(k: int) -> tuple[float, float]:
        return round(words[k].onset - words[k - 1].end, 3), -abs(words[k].onset - middle)

    k = max(range(1, len(words)), key=silence_before)
    return _within_bounds(words[:k], longest) + _within_bounds(words[k:], longest)


def sentence(name: str, audio: Path, words: Sequence[Word], end: float | None = None) -> Sentence:
    """The stretch of ``audio`` from the first word to ``end`` (s; default that of the last)."""
    onset = words[0].onset
    return Sentence(
        name,
        audio,
        onset,
        (words[-1].end if end is None else end) - onset,
        Words(
            torch.tensor([word.onset - onset for word in words], dtype=torch.float32),
            torch.tensor([word.content for word in words]),
            tuple(word.text for word in words),
        ),
    )


def read_part(path: Path, onset: float, duration: float) -> tuple[Tensor, int]:
    """A part of a sound file (s), cut to the sample: waveform of shape (samples,) and its rate."""
    rate = read_info(path).rate
    return read_audio(path, round(onset * rate), round(duration * rate))


def stimulus_set(name: str, sentences: Iterable[Sentence]) -> StimulusSet:
    """Sentences as named sounds that are read when they are needed.

    Raises
    ------
    FileNotFoundError, ValueError
        Where a sound file is missing or too short.
    """
    sentences = list(sentences)
    lengths = {
        path: read_info(require_path(path, f"it is a stimulus of {name}")).seconds
        for path in dict.fromkeys(part.audio for part in sentences)
    }
    for part in sentences:
        end, length = part.onset + part.duration, lengths[part.audio]
        if part.duration <= 0 or part.onset < 0 or end > length + 0.001:
            raise ValueError(
                f"stimulus {part.name} is at {part.onset:.3f} to {end:.3f} s of {part.audio.name}, "
                f"which is {length:.3f} s long"
            )
    sources = [partial(read_part, part.audio, part.onset, part.duration) for part in sentences]
    return StimulusSet(name, [part.name for part in sentences], sources)
