"""HEAR modules as encoders: frames and scenes, times in milliseconds, what modules do wrong."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from evaluation.check.selfcheck import self_check
from evaluation.identity import identity
from models.encoder import Encoder
from models.external.hear import Hear
from tests.models import hear_module

MODULE = "tests.models.hear_module"


def clips() -> tuple[Tensor, Tensor]:
    lengths = torch.tensor([30_000, 50_001, 30_000])
    audio = torch.zeros(3, 50_001)
    for i, n in enumerate(lengths.tolist()):
        audio[i, :n] = 0.1 * torch.randn(n, generator=torch.Generator().manual_seed(i))
    return audio, lengths


def test_frames_and_scenes() -> None:
    encoder = Hear(MODULE)
    assert isinstance(encoder, Encoder)
    assert (encoder.name, encoder.sample_rate) == ("hear_module", 22_050)
    assert encoder.layers == ("timestamp", "scene")
    audio, lengths = clips()
    found = encoder.encode(audio, lengths)
    frames = found["timestamp"]
    assert frames.lengths.tolist() == [68, 113, 68]
    assert frames.rate == pytest.approx(50)
    assert frames.offset == pytest.approx(0.01, abs=1e-5)
    for i, n in enumerate(lengths.tolist()):
        direct = encoder.model(audio[i : i + 1, :n])[0]
        torch.testing.assert_close(frames.values[i, : len(direct)], direct)
        torch.testing.assert_close(found["scene"].values[i, 0], direct.mean(0))
    assert found["scene"].lengths.tolist() == [1, 1, 1]


def test_one_of_the_two() -> None:
    audio, lengths = clips()
    (layer,) = Hear(MODULE, layers=["scene"]).encode(audio, lengths)
    assert layer == "scene"
    with pytest.raises(ValueError, match=r"layers \['scenes'\] of a HEAR module"):
        Hear(MODULE, layers=["scenes"])


def test_the_self_check_passes() -> None:
    assert [f for f in self_check(Hear(MODULE)) if f.verdict == "fails"] == []


def test_seconds_are_noticed(monkeypatch: Any, caplog: Any) -> None:
    monkeypatch.setattr(hear_module.Model, "unit", 1.0)
    frames = Hear(MODULE).encode(*clips())["timestamp"]
    assert frames.offset == pytest.approx(0.01, abs=1e-5)
    assert "are in seconds, HEAR asks for milliseconds" in caplog.text
    monkeypatch.setattr(hear_module.Model, "unit", 50.0)
    with pytest.raises(ValueError, match="are 1 apart, but its frames 20 ms"):
        Hear(MODULE)


def test_times_that_cannot_be(monkeypatch: Any) -> None:
    plain = hear_module.get_timestamp_embeddings

    def bent(change: Any) -> Any:
        def made(audio: Tensor, model: hear_module.Model) -> tuple[Tensor, Tensor]:
            values, times = plain(audio, model)
            return values, change(times)

        return made

    wobble = bent(lambda times: times + 5 * (torch.arange(times.shape[1]) % 2))
    monkeypatch.setattr(hear_module, "get_timestamp_embeddings", wobble)
    with pytest.raises(ValueError, match=r"are .* ms off a regular grid"):
        Hear(MODULE)
    monkeypatch.setattr(hear_module, "get_timestamp_embeddings", bent(lambda times: times + 500))
    with pytest.raises(ValueError, match="go from 510 to 4490 ms in a clip of 4000 ms"):
        Hear(MODULE)


def test_what_a_module_lacks(monkeypatch: Any) -> None:
    with pytest.raises(ModuleNotFoundError, match="no module not_there with HEAR's functions"):
        Hear("not_there")
    with pytest.raises(ModuleNotFoundError, match="functions: pip install it-is, or check encoder"):
        Hear("not_there", install="pip install it-is")
    with pytest.raises(ValueError, match=r"sample_rate=1 Hz, but .*hear_module takes audio at"):
        Hear(MODULE, sample_rate=1)
    with pytest.raises(ValueError, match="json has no load_model, get_timestamp_embeddings"):
        Hear("json")
    monkeypatch.setattr(hear_module.Model, "scene_embedding_size", 7)
    with pytest.raises(ValueError, match="scene embeddings have 7 numbers, but they have 6"):
        Hear(MODULE)


def test_arrays_of_other_libraries_are_read(monkeypatch: Any) -> None:
    plain = hear_module.get_scene_embeddings
    monkeypatch.setattr(
        hear_module,
        "get_scene_embeddings",
        lambda audio, model: plain(audio, model).detach().numpy(),
    )
    audio, lengths = clips()
    found = Hear(MODULE).encode(audio, lengths)
    expected = found["timestamp"].values[0, :68].mean(0)
    torch.testing.assert_close(found["scene"].values[0, 0], expected)


def test_features_can_be_kept() -> None:
    assert identity(Hear(MODULE)) == identity(Hear(MODULE))
    assert identity(Hear(MODULE)) != identity(Hear(MODULE, layers=["scene"]))
