"""Two processes that evaluate together, each writing what it got."""

from __future__ import annotations

import json
import threading
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

from evaluation.cache import FeatureCache
from evaluation.evaluate import evaluate
from models.encoder import Frames
from tests.evaluation.toys import MeanBenchmark, ToyEncoder, sounds

KINDS = ("whole", "fails", "fails strangely", "raises")


def benchmarks() -> list[MeanBenchmark]:
    """Four on sounds that make four batches, one of them broken, and one on a single batch."""
    long = sounds("long", [5000, 1000, 3000, 2000, 4500, 1000])
    return [
        MeanBenchmark("probe/mean", long),
        MeanBenchmark("probe/broken", long, error=ValueError("no labels today")),
        MeanBenchmark("probe/quarters", long, pooling="quarters"),
        MeanBenchmark("fmri/frames", long, pooling="frames"),
        MeanBenchmark("probe/short", sounds("short", [10, 20])),
    ]


class LooseCable(ToyEncoder):
    """Fails on rank 1 alone; strangely: with an error that cannot be sent to another process."""

    def __init__(self, strange: bool) -> None:
        super().__init__()
        self.strange = strange

    def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
        if distributed.get_rank() == 1:
            error = OSError("the cable of rank 1 is loose")
            if self.strange:
                error.lock = threading.Lock()  # type: ignore[attr-defined]
            raise error
        return super().encode(audio, lengths)


def answer(kind: str) -> dict[str, Any]:
    """What one rank gets from one evaluation."""
    encoder = ToyEncoder() if kind == "whole" else LooseCable(kind == "fails strangely")
    on_error = "raise" if kind == "raises" else "continue"
    try:
        result = evaluate(encoder, benchmarks(), step=5, on_error=on_error)
    except RuntimeError as error:
        return {"raised": str(error)}
    return {
        "scores": [asdict(row) for row in result.scores],
        "failures": [asdict(row) for row in result.failures],
        "batches": encoder.batches,
    }


def kept(folder: Path) -> dict[str, Any]:
    """What one rank gets from two evaluations with one folder of features."""
    found: dict[str, Any] = {"scores": [], "batches": []}
    for _ in range(2):
        encoder = ToyEncoder()
        result = evaluate(encoder, benchmarks(), step=5, cache=FeatureCache(folder))
        found["scores"].append([asdict(row) for row in result.scores])
        found["batches"].append(encoder.batches)
    return found


def rank(number: int, folder: str) -> None:
    """One of the two processes, which writes its answers; a rank that waits gives up."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder}/meeting",
        rank=number,
        world_size=2,
        timeout=timedelta(seconds=60),
    )
    answers = {kind: answer(kind) for kind in KINDS}
    answers["kept"] = kept(Path(folder, "kept"))
    answers["kept apart"] = kept(Path(folder, f"kept{number}"))
    Path(folder, f"rank{number}.json").write_text(json.dumps(answers))
    distributed.destroy_process_group()


def two_ranks(folder: Path) -> list[dict[str, dict[str, Any]]]:
    """Answers of both processes, by kind."""
    torch.multiprocessing.spawn(rank, (str(folder),), nprocs=2)
    return [json.loads((folder / f"rank{number}.json").read_text()) for number in range(2)]
