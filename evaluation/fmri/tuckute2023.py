"""The regression protocol of Tuckute, Feather, Boebinger & McDermott 2023."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor

from alignment.inference import positive_r2
from alignment.regression.split_ridge import SplitRidge, gram, scan_predictions
from alignment.regression.splits import Splits, random_halves
from alignment.reliability import RESPONSE_FLOOR, noise_corrected_r2, reliability
from alignment.ridge import penalties
from alignment.selection import depth, group_medians, heldout_best_layer
from datamodules.stimuli import ResponseSet
from evaluation.features import Features, Pooling
from evaluation.quantities import Quantity
from evaluation.rows import SELECTED, Score
from evaluation.summaries import depth_rows, new_row, voxel_rows


class Tuckute2023:
    """Ridge regression over random halves, with a held-out choice of the layer.

    Every target is regressed on the time-averaged features of each layer over ten halves, the
    penalty by exact leave-one-out. ``metric=r2``: squared positive correlation on the test half,
    uncorrected. ``metric=r2_corrected``, where there are scans: corrected for the noise of
    responses and predictions (alignment/reliability.py), medians over splits cut at 1.

    Rows of a layer hold the median over splits. Rows of layer ``selected`` hold the protocol's
    own choice: each target's layer is chosen on half of the splits and scored on the others.
    ``metric=best_depth`` is the place of the layer with the largest median over all splits, from
    0 (first) to 1 (last). What a row stands for: evaluation/summaries.py.

    Parameters
    ----------
    name : str
    responses : ResponseSet
    log10_alphas : (low, high, steps)
    seed, n_splits : int
        Of the halves; 0 and 10 as published (Feather et al. 2023: 3882).
    selection : {"heldout", "best"}
        ``best`` takes the layer with the largest median over all splits (inflated).
    square_negative : bool
        A negative correlation is squared as it is (Feather et al. 2023), not counted as 0.
    clip_reliability : bool
        Negative reliabilities count as 0; False is as published.
    chunk : int
        Targets held at once.
    device : str
        Where the regression is computed.
    voxelwise : bool
        Also a row for every voxel: its held-out score (``metric=voxel_…``) and ``voxel_depth``.
    """

    def __init__(
        self,
        name: str,
        responses: ResponseSet,
        log10_alphas: Sequence[float] = (-9, 9, 19),
        seed: int = 0,
        n_splits: int = 10,
        selection: Literal["heldout", "best"] = "heldout",
        square_negative: bool = False,
        clip_reliability: bool = True,
        pooling: Pooling = "mean",
        chunk: int = 512,
        device: str = "cpu",
        voxelwise: bool = False,
    ) -> None:
        self.voxelwise = voxelwise
        self.name = name
        self.responses = responses
        self.stimuli = responses.stimuli
        self.pooling: Pooling = pooling
        self.splits = random_halves(len(responses.stimuli), n_splits, seed)
        self.selection, self.square_negative = selection, square_negative
        self.clip_reliability, self.chunk, self.device = clip_reliability, chunk, device
        self.alphas = penalties(log10_alphas)

    def score(self, features: Mapping[str, Features]) -> list[Score]:
        scans = self.responses.scans
        scores = split_scores(
            [feature.values for feature in features.values()],
            self.responses.values[..., None] if scans is None else scans,
            self.splits,
            self.alphas,
            square_negative=self.square_negative,
            clip_reliability=self.clip_reliability,
            chunk=self.chunk,
            device=self.device,
        )
        layers = [*features]
        rows = [
            row for metric, values in scores.items() for row in self._rows(metric, layers, values)
        ]
        # The last metric is the corrected one, where there are scans.
        metric, values = scores.popitem()
        if len(features) > 1:
            rows += depth_rows(self.name, self.responses, depth(self._medians(metric, values)))
        return rows + self._voxels(metric, values) if self.voxelwise else rows

    def _medians(self, metric: str, values: Tensor) -> Tensor:
        """Median over splits of every layer and target; corrected ones are cut at 1."""
        medians = values.quantile(0.5, -1)
        return medians.clamp_max(1.0) if metric == "r2_corrected" else medians

    def _rows(self, metric: str, layers: Sequence[str], values: Tensor) -> list[Score]:
        """Rows of one metric from its values (layers, targets, splits)."""
        medians = self._medians(metric, values)

        def choose(targets: Tensor, groups: Tensor) -> Tensor:
            if self.selection == "best":
                return group_medians(medians[:, targets].max(0).values, groups)
            return self._heldout(metric, values[:, targets], groups)

        return list(voxel_rows(self.name, self.responses, metric, layers, medians, choose))

    def _heldout(self, metric: str, values: Tensor, groups: Tensor) -> Tensor:
        clip = 1.0 if metric == "r2_corrected" else None
        return heldout_best_layer(values, groups, clip=clip).per_group

    def _voxels(self, metric: str, values: Tensor) -> list[Score]:
        targets = self.responses.targets
        held = self._heldout(metric, values, torch.arange(len(targets)))
        places = depth(self._medians(metric, values))
        subjects = self.responses.subjects or ("",) * len(targets)
        return [
            new_row(self.name, self.responses, what, SELECTED, value, subject=subject, target=name)
            for what, found in (
                (Quantity(metric, kind="voxel"), held),
                (Quantity("depth", kind="voxel"), places),
            )
            for subject, name, value in zip(subjects, targets, found.tolist(), strict=True)
        ]


def split_scores(
    layers: Sequence[Tensor],
    scans: Tensor,
    splits: Splits,
    alphas: Tensor,
    square_negative: bool = False,
    clip_reliability: bool = True,
    chunk: int = 512,
    device: str | torch.device = "cpu",
) -> dict[str, Tensor]:
    """Score of every layer, target and split: ``r2``, and ``r2_corrected`` with several scans.

    Parameters
    ----------
    layers : sequence of tensors of shape (n, p)
    scans : tensor of shape (n, v, k)
        Responses of v targets in k scans.
    splits : Splits
    alphas : tensor of shape (a,)

    Returns
    -------
    dict of tensors of shape (layers, v, splits)
        float64, on the CPU.
    """
    scans, alphas = scans.to(device), alphas.to(device)
    train, test = splits.train.to(device), splits.test.to(device)
    shape = (len(layers), scans.shape[1], len(train))
    r2 = torch.empty(shape, dtype=torch.float64, device=device)
    if scans.shape[-1] == 1:
        for number, x in enumerate(layers):
            ridge = SplitRidge.of(gram(x.to(device)), train, test)
            for split, piece, prediction in scan_predictions(ridge, scans, alphas, chunk):
                truth = scans[test[split], piece, 0].double()
                r2[number, piece, split] = positive_r2(prediction[-1], truth, square_negative)
        return {"r2": r2.cpu()}
    noise = _response_reliability(scans, train, clip_reliability, chunk)
    corrected = torch.empty_like(r2)
    for number, x in enumerate(layers):
        ridge = SplitRidge.of(gram(x.to(device)), train, test)
        for split, piece, prediction in scan_predictions(ridge, scans, alphas, chunk):
            heard = scans[test[split], piece].double()
            truth = heard.mean(-1)
            r2[number, piece, split] = positive_r2(prediction[-1], truth, square_negative)
            corrected[number, piece, split] = noise_corrected_r2(
                prediction[:-1],
                heard.permute(2, 0, 1),
                prediction[-1],
                noise[piece, split],
                clip_negative=clip_reliability,
                square_negative=square_negative,
            )
    return {"r2": r2.cpu(), "r2_corrected": corrected.cpu()}


def _response_reliability(scans: Tensor, train: Tensor, clip: bool, chunk: int) -> Tensor:
    """Reliability of the mean over scans on the training rows of every split, (v, splits)."""
    pieces = [slice(i, i + chunk) for i in range(0, scans.shape[1], chunk)]
    columns = [
        torch.cat(
            [
                reliability(scans[rows, p].double().permute(2, 0, 1), RESPONSE_FLOOR, clip)
                for p in pieces
            ]
        )
        for rows in train
    ]
    return torch.stack(columns, -1)
