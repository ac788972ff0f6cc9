"""The throughput benchmark: FLOPs against torch's counter, waiting against a planted one."""

from __future__ import annotations

import time
from dataclasses import replace
from io import StringIO

import pytest
import pytorch_lightning as pl
import torch
from rich.console import Console
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.data import DataLoader
from torch.utils.flop_counter import FlopCounterMode

from bench.flops import clip_flops
from bench.stopwatch import Stopwatch
from bench.train_throughput import Measurement, Settings, measure, table
from models.encodecmae import EncodecMAE, Masking
from models.frontend import LogMel
from models.optim import Optimisation
from models.targets import KMeansTarget
from models.transformer import Transformer

# pytorch-lightning 2.6 with torch 2.11; nothing of ours
pytestmark = pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")

FRAMES = 40


def model(heads: int = 4, tie_ff: bool = True) -> EncodecMAE:
    return EncodecMAE(
        frontend=LogMel(bands=48),
        encoder=Transformer(3, dim=64, heads=heads, hidden=96, tie_ff=tie_ff),
        decoder=Transformer(2, dim=64, heads=heads, hidden=96, tie_ff=tie_ff),
        target=KMeansTarget(LogMel(bands=16), 2, 32),
        masking=Masking(share=0.4),
        optimisation=Optimisation(),
    )


@pytest.mark.parametrize(("heads", "tie_ff"), [(4, True), (4, False), (6, True)])
def test_flops_from_shapes_are_those_that_torch_counts(heads: int, tie_ff: bool) -> None:
    module, clips = model(heads, tie_ff), 3
    valid = torch.ones(clips, FRAMES, dtype=torch.bool)
    mask = torch.zeros_like(valid)
    mask[:, :16] = True
    codes = torch.randint(32, (clips, FRAMES, 2))
    frames = torch.randn(clips, FRAMES, 48)
    # torch counts the fused kernels of CPUs as nothing
    with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
        logits = module.forward_decoder(*module.forward_encoder(frames, valid, mask), valid)
        module.forward_loss(logits, codes, mask, valid)[0].backward()
    assert clips * clip_flops(module, FRAMES) == pytest.approx(counter.get_total_flops(), rel=0.01)


class Slow(pl.LightningModule):
    """Each step takes 20 ms."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def training_step(self, batch: Tensor, index: int) -> Tensor:
        time.sleep(0.02)
        return (self.weight * batch).sum()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters())


class SlowClips(torch.utils.data.Dataset[Tensor]):
    """Each clip takes 60 ms."""

    def __len__(self) -> int:
        return 20

    def __getitem__(self, index: int) -> Tensor:
        time.sleep(0.06)
        return torch.ones(1)


@pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers")
def test_planted_waiting_is_found() -> None:
    watch = Stopwatch(warmup=2)
    trainer = pl.Trainer(
        accelerator="cpu", max_steps=8, logger=False, callbacks=[watch],
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )  # fmt: skip
    trainer.fit(Slow(), DataLoader(SlowClips(), batch_size=1))
    assert watch.seconds >= 0.08
    assert watch.waiting == pytest.approx(0.75, abs=0.15)


def test_stopwatch_needs_a_warm_up() -> None:
    with pytest.raises(ValueError, match="warmup is 0, expected at least 1"):
        Stopwatch(0)


@pytest.fixture(scope="module")
def measured() -> Measurement:
    small = ("model.encoder.dim=32", "model.encoder.heads=2", "model.encoder.layers=1")
    small += ("model.target.size=16", "data.source.n_clips=8", "data.crop_seconds=0.5")
    settings = Settings(batch=2, steps=2, warmup=1, workers=0, overrides=small)
    return measure("tiny", settings)


@pytest.mark.long
def test_measures_real_training_steps(measured: Measurement) -> None:
    assert (measured.clips, measured.frames, measured.workers) == (2, 36, 0)
    assert measured.precision == "32-true"
    assert 0 < measured.waiting < 1
    assert 0 < measured.utilisation < 1
    assert measured.clips_per_second == pytest.approx(2 / measured.seconds)


@pytest.mark.long
def test_table_fits_a_terminal(measured: Measurement) -> None:
    row = replace(measured, size="large", parameters=10**9, clip_flops=10**12, seconds=12.3)
    console = Console(width=80, file=StringIO())
    console.print(table([row], Settings(), 0.0))
    assert "…" not in console.file.getvalue()
