"""What the number of a score is: by which metric, how applied, and of which kind.

``kind``

========================  =======================================================================
``score``                 the value of a metric
``excess``                a value less the mean of its surrogates
``null``                  the mean of the surrogates; its interval holds 95 % of them
``ceiling``               a bound of what noise in the responses allows
``peak``                  relative depth of the layer at which a metric is highest
``depth``                 relative depth of the layer that explains a target best
``contribution``          what one layer adds to the others
``voxel``                 the value of one voxel
``contrast``              a value less that of a reference encoder
``fold``                  the value of one fold of a downstream task (``target`` names it)
========================  =======================================================================

``analysis``

========================  =======================================================================
empty                     all stimuli, or moments of a sentence, without delay
``delay``                 the response ``window`` seconds later
``window``                within 250 ms about ``window`` seconds from the onset of the sentence
``erp``                   within a named window of the sentence, such as N400
``map``                   one electrode (``target``)
``word``, ``content``,    the response after the onsets of words; ``window`` names a component
``function``
``prosody``               sentences of one prosody (``target``) above their surrogates
``sharing``               what prosody, brain and layer share
any other                 the probe that made the decisions of a downstream task
========================  =======================================================================
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from evaluation.metrics import METRICS

Kind = Literal[
    "score", "excess", "null", "ceiling", "peak", "depth", "contribution", "voxel", "contrast",
    "fold",
]  # fmt: skip

WORDS = ("content", "function", "word")
PREFIXES = {"delay": "lag_", "sharing": ""}
"""How the name of a metric says the analysis, where it is not the analysis itself."""
KIND_PREFIXES: dict[Kind, str] = {
    "null": "null_",
    "excess": "excess_",
    "ceiling": "ceiling_",
    "peak": "peak_depth_",
    "voxel": "voxel_",
}
OVER = "_over_"


@dataclass(frozen=True)
class Quantity:
    """What a number is.

    Attributes
    ----------
    of : str
        The metric that it was computed by.
    analysis, kind : str
        See the head of this file.
    reference : str
        Of a contrast, the encoder whose value was taken away.
    """

    of: str
    analysis: str = ""
    kind: Kind = "score"
    reference: str = ""

    @property
    def name(self) -> str:
        """The name under which people and loggers know it."""
        analysis = self.analysis and PREFIXES.get(self.analysis, f"{self.analysis}_")
        aside = self.of == "peak_depth_difference" or self.analysis == "prosody"
        kind = "" if aside else KIND_PREFIXES.get(self.kind, "")
        over = f"{OVER}{self.reference}" if self.reference else ""
        return f"{kind}{analysis}{self.of}{over}"

    def as_kind(self, kind: Kind) -> Quantity:
        """The same metric and analysis, another kind."""
        return replace(self, kind=kind)


OWN_KIND: dict[str, Kind] = {
    "best_depth": "depth",
    "depth_beyond_primary": "depth",
    "peak_depth_difference": "peak",
    "r2_added": "contribution",
    "r2_share": "contribution",
}
"""Metrics that are of one kind only."""
SHARING = ("tnc", "mediation_ratio")
ANALYSES = ("delay", "window", "erp", "map", "prosody", *WORDS)


@lru_cache(maxsize=4096)
def parse_name(metric: str, of_task: bool, has_target: bool) -> Quantity:
    """What a metric of a table of version 1 is, which had nothing but names.

    Parameters
    ----------
    metric : str
        As ``excess_lag_rsa_spearman``.
    of_task : bool
        Whether the benchmark is a downstream task.
    has_target : bool
    """
    if of_task:
        known = (name for name in METRICS if metric.endswith(f"_{name}"))
        of = max(known, key=len, default=metric)
        probe = "" if of == metric or metric in METRICS else metric.removesuffix(f"_{of}")
        found = Quantity(metric if not probe else of, probe)
        return found.as_kind("fold") if has_target else found
    if metric in OWN_KIND:
        return Quantity(metric, kind=OWN_KIND[metric])
    bare, _, reference = metric.partition(OVER)
    if reference:
        found = parse_name(bare, of_task, has_target)
        return replace(found, kind="contrast", reference=reference)
    for kind, prefix in KIND_PREFIXES.items():
        rest = _parse_analysis(metric.removeprefix(prefix))
        if metric.startswith(prefix) and rest is not None:
            return rest.as_kind(kind)
    found = _parse_analysis(metric) or Quantity(metric)
    return found.as_kind("excess") if found.analysis == "prosody" else found


def _parse_analysis(name: str) -> Quantity | None:
    """Analysis and metric of a name without kind; None where it ends in no known metric."""
    if name in SHARING:
        return Quantity(name, "sharing")
    if name in METRICS:
        return Quantity(name)
    for analysis in ANALYSES:
        prefix = PREFIXES.get(analysis, f"{analysis}_")
        of = name.removeprefix(prefix)
        if of == name or of not in METRICS:
            continue
        if analysis == "delay" or METRICS[of].family not in ("prediction", "accuracy", "other"):
            return Quantity(of, analysis)
    return None
