"""What every metric is: the one table of their names, families, directions, units and ranges."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Family = Literal[
    "rank geometry", "geometry", "dependence", "neighbourhood", "prediction", "accuracy", "other"
]


@dataclass(frozen=True)
class MetricFacts:
    """What is known of a metric.

    Attributes
    ----------
    title : str
        Its plain name.
    family : str
        What kind of likeness it measures; ``other`` for descriptions that measure none.
    low, high : float, optional
        Range of its values; None where there is no bound.
    unit : str
        Empty for a number without one.
    lower_is_better : bool
    headline : bool
        Whether it may stand for a benchmark when encoders are compared.
    """

    title: str
    family: Family
    low: float | None = 0.0
    high: float | None = 1.0
    unit: str = ""
    lower_is_better: bool = False
    headline: bool = True


METRICS: dict[str, MetricFacts] = {
    # prediction
    "r2": MetricFacts("explained variance", "prediction"),
    "r2_corrected": MetricFacts("explained variance, corrected for noise", "prediction"),
    "r": MetricFacts("correlation of a prediction", "prediction", -1),
    "r_difference": MetricFacts("difference of two correlations", "prediction", -2, 2),
    "r_acoustics": MetricFacts(
        "correlation of a prediction by acoustics alone", "prediction", -1, headline=False
    ),
    "r_beyond_acoustics": MetricFacts(
        "correlation that a layer adds to acoustics", "prediction", -2, 2
    ),
    # rank geometry
    "rsa": MetricFacts("representational similarity, Spearman", "rank geometry", -1),
    "rsa_halves": MetricFacts(
        "representational similarity on held-out halves", "rank geometry", -1
    ),
    "rsa_spearman": MetricFacts("representational similarity, Spearman", "rank geometry", -1),
    "rsa_partial": MetricFacts("representational similarity given time", "rank geometry", -1),
    "rsa_partial_acoustic": MetricFacts(
        "representational similarity given time and sound", "rank geometry", -1
    ),
    "kendall": MetricFacts("representational similarity, Kendall", "rank geometry", -1),
    "pearson": MetricFacts("correlation of dissimilarities", "geometry", -1, headline=False),
    # geometry
    "rsa_pearson": MetricFacts("representational similarity, Pearson", "geometry", -1),
    "procrustes": MetricFacts("1 - angular Procrustes distance", "geometry"),
    # dependence
    "cka": MetricFacts("linear CKA", "dependence"),
    "cka_debiased": MetricFacts("linear CKA, debiased", "dependence", None),
    "cka_rbf": MetricFacts("Gaussian CKA", "dependence"),
    "cka_rbf_debiased": MetricFacts("Gaussian CKA, debiased", "dependence", None),
    "dcor": MetricFacts("distance correlation", "dependence"),
    "dcor_debiased": MetricFacts("distance correlation, debiased", "dependence", None),
    "rv": MetricFacts("RV coefficient, equal to linear CKA", "dependence"),
    "rv2": MetricFacts("RV2 coefficient", "dependence", -1),
    "hsic": MetricFacts("linear HSIC, unbiased", "dependence", None, None),
    "hsic_rbf": MetricFacts("Gaussian HSIC, unbiased", "dependence", None, None),
    "gaussian_mi": MetricFacts("Gaussian mutual information", "dependence", 0, None, "nats"),
    # neighbourhood
    "mutual_knn": MetricFacts("shared nearest neighbours above chance", "neighbourhood", None),
    "tnc": MetricFacts("neighbours shared by prosody, brain and layer", "neighbourhood", None),
    # downstream tasks
    "accuracy": MetricFacts("accuracy", "accuracy"),
    "pitch_accuracy": MetricFacts("pitch accuracy", "accuracy"),
    "chroma_accuracy": MetricFacts("pitch class accuracy", "accuracy"),
    "map": MetricFacts("mean average precision", "accuracy"),
    "auc": MetricFacts("area under the ROC curve", "accuracy"),
    "d_prime": MetricFacts("d'", "accuracy", None, None),
    "event_onset_200ms_f1": MetricFacts("F1 of onsets within 200 ms", "accuracy"),
    "event_onset_50ms_f1": MetricFacts("F1 of onsets within 50 ms", "accuracy"),
    "event_onset_offset_50ms_20pct_f1": MetricFacts("F1 of onsets and offsets", "accuracy"),
    "segment_1s_error_rate": MetricFacts(
        "error rate of 1 s segments", "accuracy", 0, None, lower_is_better=True
    ),
    # descriptions
    "best_depth": MetricFacts("relative depth of the best layer", "other", headline=False),
    "depth_beyond_primary": MetricFacts(
        "depth beyond the primary region", "other", -1, headline=False
    ),
    "depth": MetricFacts("relative depth of the best layer", "other", headline=False),
    "peak_depth_difference": MetricFacts(
        "difference of the depths of two metrics", "other", -1, headline=False
    ),
    "r2_added": MetricFacts(
        "variance that a layer adds to the others", "prediction", None, headline=False
    ),
    "r2_share": MetricFacts(
        "a layer's share of what all explain", "prediction", None, headline=False
    ),
    "r_delay": MetricFacts(
        "delay that predictions follow most",
        "other",
        None,
        None,
        "s",
        headline=False,
    ),
    "mediation_ratio": MetricFacts(
        "share of prosody and brain that a layer mediates", "other", None, headline=False
    ),
}
"""By the name that stands in ``of`` of a score. ``rsa`` compares stimuli, ``rsa_spearman``
moments of a sentence."""

UNKNOWN = MetricFacts("", "other", None, None)


def facts(name: str) -> MetricFacts:
    """What is known of a metric; of one that the table does not have, that higher is better."""
    return METRICS.get(name, UNKNOWN)


LOWER_IS_BETTER = frozenset(name for name, known in METRICS.items() if known.lower_is_better)
"""Metrics whose best layer and best step are the lowest; of every other metric, the highest."""


def check_known(benchmark: str, names: Iterable[str], known: Iterable[str]) -> None:
    """Refuse metrics that a benchmark does not have.

    Parameters
    ----------
    benchmark : str
    names, known : iterables of str

    Raises
    ------
    ValueError
        That names the first unknown metric and all that are known.
    """
    there = list(known)
    unknown = [name for name in names if name not in there]
    if unknown:
        raise ValueError(f"{benchmark}: no metric {unknown[0]!r}: choose from {', '.join(there)}")
