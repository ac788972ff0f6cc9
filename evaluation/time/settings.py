"""Settings of alignment in time: which analyses of which metrics, null hypothesis, pieces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, TypeVar

from alignment.series.metrics import BY_NAME, METRICS
from datamodules.sentences import SentenceResponses
from evaluation.similarities import short
from evaluation.time.pieces import Draws

ALL = tuple(METRICS)
Settings = TypeVar("Settings")
BOTH = ("rsa_spearman", "cka_debiased")
"""One metric of each family: rank geometry and dependence."""
DEBIASED = ("cka_debiased", "cka_rbf_debiased", "dcor_debiased")
PAPER = (
    "rsa_spearman", "rsa_pearson", "kendall", "cka", "cka_rbf", "dcor", "hsic_rbf", "rv",
)  # fmt: skip
"""The eight of arXiv 2601.16540 as far as its code tells; the last is ``cka`` a second time."""
GIVEN_SOUND = {name for name, metric in BY_NAME.items() if metric.acoustics}
IN_WINDOWS = tuple(dict.fromkeys([*BOTH, *PAPER, *DEBIASED]))
CONTRASTED = ("cka_debiased", "dcor_debiased", "rsa_spearman")
"""Of prosody: two debiased ones, and rank geometry."""
WORDS_FOR = {"all": ALL, "paper": PAPER}


def read_settings(
    kind: type[Settings], benchmark: str, name: str, given: Mapping[str, Any] | None
) -> Settings:
    """Settings from what a config says under ``name``.

    Raises
    ------
    ValueError
        If it is no mapping, or says what there is not.
    """
    known = [field.name for field in fields(kind)]  # type: ignore[arg-type]
    if given is not None and not isinstance(given, Mapping):
        raise ValueError(
            f"{benchmark}: {name} is {given!r}, expected any of {', '.join(known)}: "
            f"give {name}.{known[0]}=…"
        )
    unknown = [key for key in given or {} if key not in known]
    if unknown:
        raise ValueError(
            f"{benchmark}: {name} has no {unknown[0]}: expected any of {', '.join(known)}"
        )
    return kind(**(given or {}))


def _names(given: Sequence[str] | str) -> tuple[str, ...]:
    if isinstance(given, str):
        return WORDS_FOR.get(given, (given,))
    return tuple(given)


@dataclass(frozen=True)
class Analyses:
    """The metrics of every analysis.

    Attributes
    ----------
    plain : tuple of str
        Without delay.
    people : tuple of str
        Without delay, every layer above its surrogates in every person.
    lag, window, erp, map, word, prosody : tuples of str
        By delay, by time in the sentence, by named windows of it, by electrode, by words, by
        prosody.
    """

    plain: tuple[str, ...] = ()
    people: tuple[str, ...] = ()
    lag: tuple[str, ...] = ()
    window: tuple[str, ...] = ()
    erp: tuple[str, ...] = ()
    map: tuple[str, ...] = ()
    word: tuple[str, ...] = ()
    prosody: tuple[str, ...] = ()

    @classmethod
    def read(
        cls, benchmark: str, given: Sequence[str] | str | Mapping[str, Sequence[str]]
    ) -> Analyses:
        """From what a config says: a list is of metrics without delay, beside two with it.

        ``all`` stands for every metric, ``paper`` for those of :data:`PAPER`.
        """
        named = given if isinstance(given, Mapping) else {"plain": given, "lag": BOTH}
        lists = {key: _names(names) for key, names in named.items()}
        return read_settings(cls, benchmark, "metrics", lists)

    def every(self) -> list[str]:
        """Metrics of all analyses, each once."""
        return sorted({name for field in fields(self) for name in getattr(self, field.name)})

    def shortened(self) -> Analyses:
        """Functions of one's own by the names of their rows."""
        return Analyses(
            **{field.name: tuple(map(short, getattr(self, field.name))) for field in fields(self)}
        )

    def joined(self, other: Analyses) -> Analyses:
        """These and the metrics of another, each once."""
        return Analyses(
            **{
                field.name: tuple(
                    dict.fromkeys([*getattr(self, field.name), *getattr(other, field.name)])
                )
                for field in fields(self)
            }
        )

    def delayed(self) -> set[str]:
        """Metrics for which responses are needed at every delay."""
        return {*self.lag, *self.map, *self.prosody}

    def check(self, benchmark: str, responses: SentenceResponses, tests: Surrogates) -> None:
        """Refuse analyses that the data or the surrogates do not allow."""
        aside = (self.window, self.erp, self.map, self.word, self.prosody)
        if tests.circular and any(aside):
            raise ValueError(
                f"{benchmark}: windows, maps, words and prosody are tested by "
                "surrogates.kind=mismatch only"
            )
        if given := {*self.map, *self.word} & GIVEN_SOUND:
            raise ValueError(
                f"{benchmark}: {min(given)} is a metric of the frames of a sentence: expected in "
                "metrics.plain, lag, window, erp or prosody, not in map or word"
            )
        if self.word and responses.words is None:
            raise ValueError(
                f"{benchmark}: metrics.word is given, but the words of the sounds are not"
            )
        if self.map and responses.positions is None:
            raise ValueError(f"{benchmark}: metrics.map is given, but electrodes have no positions")


@dataclass(frozen=True)
class Surrogates:
    """The null hypothesis.

    Attributes
    ----------
    kind : {"mismatch", "circular"}
        Of layers and lags; all else takes ``mismatch``.
    draws : int
    min_shift : float
        Least shift of ``circular`` (s), of which a piece holds two.
    seed : int
    """

    kind: Literal["mismatch", "circular"] = "mismatch"
    draws: int = 500
    min_shift: float = 1.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.kind not in ("mismatch", "circular"):
            raise ValueError(f"surrogates.kind {self.kind!r}, expected mismatch or circular")

    @property
    def circular(self) -> bool:
        return self.kind == "circular"

    def draws_of(self, rate: float, length: int) -> Draws:
        """For pieces of ``length`` samples at ``rate`` Hz."""
        least = min(round(self.min_shift * rate), (length - 1) // 2)
        return Draws(self.draws, least, self.seed)


@dataclass(frozen=True)
class Pieces:
    """Lengths of pieces (s): of sentences, and of sentences whose words are compared."""

    seconds: float = 3.0
    word_seconds: float = 5.0
