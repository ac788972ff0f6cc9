"""Any module with the three functions of HEAR 2021 as an encoder."""

from __future__ import annotations

import hashlib
import importlib
import logging
from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from models.external.clips import External, Take
from models.external.layouts import layout

log = logging.getLogger(__name__)

FUNCTIONS = {"timestamp": "get_timestamp_embeddings", "scene": "get_scene_embeddings"}
LAYOUTS = {"timestamp": "btd", "scene": "bd"}
REGULAR = 1.0
"""Milliseconds by which timestamps may stray from a regular grid, as in HEAR's validator."""


class Hear(External):
    """``timestamp``, the frames of a HEAR module, and ``scene``, its one vector a clip.

    HEAR's functions are given clips without their lengths, so that only clips of equal length
    are encoded together. Timestamps are milliseconds by the rules and seconds in some modules:
    they are compared with the frames that are counted.

    Parameters
    ----------
    module : str
        Name of an installed package with ``load_model``, ``get_scene_embeddings`` and
        ``get_timestamp_embeddings`` (Turian et al. 2022, arXiv 2203.03022). Its code is run.
    weights : str
        Given to ``load_model``, which reads the file in its own way.
    layers : sequence of str
        ``timestamp``, ``scene`` or both.
    sample_rate : int, optional
        Hz that the module is expected to hear.
    install : str
        How to have the package; repeated where it is missing.
    """

    def __init__(
        self,
        module: str,
        weights: str = "",
        layers: Sequence[str] = ("timestamp", "scene"),
        name: str | None = None,
        max_seconds: float | None = None,
        batch_seconds: float = 120.0,
        sample_rate: int | None = None,
        install: str = "",
    ) -> None:
        if unknown := [layer for layer in layers if layer not in FUNCTIONS]:
            raise ValueError(f"layers {unknown} of a HEAR module: expected timestamp or scene")
        functions = _functions(module, layers, install)
        model = functions.load_model(weights) if weights else functions.load_model()
        if sample_rate not in (None, int(model.sample_rate)):
            raise ValueError(
                f"sample_rate={sample_rate} Hz, but {module} takes audio at {model.sample_rate} Hz"
            )
        super().__init__(
            name or module.rpartition(".")[2],
            int(model.sample_rate),
            {layer: layout(LAYOUTS[layer]) for layer in layers},
            "equal",
            max_seconds=max_seconds,
            batch_seconds=batch_seconds,
        )
        self.functions, self.model = functions, model
        self.settings = {
            "module": module,
            "code": _digest(functions.__file__),
            "weights": _digest(weights),
        }
        self.dry_run()
        if "timestamp" in layers:
            self._read_times()
        self._check_widths()

    def run(self, clips: Sequence[Tensor], padded: bool, take: Take) -> None:
        audio = torch.stack(list(clips))
        for layer in self.layouts:
            made = getattr(self.functions, FUNCTIONS[layer])(audio, self.model)
            take(layer, _tensor(made[0] if layer == "timestamp" else made).detach())

    @torch.no_grad()
    def _read_times(self) -> None:
        """Centre of frame 0 from the timestamps of a clip, once their unit is known."""
        clock = self.clocks["timestamp"]
        if clock.hop is None:
            return
        samples = min(4 * self.sample_rate, self.longest or 4 * self.sample_rate)
        made = self.functions.get_timestamp_embeddings(self._noise(samples)[None], self.model)
        times = _tensor(made[1]).double().cpu()[0]
        hop = 1000 * float(clock.hop) / self.sample_rate
        unit = _unit(times, hop, self.name)
        times = times * unit
        grid = torch.arange(len(times), dtype=torch.float64) * times.diff().mean() + times[0]
        stray = float((times - grid).abs().max())
        if stray > REGULAR:
            raise ValueError(
                f"timestamps of {self.name} are {stray:.1f} ms off a regular grid, expected "
                f"at most {REGULAR:g} ms: give encoder.layers=[scene]"
            )
        first, last = float(times[0]), float(times[-1])
        if first < 0 or last > 1000 * samples / self.sample_rate + hop:
            raise ValueError(
                f"timestamps of {self.name} go from {first:.0f} to {last:.0f} ms in a clip of "
                f"{1000 * samples / self.sample_rate:.0f} ms: give encoder.layers=[scene]"
            )
        centre = Fraction(first / 1000 * self.sample_rate).limit_denominator(1000)
        self.clocks["timestamp"] = replace(clock, centre=centre)

    @torch.no_grad()
    def _check_widths(self) -> None:
        found = self.encode(
            self._noise(self._first())[None], torch.tensor([self._first()], device=self.device)
        )
        for layer, frames in found.items():
            said = getattr(self.model, f"{layer}_embedding_size", None)
            if said is not None and int(said) != frames.values.shape[2]:
                raise ValueError(
                    f"{self.name} says that {layer} embeddings have {said} numbers, but they have "
                    f"{frames.values.shape[2]}"
                )


def _functions(module: str, layers: Sequence[str], install: str) -> ModuleType:
    try:
        found = importlib.import_module(module)
    except (ImportError, ValueError) as error:
        raise ModuleNotFoundError(
            f"no module {module} with HEAR's functions: {install or 'install it'}, or check "
            f"encoder.module ({error})"
        ) from error
    wanted = ["load_model", *(FUNCTIONS[layer] for layer in layers)]
    if lacking := [name for name in wanted if not callable(getattr(found, name, None))]:
        raise ValueError(f"{module} has no {', '.join(lacking)}: it is no HEAR module")
    return found


def _unit(times: Tensor, hop: float, name: str) -> float:
    """Milliseconds that one unit of the timestamps is: 1, or 1000 where they are in seconds."""
    step = float(times.diff().mean())
    for unit in (1.0, 1000.0):
        if abs(step * unit / hop - 1) <= 0.02:
            if unit != 1:
                log.warning("timestamps of %s are in seconds, HEAR asks for milliseconds", name)
            return unit
    raise ValueError(
        f"timestamps of {name} are {step:g} apart, but its frames {hop:g} ms: neither milliseconds "
        "nor seconds; give encoder.layers=[scene]"
    )


def _tensor(values: object) -> Tensor:
    """Of torch, or of any library whose arrays numpy can read."""
    return values if isinstance(values, Tensor) else torch.from_numpy(np.asarray(values))


def _digest(path: str | None) -> str:
    file = Path(path or "")
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else str(path)
