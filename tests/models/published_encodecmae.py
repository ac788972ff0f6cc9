"""Weights of a model of ours under the names of habla-liaa/encodecmae, written out literally."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from models.codec import EncodecWeights
from models.encodecmae import EncodecMAE, Masking
from models.frontend import EncodecFrontEnd, FrontEnd, LogMel
from models.optim import Optimisation
from models.targets import Target
from models.transformer import Transformer

HEADS = 3
OUTSIDE = {
    "v1": {
        "feat_projector.weight": "embed.weight",
        "feat_projector.bias": "embed.bias",
        "decoder_projector.weight": "bridge.weight",
        "decoder_projector.bias": "bridge.bias",
        "head.layer.weight": "head.weight",
        "head.layer.bias": "head.bias",
        "positional_encoder.scale": "encoder_positions.scale",
        "visible_encoder.final_norm.weight": "encoder.final_norm.weight",
        "visible_encoder.final_norm.bias": "encoder.final_norm.bias",
        "decoder.final_norm.weight": "decoder.final_norm.weight",
        "decoder.final_norm.bias": "decoder.final_norm.bias",
    },
    "v2": {
        "wav_encoder.post_net.weight": "embed.weight",
        "wav_encoder.post_net.bias": "embed.bias",
        "visible_encoder.post_net.weight": "bridge.weight",
        "visible_encoder.post_net.bias": "bridge.bias",
        "head.layer.weight": "head.weight",
        "head.layer.bias": "head.bias",
        "masker.positional_encoder.scale": "encoder_positions.scale",
        "decoder.positional_encoder.scale": "decoder_positions.scale",
        "visible_encoder.final_norm.weight": "encoder.final_norm.weight",
        "visible_encoder.final_norm.bias": "encoder.final_norm.bias",
        "decoder.final_norm.weight": "decoder.final_norm.weight",
        "decoder.final_norm.bias": "decoder.final_norm.bias",
    },
}
LAYER = {
    "att_layer.wq.weight": "attention.q.weight",
    "att_layer.wk.weight": "attention.k.weight",
    "att_layer.wv.weight": "attention.v.weight",
    "att_layer.wo.weight": "attention.out.weight",
    "ff_layer.0.weight": "feed_forward.0.weight",
    "ff_layer.0.bias": "feed_forward.0.bias",
    "ff_layer.2.weight": "feed_forward.2.weight",
    "ff_layer.2.bias": "feed_forward.2.bias",
    "norm1.weight": "norm1.weight",
    "norm1.bias": "norm1.bias",
    "norm2.weight": "norm2.weight",
    "norm2.bias": "norm2.bias",
}
CODEC = {"v1": "wav_encoder.model.", "v2": "wav_encoder.encoder.model."}


def little(tie_ff: bool = True, frontend: FrontEnd | None = None, books: int = 2) -> EncodecMAE:
    """A model of the published kind; three heads of five in 16 channels, as Large has 85 in 1024.

    Every weight is drawn, so that none equals what a new model starts with.
    """
    torch.manual_seed(0)
    model = EncodecMAE(
        frontend or LogMel(bands=24),
        Transformer(3, 16, HEADS, 32, tie_ff),
        Transformer(2, 16, HEADS, 32, tie_ff),
        Target(books, 8, None),
        Masking(),
        Optimisation(),
    )
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.1 * torch.randn(weight.shape))
    return model.eval()


def little_codec() -> EncodecFrontEnd:
    """The EnCodec front end in its own size, drawn at random."""
    return EncodecFrontEnd(EncodecWeights("random", codebooks=0))


def published_state(model: EncodecMAE, version: str) -> dict[str, Tensor]:
    """The state dict that the published code would have for these weights."""
    own = {key: value.clone() for key, value in model.state_dict().items()}
    state = {theirs: own[ours] for theirs, ours in OUTSIDE[version].items()}
    for theirs, ours, layers in (("visible_encoder", "encoder", 3), ("decoder", "decoder", 2)):
        for i in range(layers):
            for end, name in LAYER.items():
                value = own[f"{ours}.layers.{i}.{name}"]
                state[f"{theirs}.encoder_layers.{i}.{end}"] = heads_fastest(value, name)
    for key in state:
        if key.endswith("scale"):
            state[key] = state[key][0]  # a number without axes
    for key, value in own.items():
        if key.startswith("frontend.codec.encoder."):
            state[CODEC[version] + key.removeprefix("frontend.codec.encoder.")] = value
    state["target_encoder.model.vq.layers.0._codebook.embed"] = torch.zeros(8, 4)
    return state


def heads_fastest(value: Tensor, name: str) -> Tensor:
    """Our weight of attention in the published order, number by number."""
    if not name.startswith("attention"):
        return value
    rows = value.T if name == "attention.out.weight" else value
    width = len(rows) // HEADS
    there = torch.empty_like(rows)
    for head in range(HEADS):
        for i in range(width):
            there[i * HEADS + head] = rows[head * width + i]
    return there.T.contiguous() if name == "attention.out.weight" else there


def save_published(path: Path, version: str = "v2") -> Path:
    """A file as v2 has them, or v1: weights beside a config that nothing may execute."""
    state = published_state(little(), version)
    torch.save({"state_dict": state, "config": "MODEL_DIM=16", "imports": ["torch"]}, path)
    return path
