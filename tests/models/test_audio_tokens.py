"""Decoder layers of audio language models at audio tokens, loaded as published models are."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from evaluation.check.selfcheck import self_check
from evaluation.identity import identity
from models.external.huggingface.audio_tokens import AudioTokens, load_audio_tokens
from tests.models.tiny_joined import AUDIO, JOINED, save_join
from tests.models.tiny_transformers import save_tiny

transformers = pytest.importorskip("transformers", reason="transformers is not installed")

PROMPT = [1, 2, 3]
TOWERS = tuple(f"audio_tower.layers.{i}" for i in range(2))
DECODERS = tuple(f"language_model.layers.{i}" for i in range(2))


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folder of a tiny model, saved once."""
    folder = tmp_path_factory.mktemp("joined")

    def save(family: str) -> Path:
        place = folder / family
        return place if place.is_dir() else save_join(family, place)

    return save


def noise(samples: int, seed: int = 0) -> Tensor:
    return 0.1 * torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def by_hand(encoder: AudioTokens, clip: Tensor, frames: int, family: str) -> dict[str, Tensor]:
    """What the library gives where a question stands behind the audio."""
    mel = encoder.extractor(
        clip.numpy(), sampling_rate=16_000, return_tensors="pt", return_attention_mask=True
    )
    given = 50 if family == "Voxtral" else frames  # tokens of padding, too
    ids = torch.tensor([[*PROMPT, *[AUDIO] * given, 7, 8, 9]])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    inputs["input_features"] = mel["input_features"]
    if encoder.joint.mask:
        inputs[encoder.joint.mask] = mel["attention_mask"]
    with torch.no_grad():
        output = encoder.model(**inputs, output_hidden_states=True)
    at = slice(len(PROMPT), len(PROMPT) + frames)
    first, last = (output.hidden_states[i][0, at] for i in (1, 2))
    return {DECODERS[0]: first, "normed": last}


@pytest.mark.parametrize("family", JOINED)
def test_audio_tokens_are_those_of_the_library(family: str, saved: Callable[[str], Path]) -> None:
    encoder = load_audio_tokens(str(saved(family)), prompt=PROMPT)
    pooled = JOINED[family][2]
    assert encoder.layers == TOWERS + DECODERS
    assert encoder.batching == "padded"
    lengths = torch.tensor([32_000, 19_000])
    audio = torch.zeros(2, 32_000)
    for i, n in enumerate(lengths.tolist()):
        audio[i, :n] = noise(n, i)
    ran: Counter[str] = Counter()
    hooks = [
        encoder.model.get_submodule(name).register_forward_hook(
            lambda module, inputs, output, name=name: ran.update([name])
        )
        for name in ("audio_tower", "language_model")
    ]
    found = encoder.encode(audio, lengths)
    for hook in hooks:
        hook.remove()
    assert ran == {"audio_tower": 1, "language_model": 1}  # one pass of the batch
    for layer in TOWERS:
        assert (found[layer].rate, found[layer].offset) == (50.0, 0.0)
        assert found[layer].lengths.tolist() == [100, 60]
    for layer in DECODERS:
        assert found[layer].rate == 50 / pooled
        assert found[layer].offset == pytest.approx((pooled - 1) / 2 / 50)
        assert found[layer].lengths.tolist() == [100 // pooled, 60 // pooled]
    for i, n in enumerate(lengths.tolist()):
        frames = int(found[DECODERS[0]].lengths[i])
        expected = by_hand(encoder, audio[i, :n], frames, family)
        torch.testing.assert_close(found[DECODERS[0]].values[i, :frames], expected[DECODERS[0]])
        normed = encoder.model.language_model.norm(found[DECODERS[1]].values[i, :frames])
        torch.testing.assert_close(normed, expected["normed"], atol=1e-5, rtol=1e-4)


@pytest.mark.long
@pytest.mark.parametrize("family", ["Qwen2Audio", "Voxtral"])
def test_they_pass_the_self_check(family: str, saved: Callable[[str], Path]) -> None:
    findings = self_check(load_audio_tokens(str(saved(family)), prompt=PROMPT))
    assert [finding for finding in findings if finding.verdict == "fails"] == []
    assert {"rate", "offset", "batching"} <= {finding.check for finding in findings}


def test_what_stands_before_the_audio_is_heard(saved: Callable[[str], Path]) -> None:
    folder, audio = str(saved("Qwen2Audio")), noise(16_000)[None]
    values, hashes = [], []
    for prompt in (PROMPT, [4, 5]):
        encoder = load_audio_tokens(folder, prompt=prompt)
        hashes += [identity(encoder), identity(encoder)]
        values.append(encoder.encode(audio, torch.tensor([16_000])))
        assert identity(encoder) == hashes[-1]
    torch.testing.assert_close(values[0][TOWERS[1]].values, values[1][TOWERS[1]].values)
    assert not torch.allclose(values[0][DECODERS[0]].values, values[1][DECODERS[0]].values)
    assert len(set(hashes)) == 2


def test_long_clips_are_joined_from_pieces_and_short_ones_padded(
    saved: Callable[[str], Path],
) -> None:
    encoder = load_audio_tokens(str(saved("Voxtral")), prompt=PROMPT, layers=[DECODERS[0]])
    found = encoder.encode(torch.stack([noise(160_000)]), torch.tensor([160_000]))
    assert found[DECODERS[0]].lengths.tolist() == [125]
    assert found[DECODERS[0]].values.isfinite().all()
    short = encoder.encode(noise(100)[None], torch.tensor([100]))[DECODERS[0]]
    assert short.lengths.tolist() == [1]


def test_a_prompt_is_read_by_the_tokeniser_of_the_folder(
    saved: Callable[[str], Path], tmp_path: Path
) -> None:
    tokenizers = pytest.importorskip("tokenizers")
    folder = tmp_path / "with"
    shutil.copytree(saved("Qwen2Audio"), folder)
    with pytest.raises(ValueError, match=r"makes '' of the prompt .*token ids, encoder.prompt="):
        load_audio_tokens(str(folder))
    known = {"<|audio_bos|>": 5, "hear": 6, "?": 0}
    words = tokenizers.Tokenizer(tokenizers.models.WordLevel(known, unk_token="?"))
    words.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    transformers.PreTrainedTokenizerFast(tokenizer_object=words).save_pretrained(folder)
    assert load_audio_tokens(str(folder)).prompt == (5,)  # that of its family
    assert load_audio_tokens(str(folder), prompt="hear <|audio_bos|>").prompt == (6, 5)
    with pytest.raises(ValueError, match=r"makes .* of the prompt 'listen': give the prompt as"):
        load_audio_tokens(str(folder), prompt="listen")


def test_what_goes_wrong_is_said(saved: Callable[[str], Path], tmp_path: Path) -> None:
    folder = str(saved("GlmAsr"))
    with pytest.raises(ValueError, match="has an audio token: give what stands before it"):
        load_audio_tokens(folder, prompt=[1, AUDIO])
    with pytest.raises(ValueError, match=r"matches no module of GlmAsrModel; there are: .*tower"):
        load_audio_tokens(folder, prompt=PROMPT, layers=["decoder.*"])
    with pytest.raises(ValueError, match=r"model_type hubert are not known, only those of qwen2"):
        load_audio_tokens(str(save_tiny("HubertModel", tmp_path / "hubert")))
