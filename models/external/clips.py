"""Clips of any length to frames of every layer, for models that were made by others."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from fractions import Fraction

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from models.encoder import Frames
from models.external.clock import Clock, centred, measure_rate, within_window
from models.external.layouts import Arrange, arrange_clips
from models.external.pieces import Piece, groups, join_pieces, pieces

Take = Callable[[str, Tensor], None]
"""Is given the name of a layer and its output, for each time that it has run."""
SAME = 1e-4
"""Features that differ by less, relative to the largest of their layer, count as the same."""


class External(nn.Module):
    """Adapts a third-party model to the Encoder protocol to be an encoder.

    A subclass says in :meth:`run` how the model is called, and then calls :meth:`dry_run`. How
    many frames a layer makes of a clip, and their rate, are found by counting
    (:mod:`models.external.clock`).

    Clips that are longer than the model takes are cut into pieces whose frames join without a
    gap; clips that are too short for one frame are padded with silence. Frames that padding has
    made are cut off as soon as a layer has run, and not kept.

    Parameters
    ----------
    name : str
    sample_rate : int
        Hz.
    layouts : mapping from module name to Arrange
        Modules whose output is taken, shallow to deep.
    batching : {"auto", "padded", "equal", "single"}
        Clips of different lengths together, those of equal length together, or each alone. With
        ``auto`` clips are padded if that is seen not to change their features.
    window_seconds : float, optional
        Fixed length to which :meth:`run` pads every clip.
    max_seconds : float, optional
        Longer clips are cut into pieces.
    rate : float, optional
        Frames per second that all layers are said to have (Hz); an error if they do not.
    offset : float, optional
        Centre of frame 0 of the fastest layers in seconds, where it is known.
    batch_seconds : float
        Audio that is encoded at once, padding included.
    overlap_seconds : float
        What pieces of a long clip share; frames there are of the piece in which they lie farther
        from its edge.
    """

    def __init__(
        self,
        name: str,
        sample_rate: int,
        layouts: Mapping[str, Arrange],
        batching: str = "auto",
        window_seconds: float | None = None,
        max_seconds: float | None = None,
        rate: float | None = None,
        offset: float | None = None,
        batch_seconds: float = 120.0,
        overlap_seconds: float = 0.0,
    ) -> None:
        super().__init__()
        if batching not in ("auto", "padded", "equal", "single"):
            raise ValueError(f"batching is {batching!r}, expected auto, padded, equal or single")
        self.name, self.sample_rate = name, sample_rate
        self.layouts, self.batching = dict(layouts), batching
        self.window = round(window_seconds * sample_rate) if window_seconds else None
        longest = min(max_seconds or math.inf, window_seconds or math.inf)
        self.longest = None if math.isinf(longest) else round(longest * sample_rate)
        if not 0 <= overlap_seconds < longest:
            raise ValueError(
                f"overlap_seconds={overlap_seconds:g}, expected less than the {longest:g} s that "
                "are encoded at once"
            )
        self.overlap = round(overlap_seconds * sample_rate)
        self.said_rate, self.said_offset = rate, offset
        self.most = batch_seconds * sample_rate
        self.layers: tuple[str, ...] = ()
        self.clocks: dict[str, Clock] = {}
        self.shortest, self.spread = 1, False

    # ---- what a subclass says --------------------------------------------------------------------

    def run(self, clips: Sequence[Tensor], padded: bool, take: Take) -> None:
        """Run the model on clips (samples,) and give the output of every layer to ``take``.

        ``padded`` says that clips differ in length and have to be padded.
        """
        raise NotImplementedError

    # ---- what is found out before the first clip -------------------------------------------------

    @torch.no_grad()
    def dry_run(self) -> None:
        """Count frames, find the shortest clip, and whether padding is safe."""
        self.eval()
        times: Counter[str] = Counter()
        self.run([self._noise(self._first())], False, lambda module, _: times.update([module]))
        self._name_layers(times)
        if self.window:
            hop = Fraction(self.sample_rate) / Fraction(self.said_rate) if self.said_rate else None
            counts = self._count(self._first())
            clocks = {k: within_window(n, self.window, hop) for k, n in counts.items()}
        else:
            clocks = measure_rate(self._count, self.sample_rate, self._first())
        centre = None if self.said_offset is None else self.said_offset * self.sample_rate
        self.clocks = centred(clocks, centre)
        self._check_rate()
        self.shortest = self._find_shortest()
        if self.batching == "auto":
            self.batching = "padded" if self.padding_changes() <= SAME else "equal"

    def _name_layers(self, times: Mapping[str, int]) -> None:
        """A module that runs several times in a pass is a layer each time, ``name[0]`` first."""
        self.times = dict(times)
        silent = [name for name in self.layouts if name not in times]
        if silent:
            raise ValueError(
                f"layers {silent[:5]} of {self.name} did not run when it was given audio: "
                "leave them out, or give the submodule that they are run by"
            )
        names: list[str] = []
        for name in self.layouts:
            n = times[name]
            names += [name] if n == 1 else [f"{name}[{i}]" for i in range(n)]
        self.layers = tuple(names)

    def _check_rate(self) -> None:
        for layer, clock in self.clocks.items():
            if self.said_rate and clock.hop:
                rate = float(self.sample_rate / clock.hop)
                if abs(rate / self.said_rate - 1) > 0.02:
                    raise ValueError(
                        f"rate={self.said_rate:g} Hz, but layer {layer} of {self.name} makes "
                        f"{rate:.3f} frames a second: leave rate out, or choose other layers"
                    )

    def _count(self, samples: int) -> dict[str, int]:
        """Frames of every layer for one clip of noise."""
        counts: dict[str, int] = {}

        def count(layer: str, output: Tensor, arrange: Arrange) -> None:
            counts[layer] = len(arrange_clips(arrange, output, [0], layer)[0])

        self._each_output([self._noise(samples)], False, count)
        return counts

    def _find_shortest(self) -> int:
        needed = [c.start + c.hop for c in self.clocks.values() if c.hop and not self.window]
        samples = max(1, math.ceil(max(needed, default=1)))
        while samples < self._first() and not self._bears(samples):
            samples *= 2
        return min(samples, self._first())

    def _bears(self, samples: int) -> bool:
        """Whether a clip of so many samples gives features that are numbers."""
        finite: list[bool] = []

        def look(layer: str, output: Tensor, arrange: Arrange) -> None:
            finite.append(bool(output.isfinite().all()))

        try:
            self._each_output([self._noise(samples)], False, look)
        except (ValueError, RuntimeError, AssertionError, IndexError, ZeroDivisionError):
            return False
        return all(finite)

    @torch.no_grad()
    def padding_changes(self) -> float:
        """Largest change of a feature when its clip lies padded beside a longer one.

        Relative to the largest feature of the layer.
        """
        long = min(round(1.98 * self.sample_rate), self.longest or 2**62)
        clips = [self._noise(round(0.54 * long)), self._noise(long, seed=1)]
        parts = [next(self._pieces(clip)) for clip in clips]
        alone = [self._frames_of([part])[0] for part in parts]
        try:
            beside = self._frames_of(parts)
        except (ValueError, RuntimeError):  # the model takes clips of one length only
            return math.inf
        worst = 0.0
        for one, other in zip(alone, beside, strict=True):
            for layer in self.layers:
                scale = one[layer].abs().max().clamp_min(1e-12)
                worst = max(worst, float((one[layer] - other[layer]).abs().max() / scale))
        return math.inf if math.isnan(worst) else worst

    def _first(self) -> int:
        """Samples of the shorter of two clips on which frames are counted."""
        return min(self.sample_rate, self.longest // 2 if self.longest else self.sample_rate)

    def _noise(self, samples: int, seed: int = 0) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return (0.1 * torch.randn(samples, generator=generator)).to(self.device)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> External:
        """Leave a model where it is that is spread over devices."""
        return self if self.spread else super()._apply(fn, recurse)

    @property
    def device(self) -> torch.device:
        first = next(self.parameters(), None)
        return torch.device("cpu") if first is None else first.device

    # ---- encoding --------------------------------------------------------------------------------

    @torch.no_grad()
    def encode(
        self, audio: Float[Tensor, "batch samples"], lengths: Int[Tensor, " batch"]
    ) -> dict[str, Frames]:
        """Frames of every layer; those of a long clip joined from its pieces."""
        cut = [
            piece
            for clip, length in enumerate(lengths.tolist())
            for piece in self._pieces(audio[clip, :length], clip)
        ]
        found: list[dict[str, Tensor]] = [{} for _ in cut]
        sizes = [len(piece.audio) for piece in cut]
        for group in groups(sizes, self.most, self.batching, self.window):
            for i, frames in zip(group, self._frames_of([cut[i] for i in group]), strict=True):
                found[i] = frames
        clips: dict[int, list[dict[str, Tensor]]] = defaultdict(list)
        for piece, frames in zip(cut, found, strict=True):
            clips[piece.clip].append(frames)
        return {
            layer: join_pieces(
                # Each layer is let go of as it is joined, or all would be held twice.
                [[piece.pop(layer) for piece in pieces] for pieces in clips.values()],
                self.clocks[layer],
                self.sample_rate,
                self.said_rate,
            )
            for layer in self.layers
        }

    def _pieces(self, audio: Tensor, clip: int = 0) -> Iterator[Piece]:
        return pieces(clip, audio, self.clocks, self.shortest, self.longest, self.overlap)

    def _frames_of(self, together: Sequence[Piece]) -> list[dict[str, Tensor]]:
        """Frames of every layer of pieces that are encoded together."""
        padded = len({len(piece.audio) for piece in together}) > 1
        found: list[dict[str, Tensor]] = [{} for _ in together]

        def keep(layer: str, output: Tensor, arrange: Arrange) -> None:
            clock = self.clocks[layer]
            counts = [clock.at_once(len(piece.audio)) for piece in together]
            clips = arrange_clips(arrange, output, counts, layer)
            for frames, piece, own, count in zip(clips, together, found, counts, strict=True):
                self._check_count(layer, len(frames), count, padded, len(piece.audio))
                first = piece.skip[layer]
                kept = frames[first : first + piece.frames[layer]]
                own[layer] = kept.to(torch.promote_types(kept.dtype, torch.float32), copy=True)

        self._each_output([piece.audio for piece in together], padded, keep)
        return found

    def _check_count(self, layer: str, got: int, count: int, padded: bool, samples: int) -> None:
        exact = not (padded or self.window) and self.clocks[layer].hop is not None
        if got < count or (exact and got != count):
            raise ValueError(
                f"layer {layer} of {self.name} made {got} frames of {samples} samples, where "
                f"{count} were expected: its frames do not follow its hop, or it is run piece by "
                "piece; choose another layer, or give max_seconds of what it takes at once"
            )

    def _each_output(
        self,
        clips: Sequence[Tensor],
        padded: bool,
        keep: Callable[[str, Tensor, Arrange], None],
    ) -> None:
        """Give the output of every layer to ``keep`` while the model runs."""
        ran: Counter[str] = Counter()

        def take(module: str, output: Tensor) -> None:
            name = module if self.times[module] == 1 else f"{module}[{ran[module]}]"
            ran[module] += 1
            if ran[module] <= self.times[module]:
                keep(name, output, self.layouts[module])

        self.run(clips, padded, take)
        for module, n in self.times.items():
            if ran[module] != n:
                raise ValueError(
                    f"layer {module} of {self.name} ran {ran[module]} times in one pass and {n} "
                    "times before: it is shared by parts of the model that do not all run on "
                    "every clip; choose another layer"
                )
