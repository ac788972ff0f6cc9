"""EnCodec, held frozen: its codes, its weights, and what to do when there are none."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import pytest
import torch
from encodec import EncodecModel
from torch import Tensor

from models.chunks import encode_in_chunks
from models.codec import URL, CodecWeightsError, EncodecWeights
from models.encodecmae import EncodecMAE
from models.frontend import EncodecFrontEnd
from models.optim import Optimisation, build_optimiser
from models.targets import PUBLISHED_WEIGHTS, EncodecTarget


def sound(samples: int, batch: int = 2) -> Tensor:
    return 0.3 * torch.randn(batch, samples, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def codec() -> EncodecWeights:
    """With random weights and codebooks."""
    torch.manual_seed(0)
    codec = EncodecWeights("random")
    codec.load()
    return codec


@pytest.fixture(scope="module")
def original() -> EncodecModel:
    """Encodec's own model, with codebooks drawn where its features lie."""
    torch.manual_seed(1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        model = EncodecModel.encodec_model_24khz(pretrained=False)
    with torch.no_grad():
        features = model.eval().encoder(sound(6400)[:, None]).transpose(1, 2).flatten(0, 1)
    for layer in model.quantizer.vq.layers:
        layer._codebook.embed.normal_().mul_(features.std(0))
        layer._codebook.inited.fill_(1)
    model.quantizer.vq.layers[0]._codebook.embed.add_(features.mean(0))
    return model


@pytest.fixture(scope="module")
def file(original: EncodecModel, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("codec") / "encodec_24khz.th"
    torch.save(original.state_dict(), path)
    return path


@pytest.mark.long
def test_codes_and_features_of_a_weights_file_are_encodecs(
    original: EncodecModel, file: Path
) -> None:
    codec = EncodecWeights(file)
    codec.load()
    audio = sound(3200)
    with torch.no_grad():
        embedded = original.encoder(audio[:, None])
        expected = original.quantizer.encode(embedded, original.frame_rate, 6.0)
        original.set_target_bandwidth(6.0)
        ((whole, _),) = original.encode(audio[:, None])
    torch.testing.assert_close(codec.features(audio), embedded.transpose(1, 2))
    assert expected.shape == (8, 2, 10)
    assert torch.equal(codec.codes(audio), expected.permute(1, 2, 0))
    assert torch.equal(codec.codes(audio), whole.transpose(1, 2))
    assert len(codec.codes(audio).unique()) > 20


@pytest.mark.long
def test_random_weights_give_encodecs_codes_too(
    codec: EncodecWeights, original: EncodecModel
) -> None:
    audio = sound(3200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        other = EncodecModel.encodec_model_24khz(pretrained=False).eval()
    other.encoder.load_state_dict(codec.encoder.state_dict())
    for mine, theirs in zip(codec.layers, other.quantizer.vq.layers, strict=False):
        theirs.load_state_dict(mine.state_dict())
    with torch.no_grad():
        expected = other.quantizer.encode(other.encoder(audio[:, None]), 75, 6.0)
    assert torch.equal(codec.codes(audio), expected.permute(1, 2, 0))


def test_it_stays_in_evaluation_mode_and_without_gradients(codec: EncodecWeights) -> None:
    target = EncodecTarget(codec).train()
    assert target.training
    assert not any(module.training for module in codec.modules())
    assert not any(p.requires_grad for p in codec.parameters())


@pytest.mark.long
def test_codebooks_are_byte_identical_after_training(
    tiny: Callable[..., EncodecMAE], codec: EncodecWeights
) -> None:
    model = tiny(frontend=EncodecFrontEnd(codec), target=EncodecTarget(codec)).train()
    model.frontend.prepare()
    model.target.prepare([])
    digest = model.target.digest()
    weight = model.head.weight.clone()
    optimiser, _ = build_optimiser(model, Optimisation(lr=0.01, warmup_share=0.0), 3)
    held = {id(p) for group in optimiser.param_groups for p in group["params"]}
    assert not held & {id(p) for p in codec.parameters()}
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        loss, _ = model(sound(6400), torch.tensor([6400, 3200]), generator)
        loss.backward()
        optimiser.step()
    assert not torch.equal(model.head.weight, weight)
    assert model.target.digest() == digest


@pytest.mark.long
def test_the_digest_sees_what_encodecs_own_forward_would_do(file: Path) -> None:
    codec = EncodecWeights(file)
    codec.load()
    target = EncodecTarget(codec)
    before = target.digest()
    layer = codec.layers[0]
    layer.train()
    layer(torch.randn(2, 128, 50))
    assert target.digest() != before


def test_building_a_model_leaves_the_codec_alone(
    tiny: Callable[..., EncodecMAE], codec: EncodecWeights
) -> None:
    target = EncodecTarget(codec)
    before = target.digest()
    tiny(target=target)
    assert target.digest() == before


@pytest.mark.long
@pytest.mark.parametrize(
    ("samples", "frames"), [(1, 1), (100, 1), (320, 1), (639, 1), (640, 2), (9600, 30)]
)
def test_frames_are_whole_hops_and_at_least_one(
    codec: EncodecWeights, samples: int, frames: int
) -> None:
    frontend = EncodecFrontEnd(codec, scale=2.0)
    assert frontend(sound(samples)).shape == (2, frames, 128)
    assert codec.codes(sound(samples)).shape == (2, frames, 8)
    assert frontend.frames(torch.tensor([samples])).tolist() == [frames]
    assert torch.equal(frontend(sound(samples)), 2 * codec.features(sound(samples)))


@pytest.mark.long
def test_a_short_clip_has_the_same_features_alone_and_in_a_batch(codec: EncodecWeights) -> None:
    frontend = EncodecFrontEnd(codec)
    lengths = torch.tensor([1, 300, 700, 1000, 1280, 2000, 2300, 5000])

    def encode(audio: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        (values,), count = encode_in_chunks(lambda x, _: [frontend(x)], frontend, audio, lengths, 9)
        return values, count

    audio = sound(5000, len(lengths))
    together, count = encode(audio, lengths)
    for clip, length in enumerate(lengths.tolist()):
        alone, frames = encode(audio[clip : clip + 1, :length], lengths[clip : clip + 1])
        assert frames == count[clip]
        got = together[clip, : int(frames)]
        torch.testing.assert_close(got, alone[0], atol=1e-5, rtol=0)


def test_frames_come_75_times_a_second(codec: EncodecWeights) -> None:
    frontend = EncodecFrontEnd(codec)
    assert frontend.rate == 75
    assert frontend.offset == pytest.approx(0.5 / 75)


def test_the_target_has_the_published_weights_for_eight_codebooks(codec: EncodecWeights) -> None:
    target = EncodecTarget(codec)
    assert (target.codebooks, target.codebook_size) == (8, 1024)
    torch.testing.assert_close(target.weights, torch.tensor(PUBLISHED_WEIGHTS), atol=1e-6, rtol=0)


def test_weights_restored_from_a_checkpoint_are_not_fetched(
    codec: EncodecWeights, no_network: None
) -> None:
    restored = EncodecWeights()
    restored.load_state_dict(codec.state_dict())
    restored.load()
    assert EncodecTarget(restored).digest() == EncodecTarget(codec).digest()


def test_a_wrong_file_names_what_is_missing(tmp_path: Path) -> None:
    path = tmp_path / "other.th"
    torch.save({"encoder.weight": torch.zeros(2)}, path)
    with pytest.raises(
        CodecWeightsError, match=r"other\.th is not .* 0 of \d+ entries .* encoder\."
    ):
        EncodecWeights(path).load()


def test_a_file_that_is_not_there_names_both_ways(tmp_path: Path) -> None:
    with pytest.raises(CodecWeightsError, match=r"no EnCodec weights at .*absent\.th") as caught:
        EncodecWeights(tmp_path / "absent.th").load()
    assert_names_both_ways(caught.value)


@pytest.mark.long
def test_no_network_names_both_ways(no_network: None) -> None:
    with pytest.raises(CodecWeightsError, match="no route to host") as caught:
        EncodecWeights().load()
    assert_names_both_ways(caught.value)


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise URLError("no route to host")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)


def assert_names_both_ways(error: CodecWeightsError) -> None:
    assert f"with a network so that {Path(URL).name} is cached" in str(error)
    assert "model.target.codec.weights=FILE" in str(error)
