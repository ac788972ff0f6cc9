"""Tiny models of many classes, loaded from a folder as published ones are."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from evaluation.check.selfcheck import self_check
from evaluation.identity import identity
from models.encoder import Encoder
from models.external.controls import permuted, random
from models.external.huggingface import hub
from models.external.huggingface.model import load_huggingface
from tests.models.tiny_transformers import TINY

AutoModel = pytest.importorskip("transformers", reason="transformers is not installed").AutoModel

SECONDS = (1.07, 1.98)
FIFTY = (50.0, (53, 98))
WINDOW = (50.0, (54, 99))
CLAP = [(25.6, (27, 51)), (12.8, (14, 25)), (6.4, (7, 13)), *[(3.2, (3, 6))] * 2]
EXPECTED: dict[str, tuple[str, list[tuple[float, tuple[int, int]]]]] = {
    "Wav2Vec2Model": ("equal", [FIFTY] * 3),
    "Wav2Vec2Model stable": ("padded", [FIFTY] * 3),
    "HubertModel": ("equal", [FIFTY] * 3),
    "WavLMModel": ("equal", [FIFTY] * 3),
    "UniSpeechModel": ("equal", [FIFTY] * 3),
    "UniSpeechSatModel": ("equal", [FIFTY] * 3),
    "Wav2Vec2ConformerModel": ("equal", [FIFTY] * 3),
    "Data2VecAudioModel": ("equal", [FIFTY] * 3),
    "SEWModel": ("equal", [(25.0, (26, 49))] * 3),
    "SEWDModel": ("equal", [(25.0, (26, 49))] * 3),
    "Wav2Vec2BertModel": ("padded", [FIFTY] * 3),
    "WhisperModel": ("padded", [WINDOW] * 3),
    "ASTModel": ("padded", [(10.0, (10, 19))] * 3),
    "ClapModel": ("padded", CLAP),
    "ClapAudioModel": ("padded", CLAP),
    "EncodecModel": (
        "equal",
        [(3000.0, (3210, 5940)), (600.0, (642, 1188)), *[(75.0, (81, 149))] * 3],
    ),
    "DacModel": ("equal", [(250.0, (267, 495)), *[(31.25, (33, 61))] * 2]),
    "MimiModel": (
        "equal",
        [(1200.0, (1284, 2376)), (200.0, (214, 396)), *[(25.0, (27, 50))] * 4, (12.5, (14, 25))],
    ),
    "Qwen2AudioEncoder": ("padded", [WINDOW, WINDOW, (25.0, (27, 50))]),
    "Qwen2_5OmniAudioEncoder": ("padded", [WINDOW] * 2),
    "VoxtralEncoder": ("padded", [WINDOW] * 3),
    "AudioFlamingo3Encoder": ("padded", [WINDOW, WINDOW, (25.0, (27, 50))]),
    "GlmAsrEncoder": ("padded", [WINDOW] * 3),
    "ParakeetEncoder": ("padded", [(12.5, (14, 25))] * 3),
    "MoonshineModel": ("equal", [(16_000 / 384, (43, 81))] * 3),
    "Speech2TextModel": ("equal", [(25.0, (27, 49))] * 3),
    "GraniteSpeechForConditionalGeneration": ("equal", [(50.0, (54, 99))] * 2),
}
"""By class: whether clips may be padded, and rate and frame counts of every layer."""


def clips(sample_rate: int, seconds: tuple[float, ...] = SECONDS) -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([int(s * sample_rate) for s in seconds])
    audio = torch.zeros(len(seconds), int(lengths.max()))
    for i, n in enumerate(lengths.tolist()):
        audio[i, :n] = 0.1 * torch.randn(n, generator=torch.Generator().manual_seed(10 + i))
    return audio, lengths


def test_every_tiny_model_is_expected() -> None:
    assert set(EXPECTED) == set(TINY)
    assert len(TINY) >= 22


@pytest.mark.long
@pytest.mark.parametrize("name", TINY)
def test_features_of_every_class(name: str, saved: Callable[[str], Path]) -> None:
    encoder = load_huggingface(str(saved(name)))
    assert isinstance(encoder, Encoder)
    batching, layers = EXPECTED[name]
    assert encoder.batching == batching
    audio, lengths = clips(encoder.sample_rate)
    found = encoder.encode(audio, lengths)
    assert tuple(found) == encoder.layers
    assert len(found) == len(layers)
    for (layer, frames), (rate, counts) in zip(found.items(), layers, strict=True):
        assert frames.rate == pytest.approx(rate), layer
        assert tuple(frames.lengths.tolist()) == counts, layer
        assert 0 <= frames.offset <= 1.5 / frames.rate
        for value, n in zip(frames.values, counts, strict=True):
            assert value[:n].isfinite().all()
            assert value[:n].std() > 0
    for i in range(2):
        alone = encoder.encode(audio[i : i + 1, : int(lengths[i])], lengths[i : i + 1])
        for layer, frames in found.items():
            n = int(frames.lengths[i])
            torch.testing.assert_close(
                frames.values[i, :n], alone[layer].values[0], atol=1e-4, rtol=1e-4
            )


QUICK = ("Wav2Vec2Model", "WhisperModel", "ASTModel", "Qwen2_5OmniAudioEncoder")


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in TINY]
)
def test_every_class_passes_the_self_check(name: str, saved: Callable[[str], Path]) -> None:
    """Among others, clicks are heard when rate and offset say."""
    findings = self_check(load_huggingface(str(saved(name))))
    assert [finding for finding in findings if finding.verdict == "fails"] == []
    assert {"rate", "offset", "batching"} <= {finding.check for finding in findings}


# ---- traps ---------------------------------------------------------------------------------------


def test_frame_counts_are_those_of_the_library(saved: Callable[[str], Path]) -> None:
    encoder = load_huggingface(str(saved("Wav2Vec2Model")))
    clock = encoder.clocks["hidden_states[1]"]
    for samples in (400, 719, 720, 16_000, 17_120, 480_001):
        count = encoder.model._get_feat_extract_output_lengths(torch.tensor(samples))
        assert clock.frames(samples) == int(count)
    assert encoder.shortest == 400


def test_group_norm_hears_padding(saved: Callable[[str], Path]) -> None:
    encoder = load_huggingface(str(saved("Wav2Vec2Model")), batching="padded")
    assert encoder.padding_changes() > 0.01
    stable = load_huggingface(str(saved("Wav2Vec2Model stable")), batching="padded")
    assert stable.padding_changes() < 1e-4


def test_whisper_is_padded_to_its_window_and_cut_back(saved: Callable[[str], Path]) -> None:
    encoder = load_huggingface(str(saved("WhisperModel")))
    assert (encoder.window, encoder.layers[0]) == (48_000, "hidden_states[0]")
    audio, lengths = clips(16_000)
    frames = encoder.encode(audio, lengths)["hidden_states[2]"]
    spectrogram = encoder.extractor(
        audio[0, :17_120].numpy(), sampling_rate=16_000, return_tensors="pt"
    )
    whole = encoder.model.encoder(spectrogram["input_features"]).last_hidden_state
    assert whole.shape[1] == 150  # three seconds, most of them silence
    torch.testing.assert_close(frames.values[0, :54], whole[0, :54])
    assert not frames.values[0, 54:].any()
    long = encoder.encode(*clips(16_000, (7.4,)))["hidden_states[2]"]
    assert long.lengths.tolist() == [370]


def test_packed_clips_are_told_apart(saved: Callable[[str], Path]) -> None:
    encoder = load_huggingface(str(saved("Qwen2_5OmniAudioEncoder")))
    shapes: list[tuple[int, ...]] = []
    encoder.model.layers[0].register_forward_hook(lambda m, i, o: shapes.append(o[0].shape))
    audio, lengths = clips(16_000)
    encoder.encode(audio, lengths)
    assert shapes == [(54 + 99, 32)]


def test_widths_may_differ_and_folded_time_is_unfolded(saved: Callable[[str], Path]) -> None:
    encoder = load_huggingface(str(saved("ClapModel")), batching="padded")
    quiet = 0.01 * torch.randn(1, 480_000, generator=torch.Generator().manual_seed(0))
    base = encoder.encode(quiet, torch.tensor([480_000]))
    assert [frames.values.shape[2] for frames in base.values()] == [8, 16, 32, 64, 64]
    for seconds in (1.0, 3.7, 8.2):
        loud = quiet.clone()
        loud[:, round(seconds * 48_000) :][:, :480] += 0.5
        frames = encoder.encode(loud, torch.tensor([480_000]))["hidden_states[0]"]
        change = (frames.values - base["hidden_states[0]"].values).abs().sum(2)[0]
        heard = frames.offset + int(change.argmax()) / frames.rate
        assert heard == pytest.approx(seconds, abs=1 / frames.rate)


def test_hooks_see_what_is_not_normalised_yet(saved: Callable[[str], Path]) -> None:
    audio, lengths = clips(16_000, (1.98,))

    def last(name: str, layers: Any) -> Tensor:
        encoder = load_huggingface(str(saved(name)), layers=layers)
        return encoder.encode(audio, lengths)[encoder.layers[-1]].values

    hooked, hidden = last("WhisperModel", "layers.*"), last("WhisperModel", "hidden_states")
    assert not torch.allclose(hooked, hidden, atol=1e-3)
    assert hidden.std(2).mean() == pytest.approx(1, abs=0.05)
    encoder = load_huggingface(str(saved("Wav2Vec2Model stable")))
    values = encoder.extractor(audio[0].numpy(), sampling_rate=16_000, return_tensors="pt")[
        "input_values"
    ]
    output = encoder.model(values, output_hidden_states=True)
    hooked = last("Wav2Vec2Model stable", ["encoder.layers.*"])
    normed = encoder.model.encoder.layer_norm(hooked)
    torch.testing.assert_close(normed, output.last_hidden_state, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(hooked, output.last_hidden_state, atol=1e-3)


def test_names_say_which_layer_it_is(saved: Callable[[str], Path]) -> None:
    folder = str(saved("HubertModel"))
    both = load_huggingface(folder, layers={"feature_projection": "btd", "encoder.layers.*": "btd"})
    assert both.layers == ("feature_projection", "encoder.layers.0", "encoder.layers.1")
    assert load_huggingface(folder).layers == tuple(f"hidden_states[{i}]" for i in range(3))
    within = load_huggingface(
        folder, submodule="feature_extractor", layers={"conv_layers.*": "bdt"}
    )
    assert len(within.layers) == 7
    assert [within.clocks[layer].hop for layer in within.layers] == [5 * 2**i for i in range(7)]


def test_long_clips_are_joined_from_pieces(saved: Callable[[str], Path]) -> None:
    audio, lengths = clips(16_000, (5.31,))
    whole = load_huggingface(str(saved("Wav2Vec2Model stable")))
    cut = load_huggingface(str(saved("Wav2Vec2Model stable")), max_seconds=2.0)
    one, other = (e.encode(audio, lengths)["hidden_states[0]"] for e in (whole, cut))
    assert torch.equal(one.lengths, other.lengths)
    inside = (one.values - other.values)[0, 5:80].abs().max() / one.values.abs().max()
    assert inside < 0.2


def test_features_of_half_precision_are_given_in_single(saved: Callable[[str], Path]) -> None:
    folder = str(saved("Wav2Vec2Model stable"))
    audio, lengths = clips(16_000, (1.0,))
    encoder = load_huggingface(folder, dtype="bfloat16")
    found = encoder.encode(audio, lengths)["hidden_states[2]"].values
    assert next(encoder.model.parameters()).dtype == torch.bfloat16
    assert found.dtype == torch.float32
    single = load_huggingface(folder).encode(audio, lengths)["hidden_states[2]"].values
    assert (found - single).abs().max() / single.abs().max() < 0.1


def test_a_model_on_several_devices_is_not_moved(
    saved: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, asked = str(saved("HubertModel")), {}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="device_map=auto needs the package accelerate"):
        load_huggingface(folder, device_map="auto")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name)

    class Spread:
        @staticmethod
        def from_pretrained(path: str, device_map: Any, **options: Any) -> Any:
            asked["device_map"] = device_map
            return AutoModel.from_pretrained(path, **options)

    monkeypatch.setattr(hub, "_class", lambda *given: Spread)
    encoder = load_huggingface(folder, device_map={"": "cpu"})
    assert asked == {"device_map": {"": "cpu"}}
    assert encoder.to("meta") is encoder
    assert encoder.device == torch.device("cpu")
    monkeypatch.undo()
    assert load_huggingface(folder).to("meta").device == torch.device("meta")


def test_silence_and_a_single_sample(saved: Callable[[str], Path]) -> None:
    for name in ("Wav2Vec2Model", "WhisperModel", "ASTModel", "EncodecModel"):
        encoder = load_huggingface(str(saved(name)))
        audio = torch.zeros(2, encoder.sample_rate)
        audio[0, 0] = 1.0
        for frames in encoder.encode(audio, torch.tensor([1, encoder.sample_rate])).values():
            assert frames.lengths[0] == 1 or encoder.clocks
            assert frames.values[1].isfinite().all()
            assert frames.values[0, :1].isfinite().all()


def test_controls_and_identity(saved: Callable[[str], Path]) -> None:
    folder = str(saved("HubertModel"))
    encoder = load_huggingface(folder)
    known = identity(encoder)
    assert identity(load_huggingface(folder)) == known
    assert identity(load_huggingface(folder, layers="encoder.layers.*")) != known
    audio, lengths = clips(16_000, (1.0,))
    values = [
        one.encode(audio, lengths)["hidden_states[2]"].values
        for one in (
            encoder,
            random(encoder, seed=1),
            random(encoder, seed=2),
            permuted(encoder, keep=()),
        )
    ]
    for i, one in enumerate(values):
        assert not any(torch.allclose(one, other, atol=1e-4) for other in values[i + 1 :])
    assert identity(random(encoder, seed=1)) != known
    torch.testing.assert_close(
        random(encoder, seed=1).encode(audio, lengths)["hidden_states[2]"].values, values[1]
    )
