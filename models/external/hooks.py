"""An encoder around any module that takes audio: its layers by pattern."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from models.external.clips import External, Take
from models.external.layouts import Arrange, layout
from models.external.taps import matching, tap_layers

Layers = str | Sequence[str] | Mapping[str, str | Mapping[str, int | str]]
"""A pattern, several, or a mapping from pattern to the layout of what it matches."""


class Hooked(External):
    """Features of the submodules of ``module`` that patterns match.

    Clips of equal length are encoded together unless ``batching`` says otherwise: a module that
    is given nothing but audio cannot know what of it is padding.

    Parameters
    ----------
    module : nn.Module
        Called with audio (batch, samples).
    sample_rate : int
        Hz.
    layers : str, sequence of str, or mapping
        Patterns of :func:`models.external.taps.matching`; a mapping gives the layout of each.
    layout : str
        Of layers without one of their own: ``btd`` (batch, time, dim), ``bdt``, ``tbd``, ``bd``,
        or ``bchw`` (batch, channels, frequency, time), whose frames hold every channel at every
        frequency.
    method : str
        What is called of the module.
    channel : bool
        Whether audio has an axis for channels, (batch, 1, samples).
    """

    def __init__(
        self,
        module: nn.Module,
        sample_rate: int,
        layers: Layers,
        layout: str = "btd",
        name: str | None = None,
        method: str = "__call__",
        channel: bool = False,
        batching: str = "equal",
        window_seconds: float | None = None,
        max_seconds: float | None = None,
        rate: float | None = None,
        offset: float | None = None,
        batch_seconds: float = 120.0,
        overlap_seconds: float = 0.0,
    ) -> None:
        super().__init__(
            name or type(module).__name__.lower(),
            sample_rate,
            layouts(module, layers, layout),
            batching,
            window_seconds,
            max_seconds,
            rate,
            offset,
            batch_seconds,
            overlap_seconds,
        )
        self.module, self.method, self.channel = module, method, channel
        self.dry_run()

    def run(self, clips: Sequence[Tensor], padded: bool, take: Take) -> None:
        audio = nn.utils.rnn.pad_sequence(list(clips), batch_first=True)
        audio = nn.functional.pad(audio, (0, max(0, (self.window or 0) - audio.shape[1])))
        with tap_layers(self.module, list(self.layouts), take):
            getattr(self.module, self.method)(audio[:, None] if self.channel else audio)


def layouts(module: nn.Module, layers: Layers, default: str = "btd") -> dict[str, Arrange]:
    """The layout of every submodule that patterns match, shallow to deep."""
    if isinstance(layers, str):
        layers = [layers]
    said = layers if isinstance(layers, Mapping) else dict.fromkeys(layers, default)
    made: dict[str, Arrange] = {}
    for pattern, how in said.items():
        sizes = {} if isinstance(how, str) else {k: v for k, v in how.items() if k != "layout"}
        kind = how if isinstance(how, str) else str(how["layout"])
        made[pattern] = layout(kind, **sizes)  # type: ignore[arg-type]
    return {name: made[pattern] for name, pattern in matching(module, list(said))}
