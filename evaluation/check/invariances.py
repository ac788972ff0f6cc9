"""What features of a sound must not depend on, and what they must."""

from __future__ import annotations

import math
from collections.abc import Iterator

from evaluation.check.findings import SECONDS, SelfCheck, valid
from models.encoder import Frames

SAME = 1e-4
"""Features that differ by less, relative to the largest of their layer, count as the same."""


def determinism(state: SelfCheck) -> None:
    clip = state.clip(SECONDS[0])
    change = _largest_change(state.encode([clip]), 0, state.encode([clip]), 0)
    _judge_change(state, "determinism", change, "the same clip again")


def batch_invariance(state: SelfCheck) -> None:
    clips = [state.clip(SECONDS[0], seed) for seed in range(3)]
    together = state.encode(clips)
    for i, clip in enumerate(clips):
        change = _largest_change(together, i, state.encode([clip]), 0)
        _judge_change(state, "batch invariance", change, f"clip {i} of three of one length")


def padding_invariance(state: SelfCheck) -> None:
    """Features of a clip beside longer ones, and how the encoder goes about it."""
    clips = [state.clip(seconds, seed) for seed, seconds in enumerate(SECONDS)]
    together = state.encode(clips)
    for i, clip in enumerate(clips):
        alone = state.encode([clip])
        counts = [(int(together[k].lengths[i]), int(f.lengths[0])) for k, f in alone.items()]
        same = all(one == other for one, other in counts)
        text = f"{len(clip) / state.encoder.sample_rate:.2f} s beside longer clips"
        if not same:
            state.add("padding invariance", False, f"{text}: {counts}", "as many frames as alone")
            continue
        change = _largest_change(together, i, alone, 0)
        _judge_change(state, "padding invariance", change, text)
    how, changes = getattr(state.encoder, "batching", None), None
    if hasattr(state.encoder, "padding_changes"):
        changes = float(state.encoder.padding_changes())
    if changes is None:
        return
    safe = changes <= SAME
    text = f"padding changes features by {changes:.1e}: {'safe' if safe else 'not safe'}"
    if how == "padded" and not safe:
        state.add("batching", False, text, "encoder.batching=equal")
    else:
        state.note("batching", f"{text}; encoded {_MANNER.get(str(how), how)}")


_MANNER = {
    "padded": "together, padded",
    "equal": "together where lengths are equal",
    "single": "one by one",
}


def different_sounds(state: SelfCheck) -> None:
    clips = [state.clip(SECONDS[0], seed) for seed in range(3)]
    means = [{k: valid(f, 0).mean(0) for k, f in state.encode([c]).items()} for c in clips]
    for layer in means[0]:
        scale = max(float(one[layer].abs().max()) for one in means) or 1.0
        least = min(
            float((means[i][layer] - means[j][layer]).abs().max()) / scale
            for i, j in ((0, 1), (0, 2), (1, 2))
        )
        text = f"means differ by {least:.1e} of the largest"
        state.add("different sounds", least > SAME, text, f"more than {SAME:.0e}", layer)


def _largest_change(
    one: dict[str, Frames], i: int, other: dict[str, Frames], j: int
) -> tuple[float, str]:
    """Largest difference relative to the largest feature of its layer, and the layer."""
    return max(_changes(one, i, other, j))


def _changes(
    one: dict[str, Frames], i: int, other: dict[str, Frames], j: int
) -> Iterator[tuple[float, str]]:
    for layer in one:
        a, b = valid(one[layer], i), valid(other[layer], j)
        if a.shape != b.shape:
            yield math.inf, layer
            continue
        scale = float(b.abs().max()) or 1.0
        change = float((a - b).abs().max()) / scale
        yield (math.inf if math.isnan(change) else change), layer


def _judge_change(state: SelfCheck, check: str, change: tuple[float, str], what: str) -> None:
    worst, layer = change
    state.add(check, worst <= SAME, f"{what}: changes by {worst:.1e}", f"at most {SAME:.0e}", layer)
