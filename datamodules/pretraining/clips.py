"""What a source of clips is, and how visits to its clips become batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol, cast, runtime_checkable

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from datamodules.pretraining.failures import BadFiles
from datamodules.pretraining.sampling import Visit, VisitStream

Batch = dict[str, Tensor]
Fetched = tuple[Tensor, Tensor, list[tuple[str, str]]]

ATTEMPTS = 20


@runtime_checkable
class ClipSource(Protocol):
    """Named sounds of known length, any span of which can be read."""

    sample_rate: int
    names: Sequence[str]
    seconds: Sequence[float]

    @property
    def fingerprint(self) -> str:
        """SHA-256 that changes with the set of clips, their lengths or their preparation."""

    def read(self, index: int, start: float, seconds: float) -> Tensor:
        """Mono float32 of shape (samples,), at most ``seconds`` from ``start`` (s) on."""


@runtime_checkable
class CorpusSource(ClipSource, Protocol):
    """A source made of corpora that may claim fixed shares of all visits."""

    corpus: Sequence[str]
    shares: Mapping[str, float]


class CropDataset(Dataset[Fetched]):
    """Turns a list of visits into one padded batch.

    A clip that cannot be read is replaced by others drawn from (seed, position), so the batch is
    the same whichever worker makes it; what failed is handed on beside the batch.
    """

    def __init__(
        self, source: ClipSource, stream: VisitStream, crop_seconds: float, crops: int
    ) -> None:
        self.source = source
        self.stream = stream
        self.crop_seconds = crop_seconds
        self.crops = crops
        self.samples = round(crop_seconds * source.sample_rate)

    def __getitems__(self, visits: list[Visit]) -> Fetched:
        failures: list[tuple[str, str]] = []
        crops = [crop for visit in visits for crop in self._visit(visit, failures)]
        audio = torch.zeros(len(crops), self.samples)
        for row, crop in zip(audio, crops, strict=True):
            row[: len(crop)] = crop
        return audio, torch.tensor([len(crop) for crop in crops]), failures

    def _visit(self, visit: Visit, failures: list[tuple[str, str]]) -> list[Tensor]:
        position, index = visit
        for attempt in range(ATTEMPTS):
            if attempt:
                index = self.stream.replacement(position, attempt)
            starts = self.stream.starts(
                position, attempt, self.source.seconds[index], self.crop_seconds, self.crops
            )
            try:
                return [self._crop(index, start) for start in starts]
            except (OSError, RuntimeError, ValueError) as error:
                failures.append((self.source.names[index], str(error)))
        raise RuntimeError(
            f"{ATTEMPTS} audio files in a row cannot be read (last: {failures[-1][0]}: "
            f"{failures[-1][1]}): check that the audio is still where it was"
        )

    def _crop(self, index: int, start: float) -> Tensor:
        crop = self.source.read(index, start, self.crop_seconds)[: self.samples]
        if not len(crop):
            raise ValueError(f"no audio at {start:.3f} s")
        if not torch.isfinite(crop).all():
            raise ValueError(f"not a number in the crop at {start:.3f} s")
        return crop


def _as_fetched(fetched: list[Any]) -> Fetched:
    # the dataset makes whole batches itself
    return cast("Fetched", fetched)


class CropLoader:
    """Batches of a dataset, made by worker processes, with failures recorded in this process.

    It is not a ``DataLoader`` itself, so Lightning puts no sampler of its own into it.
    """

    def __init__(
        self,
        dataset: CropDataset,
        batches: Iterable[list[Visit]],
        bad_files: BadFiles,
        num_workers: int,
        pin_memory: bool,
    ) -> None:
        self.bad_files = bad_files
        # a generator of its own, or every new iterator would draw from torch's global one
        self._loader: DataLoader[Fetched] = DataLoader(
            dataset,
            batch_sampler=cast("Iterable[list[int]]", batches),
            collate_fn=_as_fetched,
            num_workers=num_workers,
            pin_memory=pin_memory,
            generator=torch.Generator(),
        )

    def __iter__(self) -> Iterator[Batch]:
        return self._record_skips(iter(self._loader))

    def _record_skips(self, fetched: Iterator[Fetched]) -> Iterator[Batch]:
        for audio, lengths, failures in fetched:
            for name, error in failures:
                self.bad_files.add(name, error)
            if failures:
                self.bad_files.check()
            yield {"audio": audio, "lengths": lengths}

    def state_dict(self) -> dict[str, int]:
        """Empty: with this pair Lightning knows that resuming mid-epoch is safe.

        The position itself is kept by `PretrainingData`.
        """
        return {}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Nothing to do, see `state_dict`."""


class HeldOut:
    """The validation batches: decoded at first use, then kept in memory (0.4 MB per 4 s crop)."""

    def __init__(self, loader: CropLoader, length: int) -> None:
        self.loader = loader
        self.length = length
        self._kept: list[Batch] = []

    def __len__(self) -> int:
        return self.length

    def __iter__(self) -> Iterator[Batch]:
        if not self._kept:
            self._kept = list(self.loader)
        # copies, so that nothing done in place to one validation's batch reaches the next
        for batch in self._kept:
            yield {name: value.clone() for name, value in batch.items()}
