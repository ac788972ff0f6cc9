"""Metrics that compare features with responses: those known by name, and functions of one's own.

In a yaml, ``metrics: [r2, rsa, cka_debiased, alignment.mine.overlap]`` takes ``overlap`` of
``alignment/mine.py``; its rows have ``metric=overlap``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from importlib import import_module

import torch
from torch import Tensor

from alignment.neighbours import mutual_knn
from alignment.rsa import compare, rdm, zscore
from alignment.rsa_blocks import heldout_rdms
from alignment.series.metrics import BY_NAME, METRICS, Metric, Similarity, of_function, similarity
from evaluation.metrics import check_known, facts

IN_TIME = {"rsa_spearman", "rsa_partial", "rsa_partial_acoustic", "mutual_knn"}
"""They leave out or control for moments that are near in time, which stimuli are not."""


def rsa(x: Tensor, y: Tensor) -> Tensor:
    """Spearman correlation of the dissimilarities (1 - Pearson) of all pairs of rows.

    Parameters
    ----------
    x : tensor of shape (…, n, p)
    y : tensor of shape (…, n, q)

    Returns
    -------
    tensor of shape (…)
    """
    return compare(rdm(x), rdm(y), "spearman")


def _by_signatures(name: str, x: Tensor, y: Tensor) -> Tensor:
    """A metric of two series: x of shape (1, n, p) or (n, p), y of (…, n, q)."""
    one, several = x.reshape(1, *x.shape[-2:]), y.reshape(-1, *y.shape[-2:])
    return similarity(name, one, several)[0].reshape(y.shape[:-2])


OF_STIMULI: dict[str, Similarity] = {
    "rsa": rsa,
    **{name: partial(_by_signatures, name) for name in METRICS | BY_NAME if name not in IN_TIME},
    "mutual_knn": partial(mutual_knn, corrected=True),
}
"""Of features (n, p) with one or more sets of responses (…, n, q) to the same n stimuli."""


def of_stimuli(
    benchmark: str, names: Iterable[str], also: Iterable[str] = ()
) -> dict[str, Similarity]:
    """Similarities of features and responses to stimuli, by the names of their rows.

    Parameters
    ----------
    benchmark : str
        For messages.
    names : iterable of str
        Of :data:`OF_STIMULI`, or ``alignment.MODULE.FUNCTION``.
    also : iterable of str
        Names that the benchmark knows besides, which are left out.

    Raises
    ------
    ValueError
        For a name that is not known, or a function that is no metric.
    """
    known, own = [*also], own_functions(benchmark, names)
    check_known(benchmark, [name for name in names if "." not in name], [*known, *OF_STIMULI])
    chosen = {name: OF_STIMULI[name] for name in names if name in OF_STIMULI}
    return {**chosen, **own}


def of_series(benchmark: str, names: Iterable[str]) -> dict[str, Metric]:
    """Every metric of two series: those of alignment/series/metrics.py and of one's own.

    Those of ``BY_NAME`` may be asked for by their own names.

    Raises
    ------
    ValueError
        As :func:`of_stimuli`.
    """
    own = own_functions(benchmark, names)
    known = METRICS | BY_NAME
    check_known(benchmark, [name for name in names if "." not in name], known)
    return {**known, **{name: of_function(function) for name, function in own.items()}}


def own_functions(benchmark: str, names: Iterable[str]) -> dict[str, Similarity]:
    """The functions among ``names``, by their last part."""
    return {short(name): load_function(benchmark, name) for name in names if "." in name}


def short(name: str) -> str:
    """``alignment.mine.overlap`` -> ``overlap``; other names stay."""
    return name.rpartition(".")[2]


def load_function(benchmark: str, name: str) -> Similarity:
    """A function of ``alignment/`` that compares two sets of vectors, tried on small ones.

    Parameters
    ----------
    benchmark : str
        For messages.
    name : str
        ``alignment.MODULE.FUNCTION``: nothing else is ever imported.

    Raises
    ------
    ValueError
        That says what was got, what is expected and where it is described.
    """
    module, _, last = name.rpartition(".")
    expected = "expected alignment.MODULE.FUNCTION (docs/adding.md, A metric)"
    if not module.startswith("alignment.") or last.startswith("_"):
        raise ValueError(f"{benchmark}: metric {name!r}: {expected}")
    if last in {*OF_STIMULI, *METRICS, "r2"} - {*BY_NAME}:
        raise ValueError(
            f"{benchmark}: metric {name!r} would have the rows of {last!r}, which is known "
            "already: choose that, or give the function another name"
        )
    try:
        function = getattr(import_module(module), last)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{benchmark}: metric {name!r}: {error}: {expected}") from error
    x, y = (torch.randn(2, 12, size, generator=torch.Generator().manual_seed(size)).double()
            for size in (5, 3))  # fmt: skip
    shape = "(…, n, p) and (…, n, q) to statistics (…), with leading axes that broadcast"
    try:
        found = function(x[:1], y)
        alone = function(x[0], y[0])
    except Exception as error:
        raise ValueError(
            f"{benchmark}: metric {name!r} fails on (1, 12, 5) and (2, 12, 3): {error}: expected "
            f"a function from {shape}"
        ) from error
    shapes = [getattr(value, "shape", None) for value in (found, alone)]
    if shapes != [(2,), ()]:
        raise ValueError(
            f"{benchmark}: metric {name!r} gives shapes {shapes} for (1, 12, 5) and (2, 12, 3), "
            f"and for one of each: expected (2,) and (), a function from {shape}"
        )
    return function  # type: ignore[no-any-return]


def compare_selected(
    chosen: Mapping[str, Similarity],
    layers: Sequence[Tensor],
    responses: Tensor,
    folds: Tensor,
) -> dict[str, Tensor]:
    """Every similarity at the layer that other stimuli choose.

    ``rsa``: the layer of each block of pairs is chosen on pairs outside of both folds, and one
    correlation is taken over all pairs (alignment/rsa_blocks.py). Any other: the layer of each
    fold is chosen on the stimuli outside of it and scored on those inside; the mean over folds.

    Parameters
    ----------
    chosen : mapping from names to similarities
    layers : sequence of tensors of shape (n, p)
    responses : tensor of shape (sets, n, q)
    folds : tensor of shape (n,)

    Returns
    -------
    mapping from names to tensors of shape (sets,)
        Without those that are not defined for so few stimuli; empty for one layer or fewer than
        three folds.
    """
    names = folds.unique().tolist()
    if len(layers) < 2 or len(names) < 3:
        return {}
    found = {}
    for name, function in chosen.items():
        if name == "rsa":
            models, brains = torch.stack([rdm(zscore(x)) for x in layers]), rdm(zscore(responses))
            found[name] = compare(heldout_rdms(models, brains, folds), brains)
            continue
        sign, values = -1 if facts(name).lower_is_better else 1, []
        for fold in names:
            own = folds == fold
            outside = torch.stack(
                [compare_all({name: function}, x[~own], responses[:, ~own])[name] for x in layers]
            )
            inside = torch.stack(
                [compare_all({name: function}, x[own], responses[:, own])[name] for x in layers]
            )
            best = (sign * outside).nan_to_num(-torch.inf).argmax(0, keepdim=True)
            values.append(inside.gather(0, best)[0])
        value = torch.stack(values).mean(0)
        if bool(value.isfinite().all()):
            found[name] = value
    return found


def compare_all(
    chosen: Mapping[str, Similarity], x: Tensor, responses: Tensor
) -> dict[str, Tensor]:
    """Every similarity of features with sets of responses, both z-scored over stimuli.

    Parameters
    ----------
    chosen : mapping from names to similarities
    x : tensor of shape (n, p)
    responses : tensor of shape (…, n, q)

    Returns
    -------
    mapping from names to tensors of shape (…)
    """
    brains = zscore(responses)
    features = zscore(x).reshape(*(1,) * (brains.ndim - 2), *x.shape)
    return {name: function(features, brains) for name, function in chosen.items()}
