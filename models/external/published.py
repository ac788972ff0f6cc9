"""Names of the published weights of EnCodecMAE, and which of ours each becomes.

habla-liaa/encodecmae: v1 is its tag v.1.0.0 (encodecmae/tasks/models), v2 the code after it
(encodecmae/models).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor

from models.encodecmae import EncodecMAE

SHOWN = 5
"""Most keys of each kind that an error lists."""
STACKS = {"encoder": "visible_encoder", "decoder": "decoder"}
PARTS = {
    r"layers\.(\d+)\.attention\.([qkv])\.weight": r"encoder_layers.\1.att_layer.w\2.weight",
    r"layers\.(\d+)\.attention\.out\.weight": r"encoder_layers.\1.att_layer.wo.weight",
    r"layers\.(\d+)\.feed_forward\.([02])\.(.+)": r"encoder_layers.\1.ff_layer.\2.\3",
    r"layers\.(\d+)\.norm([12])\.(.+)": r"encoder_layers.\1.norm\2.\3",
    r"final_norm\.(.+)": r"final_norm.\1",
}
"""Our name of a weight in a stack, and the published one."""
WHOLE = {
    "v1": {
        r"frontend\.codec\.encoder\.(.+)": r"wav_encoder.model.\1",
        r"embed\.(.+)": r"feat_projector.\1",
        r"(encoder|decoder)_positions\.scale": "positional_encoder.scale",
        r"bridge\.(.+)": r"decoder_projector.\1",
        r"head\.(.+)": r"head.layer.\1",
    },
    "v2": {
        r"frontend\.codec\.encoder\.(.+)": r"wav_encoder.encoder.model.\1",
        r"embed\.(.+)": r"wav_encoder.post_net.\1",
        r"encoder_positions\.scale": "masker.positional_encoder.scale",
        r"decoder_positions\.scale": "decoder.positional_encoder.scale",
        r"bridge\.(.+)": r"visible_encoder.post_net.\1",
        r"head\.(.+)": r"head.layer.\1",
    },
}
"""The same for what is outside the stacks."""
OURS = ("frontend.codec.loaded", "target.fitted")
"""Flags of ours that no published file has."""
ASIDE = "target_encoder."

State = dict[str, Tensor]


@dataclass(frozen=True)
class Match:
    """Which published key each of our weights comes from, and what is left over.

    Parameters
    ----------
    pairs : dict
        Published key of each of our names that the file has in the right shape.
    missing, unexpected, shapes : tuple of str
        Published keys that the file lacks, that no weight of ours takes, and those of another
        shape, with both shapes.
    aside : tuple of str
        Published keys of the targets.
    """

    pairs: dict[str, str]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    shapes: tuple[str, ...]
    aside: tuple[str, ...]

    @property
    def share(self) -> float:
        """Matched keys among those of the file and of the model, targets left out."""
        matched = len(set(self.pairs.values()))
        wrong = len(self.missing) + len(self.unexpected) + len(self.shapes)
        return matched / max(1, matched + wrong)

    def complaint(self) -> str:
        """What does not match, in one line; empty if all does."""
        kinds = {
            "missing": self.missing,
            "unexpected": self.unexpected,
            "of another shape": self.shapes,
        }
        return "; ".join(
            f"{len(keys)} {kind}: {', '.join(keys[:SHOWN])}{', …' * (len(keys) > SHOWN)}"
            for kind, keys in kinds.items()
            if keys
        )


def compare(state: State, model: EncodecMAE, version: str) -> Match:
    """Look for the published key of every weight of ``model``, and for keys that none takes."""
    own = {k: v.shape for k, v in model.state_dict().items() if k not in OURS}
    if not has_codec(state, version):  # a front end that was given has its own weights
        own = {k: shape for k, shape in own.items() if not k.startswith("frontend.")}
    pairs, missing, shapes = {}, set(), set()
    for ours, shape in own.items():
        key = published(ours, version)
        expected = () if ours.endswith("_positions.scale") else tuple(shape)
        if key not in state:
            missing.add(key)
        elif tuple(state[key].shape) not in (expected, tuple(shape)):
            shapes.add(f"{key} is {tuple(state[key].shape)}, expected {expected}")
        else:
            pairs[ours] = key
    aside = {key for key in state if key.startswith(ASIDE)}
    strange = state.keys() - aside - {published(ours, version) for ours in own}
    parts = (missing, strange, shapes, aside)
    return Match(pairs, *(tuple(sorted(keys)) for keys in parts))


def convert_weights(ours: str, value: Tensor, heads: int) -> Tensor:
    """A published weight in our shape, order of heads and precision.

    The published width of attention is (width of a head, heads), ours (heads, width of a head).
    """
    value = value.float()
    if ours.endswith("_positions.scale"):
        return value.reshape(1)
    if re.search(r"attention\.[qkv]\.weight$", ours):
        return rearrange(value, "(d h) i -> (h d) i", h=heads)
    if ours.endswith("attention.out.weight"):
        return rearrange(value, "o (d h) -> o (h d)", h=heads)
    return value


def version_of(state: Mapping[str, Tensor], path: str | Path) -> str:
    """``v1`` or ``v2``, by the name of the first Linear."""
    names = {"v1": "feat_projector.", "v2": "wav_encoder.post_net."}
    found = [version for version, name in names.items() if any(k.startswith(name) for k in state)]
    if len(found) != 1:
        raise ValueError(
            f"{path} is no published EnCodecMAE: expected either feat_projector.weight (v1) or "
            f"wav_encoder.post_net.weight (v2), got {', '.join(sorted(state)[:SHOWN]) or 'nothing'}"
        )
    return found[0]


def has_codec(state: Mapping[str, Tensor], version: str) -> bool:
    """Whether the file holds the encoder of EnCodec as front end."""
    prefix = published("frontend.codec.encoder.model", version)
    return any(key.startswith(prefix) for key in state)


def published(ours: str, version: str) -> str:
    """The published name of a weight of ours."""
    stack, _, part = ours.partition(".")
    prefix = f"{STACKS[stack]}." if stack in STACKS else ""
    for pattern, name in (PARTS if prefix else WHOLE[version]).items():
        if found := re.fullmatch(pattern, part if prefix else ours):
            return prefix + found.expand(name)
    raise KeyError(f"no published name is known for {ours}")


def spread(state: State) -> State:
    """Give a shared feed-forward back to every layer where the file holds it but once."""
    state = dict(state)
    for stack in STACKS.values():
        layers = range(depth(state, stack))
        prefixes = [f"{stack}.encoder_layers.{layer}.ff_layer." for layer in layers]
        holders = [p for p in prefixes if any(key.startswith(p) for key in state)]
        if len(holders) == 1:
            held = {
                k.removeprefix(holders[0]): v for k, v in state.items() if k.startswith(holders[0])
            }
            state |= {prefix + end: value for prefix in prefixes for end, value in held.items()}
    return state


def join_heads(state: State, version: str) -> State:
    """One head, where v1 keeps the codes of self-training in a second one."""
    if version == "v2":
        return state
    state = dict(state)
    for end in ("weight", "bias"):
        if f"head.layer.{end}" in state and f"extra_head.layer.{end}" in state:
            extra = state.pop(f"extra_head.layer.{end}")
            state[f"head.layer.{end}"] = torch.cat([state[f"head.layer.{end}"], extra])
    return state


def tie_weights(state: State, stack: str) -> bool:
    """Whether every layer of a stack has the same feed-forward."""
    pattern = re.compile(rf"{stack}\.encoder_layers\.\d+\.ff_layer\.(.+)")
    first: State = {}
    return all(
        torch.equal(first.setdefault(found[1], value), value)
        for key, value in state.items()
        if (found := pattern.fullmatch(key))
    )


def depth(state: Mapping[str, Tensor], stack: str) -> int:
    """Layers of a stack."""
    found = (re.match(rf"{stack}\.encoder_layers\.(\d+)\.", key) for key in state)
    return max((int(match[1]) + 1 for match in found if match), default=0)
