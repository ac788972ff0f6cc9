"""The masked model: its loss, what it learns from, and the features it gives."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from models.encodecmae import EncodecMAE, Masking
from models.encoder import Encoder
from models.masking import gap_mask
from models.optim import build_optimiser

Build = Callable[..., EncodecMAE]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def sweeps(batch: int, samples: int) -> Tensor:
    """Tones that rise and fall at rates of their own, so that frames tell of their neighbours."""
    time = torch.arange(samples) / 8000
    rate = 1 + torch.arange(batch)[:, None]
    return 0.5 * torch.sin(2 * torch.pi * 900 * time + 120 / rate * torch.sin(6 * rate * time))


def scene(model: EncodecMAE, count: list[int]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Random frames and codes with clips of ``count`` frames, and a mask for them."""
    frames = torch.randn(len(count), max(count), 24, generator=seeded(1), dtype=torch.float64)
    codes = torch.randint(12, (len(count), max(count), 2), generator=seeded(2))
    lengths = torch.tensor(count)
    valid = torch.arange(max(count)) < lengths[:, None]
    masking = model.masking
    mask = gap_mask(lengths, max(count), masking.share, masking.gap, seeded(3))
    return frames, codes, mask, valid


def literal_loss(
    logits: Tensor, codes: Tensor, mask: Tensor, valid: Tensor, weights: list[float], share: float
) -> float:
    total, counted = {True: 0.0, False: 0.0}, {True: 0, False: 0}
    for clip in range(len(codes)):
        for frame in range(codes.shape[1]):
            if not valid[clip, frame]:
                continue
            masked = bool(mask[clip, frame])
            counted[masked] += 1
            for q, weight in enumerate(weights):
                scores = logits[clip, frame, q].tolist()
                right = scores[int(codes[clip, frame, q])]
                total[masked] += weight * (math.log(sum(map(math.exp, scores))) - right)
    parts = {key: total[key] / max(1, counted[key]) for key in total}
    return share * parts[True] + (1 - share) * parts[False]


@pytest.mark.parametrize("masked_weight", [0.9, 0.6])
def test_the_loss_is_its_double_loop(tiny: Build, masked_weight: float) -> None:
    model = tiny(masked_weight=masked_weight)
    _, codes, mask, valid = scene(model, [20, 13, 1])
    logits = 2 * torch.randn(*codes.shape, 12, generator=seeded())
    loss, parts = model.forward_loss(logits, codes, mask, valid)
    expected = literal_loss(logits, codes, mask, valid, [0.7, 0.3], masked_weight)
    assert loss.item() == pytest.approx(expected, rel=1e-5)
    mixed = masked_weight * parts["loss_masked"] + (1 - masked_weight) * parts["loss_visible"]
    assert loss.item() == pytest.approx(mixed.item())


def test_the_loss_is_taken_in_full_precision_also_under_autocast(tiny: Build) -> None:
    model = tiny()
    _, codes, mask, valid = scene(model, [20, 13])
    logits = 2 * torch.randn(*codes.shape, 12, generator=seeded())
    full, parts = model.forward_loss(logits, codes, mask, valid)
    with torch.autocast("cpu", torch.bfloat16):
        mixed, mixed_parts = model.forward_loss(logits, codes, mask, valid)
    assert mixed.dtype == torch.float32
    assert torch.equal(mixed, full)
    assert all(torch.equal(mixed_parts[name], part) for name, part in parts.items())


def test_nine_tenths_of_the_loss_are_masked_frames(tiny: Build) -> None:
    assert tiny().masked_weight == 0.9


def test_the_parts_count_right_codes_on_masked_frames_only(tiny: Build) -> None:
    model = tiny()
    _, codes, mask, valid = scene(model, [20, 14])
    logits = torch.nn.functional.one_hot(codes, 12).float() * 50
    wrong = (codes + 1) % 12
    _, parts = model.forward_loss(logits, torch.where(mask[..., None], codes, wrong), mask, valid)
    assert parts["accuracy/q0"] == parts["accuracy/q1"] == 1
    assert parts["loss_masked"] < 1e-6
    assert parts["loss_visible"] > 40
    uniform, parts = model.forward_loss(torch.zeros_like(logits), codes, mask, valid)
    assert uniform.item() == pytest.approx(math.log(12), rel=1e-5)
    assert parts["perplexity/q0"].item() == pytest.approx(12, rel=1e-5)


def test_a_batch_without_masked_frames_has_a_loss(tiny: Build) -> None:
    loss, parts = tiny()(sweeps(2, 256), torch.tensor([256, 100]), seeded())
    assert loss.isfinite()
    assert parts["loss_masked"] == 0


@pytest.mark.parametrize("token", ["zeros", "learned"])
@pytest.mark.parametrize("share", [0.5, 0.84])
def test_padding_changes_neither_logits_nor_loss(tiny: Build, token: str, share: float) -> None:
    model = tiny(masking=Masking(share, 5, token)).double()
    model.target.float()  # the loss is always taken in single precision
    frames, codes, mask, valid = scene(model, [25, 12, 1])
    padded = [
        torch.cat([part, filler], 1)
        for part, filler in (
            (frames, torch.full((3, 15, 24), 9.0, dtype=torch.float64)),
            (codes, torch.zeros(3, 15, 2, dtype=torch.long)),
            (mask, torch.zeros(3, 15, dtype=torch.bool)),
            (valid, torch.zeros(3, 15, dtype=torch.bool)),
        )
    ]
    results = []
    for f, c, m, v in ((frames, codes, mask, valid), padded):
        logits = model.forward_decoder(*model.forward_encoder(f, v, m), v)
        results.append((logits[:, :25][valid], model.forward_loss(logits, c, m, v)[0]))
    torch.testing.assert_close(results[0][0], results[1][0], atol=1e-9, rtol=0)
    torch.testing.assert_close(results[0][1], results[1][1])


@pytest.mark.parametrize("share", [0.2, 0.5, 0.65, 0.84])
def test_every_visible_frame_reaches_the_encoder(tiny: Build, share: float) -> None:
    model = tiny(masking=Masking(share, 5)).double()
    frames, _, mask, valid = scene(model, [300, 180, 75, 3])
    _, ids_keep, kept = model.forward_encoder(frames, valid, mask)
    seen = torch.zeros_like(valid).scatter(1, ids_keep, kept)
    assert torch.equal(seen, valid & ~mask)


def test_masked_frames_are_hidden_from_the_model(tiny: Build) -> None:
    model = tiny().double()
    frames, _, mask, valid = scene(model, [20, 14])
    other = torch.where(mask[..., None], 5.0, frames)
    first, second = (
        model.forward_decoder(*model.forward_encoder(f, valid, mask), valid)
        for f in (frames, other)
    )
    assert torch.equal(first, second)


def test_encoded_frames_go_back_to_their_places(tiny: Build) -> None:
    model = tiny().double()
    frames, _, mask, valid = scene(model, [20, 14])
    latent, ids_keep, kept = model.forward_encoder(frames, valid, mask)
    placed: list[Tensor] = []
    model.decoder_positions.register_forward_pre_hook(lambda _, args: placed.append(args[0]))
    model.forward_decoder(latent, ids_keep, kept, valid)
    visible = valid & ~mask
    assert not placed[0][~visible].any()
    for clip in range(2):
        torch.testing.assert_close(placed[0][clip][visible[clip]], latent[clip][kept[clip]])


def test_a_learned_token_fills_the_masked_slots(tiny: Build) -> None:
    model = tiny(masking=Masking(gap=5, token="learned")).double()
    frames, _, mask, valid = scene(model, [20, 14])
    placed: list[Tensor] = []
    model.decoder_positions.register_forward_pre_hook(lambda _, args: placed.append(args[0]))
    model.forward_decoder(*model.forward_encoder(frames, valid, mask), valid)
    assert (placed[0][mask] == model.mask_token).all()
    assert 0.01 < model.mask_token.std() < 0.03
    assert tiny().mask_token is None


@pytest.mark.parametrize("token", ["zeros", "learned"])
def test_gradients_reach_every_trainable_parameter(tiny: Build, token: str) -> None:
    model = tiny(masking=Masking(gap=5, token=token))
    loss, _ = model(sweeps(3, 4000), torch.tensor([4000, 3000, 1000]), seeded())
    loss.backward()
    starved = [
        name
        for name, p in model.named_parameters()
        if p.requires_grad and (p.grad is None or not p.grad.any())
    ]
    assert starved == []


@pytest.mark.long
def test_one_batch_can_be_learned(tiny: Build) -> None:
    model = tiny()
    audio, lengths = sweeps(4, 4000), torch.full((4,), 4000)
    optimiser = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses = []
    for _ in range(90):
        loss, parts = model(audio, lengths, seeded())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]
    assert parts["accuracy/q0"] > 0.8


def test_the_mask_of_a_step_depends_on_seed_and_numbers_alone(tiny: Build) -> None:
    def draw(model: EncodecMAE, *numbers: int) -> list[float]:
        return torch.rand(3, generator=model._generator(*numbers)).tolist()

    torch.manual_seed(5)
    first = draw(tiny(), 7, 0)
    assert first == draw(tiny(), 7, 0)
    others = [draw(tiny(), 8, 0), draw(tiny(), 7, 1), draw(tiny(), 0, 7)]
    model = tiny()
    model.seed = 43
    others.append(draw(model, 7, 0))
    assert len({tuple(row) for row in [first, *others]}) == 5


def test_the_optimiser_holds_every_trainable_parameter_once(tiny: Build) -> None:
    model = tiny()
    optimiser, _ = build_optimiser(model, model.optimisation, 10)
    held = [id(p) for group in optimiser.param_groups for p in group["params"]]
    assert sorted(held) == sorted(id(p) for p in model.parameters())


def test_it_is_an_encoder(tiny: Build) -> None:
    model = tiny(name="small")
    assert isinstance(model, Encoder)
    frames = model.encode(sweeps(2, 3000), torch.tensor([3000, 2000]))
    assert tuple(frames) == model.layers == ("encoder.0", "encoder.1")
    for layer in frames.values():
        assert layer.values.shape == (2, 22, 64)
        assert layer.lengths.tolist() == [22, 14]
        assert (layer.rate, layer.offset) == (8000 / 128, 0.016)
        assert not layer.values.requires_grad


LENGTHS = [1, 100, 256, 900, 1536, 1537, 5000]


@pytest.mark.parametrize("training", [True, False])
def test_a_clip_has_the_same_features_alone_and_in_a_batch(tiny: Build, training: bool) -> None:
    model = tiny(chunk_frames=11).train(training)
    audio = torch.nn.utils.rnn.pad_sequence(
        [sweeps(7, length)[i] for i, length in enumerate(LENGTHS)], batch_first=True
    )
    together = model.encode(audio, torch.tensor(LENGTHS))
    for i, length in enumerate(LENGTHS):
        alone = model.encode(audio[i : i + 1, :length], torch.tensor([length]))
        for layer in model.layers:
            count = int(alone[layer].lengths)
            assert together[layer].lengths[i] == count >= 1
            torch.testing.assert_close(
                together[layer].values[i, :count], alone[layer].values[0], atol=1e-5, rtol=0
            )


def test_chunks_are_encoded_one_by_one(tiny: Build) -> None:
    model = tiny(chunk_frames=11)
    stride, span = 11 * 128, model.frontend.samples(11)
    audio = sweeps(1, 3 * stride + 128)
    whole = model.encode(audio, torch.tensor([audio.shape[1]]))["encoder.1"].values
    assert whole.shape[1] == 33
    for chunk in range(3):
        piece = audio[:, chunk * stride :][:, :span]
        expected = model.encode(piece, torch.tensor([span]))["encoder.1"].values
        got = whole[:, chunk * 11 : (chunk + 1) * 11]
        torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_nothing_is_masked_in_features(tiny: Build) -> None:
    model = tiny()
    audio = sweeps(1, model.frontend.samples(20))
    x = model.encoder_positions(model.embed(model.frontend(audio)))
    got = model.encode(audio, torch.tensor([audio.shape[1]]))
    for state, layer in zip(model.encoder.hidden_states(x), got.values(), strict=True):
        torch.testing.assert_close(layer.values, state)
