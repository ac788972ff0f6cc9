"""What is too much for the memory is done in halves, and gives what the whole would."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from evaluation import pooling
from evaluation.features import Pooling, extract
from evaluation.memory import Halving, out_of_memory
from models.encoder import Frames
from tests.evaluation.toys import ToyEncoder, sounds

NO_MEMORY = [
    MemoryError(),
    torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("MPS backend out of memory (MPS allocated: 17.99 GB)"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
]


class Greedy(ToyEncoder):
    """Has room for so many samples at once."""

    def __init__(self, room: int, error: Exception) -> None:
        super().__init__()
        self.room, self.error, self.asked = room, error, list[tuple[int, ...]]()

    def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
        self.asked.append(tuple(audio.shape))
        if audio.numel() > self.room:
            raise self.error
        return super().encode(audio, lengths)


@pytest.mark.parametrize("error", NO_MEMORY)
def test_errors_of_memory_are_known(error: Exception) -> None:
    assert out_of_memory(error)


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("out of memory")])
def test_other_errors_are_not_of_memory(error: Exception) -> None:
    assert not out_of_memory(error)


@pytest.mark.long
@pytest.mark.parametrize("error", NO_MEMORY)
def test_features_are_the_same_with_less_memory(error: Exception) -> None:
    ways: list[Pooling] = ["mean", "frames", "coarse_frames"]
    whole = extract(ToyEncoder(), sounds(), ways)
    greedy = Greedy(100, error)
    parts = extract(greedy, sounds(), ways)
    for way in ways:
        for layer, features in whole[way].items():
            torch.testing.assert_close(parts[way][layer].values, features.values, rtol=0, atol=0)
    heard = [shape for shape in greedy.asked if shape[0] * shape[1] <= 100]
    assert sum(number for number, _ in heard) == len(sounds()), "a sound was heard twice"


def test_a_single_sound_that_is_too_much_is_an_error() -> None:
    greedy = Greedy(30, NO_MEMORY[0])
    with pytest.raises(MemoryError):
        extract(greedy, sounds(), ["mean"])
    assert greedy.asked[-1][0] == 1


def test_other_errors_are_not_tried_again() -> None:
    greedy = Greedy(0, RuntimeError("shapes differ"))
    with pytest.raises(RuntimeError, match="shapes differ"):
        extract(greedy, sounds(), ["mean"])
    assert len(greedy.asked) == 1


def test_a_size_that_was_too_much_is_not_tried_again() -> None:
    tried: list[list[int]] = []

    def work(some: list[int]) -> None:
        tried.append(some)
        if len(some) > 2:
            raise MemoryError

    halving = Halving(work, lengths=[10] * 16)
    halving([*range(8)])
    assert tried == [[*range(8)], [0, 1, 2, 3], [0, 1], [2, 3], [4, 5], [6, 7]]
    tried.clear()
    halving([*range(8, 16)])
    assert tried == [[8, 9], [10, 11], [12, 13], [14, 15]]


def test_what_ran_out_of_memory_while_pooling_is_not_collected_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = extract(ToyEncoder(), sounds(), ["frames", "mean"])
    real = pooling.pool

    def pool(frames: Frames, way: Pooling) -> pooling.Features:
        if way == "mean" and len(frames.values) > 2:
            raise MemoryError
        return real(frames, way)

    monkeypatch.setattr(pooling, "pool", pool)
    collected: list[list[int]] = []
    monkeypatch.setattr(
        pooling.Collected,
        "_join",
        lambda self, batches, layer: collected.extend(rows for rows, _ in batches),
    )
    parts = extract(ToyEncoder(), sounds(), ["frames", "mean"])
    layer = next(iter(whole["mean"]))
    assert torch.equal(parts["mean"][layer].values, whole["mean"][layer].values)
    once = collected[: len(collected) // len(whole["mean"])]
    assert sorted(i for rows in once for i in rows) == [*range(len(sounds()))]
