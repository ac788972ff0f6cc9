"""Tiny models of many classes of transformers, drawn at random, with their feature extractors."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

CONV: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 48,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 2,
    "vocab_size": 8,
}
WHISPER: dict[str, Any] = {
    "num_mel_bins": 20,
    "d_model": 32,
    "encoder_layers": 2,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 48,
    "max_source_positions": 150,
}
TOWER: dict[str, Any] = {
    "num_mel_bins": 20,
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "max_source_positions": 150,
}
CLAP: dict[str, Any] = {
    "hidden_size": 64,
    "patch_embeds_hidden_size": 8,
    "depths": [1, 1, 1, 1],
    "num_attention_heads": [1, 2, 2, 2],
    "num_mel_bins": 64,
    "spec_size": 256,
    "projection_dim": 16,
}


def wave() -> Any:
    """Zero mean and unit variance of every clip, 16 kHz."""
    return named_class("Wav2Vec2FeatureExtractor")(do_normalize=True, return_attention_mask=True)


def three_seconds() -> Any:
    """As Whisper has it, but for windows of 3 s."""
    return named_class("WhisperFeatureExtractor")(feature_size=20, chunk_length=3)


def bare(name: str, rate: int = 24_000, **settings: Any) -> Callable[[], Any]:
    return lambda: named_class(name)(sampling_rate=rate, **settings)


def named_class(name: str, home: str | None = None) -> Any:
    return getattr(importlib.import_module(home or "transformers"), name)


def _model(name: str, config: str, settings: dict[str, Any], home: str | None = None) -> Any:
    return named_class(name, home)(named_class(config, home)(**settings))


def _clap() -> Any:
    text = {
        "hidden_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 16,
        "vocab_size": 20,
    }
    config = named_class("ClapConfig")(text_config=text, audio_config=CLAP, projection_dim=16)
    return named_class("ClapModel")(config)


def _granite() -> Any:
    text = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 20}
    text |= {"num_key_value_heads": 2, "intermediate_size": 16}
    audio = {"num_layers": 2, "hidden_dim": 32, "num_heads": 2}
    joint = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    joint |= {"intermediate_size": 16, "encoder_hidden_size": 32}
    config = named_class("GraniteSpeechConfig")(
        text_config=text,
        encoder_config=audio,
        projector_config=joint,
        has_lora_adapter=False,
    )
    return named_class("GraniteSpeechForConditionalGeneration")(config)


OMNI = "transformers.models.qwen2_5_omni.modeling_qwen2_5_omni"
STEP: dict[str, Any] = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 1}
STEP |= {"encoder_attention_heads": 2, "encoder_ffn_dim": 48, "decoder_ffn_dim": 16}
STEP |= {"decoder_attention_heads": 2, "vocab_size": 30}

TINY: dict[str, tuple[Callable[[], Any], Callable[[], Any]]] = {
    "Wav2Vec2Model": (lambda: _model("Wav2Vec2Model", "Wav2Vec2Config", CONV), wave),
    "Wav2Vec2Model stable": (
        lambda: _model(
            "Wav2Vec2Model",
            "Wav2Vec2Config",
            {**CONV, "feat_extract_norm": "layer", "do_stable_layer_norm": True},
        ),
        wave,
    ),
    "HubertModel": (lambda: _model("HubertModel", "HubertConfig", CONV), wave),
    "WavLMModel": (lambda: _model("WavLMModel", "WavLMConfig", CONV), wave),
    "UniSpeechModel": (lambda: _model("UniSpeechModel", "UniSpeechConfig", CONV), wave),
    "UniSpeechSatModel": (lambda: _model("UniSpeechSatModel", "UniSpeechSatConfig", CONV), wave),
    "Wav2Vec2ConformerModel": (
        lambda: _model("Wav2Vec2ConformerModel", "Wav2Vec2ConformerConfig", CONV),
        wave,
    ),
    "Data2VecAudioModel": (
        lambda: _model(
            "Data2VecAudioModel",
            "Data2VecAudioConfig",
            {**CONV, "num_conv_pos_embeddings": 2, "conv_pos_kernel_size": 5},
        ),
        wave,
    ),
    "SEWModel": (
        lambda: _model("SEWModel", "SEWConfig", {**CONV, "conv_dim": (16,) * 13}),
        wave,
    ),
    "SEWDModel": (
        lambda: _model("SEWDModel", "SEWDConfig", {**CONV, "conv_dim": (16,) * 13}),
        wave,
    ),
    "Wav2Vec2BertModel": (
        lambda: _model(
            "Wav2Vec2BertModel",
            "Wav2Vec2BertConfig",
            {
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "intermediate_size": 48,
                "vocab_size": 8,
            },
        ),
        lambda: named_class("SeamlessM4TFeatureExtractor")(),
    ),
    "WhisperModel": (
        lambda: _model(
            "WhisperModel",
            "WhisperConfig",
            {**WHISPER, **STEP, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}
            | {"decoder_start_token_id": 1},
        ),
        three_seconds,
    ),
    "ASTModel": (
        lambda: _model(
            "ASTModel",
            "ASTConfig",
            {
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "intermediate_size": 48,
                "num_mel_bins": 64,
                "max_length": 300,
            },
        ),
        lambda: named_class("ASTFeatureExtractor")(num_mel_bins=64, max_length=300),
    ),
    "ClapModel": (_clap, lambda: named_class("ClapFeatureExtractor")(truncation="rand_trunc")),
    "ClapAudioModel": (
        lambda: _model("ClapAudioModel", "ClapAudioConfig", CLAP),
        lambda: named_class("ClapFeatureExtractor")(truncation="rand_trunc"),
    ),
    "EncodecModel": (
        lambda: _model(
            "EncodecModel",
            "EncodecConfig",
            {"num_filters": 4, "hidden_size": 16, "codebook_size": 16, "codebook_dim": 16},
        ),
        bare("EncodecFeatureExtractor"),
    ),
    "DacModel": (
        lambda: _model(
            "DacModel",
            "DacConfig",
            {"encoder_hidden_size": 4, "decoder_hidden_size": 32, "n_codebooks": 2}
            | {"codebook_size": 16},
        ),
        bare("DacFeatureExtractor", 16_000, hop_length=512),
    ),
    "MimiModel": (
        lambda: _model(
            "MimiModel",
            "MimiConfig",
            {
                "num_filters": 4,
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "num_key_value_heads": 2,
                "head_dim": 16,
                "intermediate_size": 48,
                "codebook_size": 16,
                "codebook_dim": 16,
                "vector_quantization_hidden_dimension": 16,
                "num_quantizers": 4,
                "upsample_groups": 32,
            },
        ),
        bare("EncodecFeatureExtractor"),
    ),
    "Qwen2AudioEncoder": (
        lambda: _model("Qwen2AudioEncoder", "Qwen2AudioEncoderConfig", WHISPER),
        three_seconds,
    ),
    "Qwen2_5OmniAudioEncoder": (
        lambda: _model(
            "Qwen2_5OmniAudioEncoder",
            "Qwen2_5OmniAudioEncoderConfig",
            {**WHISPER, "n_window": 25, "output_dim": 24},
            OMNI,
        ),
        three_seconds,
    ),
    "VoxtralEncoder": (
        lambda: _model("VoxtralEncoder", "VoxtralEncoderConfig", TOWER),
        three_seconds,
    ),
    "AudioFlamingo3Encoder": (
        lambda: _model("AudioFlamingo3Encoder", "AudioFlamingo3EncoderConfig", TOWER),
        three_seconds,
    ),
    "GlmAsrEncoder": (
        lambda: _model("GlmAsrEncoder", "GlmAsrEncoderConfig", {**TOWER, "head_dim": 16}),
        three_seconds,
    ),
    "ParakeetEncoder": (
        lambda: _model(
            "ParakeetEncoder",
            "ParakeetEncoderConfig",
            {
                "hidden_size": 32,
                "num_hidden_layers": 2,
                "num_attention_heads": 2,
                "intermediate_size": 48,
                "num_mel_bins": 32,
                "subsampling_conv_channels": 8,
            },
        ),
        lambda: named_class("ParakeetFeatureExtractor")(feature_size=32),
    ),
    "MoonshineModel": (
        lambda: _model(
            "MoonshineModel",
            "MoonshineConfig",
            {
                "hidden_size": 32,
                "intermediate_size": 48,
                "encoder_num_hidden_layers": 2,
                "decoder_num_hidden_layers": 1,
                "encoder_num_attention_heads": 2,
                "decoder_num_attention_heads": 2,
                "encoder_num_key_value_heads": 2,
                "decoder_num_key_value_heads": 2,
                "vocab_size": 30,
            },
        ),
        wave,
    ),
    "GraniteSpeechForConditionalGeneration": (
        _granite,
        lambda: named_class("GraniteSpeechFeatureExtractor")(),
    ),
    "Speech2TextModel": (
        lambda: _model(
            "Speech2TextModel",
            "Speech2TextConfig",
            {**STEP, "input_feat_per_channel": 20, "conv_channels": 16},
        ),
        lambda: named_class("Speech2TextFeatureExtractor")(feature_size=20, num_mel_bins=20),
    ),
}
"""By class: makes the model, and its feature extractor."""


def save_tiny(name: str, folder: Path) -> Path:
    """Save a tiny model as ``save_pretrained`` does; the same weights every time."""
    model, extractor = TINY[name]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        made = model()
    made.save_pretrained(folder)
    extractor().save_pretrained(folder)
    return folder
