"""Audio towers inside whole audio language models, saved and loaded as published ones are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from models.external.huggingface.model import load_huggingface
from tests.composing import config
from tests.models.tiny_joined import TEXT
from tests.models.tiny_transformers import TOWER, WHISPER, three_seconds

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

WHOLE: dict[str, tuple[str, dict[str, Any]]] = {
    "qwen2_audio_7b": ("Qwen2Audio", {**WHISPER, "model_type": "qwen2_audio_encoder"}),
    "qwen2_audio_7b_instruct": ("Qwen2Audio", {**WHISPER, "model_type": "qwen2_audio_encoder"}),
    "audio_flamingo_3": ("AudioFlamingo3", {**TOWER, "model_type": "audioflamingo3_encoder"}),
}
"""By yaml: the family of classes, and its tower in small."""


@pytest.mark.parametrize("name", WHOLE)
def test_the_tower_is_found_in_the_whole_model(name: str, tmp_path: Path) -> None:
    family, audio = WHOLE[name]
    settings = getattr(transformers, f"{family}Config")(audio_config=audio, text_config=TEXT)
    model = getattr(transformers, f"{family}ForConditionalGeneration")(settings)
    model.save_pretrained(tmp_path)
    three_seconds().save_pretrained(tmp_path)
    cfg = config(tmp_path, f"encoder={name}", script="probe").encoder
    encoder = load_huggingface(str(tmp_path), layers=cfg.layers, sample_rate=cfg.sample_rate)
    assert encoder.layers == tuple(f"hidden_states[{i}]" for i in range(3))
    (saved,) = (
        value
        for key, value in model.state_dict().items()
        if key.endswith("audio_tower.conv1.weight")
    )
    assert torch.equal(encoder.tower.conv1.weight, saved)
    lengths = torch.tensor([16_000, 12_000])
    clips = 0.1 * torch.randn(2, 16_000, generator=torch.Generator().manual_seed(0))
    found = encoder.encode(clips, lengths)
    assert [found[layer].rate for layer in encoder.layers] == [50.0, 50.0, 25.0]
    assert [found[layer].lengths.tolist() for layer in encoder.layers] == [[50, 38]] * 2 + [
        [25, 19]
    ]
