"""Every layer of every stimulus, pooled as a loop over single clips would."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from rich.progress import Progress, TaskID
from torch import Tensor

from evaluation.features import Features, Pooling, extract
from evaluation.pooling import FRAMES, POOLED
from models.encoder import Frames
from models.external.precomputed import Precomputed
from tests.evaluation.toys import HOP, ToyEncoder, sounds

COUNTS = [5, 1, 3, 2, 4, 1]


def frames_of(index: int) -> Tensor:
    """What the toy encoder's first layer is for one sound."""
    waveform = sounds().waveform(index, 100)
    return waveform[: COUNTS[index] * HOP].view(-1, HOP)


def naive(frames: Tensor, pooling: str) -> Tensor:
    n = len(frames)
    mean = sum(frames[i] for i in range(n)) / n
    if pooling == "mean":
        return torch.as_tensor(mean)
    if pooling == "mean_std":
        variance = sum((frames[i] - mean) ** 2 for i in range(n)) / n
        return torch.cat([torch.as_tensor(mean), torch.as_tensor(variance).sqrt()])
    quarters = []
    for quarter in range(4):
        first = n * quarter // 4
        last = max(n * (quarter + 1) // 4, first + 1)
        quarters.append(sum(frames[i] for i in range(first, last)) / (last - first))
    return torch.cat([torch.as_tensor(q) for q in quarters])


@pytest.mark.parametrize("pooling", list(POOLED))
@pytest.mark.parametrize("batch_seconds", [0.1, 1.0, 64.0])
def test_pooling_equals_a_loop_over_clips(pooling: Pooling, batch_seconds: float) -> None:
    found = extract(ToyEncoder(), sounds(), [pooling], batch_seconds=batch_seconds)
    expected = torch.stack([naive(frames_of(i), pooling) for i in range(6)])
    torch.testing.assert_close(found[pooling]["samples"].values, expected)
    assert list(found[pooling]) == ["samples", "squares"]


def test_quarters_of_less_than_four_frames_repeat_frames() -> None:
    values = extract(ToyEncoder(), sounds(), ["quarters"])["quarters"]["samples"].values
    one, two, three = (values[i].view(4, HOP) for i in (1, 3, 2))
    torch.testing.assert_close(one, frames_of(1).expand(4, HOP))
    torch.testing.assert_close(two, frames_of(3)[[0, 0, 1, 1]])
    torch.testing.assert_close(three, frames_of(2)[[0, 0, 1, 2]])


def test_frames_are_kept_in_stimulus_order_and_zero_behind_the_end() -> None:
    found = extract(ToyEncoder(), sounds(), ["frames", "mean"], batch_seconds=0.5)
    kept = found["frames"]["samples"]
    assert kept.lengths is not None
    assert kept.lengths.tolist() == COUNTS
    assert (kept.rate, kept.offset) == (10.0, 0.05)
    for i, n in enumerate(COUNTS):
        torch.testing.assert_close(kept.values[i, :n], frames_of(i))
        assert kept.values[i, n:].eq(0).all()
    assert found["mean"]["samples"].lengths is None


@pytest.mark.parametrize(("rate", "count"), [(10.0, 1), (25.0, 1), (50.0, 2), (75.0, 4)])
def test_coarse_frames_are_means_of_neighbours(rate: float, count: int) -> None:
    class Faster(ToyEncoder):
        def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
            return {k: replace(f, rate=rate) for k, f in super().encode(audio, lengths).items()}

    kept = extract(Faster(), sounds(), ["coarse_frames"], batch_seconds=0.5)["coarse_frames"]
    found = kept["samples"]
    assert found.lengths is not None
    assert found.rate == rate / count
    for i, n in enumerate(COUNTS):
        parts = [frames_of(i)[k : min(k + count, n)] for k in range(0, n, count)]
        assert found.lengths[i] == len(parts)
        expected = torch.stack([sum(part) / len(part) for part in parts])  # type: ignore[misc]
        torch.testing.assert_close(found.values[i, : len(parts)], expected)
        assert found.values[i, len(parts) :].eq(0).all()
    centres = [0.05 + k / rate for k in range(count)]
    assert found.offset == pytest.approx(sum(centres) / count)


def test_batches_are_sorted_by_length_and_bounded() -> None:
    encoder = ToyEncoder()
    extract(encoder, sounds(), ["mean"], batch_seconds=0.6)
    # Two of 10 samples and one of 20 fill 60 samples; the longer ones go alone.
    assert encoder.batches == [3, 1, 1, 1]


def test_batches_do_not_depend_on_what_is_kept_in_memory() -> None:
    encoders, found = (ToyEncoder(), ToyEncoder()), []
    for encoder, hours in zip(encoders, (2.0, 0.0), strict=True):
        stimuli = replace(sounds(), kept_hours=hours)
        found.append(extract(encoder, stimuli, ["mean_std", "frames"], batch_seconds=0.6))
    assert encoders[0].batches == encoders[1].batches
    for pooling in ("mean_std", "frames"):
        for layer in ToyEncoder.layers:
            one, two = (one[pooling][layer].values for one in found)
            assert torch.equal(one, two)


def test_the_bar_counts_seconds_of_sound_and_goes_away() -> None:
    seen: list[tuple[str, float, float]] = []

    class Watched(Progress):
        def remove_task(self, task_id: TaskID) -> None:
            task = self.tasks[0]
            seen.append((task.description, task.completed, task.total or 0))
            super().remove_task(task_id)

    bar = Watched(disable=True)
    extract(ToyEncoder(), sounds(), ["mean"], progress=bar)
    assert seen == [("Measuring toys", 6, 6), ("Encoding toys (s)", pytest.approx(1.65), 2)]
    assert not bar.tasks


def test_wrong_layers_are_named_with_those_promised() -> None:
    encoder = ToyEncoder()
    encoder.layers = ("samples", "cubes")
    with pytest.raises(
        ValueError, match=r"toy declares layers \['samples', 'cubes'\].*\['samples', 'squares'\]"
    ):
        extract(encoder, sounds(), ["mean"])


@pytest.mark.parametrize(("given", "said"), [(list, "list"), (dict, "Tensor")])
def test_what_is_no_mapping_to_frames_is_named(
    given: type, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = given({"samples": torch.zeros(1)})
    monkeypatch.setattr(ToyEncoder, "encode", lambda *_: wrong)
    with pytest.raises(TypeError, match=f"encoder toy returned {said}, expected a mapping"):
        extract(ToyEncoder(), sounds(), ["mean"])


def test_frames_along_the_wrong_axis_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    right = ToyEncoder.encode

    def turned(self: ToyEncoder, *given: torch.Tensor) -> dict[str, Frames]:
        return {
            name: replace(frames, values=frames.values.transpose(1, 2))
            for name, frames in right(self, *given).items()
        }

    monkeypatch.setattr(ToyEncoder, "encode", turned)
    with pytest.raises(ValueError, match=r"layer samples has values .* expected \(clips, frames,"):
        extract(ToyEncoder(), sounds("long", (150, 30)), ["mean"])


@pytest.mark.parametrize("pooling", [*POOLED, *FRAMES])
def test_features_that_are_not_finite_are_an_error(pooling: Pooling) -> None:
    with pytest.raises(ValueError, match=r"layer samples .* not finite at stimulus sound1"):
        extract(ToyEncoder(gain=float("inf")), sounds(), [pooling])


def test_unknown_pooling_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"'median': expected one of \['mean'"):
        extract(ToyEncoder(), sounds(), ["median"])  # type: ignore[list-item]


def saved(folder: Path, **arrays: np.ndarray | float) -> Precomputed:
    path = folder / "made_elsewhere.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]
    return Precomputed(path)


def test_stored_vectors_are_found_by_name(tmp_path: Path) -> None:
    names = np.array([f"sound{i}.wav" for i in (3, 1, 0, 5, 4, 2)])
    stored = saved(tmp_path, stimuli=names, layer=np.array([[3.0], [1], [0], [5], [4], [2]]))
    found = extract(stored, sounds(), ["mean", "quarters"])
    for pooling in ("mean", "quarters"):
        assert found[pooling]["layer"].values.flatten().tolist() == [0, 1, 2, 3, 4, 5]
    with pytest.raises(ValueError, match="one vector a stimulus, this benchmark needs frames"):
        extract(stored, sounds(), ["frames"])


def test_stored_frames_are_pooled_like_computed_ones(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(6, 5, 3)).astype("float32")
    stored = saved(
        tmp_path, stimuli=np.array([f"sound{i}" for i in range(6)]), layer=values, rate=10.0
    )
    found = extract(stored, sounds(), ["mean", "frames"])
    torch.testing.assert_close(found["mean"]["layer"].values, torch.from_numpy(values).mean(1))
    kept: Features = found["frames"]["layer"]
    assert kept.lengths is not None
    assert kept.lengths.tolist() == [5] * 6
    assert (kept.rate, kept.offset) == (10.0, 0.05)


def test_a_stimulus_that_is_not_stored_is_named(tmp_path: Path) -> None:
    names = np.array([f"sound{i}" for i in range(5)])
    stored = saved(tmp_path, stimuli=names, layer=np.zeros((5, 2)))
    with pytest.raises(ValueError, match="no features of stimulus sound5"):
        extract(stored, sounds(), ["mean"])


def test_encoders_may_give_half_precision() -> None:
    class Half(ToyEncoder):
        def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
            whole = super().encode(audio, lengths)
            return {
                k: Frames(f.values.half(), f.lengths, f.rate, f.offset) for k, f in whole.items()
            }

    found = extract(Half(), sounds(), ["mean"])["mean"]["samples"].values
    assert found.dtype == torch.float32
    expected = torch.stack([naive(frames_of(i), "mean") for i in range(6)])
    torch.testing.assert_close(found, expected, atol=1e-3, rtol=0)
