"""Tiny audio language models, a tower joined to a decoder, with their feature extractor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from tests.models.tiny_transformers import TOWER, WHISPER, named_class

AUDIO = 60
"""The token that audio takes the place of."""
TEXT = {
    "model_type": "qwen2",
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "vocab_size": 64,
}
LLAMA = {**TEXT, "model_type": "llama"}
SECONDS = 4
FOUR = {"max_source_positions": 50 * SECONDS}
STACKED = {**TOWER, **FOUR, "intermediate_size": 128}  # four frames of 32
JOINED: dict[str, tuple[dict[str, Any], dict[str, Any], int]] = {
    "Qwen2Audio": ({**WHISPER, **FOUR, "model_type": "qwen2_audio_encoder"}, TEXT, 2),
    "AudioFlamingo3": ({**TOWER, **FOUR, "model_type": "audioflamingo3_encoder"}, TEXT, 2),
    "Voxtral": ({**STACKED, "model_type": "voxtral_encoder"}, LLAMA, 4),
    "GlmAsr": ({**STACKED, "head_dim": 16, "model_type": "glmasr_encoder"}, LLAMA, 4),
}
"""By family of classes: its tower and its decoder in small, and frames a token."""


def save_join(family: str, folder: Path) -> Path:
    """Save a tiny model as ``save_pretrained`` does; the same weights every time."""
    audio, text, _ = JOINED[family]
    settings = named_class(f"{family}Config")(
        audio_config=audio, text_config=text, audio_token_id=AUDIO
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = named_class(f"{family}ForConditionalGeneration")(settings)
    model.save_pretrained(folder)
    named_class("WhisperFeatureExtractor")(feature_size=20, chunk_length=SECONDS).save_pretrained(
        folder
    )
    return folder
