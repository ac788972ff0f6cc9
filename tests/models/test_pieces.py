"""Long clips in pieces that share audio: which piece gives a frame, how many, and when."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from models.external.hooks import Hooked
from models.external.pieces import stride
from tests.models.test_hooks import RATE, Net, clips

LONGEST, OVERLAP = 8000, 2000
SHARED = {"max_seconds": LONGEST / RATE, "overlap_seconds": OVERLAP / RATE}
LAYERS = ("stem", "layers.11", "blocks.0")


def encoder(**settings: Any) -> Hooked:
    torch.manual_seed(0)
    return Hooked(Net(), RATE, LAYERS, "bdt", **settings)


def nearest(distances: list[float]) -> set[int]:
    return {i for i, far in enumerate(distances) if far == max(distances)}


@pytest.mark.parametrize("samples", [8001, 13_900, 14_000, 30_000, 41_237])
def test_a_frame_is_of_the_piece_in_which_it_is_farther_from_an_edge(samples: int) -> None:
    cut, alone = encoder(**SHARED), encoder()
    audio, lengths = clips(samples)
    found, whole = cut.encode(audio, lengths), alone.encode(audio, lengths)
    step = stride(cut.clocks, LONGEST - OVERLAP)
    assert LONGEST - OVERLAP - 40 < step <= LONGEST - OVERLAP
    starts = [first for first in range(0, samples, step) if not first or first + OVERLAP < samples]
    parts = [audio[:, first : first + LONGEST] for first in starts]
    made = [alone.encode(part, torch.tensor([part.shape[1]])) for part in parts]
    for layer in LAYERS:
        frames, hop = found[layer], round(RATE / found[layer].rate)
        assert (frames.rate, frames.offset) == (whole[layer].rate, whole[layer].offset)
        assert torch.equal(frames.lengths, whole[layer].lengths)
        for k, value in enumerate(frames.values[0]):
            centre = frames.offset * RATE + k * hop
            candidates: list[tuple[float, Tensor]] = []
            for first, part, one in zip(starts, parts, made, strict=True):
                j = k - first // hop
                if 0 <= j < int(one[layer].lengths[0]):
                    end = first + part.shape[1]
                    before = centre - first if first else float("inf")
                    after = end - centre if end < samples else float("inf")
                    candidates.append((min(before, after), one[layer].values[0, j]))
            best = nearest([far for far, _ in candidates])
            assert any(torch.allclose(value, candidates[i][1], atol=1e-6) for i in best), (layer, k)


def test_overlap_brings_frames_nearer_to_those_of_the_whole() -> None:
    audio, lengths = clips(30_000)
    whole = encoder().encode(audio, lengths)["blocks.0"].values
    wrong = []
    for overlap in (0.0, 0.01, 0.1):
        cut = encoder(max_seconds=1.0, overlap_seconds=overlap).encode(audio, lengths)["blocks.0"]
        wrong.append(int(((cut.values - whole).abs().amax(2) > 1e-6).sum()))
    assert wrong[0] > wrong[1] > wrong[2] == 0  # 13 frames of 10 samples either way are heard


def test_clips_of_a_fixed_window_may_overlap_too() -> None:
    settings = {"window_seconds": 1.0, "rate": 800.0, "offset": 10 / RATE}
    for overlap in (0.0, 0.3):
        torch.manual_seed(0)
        made = Hooked(Net(), RATE, ["stem"], "bdt", overlap_seconds=overlap, **settings)
        frames = made.encode(*clips(30_000, 500))["stem"]
        assert frames.lengths.tolist() == [2999, 49]
        expected = encoder().encode(*clips(30_000, 500))["stem"]
        torch.testing.assert_close(frames.values[0], expected.values[0])


def test_layers_without_frames_are_means_over_pieces() -> None:
    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.mean, self.frame = nn.Identity(), nn.Identity()

        def forward(self, audio: Tensor) -> None:
            self.frame(audio.unfold(1, 10, 10))
            self.mean(audio.mean(1, keepdim=True))

    made = Hooked(Whole(), RATE, {"mean": "bd", "frame": "btd"}, **SHARED)
    audio, lengths = clips(14_000)
    found = made.encode(audio, lengths)
    assert found["frame"].lengths.tolist() == [1400]
    torch.testing.assert_close(found["frame"].values, audio.unfold(1, 10, 10))
    both = [audio[:, :8000].mean(), audio[:, 6000:].mean()]
    assert float(found["mean"].values) == pytest.approx(float(sum(both) / 2), abs=1e-7)


def test_an_overlap_that_is_no_shorter_than_a_piece_is_refused() -> None:
    with pytest.raises(ValueError, match=r"overlap_seconds=1, expected less than the 1 s that are"):
        encoder(max_seconds=1.0, overlap_seconds=1.0)


def test_features_of_half_precision_are_given_in_single() -> None:
    module = nn.Sequential(nn.Conv1d(1, 3, 20, 10).to(torch.bfloat16))

    class Cast(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = module

        def forward(self, audio: Tensor) -> Tensor:
            return self.net(audio[:, None].to(torch.bfloat16))

    made = Hooked(Cast(), RATE, {"net.0": "bdt"})
    audio, lengths = clips(4000)
    values = made.encode(audio, lengths)["net.0"].values
    assert values.dtype == torch.float32
    torch.testing.assert_close(values[0].T, Cast()(audio)[0].float())
