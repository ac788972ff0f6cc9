"""Where along time, lags or channels an effect lies, with the family-wise error controlled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy import sparse
from scipy.stats import t as student
from torch import Tensor

from alignment.nulls import NullTest, share_of_draws

_CELLS = 10_000_000  # comparisons held at once, about 100 MB


@dataclass(frozen=True)
class ClusterTest:
    """Clusters of points that exceed a threshold together, and how rare such masses are.

    Attributes
    ----------
    t : tensor of shape (points…)
        One-sample t of each point.
    labels : tensor of shape (points…)
        Number of the cluster of each point, largest mass first; 0 outside of clusters.
    mass : tensor of shape (clusters,)
        Sum of t over each cluster; cluster k + 1 of ``labels`` is entry k.
    p : tensor of shape (clusters,)
        Family-wise p-value of each cluster.
    p_map : tensor of shape (points…)
        p of the cluster that a point belongs to; 1 outside of clusters. It speaks of clusters:
        it does not say that the effect holds at each of their points.
    null : tensor of shape (draws,)
        Largest absolute mass of each sign pattern, 0 where there was no cluster.
    """

    t: Float[Tensor, "..."]
    labels: Int[Tensor, "..."]
    mass: Float[Tensor, " clusters"]
    p: Float[Tensor, " clusters"]
    p_map: Float[Tensor, "..."]
    null: Float[Tensor, " draws"]


def cluster_test(
    x: Float[Tensor, "subjects ..."],
    adjacency: Tensor | sparse.sparray | sparse.spmatrix | None = None,
    threshold: float | None = None,
    n: int = 1000,
    tail: Literal[-1, 0, 1] = 0,
    seed: int = 0,
    forming_p: float = 0.05,
) -> ClusterTest:
    """Cluster-mass permutation test of a mean other than 0 (Maris & Oostenveld 2007).

    Neighbouring points whose t exceeds the threshold on the same side form a cluster, of mass
    ``sum t``. The masses are compared with the largest absolute mass over all clusters when the
    signs of whole subjects are turned: ``p = (1 + draws as large) / (1 + draws)``. All sign
    patterns are taken where they are no more than ``n``, random ones otherwise.

    Parameters
    ----------
    x : tensor of shape (subjects, points…)
        Effects of each subject, such as (subjects, times) or (subjects, times, channels).
    adjacency : matrix of shape (c, c), optional
        Which of the c entries of the last axis are neighbours, such as channels (dense, or as
        ``mne.channels.find_ch_adjacency`` gives it). Steps along every other axis, and without
        it along all axes, join neighbours in order.
    threshold : float, optional
        Least absolute t of a point in a cluster; by default that of ``forming_p``, halved for
        two sides.
    n : int
        Most sign patterns beside the observed one.
    tail : int
        1 or -1 for clusters of one sign only; 0 for both.

    Raises
    ------
    ValueError
        For fewer than two subjects, values that are not finite, or an adjacency of another size.
    """
    values = x.flatten(1).double().cpu()
    subjects, shape = len(x), x.shape[1:]
    if subjects < 2 or not values.isfinite().all():
        raise ValueError(f"{subjects} subjects: expected two or more, with finite values only")
    if threshold is None:
        threshold = float(student.ppf(1 - forming_p / (2 - abs(tail)), subjects - 1))
    edges = _edges(tuple(shape), adjacency)
    t = _t(torch.ones(1, subjects, dtype=torch.float64), values)
    cluster, _, mass = _clusters(t, edges, threshold, tail)
    order = mass.abs().argsort(descending=True)
    mass = mass[order]

    patterns = _sign_patterns(subjects, n, tail, seed)
    chunk = max(1, _CELLS // max(edges.shape[1], values.shape[1]))
    null = torch.cat(
        [_largest(_t(part, values), edges, threshold, tail) for part in patterns.split(chunk)]
    )
    # A mass that is equal but for rounding counts as equal.
    p = NullTest.upper(mass.abs() * (1 - 1e-9), null[:, None]).p
    # Entry 0 stands for the points outside of clusters, which ``cluster`` marks by -1.
    number = torch.cat([torch.zeros(1, dtype=torch.long), 1 + order.argsort()])
    labels = number[cluster[0] + 1]
    p_map = torch.cat([torch.ones(1, dtype=torch.float64), p])[labels]
    return ClusterTest(t.view(shape), labels.view(shape), mass, p, p_map.view(shape), null)


def max_test(
    x: Float[Tensor, "subjects points"],
    n: int = 10_000,
    tail: Literal[-1, 0, 1] = 1,
    seed: int = 0,
) -> NullTest:
    """Is a mean over subjects other than 0 at each point, the family-wise error controlled?

    t of every point is compared with the largest t over all points when the signs of whole
    subjects are turned: ``p = (1 + draws as large) / (1 + draws)`` (Nichols & Holmes 2002, HBM
    15:1, single threshold). What points share, such as layers that say the same, is kept. All
    sign patterns are taken where they are no more than ``n``, random ones otherwise.

    Parameters
    ----------
    x : tensor of shape (subjects, points)
        Effects of each subject, symmetric about 0 where there is none.
    tail : int
        1 for means above 0, -1 for those below, 0 for both.

    Returns
    -------
    NullTest
        ``observed`` t of each point, ``null`` the largest of each sign pattern, of shape
        (draws, 1).

    Raises
    ------
    ValueError
        For fewer than two subjects, or values that are not finite.
    """
    values = x.double().cpu()
    if len(x) < 2 or not values.isfinite().all():
        raise ValueError(f"{len(x)} subjects: expected two or more, with finite values only")

    def sided(t: Tensor) -> Tensor:
        return t.abs() if tail == 0 else tail * t

    observed = _t(torch.ones(1, len(x), dtype=torch.float64), values)[0]
    patterns = _sign_patterns(len(x), n, tail, seed)
    chunk = max(1, _CELLS // values.shape[1])
    null = torch.cat([sided(_t(part, values)).amax(1) for part in patterns.split(chunk)])[:, None]
    # A t that is equal but for rounding counts as equal.
    slack = 1e-9 * observed.abs()
    return NullTest(observed, null, share_of_draws(null >= sided(observed) - slack))


def _sign_patterns(subjects: int, n: int, tail: int, seed: int) -> Float[Tensor, "draws subjects"]:
    # Two-sided, turning all signs changes nothing: the last subject's may stay.
    free = subjects - (tail == 0)
    if 2**free - 1 <= n:
        # The unchanged pattern is the observed one, which the p-value counts by itself.
        flips = (torch.arange(1, 2**free)[:, None] >> torch.arange(subjects)) & 1
    else:
        generator = torch.Generator().manual_seed(seed)
        flips = torch.randint(2, (n, subjects), generator=generator)
    return (1 - 2 * flips).double()


def _t(
    signs: Float[Tensor, "draws subjects"], values: Float[Tensor, "subjects points"]
) -> Float[Tensor, "draws points"]:
    """One-sample t of signed values; 0 where all values are 0."""
    n = len(values)
    mean = signs @ values / n
    power = values.square().mean(0)  # signs do not change it
    variance = torch.maximum(power - mean.square(), 1e-12 * power) * n / (n - 1)
    return mean * math.sqrt(n) / variance.sqrt().clamp_min(1e-150)


def _edges(
    shape: tuple[int, ...], adjacency: Tensor | sparse.sparray | sparse.spmatrix | None
) -> Int[Tensor, "2 edges"]:
    """Pairs of neighbours among the points of an array, numbered row by row."""
    numbers = torch.arange(math.prod(shape)).view(shape)
    lattice = len(shape)
    pairs = []
    if adjacency is not None:
        if isinstance(adjacency, Tensor):
            adjacency = adjacency.cpu().numpy()
        matrix = sparse.coo_array(adjacency)
        if matrix.shape != (shape[-1], shape[-1]):
            raise ValueError(
                f"adjacency of shape {tuple(matrix.shape)}: expected the size of the last axis, "
                f"({shape[-1]}, {shape[-1]})"
            )
        joined = matrix.data != 0
        row, column = (
            torch.from_numpy(np.asarray(ends[joined], dtype=np.int64)) for ends in matrix.coords
        )
        pairs.append(torch.stack([numbers[..., row].flatten(), numbers[..., column].flatten()]))
        lattice -= 1
    for axis in range(lattice):
        steps = shape[axis] - 1
        ends = [numbers.narrow(axis, start, steps).flatten() for start in (0, 1)]
        pairs.append(torch.stack(ends))
    return torch.cat(pairs, 1)


def _clusters(
    t: Float[Tensor, "draws points"], edges: Int[Tensor, "2 edges"], threshold: float, tail: int
) -> tuple[Int[Tensor, "draws points"], Int[Tensor, " clusters"], Float[Tensor, " clusters"]]:
    """The cluster of each point (-1: none), and of each cluster its draw and its mass.

    Draws are parts of one graph without edges between them, so that a single search does.
    """
    above, below = (t > threshold) & (tail >= 0), (t < -threshold) & (tail <= 0)
    side = above.to(torch.int8) - below.to(torch.int8)
    active = side != 0
    node = torch.full(t.shape, -1)
    node[active] = torch.arange(int(active.sum()))
    one, other = edges
    draw, edge = ((side[:, one] == side[:, other]) & active[:, one]).nonzero(as_tuple=True)
    ends = node[draw, one[edge]].numpy(), node[draw, other[edge]].numpy()
    nodes = int(active.sum())
    graph = sparse.coo_array((np.ones(len(draw), dtype=np.int8), ends), shape=(nodes, nodes))
    count, component = sparse.csgraph.connected_components(graph, directed=False)
    number = torch.from_numpy(component.astype(np.int64))
    cluster = torch.full(t.shape, -1)
    cluster[active] = number
    owner = torch.zeros(count, dtype=torch.long)
    owner[number] = active.nonzero()[:, 0]
    mass = torch.zeros(count, dtype=torch.float64).index_add_(0, number, t[active])
    return cluster, owner, mass


def _largest(
    t: Float[Tensor, "draws points"], edges: Int[Tensor, "2 edges"], threshold: float, tail: int
) -> Float[Tensor, " draws"]:
    """Largest absolute cluster mass of each draw."""
    _, owner, mass = _clusters(t, edges, threshold, tail)
    return torch.zeros(len(t), dtype=torch.float64).scatter_reduce(0, owner, mass.abs(), "amax")
