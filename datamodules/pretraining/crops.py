"""Pretraining batches: random crops of clips, in an order that survives every interruption."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import pytorch_lightning as pl
import torch
from pytorch_lightning.trainer.states import TrainerFn

from datamodules.pretraining.clips import (
    Batch,
    ClipSource,
    CorpusSource,
    CropDataset,
    CropLoader,
    HeldOut,
)
from datamodules.pretraining.failures import BadFiles
from datamodules.pretraining.sampling import (
    RankBatches,
    Visit,
    VisitStream,
    choose_files,
    expected_visits,
)

State = dict[str, int | float | str]

# one random stream for each use: validation and samples never replay the training stream
TRAINING, VALIDATION, SAMPLE = 0, 1, 2


class PretrainingData(pl.LightningDataModule):
    """Random crops for training, fixed crops of held-out files for validation.

    Batches are ``{"audio": float32 [B, T], "lengths": int64 [B]}``, zero-padded on the right to
    T = crop_seconds * sample_rate. The training stream has no end: bound it by
    ``Trainer(max_steps=…)`` and validate by ``val_check_interval`` in batches with
    ``check_val_every_n_epoch=None``. It is a function of (seed, position) alone; a checkpoint
    keeps the position after the last batch trained on, and a resumed run goes on from there.

    Parameters
    ----------
    source : ClipSource
    crop_seconds : float
        Length of a crop (s); shorter clips are padded.
    batch_size : int
        Crops per rank and step.
    crops_per_file : int
        Crops taken at each visit of a file; divides ``batch_size``.
    val_clips : int
        Files held out of ``source``, at most a tenth of them; 0 for no validation. With
        ``val_source``: files taken from there.
    val_source : ClipSource, optional
        Validate on this instead and train on all of ``source``.
    num_workers : int
        Worker processes, never more than there are CPU cores. Without effect on the batches.
    seed : int
    pin_memory : bool, optional
        Page-locked batches; by default where there is a CUDA device.
    bad_files : Path, optional
        Clips that fail to decode during training are appended here as JSON lines.
    max_bad_share : float
        Training ends with an error when more than this share of the clips has failed.
    """

    def __init__(
        self,
        source: ClipSource,
        crop_seconds: float = 4.0,
        batch_size: int = 16,
        crops_per_file: int = 1,
        val_clips: int = 64,
        val_source: ClipSource | None = None,
        num_workers: int = 2,
        seed: int = 42,
        pin_memory: bool | None = None,
        bad_files: Path | str | None = None,
        max_bad_share: float = 0.05,
    ) -> None:
        super().__init__()
        counts = {"batch_size": batch_size, "crops_per_file": crops_per_file}
        _check_counts(counts, least=1)
        _check_counts({"val_clips": val_clips, "num_workers": num_workers}, least=0)
        if not isinstance(crop_seconds, int | float) or not crop_seconds * source.sample_rate >= 1:
            raise ValueError(f"data.crop_seconds={crop_seconds}: expected seconds, such as 4.0")
        if batch_size % crops_per_file:
            raise ValueError(
                f"batch_size={batch_size} is no multiple of crops_per_file={crops_per_file}: "
                "change either"
            )
        if val_source is not None and val_source.sample_rate != source.sample_rate:
            raise ValueError(
                f"val_source has {val_source.sample_rate} Hz but source {source.sample_rate} Hz: "
                "give both the same sample_rate"
            )
        self.source = source
        self.val_source = source if val_source is None else val_source
        self.crop_seconds = crop_seconds
        self.batch_size = batch_size
        self.crops_per_file = crops_per_file
        self.num_workers = min(num_workers, len(os.sched_getaffinity(0)))
        self.seed = seed
        self.pin_memory = torch.cuda.is_available() if pin_memory is None else pin_memory
        self.bad_files = BadFiles(bad_files, len(source.names), max_bad_share)
        self.train_files, self.val_files = self._split(val_clips)
        self._resumed_batches = 0
        self._resumed_position = 0

    def _split(self, val_clips: int) -> tuple[list[int], list[int]]:
        """Indices of the clips to train on (in source) and to validate on (in val_source)."""
        n_files = len(self.source.names)
        if self.val_source is not self.source:
            kept = choose_files(len(self.val_source.names), val_clips, self.seed)
            return list(range(n_files)), kept
        if not val_clips:
            return list(range(n_files)), []
        if n_files < 2:
            raise ValueError(
                f"{n_files} clip(s), but holding some out for validation needs at least 2: add "
                "clips, give val_source, or set val_clips=0"
            )
        held_out = choose_files(n_files, min(val_clips, max(1, n_files // 10)), self.seed)
        return sorted(set(range(n_files)) - set(held_out)), held_out

    @cached_property
    def _visits(self) -> np.ndarray:
        """Expected visits per pass of each file of `train_files`."""
        source, files = self.source, self.train_files
        seconds = [source.seconds[i] for i in files]
        if isinstance(source, CorpusSource):
            corpus = [source.corpus[i] for i in files]
            return expected_visits(seconds, self.crop_seconds, corpus, source.shares)
        return expected_visits(seconds, self.crop_seconds)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 over the sounds and their split into training and validation."""
        parts = (self.source.fingerprint, self.val_source.fingerprint, tuple(self.val_files))
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    @property
    def hours_per_batch(self) -> float:
        """Expected hours of sound, padding not counted, in one batch of one rank."""
        seconds = np.asarray([self.source.seconds[i] for i in self.train_files])
        crop = np.average(np.minimum(seconds, self.crop_seconds), weights=self._visits)
        return float(crop) * self.batch_size / 3600

    def train_dataloader(self) -> CropLoader:
        """Endless batches from the first visit not yet trained on."""
        stream = VisitStream(self.train_files, self._visits, (self.seed, TRAINING))
        batches = RankBatches(
            stream, self._first_position, self._visits_per_batch, self._rank, self._world
        )
        dataset = CropDataset(self.source, stream, self.crop_seconds, self.crops_per_file)
        return CropLoader(dataset, batches, self.bad_files, self.num_workers, self.pin_memory)

    def val_dataloader(self) -> HeldOut | list[Batch]:
        """One fixed crop of every held-out clip, in fixed order; ranks share the clips out."""
        if not self.val_files:
            return []
        source, files = self.val_source, self.val_files
        stream = VisitStream(files, np.ones(len(files)), (self.seed, VALIDATION))
        # first clips again where ranks would otherwise differ in their number of batches
        n_visits = -(-len(files) // self._world) * self._world
        visits = [(k, files[k % len(files)]) for k in range(self._rank, n_visits, self._world)]
        batches: list[list[Visit]] = [
            visits[i : i + self.batch_size] for i in range(0, len(visits), self.batch_size)
        ]
        dataset = CropDataset(source, stream, self.crop_seconds, crops=1)
        loader = CropLoader(dataset, batches, self.bad_files, num_workers=0, pin_memory=False)
        return HeldOut(loader, len(batches))

    def sample_batches(self, n: int, seed: int = 0) -> Iterator[Batch]:
        """``n`` batches of training clips, the same at any time and on every rank.

        For what must be fitted before training, such as k-means targets.
        """
        stream = VisitStream(self.train_files, self._visits, (self.seed, SAMPLE, seed))
        endless = iter(RankBatches(stream, lambda: 0, self._visits_per_batch, 0, 1))
        batches = [next(endless) for _ in range(n)]
        dataset = CropDataset(self.source, stream, self.crop_seconds, self.crops_per_file)
        return iter(CropLoader(dataset, batches, self.bad_files, self.num_workers, False))

    def state_dict(self) -> State:
        """Position after the last batch trained on, and what gives it its meaning."""
        return {
            "batches": self._batches_trained,
            "position": self._position(self._batches_trained),
            **self._identity(),
        }

    def load_state_dict(self, state_dict: State) -> None:
        """Go on after the last batch trained on.

        Raises
        ------
        ValueError
            If the saved position belongs to another stream of crops. The number of ranks may
            change.
        """
        if self.trainer is not None and self.trainer.state.fn != TrainerFn.FITTING:
            return  # a checkpoint may be validated on any data
        for field, expected in self._identity().items():
            if state_dict.get(field) != expected:
                raise ValueError(
                    f"the checkpoint's training data has {field}={state_dict.get(field)} but this "
                    f"run has {field}={expected}: resume with the data settings of the checkpoint, "
                    "or start a new run without ckpt_path"
                )
        self._resumed_batches = int(state_dict["batches"])
        self._resumed_position = int(state_dict["position"])

    def _identity(self) -> State:
        return {
            "seed": self.seed,
            "batch_size": self.batch_size,
            "crops_per_file": self.crops_per_file,
            "crop_seconds": float(self.crop_seconds),
            "fingerprint": self.fingerprint,
        }

    @property
    def _rank(self) -> int:
        return 0 if self.trainer is None else self.trainer.global_rank

    @property
    def _world(self) -> int:
        return 1 if self.trainer is None else self.trainer.world_size

    @property
    def _visits_per_batch(self) -> int:
        return self.batch_size // self.crops_per_file

    @property
    def _batches_trained(self) -> int:
        """Batches of one rank that went through a training step; fetched ones do not count.

        Lightning raises ``processed`` after the optimiser's step and before on_train_batch_end,
        saves it in the checkpoint, and never takes it back on restart, unlike ``ready``.
        """
        if self.trainer is None:
            return self._resumed_batches
        total = self.trainer.fit_loop.epoch_loop.batch_progress.total
        return max(total.processed, self._resumed_batches)  # type: ignore[attr-defined]

    def _position(self, batches: int) -> int:
        """Visits consumed by all ranks after ``batches`` batches of each."""
        since = batches - self._resumed_batches
        return self._resumed_position + since * self._visits_per_batch * self._world

    def _first_position(self) -> int:
        # Lightning iterates again in every epoch: the same few batches are wanted each time
        if getattr(self.trainer, "overfit_batches", 0):
            return 0
        return self._position(self._batches_trained)


def _check_counts(counts: dict[str, int], least: int) -> None:
    for name, value in counts.items():
        if not isinstance(value, int) or value < least:
            raise ValueError(f"data.{name}={value}: expected a whole number, {least} or more")
