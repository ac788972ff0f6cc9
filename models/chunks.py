"""Long clips in, regular frames out: feature extraction chunk by chunk."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from models.frontend import FrontEnd


def encode_in_chunks(
    encode: Callable[[Tensor, Bool[Tensor, "chunks frames"]], list[Tensor]],
    frontend: FrontEnd,
    audio: Float[Tensor, "batch samples"],
    lengths: Int[Tensor, " batch"],
    chunk_frames: int,
) -> tuple[list[Float[Tensor, "batch frames dim"]], Int[Tensor, " batch"]]:
    """Encode clips of any length in chunks of ``chunk_frames`` frames.

    Chunks start ``chunk_frames * hop`` samples apart and hold all samples of their frames, so
    that frames stay exactly ``hop`` samples apart over the whole clip. Chunks without a single
    valid frame are not encoded; frames past a clip's end are hidden from attention. A clip thus
    gives the same features alone and beside longer ones.

    Parameters
    ----------
    encode : callable
        ``(audio [chunks, samples], valid [chunks, frames]) -> [layer [chunks, frames, dim], …]``

    Returns
    -------
    layers : list of tensors of shape (batch, frames, dim)
        Zero past each clip's last frame.
    count : tensor of shape (batch,)
        Valid frames of each clip.
    """
    batch = len(audio)
    count = frontend.frames(lengths)
    longest = int(count.max())
    chunk_frames = min(chunk_frames, longest)
    chunks = -(-longest // chunk_frames)
    stride, span = chunk_frames * frontend.hop, frontend.samples(chunk_frames)
    needed = (chunks - 1) * stride + span
    # Samples past the last frame are dropped: whether they are heard would depend on the batch.
    covered = lengths.minimum(frontend.window + (count - 1) * frontend.hop)
    inside = torch.arange(audio.shape[1], device=audio.device) < covered[:, None]
    audio = torch.nn.functional.pad(audio * inside, (0, max(0, needed - audio.shape[1])))
    pieces = audio[:, :needed].unfold(1, span, stride).flatten(0, 1)

    frame = torch.arange(chunks * chunk_frames, device=audio.device)
    valid = (frame < count[:, None]).view(batch * chunks, chunk_frames)
    real = valid.any(1)
    outputs = encode(pieces[real], valid[real])
    layers = []
    for output in outputs:
        full = output.new_zeros(batch * chunks, chunk_frames, output.shape[2])
        full[real] = output * valid[real][..., None]
        layers.append(full.view(batch, chunks * chunk_frames, -1)[:, :longest])
    return layers, count
