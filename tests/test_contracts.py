"""Every model, front end, target and encoder of conf/ keeps its contract; a new one unasked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hydra.errors import InstantiationException
from omegaconf import DictConfig, OmegaConf
from torch import Tensor

from commands.building import build, build_encoder, to_plain
from commands.errors import causes, explain
from commands.facts import FACTS, TABLE, facts_of, read_table
from datamodules.simulated.sounds import BRAIN, numbered_sound
from models.encoder import Encoder, Frames, StoredFeatures
from models.frontend import FrontEnd
from models.targets import Target
from tests.composing import TINY, config, options
from tests.models.published_encodecmae import save_published
from tests.models.tiny_joined import save_join
from tests.models.tiny_transformers import save_tiny

SECONDS = (1.07, 2.0)
NAMES = ["short", "long"]
# The published codec is not at hand in a test; its random twin has the same shapes.
RANDOM_CODEC = {
    "frontend": "model.frontend.codec.weights=random",
    "target": "model.target.codec.weights=random",
}
# Width and kind of the layers are as configured, but few of them and thin inside: for memory.
SMALLER = ["model.encoder.layers=2", "model.encoder.hidden=64", "model.decoder.layers=1"]


def clips(sample_rate: int) -> tuple[Tensor, Tensor]:
    """Two generated sounds of different lengths, padded."""
    sounds = [
        numbered_sound(0, BRAIN, i, seconds, sample_rate)[0] for i, seconds in enumerate(SECONDS)
    ]
    lengths = torch.tensor([len(sound) for sound in sounds])
    return torch.nn.utils.rnn.pad_sequence(sounds, batch_first=True), lengths


def check_frames(frames: Frames, lengths: Tensor) -> None:
    assert frames.values.ndim == 3
    assert len(frames.values) == len(frames.lengths) == 2
    assert frames.rate > 0
    assert frames.offset >= 0
    assert frames.lengths.ge(1).all()
    assert frames.lengths.le(frames.values.shape[1]).all()
    for value, n in zip(frames.values, frames.lengths.tolist(), strict=True):
        assert torch.isfinite(value[:n]).all()
    if frames.values.shape[1] > 1:
        # The first and the last frame are centred within ``offset`` of the ends.
        expected = (torch.tensor(SECONDS) - 2 * frames.offset) * frames.rate + 1
        assert (frames.lengths - expected).abs().le(2).all(), "lengths do not follow the rate"
    first, second = (v[:n].mean(0) for v, n in zip(frames.values, frames.lengths, strict=True))
    assert not torch.allclose(first, second), "two sounds have the same features"


def check_encoder(encoder: Any) -> None:
    """The contract of models/encoder.py, on two clips of different lengths."""
    assert isinstance(encoder, Encoder)
    assert encoder.name
    assert len(set(encoder.layers)) == len(encoder.layers) > 0
    if isinstance(encoder, torch.nn.Module):
        encoder.eval()
    audio, lengths = clips(encoder.sample_rate)
    found = encoder.encode(audio, lengths)
    assert tuple(found) == tuple(encoder.layers)
    again = encoder.encode(audio[:1, : lengths[0]], lengths[:1])
    for layer, frames in found.items():
        check_frames(frames, lengths)
        n = int(frames.lengths[0])
        assert int(again[layer].lengths[0]) == n
        alone, padded = again[layer].values[0, :n], frames.values[0, :n]
        torch.testing.assert_close(padded, alone, atol=1e-3, rtol=1e-3)


@pytest.mark.long
@pytest.mark.parametrize("name", options("model"))
def test_models_are_encoders(name: str, tmp_path: Path) -> None:
    smaller = [] if name == "tiny" else SMALLER
    model = build(config(tmp_path, f"model={name}", *smaller).model)
    check_encoder(model)
    assert model.name == "test"
    assert len(model.layers) == (4 if name == "tiny" else 2)


@pytest.mark.long
@pytest.mark.parametrize("name", options("model/frontend"))
def test_frontends_give_frames_at_their_rate(name: str, tmp_path: Path) -> None:
    codec = [RANDOM_CODEC["frontend"]] * (name == "encodec")
    model = build(config(tmp_path, f"model/frontend={name}", *codec).model)
    frontend = model.frontend
    assert isinstance(frontend, FrontEnd)
    frontend.prepare()
    audio, lengths = clips(frontend.sample_rate)
    values = frontend(audio)
    assert values.shape == (2, int(frontend.frames(lengths).max()), frontend.dim)
    assert not values.requires_grad
    check_frames(Frames(values, frontend.frames(lengths), frontend.rate, frontend.offset), lengths)
    assert set(model.encode(audio, lengths)) == set(model.layers)


@pytest.mark.long
@pytest.mark.parametrize("name", options("model/target"))
def test_targets_give_codes_of_every_frame_and_stay_frozen(name: str, tmp_path: Path) -> None:
    codec = [RANDOM_CODEC["target"]] * (name == "encodec")
    model = build(config(tmp_path, f"model/target={name}", *codec).model)
    target = model.target
    assert isinstance(target, Target)
    audio, lengths = clips(model.sample_rate)
    target.prepare([{"audio": audio.roll(i * 1000, 1), "lengths": lengths} for i in range(6)])
    assert bool(target.fitted)
    digest = target.digest()
    target.train()
    codes = target(audio)
    assert codes.dtype == torch.int64
    assert codes.shape[::2] == (2, target.codebooks)
    assert 0 <= int(codes.min()) <= int(codes.max()) < target.codebook_size
    assert len(codes.unique()) > 2
    assert float(target.weights.sum()) == pytest.approx(1)
    assert target.digest() == digest
    # The target has as many frames as the front end, give or take the edge.
    assert abs(codes.shape[1] - int(model.frontend.frames(lengths).max())) <= 1


@pytest.fixture(scope="module")
def encoder_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What encoders that are read from a file are given."""
    folder = tmp_path_factory.mktemp("encoders")
    content = to_plain(config(folder, *TINY))
    state = {
        "entrain": {"config": content},
        "state_dict": build(config(folder, *TINY).model).state_dict(),
        "global_step": 3,
    }
    torch.save(state, folder / "step.ckpt")
    save_tiny("HubertModel", folder / "tiny")
    save_join("Voxtral", folder / "joined")
    np.savez(folder / "made.npz", stimuli=NAMES, layer=np.array([[1.0, 2.0], [3.0, 4.0]]))
    return {
        "audio_language_model": [f"encoder.path='{folder}/joined'", "encoder.prompt=[1]"],
        "checkpoint": [f"encoder.path='{folder}/step.ckpt'"],
        "encodecmae_published": [
            f"encoder.path='{save_published(folder / 'published.pt')}'",
            "encoder.heads=3",
            "encoder.codebook_size=8",
        ],
        "hear": ["encoder.module=tests.models.hear_module"],
        "huggingface": [f"encoder.path='{folder}/tiny'"],
        "precomputed": [f"encoder.path='{folder}/made.npz'"],
        "permuted": [f"encoder.of.path='{folder}/step.ckpt'"],
        "random": [f"encoder.of.path='{folder}/step.ckpt'"],
    }


def check_published(cfg: DictConfig) -> None:
    """Of a model whose weights are not at hand: it says what it is and how to get it."""
    facts = facts_of(cfg.name, cfg)
    assert facts["licence"]
    assert cfg.sample_rate
    assert cfg.layers if "layers" in cfg else "encodecmae" in cfg._target_
    assert facts["verified"] is False or len(cfg.revision) == 40
    if "revision" in cfg:
        pytest.importorskip("transformers", reason="transformers is not installed")
        how = f"hf download {cfg.path} --local-dir FOLDER"
    else:
        how = cfg.install
    with pytest.raises((FileNotFoundError, InstantiationException)) as error:
        build(cfg)
    assert how in explain(error.value)


def built_or_skipped(cfg: DictConfig, name: str) -> Any:
    """The encoder; one of the user's own, whose weights or package are not here, skips the test."""
    if name not in read_table(TABLE) and (missing := OmegaConf.missing_keys(cfg)):
        pytest.skip(f"conf/encoder/{name}.yaml waits for {', '.join(sorted(missing))}")
    try:
        return build_encoder(cfg, name)
    except Exception as error:
        absent = (FileNotFoundError, ModuleNotFoundError)
        if name not in read_table(TABLE) and any(isinstance(e, absent) for e in causes(error)):
            pytest.skip(f"conf/encoder/{name}.yaml cannot be built here: {explain(error)}")
        raise


TRAINED_ON = {"speech", "music", "sounds", "all", "none"}
OBJECTIVES = {
    *("contrastive", "masked prediction", "self-distillation", "supervised", "codec"),
    *("audio-text", "audio-visual", "language model", "none"),
}


def test_the_table_says_what_comparisons_group_encoders_by() -> None:
    rows = read_table(TABLE)
    assert list(rows) == sorted(rows)
    for name, row in rows.items():
        assert re.fullmatch("[a-z0-9_]+", row["family"]), name
        assert row["trained_on"] in TRAINED_ON, name
        assert row["objective"] in OBJECTIVES, name
        assert type(row.get("parameters", 0)) is int, name
        assert row.get("hours", 0) >= 0, name
        nothing = row["family"] == "baseline"
        assert (row["trained_on"] == "none") == (row["objective"] == "none") == nothing, name
        assert (row.get("parameters") == 0) == (row.get("hours") == 0) == nothing, name
        assert nothing == ("source" not in row), name
        assert row.get("source", "https://").startswith("https://"), name


def test_what_describes_an_encoder_is_not_given_to_its_class(tmp_path: Path) -> None:
    chosen = ["encoder=permuted", "encoder@encoder.of=logmel", "encoder.of.bands=40"]
    cfg = config(tmp_path, *chosen, script="probe").encoder
    with pytest.raises(Exception, match="has no weights that could be permuted"):
        build(cfg)
    assert build(cfg.of).frontend.dim == 40
    own = OmegaConf.create({"_target_": "builtins.dict", **dict.fromkeys(FACTS, "x"), "a": 1})
    assert build(own) == build_encoder(own) == {"a": 1}
    some = OmegaConf.create({"_target_": "builtins.dict", "licence": "MIT", "hours": 2})
    assert build_encoder(some) == {}
    nested = OmegaConf.create({"a": {"_target_": "builtins.dict", "family": "x", "hours": 2}})
    assert build(nested) == {"a": {}}
    other = OmegaConf.create({"_target_": "builtins.dict", "hours": 2, "x": {"parameters": 3}})
    assert build(other) == {"hours": 2, "x": {"parameters": 3}}


@pytest.mark.long
@pytest.mark.parametrize("name", options("encoder"))
def test_encoders_keep_the_contract(
    name: str, tmp_path: Path, encoder_files: dict[str, list[str]]
) -> None:
    extra = encoder_files.get(name, [])
    if name == "encodecmae_spec_base":  # its front end is not published, and so not set
        extra = ["encoder.frontend=null"]
    cfg = config(tmp_path, f"encoder={name}", *extra, script="probe").encoder
    if name not in encoder_files and "source" in read_table(TABLE).get(name, {}):
        check_published(cfg)
        return
    encoder = built_or_skipped(cfg, name)
    if isinstance(encoder, StoredFeatures):
        found = encoder.lookup(NAMES[::-1])
        assert tuple(found) == tuple(encoder.layers)
        assert found["layer"].tolist() == [[3, 4], [1, 2]]  # type: ignore[union-attr]
    else:
        check_encoder(encoder)


# ---- suites --------------------------------------------------------------------------------------
