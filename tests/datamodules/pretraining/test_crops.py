"""The stream of crops is a function of its seed: checked against interruptions, ranks, workers."""

from __future__ import annotations

import json
import re
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
import pytorch_lightning as pl
import torch
from torch import Tensor

from datamodules.pretraining.clips import ClipSource
from datamodules.pretraining.crops import PretrainingData

# pytorch-lightning 2.6 with torch 2.11; nothing of ours
pytestmark = pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")


class Ramps:
    """Clips whose samples tell clip and time: value = index + t / 1000 at 100 Hz."""

    sample_rate = 100

    def __init__(self, seconds: list[float], broken: tuple[int, ...] = ()) -> None:
        self.seconds = seconds
        self.names = [f"clip{i:02d}" for i in range(len(seconds))]
        self.fingerprint = f"ramps{seconds}"
        self.broken = broken

    def read(self, index: int, start: float, seconds: float) -> Tensor:
        if index in self.broken:
            raise RuntimeError("broken body")
        stop = min(start + seconds, self.seconds[index])
        return index + torch.arange(round(start * 100), round(stop * 100)) / 100_000


class Recorder(pl.LightningModule):
    """Keeps the first sample of every crop of every batch it trains on."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.seen: list[list[float]] = []

    def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
        self.seen.append(batch["audio"][:, 0].tolist())
        return (self.weight * batch["audio"]).mean()

    def validation_step(self, batch: dict[str, Tensor], index: int) -> None:
        return None

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.1)


class SaveAt(pl.Callback):
    """Saves in on_train_batch_end of some step and may stop the run there."""

    def __init__(self, step: int, path: Path, crash: bool = False) -> None:
        self.step, self.path, self.crash = step, path, crash

    def on_train_batch_end(self, trainer: pl.Trainer, *_: object) -> None:
        if trainer.global_step == self.step:
            trainer.save_checkpoint(self.path)
            if self.crash:
                raise InterruptedError


def data(seconds: list[float] | None = None, **changes: object) -> PretrainingData:
    settings = {"crop_seconds": 2.0, "batch_size": 4, "num_workers": 0, "val_clips": 2, "seed": 7}
    return PretrainingData(Ramps(seconds or [5.0] * 20), **(settings | changes))


def first(module: PretrainingData, n: int) -> list[Tensor]:
    return [batch["audio"] for batch in islice(iter(module.train_dataloader()), n)]


def clips(batches: list[Tensor]) -> Counter[int]:
    return Counter(int(value) for batch in batches for value in batch[:, 0])


def trainer(tmp_path: Path, steps: int, *callbacks: pl.Callback, **changes: object) -> pl.Trainer:
    settings = {
        "max_steps": steps,
        "accelerator": "cpu",
        "default_root_dir": tmp_path,
        "logger": False,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "check_val_every_n_epoch": None,
        "val_check_interval": 3,
    }
    return pl.Trainer(callbacks=list(callbacks), **(settings | changes))


def test_the_source_used_here_fulfils_the_protocol() -> None:
    assert isinstance(Ramps([1.0]), ClipSource)


def test_batches_have_fixed_shape_and_true_lengths() -> None:
    batch = next(iter(data([1.0, 5.0] * 10).train_dataloader()))
    assert batch["audio"].shape == (4, 200)
    assert batch["audio"].dtype == torch.float32
    assert batch["lengths"].dtype == torch.int64
    for row, length in zip(batch["audio"], batch["lengths"].tolist(), strict=True):
        assert length == (100 if int(row[0]) % 2 == 0 else 200)
        assert not row[length:].any()


def test_the_stream_depends_on_the_seed_and_not_on_workers() -> None:
    alone = first(data(), 12)
    assert torch.equal(torch.stack(alone), torch.stack(first(data(num_workers=2), 12)))
    assert not torch.equal(torch.stack(alone), torch.stack(first(data(seed=8), 12)))


def test_the_global_random_state_is_left_alone() -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    first(data(num_workers=1), 2)
    assert torch.equal(torch.rand(1), expected)


def test_a_source_with_corpora_is_sampled_by_its_shares() -> None:
    source = Ramps([4.0] * 20)
    source.corpus = ["small"] * 4 + ["large"] * 16  # type: ignore[attr-defined]
    source.shares = {"small": 1.0, "large": 1.0}  # type: ignore[attr-defined]
    module = PretrainingData(source, 2.0, 4, val_clips=0, num_workers=0)
    counts = clips(first(module, 100))
    assert sum(n for clip, n in counts.items() if clip < 4) == pytest.approx(200, abs=10)


def test_crops_are_uniform_over_the_clip() -> None:
    starts = torch.cat([b[:, 0] % 1 * 1000 for b in first(data([12.0] * 10), 200)])
    edges = torch.histc(starts, bins=5, min=0, max=10) / len(starts)
    assert starts.min() >= 0
    assert starts.max() <= 10.01
    assert torch.allclose(edges, torch.full((5,), 0.2), atol=0.05)


def test_one_visit_can_give_several_crops() -> None:
    batch = first(data(crops_per_file=2), 1)[0]
    files = batch[:, 0].long().tolist()
    assert files[0] == files[1]
    assert files[2] == files[3]
    assert batch[0, 0] != batch[1, 0]


def test_validation_is_held_out_fixed_and_safe_from_changes_in_place() -> None:
    module = data(val_clips=64)
    assert len(module.val_files) == 2  # a tenth of 20
    loader = module.val_dataloader()
    once = [batch["audio"].clone() for batch in loader]
    for batch in loader:
        batch["audio"].zero_()
    assert torch.equal(torch.cat(once), torch.cat([b["audio"] for b in loader]))
    assert torch.equal(torch.cat(once), torch.cat([b["audio"] for b in data().val_dataloader()]))
    assert set(clips(once)) == set(module.val_files)
    assert not set(clips(first(module, 30))) & set(module.val_files)


def test_validation_may_come_from_another_source() -> None:
    module = data(val_source=Ramps([2.0] * 3), val_clips=64)
    assert len(module.train_files) == 20
    assert set(clips([b["audio"] for b in module.val_dataloader()])) == {0, 1, 2}


def test_sample_batches_are_training_clips_and_always_the_same() -> None:
    module = data()
    first(module, 3)
    sampled = [batch["audio"] for batch in module.sample_batches(5, seed=1)]
    again = [batch["audio"] for batch in data(num_workers=2).sample_batches(5, seed=1)]
    assert torch.equal(torch.stack(sampled), torch.stack(again))
    assert not set(clips(sampled)) & set(module.val_files)


def test_hours_leave_out_padding() -> None:
    assert data([1.0] * 20).hours_per_batch == pytest.approx(4 * 1.0 / 3600)
    assert data([5.0] * 20).hours_per_batch == pytest.approx(4 * 2.0 / 3600)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_broken_clip_is_replaced_counted_and_written_down(tmp_path: Path, workers: int) -> None:
    seconds = [5.0] * 20
    settings = {"val_clips": 0, "num_workers": workers, "bad_files": tmp_path / "bad_files.jsonl"}
    module = data(seconds, **settings)
    module.source.broken = (3,)  # type: ignore[attr-defined]
    module.bad_files.max_share = 0.05
    broken = first(module, 20)
    intact = first(data(seconds, val_clips=0), 20)
    assert 3 not in clips(broken)
    for fixed, original in zip(torch.cat(broken), torch.cat(intact), strict=True):
        assert torch.equal(fixed, original) or int(original[0]) == 3
    lines = [json.loads(line) for line in (tmp_path / "bad_files.jsonl").read_text().splitlines()]
    assert lines == [{"path": "clip03", "error": "broken body"}]


def test_too_many_broken_clips_are_an_error() -> None:
    module = data(val_clips=0)
    module.source.broken = (3, 4)  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="2 of 20 audio files cannot be decoded, at most 5%"):
        first(module, 20)


def test_audio_that_vanished_is_an_error() -> None:
    module = data()
    module.source.broken = tuple(range(20))  # type: ignore[attr-defined]
    with pytest.raises(RuntimeError, match="in a row cannot be read"):
        first(module, 1)


@pytest.mark.parametrize("workers", [0, 2])
def test_a_killed_and_resumed_fit_sees_the_batches_of_an_uninterrupted_one(
    tmp_path: Path, workers: int
) -> None:
    whole = Recorder()
    trainer(tmp_path, 11).fit(whole, datamodule=data(num_workers=workers))
    killed, path = Recorder(), tmp_path / "step5.ckpt"
    with pytest.raises(InterruptedError):
        trainer(tmp_path, 11, SaveAt(5, path, crash=True)).fit(
            killed, datamodule=data(num_workers=workers)
        )
    assert torch.load(path, weights_only=True)["PretrainingData"]["batches"] == 5
    resumed = Recorder()
    trainer(tmp_path, 11).fit(resumed, datamodule=data(num_workers=workers), ckpt_path=path)
    assert killed.seen == whole.seen[:5]
    assert resumed.seen == whole.seen[5:]
    assert torch.equal(whole.weight, resumed.weight)


def test_a_batch_that_was_fetched_but_not_trained_on_comes_again(tmp_path: Path) -> None:
    class Stumbling(Recorder):
        def training_step(self, batch: dict[str, Tensor], index: int) -> Tensor:
            if index == 4:
                raise InterruptedError
            return super().training_step(batch, index)

    class SaveOnException(pl.Callback):
        def on_exception(self, trainer: pl.Trainer, *_: object) -> None:
            trainer.save_checkpoint(tmp_path / "exception.ckpt")

    whole, resumed = Recorder(), Recorder()
    trainer(tmp_path, 8).fit(whole, datamodule=data())
    with pytest.raises(InterruptedError):
        trainer(tmp_path, 8, SaveOnException()).fit(Stumbling(), datamodule=data())
    trainer(tmp_path, 8).fit(resumed, datamodule=data(), ckpt_path=tmp_path / "exception.ckpt")
    assert resumed.seen == whole.seen[4:]


@pytest.mark.parametrize("changes", [{"limit_train_batches": 4}, {"accumulate_grad_batches": 2}])
def test_resuming_also_works_within_limited_epochs_and_accumulation(
    tmp_path: Path, changes: dict[str, int]
) -> None:
    whole, path = Recorder(), tmp_path / "step3.ckpt"
    changes = changes | {"val_check_interval": 4}
    trainer(tmp_path, 6, **changes).fit(whole, datamodule=data())
    trainer(tmp_path, 3, SaveAt(3, path), **changes).fit(Recorder(), datamodule=data())
    resumed = Recorder()
    trainer(tmp_path, 6, **changes).fit(resumed, datamodule=data(), ckpt_path=path)
    assert len(set(map(tuple, whole.seen))) == len(whole.seen)
    assert resumed.seen == whole.seen[-len(resumed.seen) :]
    assert len(resumed.seen) == len(whole.seen) // 2


def test_overfitting_repeats_its_batches(tmp_path: Path) -> None:
    model = Recorder()
    settings = {"overfit_batches": 2, "val_check_interval": 1.0, "check_val_every_n_epoch": 1}
    trainer(tmp_path, 6, **settings).fit(model, datamodule=data())
    assert model.seen[:2] == model.seen[2:4] == model.seen[4:]


def test_a_checkpoint_may_be_resumed_on_more_ranks(tmp_path: Path) -> None:
    module, stream = data(), first(data(), 6)
    module.load_state_dict(data().state_dict() | {"batches": 3, "position": 12})
    assert torch.equal(torch.stack(first(module, 3)), torch.stack(stream[3:]))

    class TwoRanks:
        world_size, global_rank, overfit_batches = 2, 1, 0
        fit_loop = pl.Trainer(logger=False, enable_checkpointing=False, accelerator="cpu").fit_loop

    module.trainer = TwoRanks()  # type: ignore[assignment]
    assert torch.equal(first(module, 1)[0], torch.cat(stream[3:5])[1::2])
    assert module.state_dict()["position"] == 12


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"seed": 8}, "seed=7 but this run has seed=8"),
        ({"batch_size": 8}, "batch_size=4 but this run has batch_size=8"),
        ({"crop_seconds": 1.0}, "crop_seconds=2.0 but this run has crop_seconds=1.0"),
        ({"val_clips": 1}, "fingerprint="),
    ],
)
def test_resuming_on_another_stream_is_refused(changes: dict[str, float], field: str) -> None:
    with pytest.raises(ValueError, match=field):
        data(**changes).load_state_dict(data().state_dict())


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"batch_size": 0}, "data.batch_size=0: expected a whole number, 1 or more"),
        ({"batch_size": "two"}, "data.batch_size=two: expected a whole number, 1 or more"),
        ({"crops_per_file": 1.5}, "data.crops_per_file=1.5: expected a whole number, 1 or more"),
        ({"val_clips": -1}, "data.val_clips=-1: expected a whole number, 0 or more"),
        ({"num_workers": -1}, "data.num_workers=-1: expected a whole number, 0 or more"),
        ({"crop_seconds": -1}, "data.crop_seconds=-1: expected seconds, such as 4.0"),
        ({"crop_seconds": "4s"}, "data.crop_seconds=4s: expected seconds, such as 4.0"),
    ],
)
def test_sizes_that_are_none_are_refused(change: dict[str, object], expected: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}$"):
        PretrainingData(Ramps([5.0] * 20), **change)  # type: ignore[arg-type]


def test_settings_that_cannot_work_are_refused() -> None:
    with pytest.raises(ValueError, match="no multiple of crops_per_file=3"):
        data(crops_per_file=3)
    with pytest.raises(ValueError, match="needs at least 2"):
        data([5.0])
    source = Ramps([2.0])
    source.sample_rate = 200
    with pytest.raises(ValueError, match="val_source has 200 Hz but source 100 Hz"):
        data(val_source=source)
