"""The published weights of EnCodecMAE in our own modules.

habla-liaa/encodecmae; v1 is its tag v.1.0.0 (encodecmae/tasks/models), v2 the code after it
(encodecmae/models). What differs from the published features:

- the targets (``target_encoder.*``) are set aside: features need none, so that the model made
  here encodes but cannot go on training;
- v1 has one scale of positions for encoder and decoder, ours are two with that value;
- frames are counted and padding is hidden by the rule of the front end, not by samples // 320;
- the last layer is the stack's output, as in v2; v1 gives the last layer's own stream.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor

from models.codec import EncodecWeights
from models.encodecmae import EncodecMAE, Masking
from models.external.published import (
    STACKS,
    Match,
    State,
    compare,
    convert_weights,
    depth,
    has_codec,
    join_heads,
    published,
    spread,
    tie_weights,
    version_of,
)
from models.external.weights import read_weights
from models.frontend import EncodecFrontEnd, FrontEnd, LogMel
from models.optim import Optimisation
from models.targets import Target
from models.transformer import Transformer

log = logging.getLogger(__name__)

ENCODEC_DIM = 128
"""Features of the EnCodec encoder; published log-mel frames have 256."""


def load_published(
    path: str | Path,
    name: str | None = None,
    heads: int = 12,
    codebook_size: int = 1024,
    frontend: FrontEnd | None = None,
    matched: float = 1.0,
    install: str = "",
    sample_rate: int | None = None,
) -> EncodecMAE:
    """The model of a published file, in evaluation mode; its sizes are read from the weights.

    The published attention keeps heads fastest in its width, ours slowest: the rows of q, k, v
    and the columns of the output are put in our order. Which key went where is logged.

    Parameters
    ----------
    path : path
        ``model.pt`` of v1, ``NAME.pt`` of v2, or their weights as safetensors.
    name : str, optional
        Name of the encoder in score tables; that of the file by default.
    heads : int
        Attention heads, which no weight tells; 12 in every published size.
    codebook_size : int
        Entries of a codebook in the head.
    frontend : FrontEnd, optional
        Where the file has no weights of one; the published log-mel frames by default.
    matched : float
        Share of keys that must match. Below 1 the rest is reported, and missing weights are
        drawn at random.
    install : str
        How to have the file; repeated where it is missing.
    sample_rate : int, optional
        Hz that the model is expected to hear.

    Raises
    ------
    FileNotFoundError, ValueError
        If there is no such file, it holds more than weights, or too few of its keys match.
    """
    if install and not Path(path).is_file():
        raise FileNotFoundError(f"no weights at {path}: {install}; then give encoder.path=FILE")
    state = read_state(path)
    version = version_of(state, path)
    state = join_heads(spread(state), version)
    model = build(state, version, heads, codebook_size, frontend, path)
    match = compare(state, model, version)
    report(match, matched, path)
    own = model.state_dict()
    own |= {ours: convert_weights(ours, state[key], heads) for ours, key in match.pairs.items()}
    if has_codec(state, version):
        own["frontend.codec.loaded"] = torch.tensor(True)
    model.load_state_dict(own)
    model.frontend.prepare()
    model.name = name or Path(path).stem
    if sample_rate not in (None, model.sample_rate):
        raise ValueError(f"sample_rate={sample_rate} Hz, but {path} hears {model.sample_rate} Hz")
    return model.eval()


def read_state(path: str | Path) -> State:
    """Weights of a file under their published names; nothing in it is executed."""
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no weights at {path}: check encoder.path")
    content = read_weights(path)
    state = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        raise ValueError(f"{path} holds no state dict: expected tensors by name, or 'state_dict'")
    return {str(key): value for key, value in state.items()}


def build(
    state: State,
    version: str,
    heads: int,
    codebook_size: int,
    frontend: FrontEnd | None,
    path: str | Path,
) -> EncodecMAE:
    """Our model in the sizes of these weights."""

    def size(ours: str, axis: int) -> int:
        key = published(ours, version)
        if key not in state or state[key].ndim <= axis:
            raise ValueError(f"{path} lacks {key}, which tells a size of the model")
        return state[key].shape[axis]

    def stack(ours: str, dim: int) -> Transformer:
        first = "layers.0.feed_forward.0.weight"
        hidden, layers = size(f"{ours}.{first}", 0), depth(state, STACKS[ours])
        return Transformer(layers, dim, heads, hidden, tie_weights(state, STACKS[ours]))

    inputs, width = size("embed.weight", 1), size("encoder.layers.0.attention.q.weight", 0)
    dim = size("embed.weight", 0)
    if width != heads * (dim // heads):
        raise ValueError(
            f"attention of {path} is {width} wide, {heads} heads of {dim // heads} are "
            f"{heads * (dim // heads)}: check encoder.heads"
        )
    frontend = choose_frontend(frontend, inputs, has_codec(state, version), path)
    books = size("head.weight", 0) // codebook_size
    if books * codebook_size != size("head.weight", 0):
        raise ValueError(
            f"the head of {path} has {size('head.weight', 0)} rows, no multiple of "
            f"{codebook_size}: check encoder.codebook_size"
        )
    return EncodecMAE(
        frontend,
        stack("encoder", dim),
        stack("decoder", size("bridge.weight", 0)),
        Target(books, codebook_size, None),
        Masking(),
        Optimisation(),
    )


def choose_frontend(given: FrontEnd | None, inputs: int, codec: bool, path: str | Path) -> FrontEnd:
    """The EnCodec encoder where the file has one, or else what was given, or log-mel frames."""
    if codec and given is not None:
        raise ValueError(f"{path} has an EnCodec front end of its own: give encoder.frontend=null")
    if not codec and given is None and inputs == ENCODEC_DIM:
        raise ValueError(
            f"{path} takes {inputs} features as EnCodec gives, but has no weights of its encoder: "
            "give encoder.frontend"
        )
    chosen = EncodecFrontEnd(EncodecWeights(codebooks=0)) if codec else given or LogMel(inputs)
    if chosen.dim != inputs:
        raise ValueError(f"{path} takes {inputs} features, the front end gives {chosen.dim}")
    return chosen


def report(match: Match, matched: float, path: str | Path) -> None:
    """Log where every key went; raise where too few match."""
    for ours, key in match.pairs.items():
        log.debug("%s -> %s", key, ours)
    for key in match.aside:
        log.debug("%s -> set aside", key)
    log.info(
        "%s: %d keys are %d weights of ours, %d of the targets are set aside",
        path,
        len(set(match.pairs.values())),
        len(match.pairs),
        len(match.aside),
    )
    complaint = match.complaint()
    if complaint and match.share < matched:
        raise ValueError(
            f"{path} matches {match.share:.1%} of the keys, expected {matched:.0%}: {complaint}; "
            "encoder.matched=SHARE takes fewer, missing weights are then drawn at random"
        )
    if complaint:
        log.warning("%s matches %.1f%% of the keys: %s", path, 100 * match.share, complaint)
