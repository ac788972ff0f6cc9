"""Layers of unequal width, brought to one."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor


def equal_widths(
    layers: Sequence[Float[Tensor, "n _"]], train: Int[Tensor, " train"]
) -> Float[Tensor, "n layers dim"]:
    """Layers side by side; where their widths differ, their principal components.

    Components are those of the training rows, as many for every layer as the narrowest has
    features and the training has rows (arXiv 2511.16849, downstream evaluation): a full set for
    the narrowest, the largest ones of the others.

    Parameters
    ----------
    layers : sequence of tensors of shape (n, width)
    train : tensor of shape (train,)
        Rows that the axes are fitted on.

    Returns
    -------
    tensor of shape (n, layers, dim), in the dtype of the layers
    """
    widths = {layer.shape[1] for layer in layers}
    if len(widths) == 1:
        return torch.stack([*layers], 1)
    dim = min(*widths, len(train))
    rotated = []
    for layer in layers:
        x = layer.double()
        mean = x[train].mean(0)
        axes = torch.linalg.svd(x[train] - mean, full_matrices=False).Vh[:dim]
        rotated.append(((x - mean) @ axes.T).to(layer.dtype))
    return torch.stack(rotated, 1)
