"""Published names and shapes of EnCodecMAE become our modules, with the same features."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models.encodecmae import EncodecMAE
from models.external.encodecmae import build, load_published
from models.external.published import compare
from models.frontend import LogMel
from models.transformer import Attention
from tests.models.published_encodecmae import (
    HEADS,
    heads_fastest,
    little,
    little_codec,
    published_state,
    save_published,
)

SETTINGS: dict[str, Any] = {"heads": HEADS, "codebook_size": 8}
QUERY = "visible_encoder.encoder_layers.1.att_layer.wq.weight"


def save(folder: Path, state: dict[str, Tensor]) -> Path:
    path = folder / "mel256-ec-base.pt"
    torch.save({"state_dict": state}, path)
    return path


def check_equal(one: EncodecMAE, other: EncodecMAE) -> None:
    """Features of every layer, logits of the decoder."""
    audio, lengths = 0.1 * torch.randn(2, 24_000), torch.tensor([24_000, 9_000])
    made = other.encode(audio, lengths)
    expected = one.encode(audio, lengths)
    assert tuple(made) == tuple(expected) == ("encoder.0", "encoder.1", "encoder.2")
    for layer, frames in expected.items():
        assert torch.equal(made[layer].lengths, frames.lengths)
        torch.testing.assert_close(made[layer].values, frames.values, atol=1e-6, rtol=1e-5)
    frames, valid = torch.randn(2, 9, one.frontend.dim), torch.ones(2, 9, dtype=torch.bool)
    mask = torch.arange(9).expand(2, 9) % 2 == 1
    first, second = (
        model.forward_decoder(*model.forward_encoder(frames, valid, mask), valid)
        for model in (one, other)
    )
    torch.testing.assert_close(first, second, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("tie_ff", [True, False])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_published_weights_give_our_features(tmp_path: Path, version: str, tie_ff: bool) -> None:
    model = little(tie_ff)
    if version == "v1":  # one scale for both
        model.decoder_positions.scale.data.copy_(model.encoder_positions.scale.data)
    state = published_state(model, version)
    made = load_published(save(tmp_path, state), **SETTINGS)
    check_equal(model, made)
    assert (made.name, made.training) == ("mel256-ec-base", False)
    shared = made.encoder.layers[0].feed_forward is made.encoder.layers[2].feed_forward
    assert shared is tie_ff
    assert load_published(save(tmp_path, state), "mine", **SETTINGS).name == "mine"


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_no_key_is_missing_or_left_over(version: str) -> None:
    state = published_state(little(), version)
    match = compare(state, little(), version)
    assert (match.missing, match.unexpected, match.shapes, match.share) == ((), (), (), 1)
    assert {*match.pairs.values(), *match.aside} == set(state)
    assert match.aside == ("target_encoder.model.vq.layers.0._codebook.embed",)
    assert match.complaint() == ""


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_codec_of_the_file_is_the_front_end(tmp_path: Path, version: str) -> None:
    model = little(frontend=little_codec())
    if version == "v1":
        model.decoder_positions.scale.data.copy_(model.encoder_positions.scale.data)
    made = load_published(save(tmp_path, published_state(model, version)), **SETTINGS)
    assert made.frontend.state_dict()["codec.loaded"]
    assert made.frontend.dim == 128
    check_equal(model, made)


def test_a_front_end_is_neither_guessed_nor_replaced(tmp_path: Path) -> None:
    model = little(frontend=little_codec())
    state = published_state(model, "v2")
    path = save(tmp_path, state)
    with pytest.raises(ValueError, match=r"has an EnCodec front end of its own: give encoder\."):
        load_published(path, frontend=LogMel(bands=128), **SETTINGS)
    path = save(tmp_path, {k: v for k, v in state.items() if "wav_encoder.encoder" not in k})
    with pytest.raises(ValueError, match="takes 128 features as EnCodec gives, but has no weights"):
        load_published(path, **SETTINGS)
    given = little_codec()
    given.load_state_dict(model.frontend.state_dict())
    check_equal(model, load_published(path, frontend=given, **SETTINGS))


def published_shapes(layers: int, dim: int, inner: int) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of a v2 file on 256 bands, as the published code makes them."""
    shapes: dict[str, tuple[int, ...]] = {
        "wav_encoder.post_net.weight": (dim, 256),
        "wav_encoder.post_net.bias": (dim,),
        "masker.positional_encoder.scale": (),
        "visible_encoder.post_net.weight": (dim, dim),
        "visible_encoder.post_net.bias": (dim,),
        "decoder.positional_encoder.scale": (),
        "head.layer.weight": (8 * 1024, dim),
        "head.layer.bias": (8 * 1024,),
    }
    for stack, count in (("visible_encoder", layers), ("decoder", 2)):
        shapes |= {f"{stack}.final_norm.weight": (dim,), f"{stack}.final_norm.bias": (dim,)}
        for i in range(count):
            layer = f"{stack}.encoder_layers.{i}"
            shapes |= {
                f"{layer}.att_layer.{name}.weight": (inner, dim) for name in ("wq", "wk", "wv")
            }
            shapes |= {
                f"{layer}.att_layer.wo.weight": (dim, inner),
                f"{layer}.ff_layer.0.weight": (4096, dim),
                f"{layer}.ff_layer.0.bias": (4096,),
                f"{layer}.ff_layer.2.weight": (dim, 4096),
                f"{layer}.ff_layer.2.bias": (dim,),
            }
            for norm in ("norm1", "norm2"):
                shapes |= {f"{layer}.{norm}.weight": (dim,), f"{layer}.{norm}.bias": (dim,)}
    return shapes


@pytest.mark.parametrize(
    ("layers", "dim", "inner", "millions"),
    [(5, 768, 768, (18.1, 36.2)), (10, 768, 768, (29.9, 48.0)), (20, 1024, 1020, (92.0, 118.5))],
    ids=["small", "base", "large"],
)
def test_published_sizes_are_found(
    layers: int, dim: int, inner: int, millions: tuple[float, float]
) -> None:
    number = torch.zeros(())  # expanded, so that no memory is taken
    shapes = published_shapes(layers, dim, inner)
    state = {key: number.expand(shape) for key, shape in shapes.items()}
    mel = LogMel()
    with torch.device("meta"):
        model = build(state, "v2", 12, 1024, mel, "base.pt")
    assert (len(model.encoder.layers), len(model.decoder.layers)) == (layers, 2)
    match = compare(state, model, "v2")
    assert match.complaint() == ""
    assert set(match.pairs.values()) == set(state)
    found = [sum(w.numel() for w in part.parameters()) / 1e6 for part in (model.encoder, model)]
    assert found == pytest.approx(millions, abs=0.05)


def literal_attention(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Published attention of one clip: head and channel of the inner width by index."""
    q, k, v = (x @ state[f"w{name}"].T for name in "qkv")
    width = q.shape[1] // HEADS
    mixed = torch.zeros_like(q)
    for head in range(HEADS):
        own = [channel * HEADS + head for channel in range(width)]
        weights = (q[:, own] @ k[:, own].T * width**-0.5).softmax(-1)
        mixed[:, own] = weights @ v[:, own]
    return mixed @ state["wo"].T


def test_attention_in_the_published_order_of_heads_is_ours() -> None:
    torch.manual_seed(0)
    attention, x = Attention(16, HEADS).double(), torch.randn(7, 16, dtype=torch.float64)
    state = {
        "w" + name[0]: heads_fastest(value, f"attention.{name}")
        for name, value in attention.state_dict().items()
    }
    torch.testing.assert_close(literal_attention(x, state), attention(x[None], None)[0])
    straight = {"w" + name[0]: value for name, value in attention.state_dict().items()}
    assert not torch.allclose(literal_attention(x, straight), attention(x[None], None)[0])


def test_a_second_head_of_v1_adds_codebooks(tmp_path: Path) -> None:
    model = little(books=3)
    model.decoder_positions.scale.data.copy_(model.encoder_positions.scale.data)
    state = published_state(model, "v1")
    for end in ("weight", "bias"):
        whole = state[f"head.layer.{end}"]
        state[f"head.layer.{end}"] = whole[:16].clone()
        state[f"extra_head.layer.{end}"] = whole[16:].clone()
    made = load_published(save(tmp_path, state), **SETTINGS)
    assert made.target.codebooks == 3
    check_equal(model, made)


def test_safetensors_without_copies_and_half_precision_are_read(tmp_path: Path) -> None:
    model = little()
    state = published_state(model, "v2")
    repeated = [k for k in state if "ff_layer" in k and "layers.0." not in k]
    kept = {key: value for key, value in state.items() if key not in repeated}
    assert len(kept) < len(state)
    pytest.importorskip("safetensors.torch", reason="safetensors is not installed").save_file(
        kept, tmp_path / "base.safetensors"
    )
    made = load_published(tmp_path / "base.safetensors", **SETTINGS)
    check_equal(model, made)
    halves = {key: value.half() for key, value in state.items()}
    made = load_published(save(tmp_path, halves), **SETTINGS)
    assert {weight.dtype for weight in made.parameters()} == {torch.float32}


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        (QUERY, None, f"1 missing: {QUERY};"),
        ("masker.positional_encoder.scale", None, "1 missing: masker.positional_encoder.scale;"),
        ("visible_encoder.tail", torch.zeros(2), "1 unexpected: visible_encoder.tail;"),
        (QUERY, torch.zeros(3, 16), rf"1 of another shape: {QUERY} is \(3, 16\), .* \(15, 16\);"),
    ],
)
def test_what_does_not_match_is_named(
    tmp_path: Path, caplog: Any, key: str, value: Tensor | None, complaint: str
) -> None:
    state = {**published_state(little(), "v2"), key: value}
    path = save(tmp_path, {k: v for k, v in state.items() if v is not None})
    with pytest.raises(ValueError, match=rf"{path} matches 9\d\.\d% of the keys.*{complaint}") as e:
        load_published(path, **SETTINGS)
    assert "\n" not in str(e.value)
    with caplog.at_level(logging.WARNING):
        load_published(path, matched=0.9, **SETTINGS)
    assert key in caplog.text


def test_long_lists_are_cut(tmp_path: Path) -> None:
    state = published_state(little(), "v2")
    state |= {f"other.{i}": torch.zeros(1) for i in range(9)}
    with pytest.raises(ValueError, match=r"9 unexpected: other\.0, .*, other\.4, …;"):
        load_published(save(tmp_path, state), matched=0.98, **SETTINGS)


def test_every_key_is_logged(tmp_path: Path, caplog: Any) -> None:
    state = published_state(little(), "v2")
    with caplog.at_level(logging.DEBUG):
        load_published(save(tmp_path, state), **SETTINGS)
    assert [key for key in state if f"{key} -> " not in caplog.text] == []
    assert "1 of the targets are set aside" in caplog.text


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"heads": 4}, "is 15 wide, 4 heads of 4 are 16: check encoder.heads"),
        ({"codebook_size": 7}, "has 16 rows, no multiple of 7: check encoder.codebook_size"),
        ({"frontend": LogMel(bands=32)}, "takes 24 features, the front end gives 32"),
    ],
)
def test_sizes_that_weights_do_not_have_are_refused(
    tmp_path: Path, changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        load_published(save_published(tmp_path / "a.pt"), **SETTINGS | changes)


def test_files_of_another_kind_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no weights at .*: check encoder\.path"):
        load_published(tmp_path / "absent.pt")
    whole = save_published(tmp_path / "whole.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"cut\.pt cannot be read: it is damaged"):
        load_published(tmp_path / "cut.pt")
    with pytest.raises(ValueError, match=r"is no published EnCodecMAE: .* got model\.weight"):
        load_published(save(tmp_path, {"model.weight": torch.zeros(2)}))
    torch.save({"state_dict": {"a": "text"}}, tmp_path / "text.pt")
    with pytest.raises(ValueError, match=r"text\.pt holds no state dict"):
        load_published(tmp_path / "text.pt")
    state = published_state(little(), "v2")
    del state["head.layer.weight"]
    with pytest.raises(ValueError, match=r"lacks head\.layer\.weight, which tells a size"):
        load_published(save(tmp_path, state), **SETTINGS)


class Attack:
    """Unpickling it writes a file."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.place,))


def test_code_in_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    path = tmp_path / "evil.pt"
    torch.save({"state_dict": published_state(little(), "v2"), "x": Attack(tmp_path / "ran")}, path)
    with pytest.raises(ValueError, match=r"evil\.pt cannot be read: .* which is not executed"):
        load_published(path, **SETTINGS)
    assert not (tmp_path / "ran").exists()
    torch.load(path, weights_only=False)
    assert (tmp_path / "ran").exists(), "the attack was a dud: this test proves nothing"
