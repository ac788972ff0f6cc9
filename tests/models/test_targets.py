"""Codes that are fitted once, the same for a seed, and never move again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from sklearn.cluster import KMeans
from torch import Tensor

from models.encodecmae import EncodecMAE
from models.frontend import LogMel
from models.optim import Optimisation, build_optimiser
from models.targets import (
    PUBLISHED_WEIGHTS,
    KMeansTarget,
    RandomProjectionTarget,
    SpectralTarget,
    Target,
    kmeans,
    nearest,
)

KINDS = [KMeansTarget, RandomProjectionTarget]


def corpus(batches: int = 4, seed: int = 0) -> list[dict[str, Tensor]]:
    """Noise whose spectrum and level wander; the second clip of each batch is half as long."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(batches):
        audio = torch.randn(2, 8000, generator=generator).cumsum(1) * 0.01
        audio = audio + 0.1 * torch.randn(2, 8000, generator=generator)
        audio = audio * torch.rand(2, 8, 1, generator=generator).expand(2, 8, 1000).flatten(1)
        audio[1, 4000:] = 0
        found.append({"audio": audio, "lengths": torch.tensor([8000, 4000])})
    return found


def fitted(kind: type[SpectralTarget], mel: LogMel, **kwargs: Any) -> SpectralTarget:
    target = kind(mel, **{"codebooks": 3, "size": 16, "fit_frames": 300, **kwargs})
    target.prepare(corpus())
    return target


def frames_inside(target: SpectralTarget) -> Tensor:
    """Features of every frame that lies inside its clip."""
    found = []
    for batch in corpus():
        count = target.frontend.frames(batch["lengths"]).tolist()
        features = target.features(batch["audio"])
        found += [clip[:n] for clip, n in zip(features, count, strict=True)]
    return torch.cat(found)


def refuse_to_fit(*_: object) -> None:
    raise AssertionError("a fitted target was fitted again")


@pytest.mark.parametrize("kind", KINDS)
def test_codes_have_their_shape_and_range(kind: type[SpectralTarget], mel: LogMel) -> None:
    target = fitted(kind, mel)
    codes = target(corpus()[0]["audio"])
    assert codes.shape == (2, 61, 3)
    assert 0 <= codes.min() <= codes.max() < 16
    assert all(len(codes[..., q].unique()) > 4 for q in range(3))


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_the_same_codebooks_whatever_else_is_drawn(
    kind: type[SpectralTarget], mel: LogMel
) -> None:
    torch.manual_seed(1)
    first = fitted(kind, mel, seed=3)
    torch.manual_seed(2)
    assert fitted(kind, mel, seed=3).digest() == first.digest()
    assert fitted(kind, mel, seed=4).digest() != first.digest()


def test_each_codebook_lowers_the_quantisation_error(mel: LogMel) -> None:
    target = fitted(KMeansTarget, mel)
    residual = frames_inside(target)
    errors = [residual.square().mean().item()]
    for book in target.codebook:
        residual = residual - book[nearest(residual, book)]
        errors.append(residual.square().mean().item())
    assert errors[1] < 0.8 * errors[0]
    assert errors[0] > errors[1] > errors[2] > errors[3]


def test_codes_are_the_residual_quantisers(mel: LogMel) -> None:
    target = fitted(KMeansTarget, mel)
    audio = corpus()[0]["audio"]
    codes = target(audio)
    for clip in range(2):
        for frame in (0, 17, 60):
            rest = target.features(audio)[clip, frame].double()
            for q, book in enumerate(target.codebook.double()):
                distance = (book - rest).norm(dim=1)
                assert codes[clip, frame, q] == distance.argmin()
                rest = rest - book[distance.argmin()]


def clusters(k: int = 5, each: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    centres = 10 * torch.randn(k, 4, generator=generator)
    points = centres[:, None] + 0.1 * torch.randn(k, each, 4, generator=generator)
    return points.flatten(0, 1), points.mean(1)


def test_kmeans_is_sklearns_lloyd_from_the_same_start() -> None:
    points = torch.randn(300, 3, generator=torch.Generator().manual_seed(0))
    start = points[torch.randperm(300, generator=torch.Generator().manual_seed(7))[:6]]
    reference = KMeans(6, init=start.numpy(), n_init=1, max_iter=15, tol=0, algorithm="lloyd")
    reference.fit(points.numpy())
    book = kmeans(points, 6, 15, seed=7)
    torch.testing.assert_close(
        book, torch.from_numpy(reference.cluster_centers_), atol=1e-5, rtol=1e-5
    )


def test_kmeans_finds_separate_clusters_from_a_fair_start() -> None:
    points, centres = clusters()
    best = min(
        (kmeans(points, 5, 10, seed) for seed in range(20)),
        key=lambda book: (points - book[nearest(points, book)]).square().sum(),
    )
    order = nearest(centres, best)
    assert sorted(order.tolist()) == list(range(5))
    torch.testing.assert_close(best[order], centres, atol=1e-5, rtol=0)


def test_kmeans_survives_empty_clusters() -> None:
    points = torch.tensor([[0.0, 0.0]] * 30 + [[1.0, 1.0]] * 30)
    book = kmeans(points, 8, 5, seed=0)
    assert book.isfinite().all()
    assert (points - book[nearest(points, book)]).abs().max() < 1e-6


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_coding_changes_no_buffer(kind: type[SpectralTarget], mel: LogMel) -> None:
    target = fitted(kind, mel).train()
    before = target.digest()
    target(corpus(seed=1)[0]["audio"])
    assert target.digest() == before


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
def test_training_leaves_the_target_alone(
    kind: type[SpectralTarget], mel: LogMel, tiny: Callable[..., EncodecMAE]
) -> None:
    model = tiny(target=fitted(kind, mel)).train()
    before, weight = model.target.digest(), model.head.weight.clone()
    optimiser, _ = build_optimiser(model, Optimisation(lr=0.01, warmup_share=0.0), 3)
    for batch in corpus(3):
        loss, _ = model(batch["audio"], batch["lengths"], torch.Generator().manual_seed(0))
        loss.backward()
        optimiser.step()
    assert not torch.equal(model.head.weight, weight)
    assert model.target.digest() == before


def test_the_digest_sees_a_single_changed_number(mel: LogMel) -> None:
    target = fitted(KMeansTarget, mel)
    before = target.digest()
    target.codebook[2, 5, 1] += 1e-6
    assert target.digest() != before


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_target_is_not_fitted_again(
    kind: type[SpectralTarget], mel: LogMel, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = fitted(kind, mel)
    other = kind(mel, codebooks=3, size=16, fit_frames=300)
    assert not other.fitted
    other.load_state_dict(first.state_dict())
    monkeypatch.setattr(kind, "_fit_codebooks", refuse_to_fit)
    other.prepare(corpus(seed=9))
    assert other.digest() == first.digest()
    audio = corpus()[0]["audio"]
    assert torch.equal(other(audio), first(audio))


def test_random_projections_are_fixed_and_codes_have_unit_length(mel: LogMel) -> None:
    target = fitted(RandomProjectionTarget, mel, code_dim=6)
    assert target.random.shape == (3, 24, 6)
    assert torch.allclose(target.codebook.norm(dim=-1), torch.ones(3, 16))
    audio = corpus()[0]["audio"]
    projected = target.features(audio)[1, 10] @ target.random[2]
    projected = projected / projected.norm()
    expected = (target.codebook[2] - projected).norm(dim=1).argmin()
    assert target(audio)[1, 10, 2] == expected


def test_features_are_standardised_on_frames_inside_their_clips(mel: LogMel) -> None:
    target = fitted(KMeansTarget, mel, fit_frames=10_000)
    features = frames_inside(target)
    assert features.mean(0).abs().max() < 1e-4
    # A rotation of unit-variance bands keeps their total variance.
    assert features.var(0).sum().item() == pytest.approx(24, rel=0.02)


def test_context_stacks_neighbouring_frames_and_repeats_the_edges(mel: LogMel) -> None:
    target = fitted(KMeansTarget, mel, context=2)
    audio = corpus()[0]["audio"]
    frames, stacked = mel(audio), target._stack_frames(audio)
    assert stacked.shape == (2, 61, 24 * 5)
    for frame in (0, 1, 30, 60):
        for lag in range(5):
            neighbour = min(max(frame + lag - 2, 0), 60)
            got = stacked[:, frame].unflatten(1, (5, 24))[:, lag]
            assert torch.equal(got, frames[:, neighbour])
    assert target(audio).shape == (2, 61, 3)


@pytest.mark.long
def test_components_keep_the_directions_of_most_variance(mel: LogMel) -> None:
    whole = fitted(KMeansTarget, mel, fit_frames=10_000)
    few = fitted(KMeansTarget, mel, fit_frames=10_000, components=4)
    assert few.projection.shape == (24, 4)
    assert few.codebook.shape == (3, 16, 4)
    variance = frames_inside(whole).var(0)
    assert (variance.diff() < 1e-3).all()
    torch.testing.assert_close(frames_inside(few).var(0), variance[:4], rtol=1e-3, atol=1e-3)


def test_whitening_makes_components_equal(mel: LogMel) -> None:
    target = fitted(KMeansTarget, mel, fit_frames=10_000, components=6, whiten=1.0)
    cov = frames_inside(target).T.cov()
    torch.testing.assert_close(cov, torch.eye(6), atol=0.02, rtol=0)
    half = fitted(KMeansTarget, mel, fit_frames=10_000, components=6, whiten=0.5)
    plain = fitted(KMeansTarget, mel, fit_frames=10_000, components=6)
    torch.testing.assert_close(
        frames_inside(half).var(0), frames_inside(plain).var(0).sqrt(), rtol=1e-2, atol=0
    )


@pytest.mark.long
def test_a_band_without_variance_is_left_out(mel: LogMel) -> None:
    mel.filters[:, 3] = 0
    target = fitted(KMeansTarget, mel)
    assert not target.projection[3].any()
    assert target.features(corpus()[0]["audio"]).isfinite().all()


@pytest.mark.parametrize("kind", KINDS)
def test_too_little_audio_is_an_error(kind: type[SpectralTarget], mel: LogMel) -> None:
    few = [{"audio": torch.zeros(1, 1000), "lengths": torch.tensor([1000])}]
    with pytest.raises(ValueError, match=r"6 frames of audio cannot give 16 codes: use more"):
        kind(mel, codebooks=3, size=16).prepare(few)


def test_only_as_many_batches_are_read_as_the_fit_needs(mel: LogMel) -> None:
    read = []

    def batches():
        for number, batch in enumerate(corpus(20)):
            read.append(number)
            yield batch

    KMeansTarget(mel, codebooks=1, size=4, fit_frames=40).prepare(batches())
    assert len(read) == 2


def test_codebook_weights_sum_to_one() -> None:
    assert Target(4, 8, None).weights.tolist() == [0.25] * 4
    torch.testing.assert_close(Target(2, 8, [3.0, 1.0]).weights, torch.tensor([0.75, 0.25]))
    published = Target(8, 8, PUBLISHED_WEIGHTS).weights
    torch.testing.assert_close(published, torch.tensor(PUBLISHED_WEIGHTS), atol=1e-6, rtol=0)


def test_a_weight_for_each_codebook_or_an_error() -> None:
    with pytest.raises(ValueError, match="2 codebook weights for 4 codebooks"):
        Target(4, 8, [0.5, 0.5])


@pytest.mark.long
def test_mixed_precision_leaves_the_codes_as_they_are(
    tiny: Callable[..., EncodecMAE], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = tiny()
    target = KMeansTarget(LogMel(bands=24, sample_rate=8000), codebooks=2, size=12, fit_frames=400)
    audio = torch.randn(4, 8000, generator=torch.Generator().manual_seed(0)) * 0.1
    lengths = torch.full((4,), 8000)
    target.prepare([{"audio": audio, "lengths": lengths}])
    seen = []
    model.target.forward = lambda x: seen.append(target(x)) or seen[-1]  # type: ignore[func-returns-value]
    for enabled in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            model(audio, lengths, torch.Generator().manual_seed(0))
    assert seen[0].equal(seen[1])
