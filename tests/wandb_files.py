"""Read back what W&B keeps of a run that is offline."""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wandb.proto import wandb_internal_pb2

HEADER = 7
BLOCK = 32_768


@dataclass
class Part:
    """One ``.wandb`` file: a run, or what a second process or a later start adds to it."""

    run_id: str = ""
    name: str = ""
    resume: bool = False
    axes: dict[str, str] = field(default_factory=dict)  # pattern of keys → their axis
    history: list[dict[str, Any]] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    summary: dict[str, Any] = field(default_factory=dict)  # what was told beside the history

    def values(self, *prefixes: str) -> dict[tuple[int, str], list[float]]:
        """Every value of the keys that begin so, by trainer/global_step and key."""
        found: dict[tuple[int, str], list[float]] = {}
        for row in self.history:
            for key, value in row.items():
                if key.startswith(prefixes):
                    found.setdefault((row["trainer/global_step"], key), []).append(value)
        return found


def parts(folder: Path) -> list[Part]:
    """The parts in a run's folder, oldest first."""
    return [_part(path) for path in sorted(folder.glob("wandb/offline-run-*/run-*.wandb"))]


def finished(folder: Path, seconds: float = 30) -> list[Any]:
    """The records of the one part in a run's folder, once its end is written."""
    (path,) = folder.glob("wandb/offline-run-*/run-*.wandb")
    end = time.monotonic() + seconds
    while True:
        found = list(_records(path))
        if any(record.HasField("exit") for record in found):
            return found
        assert time.monotonic() < end, f"{path} has no end after {seconds} s"
        time.sleep(0.1)


def _records(path: Path) -> Iterator[Any]:
    for content in _contents(path.read_bytes()):
        record = wandb_internal_pb2.Record()  # type: ignore[attr-defined]
        record.ParseFromString(content)
        yield record


def _part(path: Path) -> Part:
    part = Part()
    for record in _records(path):
        if record.HasField("run"):
            part.run_id, part.name = record.run.run_id, record.run.display_name
            part.resume = record.run.resume
            part.config |= _items(record.run.config.update)
        elif record.HasField("config"):
            part.config |= _items(record.config.update)
        elif record.HasField("summary"):
            part.summary |= _items(record.summary.update)
        elif record.HasField("metric"):
            part.axes[record.metric.glob_name or record.metric.name] = record.metric.step_metric
        elif record.HasField("history"):
            part.history.append(_items(record.history.item))
    return part


def _items(items: Iterable[Any]) -> dict[str, Any]:
    return {"/".join(i.nested_key) or i.key: json.loads(i.value_json) for i in items}


def _contents(data: bytes) -> Iterator[bytes]:
    """Records of a log in LevelDB's format: blocks of 32 KB, in them pieces with a header each."""
    place, content = HEADER, b""
    while place + HEADER <= len(data):
        left = BLOCK - place % BLOCK
        if left < HEADER:  # zeros to the end of the block
            place += left
            continue
        _, size, kind = struct.unpack("<IHB", data[place : place + HEADER])
        content += data[place + HEADER : place + HEADER + size]
        place += HEADER + size
        if kind in (1, 4):  # whole, or the last of several pieces
            yield content
            content = b""
