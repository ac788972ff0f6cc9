"""How the output of a layer lies in memory, and how it becomes frames."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from einops import rearrange, reduce
from einops.einops import EinopsError
from torch import Tensor

Arrange = Callable[[Tensor, Sequence[int]], Sequence[Tensor]]
"""From the output of a layer, and how many frames each clip has, to frames (frames, dim) a clip."""


def _reorder(output: Tensor, counts: Sequence[int], pattern: str) -> Sequence[Tensor]:
    return tuple(rearrange(output, pattern))


def _pack(output: Tensor, counts: Sequence[int]) -> Sequence[Tensor]:
    """(frames of all clips, dim), one clip after the other, with no batch axis."""
    if len(counts) == 1:
        return (output,)
    if sum(counts) != len(output):
        raise ValueError(f"{len(output)} packed frames for clips of {list(counts)} frames")
    return output.split(list(counts))


def _patches(output: Tensor, counts: Sequence[int], rows: int, skip: int) -> Sequence[Tensor]:
    """Tokens of a grid (frequency, time), frequency first; ``skip`` tokens come before it."""
    return tuple(reduce(output[:, skip:], "b (f t) d -> b t d", "mean", f=rows))


def _time_first(
    output: Tensor, counts: Sequence[int], pattern: str, rows: int, skip: int = 0
) -> Sequence[Tensor]:
    """Tokens of a grid whose frequencies stand beside each other, time after time."""
    tokens = output[:, skip:] if pattern.startswith("b") else output[skip:]
    return tuple(reduce(tokens, pattern, "mean", f=rows))


def _fold(output: Tensor, counts: Sequence[int], folds: int) -> Sequence[Tensor]:
    """An image (b, d, h, w) of which time was cut in ``folds`` and these laid below each other.

    Also as tokens (b, h w, d) of a square.
    """
    if output.ndim == 3:
        side = round(output.shape[1] ** 0.5)
        output = rearrange(output, "b (h w) d -> b d h w", h=side)
    return tuple(reduce(output, "b d (k f) t -> b (k t) d", "mean", k=folds))


LAYOUTS: dict[str, Arrange] = {
    "btd": partial(_reorder, pattern="b t d -> b t d"),
    "bdt": partial(_reorder, pattern="b d t -> b t d"),
    "tbd": partial(_reorder, pattern="t b d -> b t d"),
    "bd": partial(_reorder, pattern="b d -> b 1 d"),
    "bchw": partial(_reorder, pattern="b c h w -> b w (c h)"),
    "bcwh": partial(_reorder, pattern="b c w h -> b w (c h)"),
    "packed": _pack,
}
"""By name: batch, time, dim; in images c channels, h frequency and w time."""
GRIDS = {"btfd": "b (t f) d -> b t d", "tfbd": "(t f) b d -> b t d"}
"""Tokens of which all frequencies of one time come before the next time."""


def layout(name: str, rows: int = 1, skip: int = 0, folds: int = 1) -> Arrange:
    """The layout of a name.

    ``patches``, ``btfd`` and ``tfbd`` need ``rows`` and ``skip``, ``folded`` needs ``folds``.
    """
    if name == "patches":
        return partial(_patches, rows=rows, skip=skip)
    if name in GRIDS:
        return partial(_time_first, pattern=GRIDS[name], rows=rows, skip=skip)
    if name == "folded":
        return partial(_fold, folds=folds)
    if name not in LAYOUTS:
        known = [*LAYOUTS, "patches", *GRIDS, "folded"]
        raise ValueError(f"layout {name!r} is not known: expected one of {', '.join(known)}")
    return LAYOUTS[name]


def arrange_clips(
    arrange: Arrange, output: Tensor, counts: Sequence[int], layer: str
) -> Sequence[Tensor]:
    """Frames of each clip (frames, dim).

    Raises
    ------
    ValueError
        If the output does not have the axes of the layout: names the layer and its shape.
    """
    try:
        found = arrange(output, counts)
    except (EinopsError, ValueError) as error:
        said = str(error).splitlines()[-1] if isinstance(error, EinopsError) else error
        raise ValueError(
            f"layer {layer} outputs {tuple(output.shape)}, which is not as its layout says: {said}"
        ) from error
    if len(found) != len(counts):
        raise ValueError(
            f"layer {layer} outputs {tuple(output.shape)} for {len(counts)} clips: give its layout"
        )
    return found
