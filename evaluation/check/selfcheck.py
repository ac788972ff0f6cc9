"""Whether an encoder keeps its promises: what ``check=true`` asks of every one."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable

import torch
from torch import nn

from evaluation.check.clicks import Timing, timings
from evaluation.check.findings import SECONDS, Finding, SelfCheck, valid
from evaluation.check.invariances import (
    batch_invariance,
    determinism,
    different_sounds,
    padding_invariance,
)
from evaluation.evaluate import fingerprint
from models.encoder import Encoder, Frames

LONG = 30.0
RATE, OFFSET = 0.02, 0.010
"""Deviation of the rate that is allowed, and the least of the offset (s) where a hop is less."""
SPREAD, PAST = 2.0, 5.0
"""Frames of scatter from which on the place of a click says nothing about times, and frames by
which a layer may hear clicks late."""


def self_check(encoder: Encoder, device: torch.device | str = "cpu") -> list[Finding]:
    """Check an encoder with sounds of known length and time.

    Checks that its layers are those that it names, with one width each; that frames are as many
    as rate and offset say, for clips of 1.07, 1.98, 2.74 and 4 s; that these are when clicks are
    heard; that the same sound gives the same features again, beside others of its length, and
    padded beside longer ones; that different sounds differ; what becomes of silence, full scale
    and a single sample; that weights stay; and what 30 s cost.

    A check that raises fails with the error, and the others go on. A module is left in evaluation
    mode.
    """
    state = SelfCheck(encoder, device)
    before = fingerprint(encoder)
    checks: list[tuple[str, Callable[[SelfCheck], None]]] = [
        ("layers", _layers),
        ("frame counts", _counts),
        ("clicks", _clicks),
        ("determinism", determinism),
        ("batch invariance", batch_invariance),
        ("padding invariance", padding_invariance),
        ("different sounds", different_sounds),
        ("extreme sounds", _extremes),
        ("cost", _cost),
    ]
    if isinstance(encoder, nn.Module):
        encoder.eval()
    with torch.inference_mode():
        for name, check in checks:
            try:
                check(state)
            except Exception as error:
                text = " ".join(str(error).split())
                state.add(name, False, f"{type(error).__name__}: {text}", "no error")
    if isinstance(encoder, nn.Module):
        same = fingerprint(encoder) == before
        state.add("weights", same, "the same" if same else "changed by encoding", "the same")
    return state.findings


def _layers(state: SelfCheck) -> None:
    names = tuple(state.encoder.layers)
    twice = len(set(names)) != len(names)
    encoded = [state.encode([state.clip(s)]) for s in SECONDS[:2]]
    wrong = next((tuple(found) for found in encoded if tuple(found) != names), None)
    said = f"{len(names)} layers, in order, none twice"
    shown = said if wrong is None else str(list(wrong))
    state.add("layers", not twice and wrong is None, shown, said)
    for layer in names if wrong is None else ():
        one, other = (found[layer].values for found in encoded)
        good = one.ndim == other.ndim == 3 and one.shape[2] == other.shape[2]
        good &= one.is_floating_point() and len(one) == 1
        shown = " ".join(f"{tuple(values.shape)}" for values in (one, other))
        state.add("width", good, str(one.shape[2]) if good else shown, "one width", layer)


def _counts(state: SelfCheck) -> None:
    """Frames of clips that differ in length, and whether they are finite."""
    for seconds in SECONDS:
        for layer, frames in state.encode([state.clip(seconds)]).items():
            n, size = int(frames.lengths[0]), frames.values.shape[1]
            what = f"{n} frames of {seconds:g} s"
            if not 1 <= n <= size or not frames.values[0, :n].isfinite().all():
                state.add("frames", False, f"{what}, of {size} given", "1 or more, finite", layer)
            elif _in_time(state.encoder) and not _one_a_clip(frames):
                expected = (seconds - 2 * frames.offset) * frames.rate + 1
                good = abs(n - expected) <= 2
                state.add("frame count", good, what, f"{expected:.1f} at {frames.rate:g} Hz", layer)


def _clicks(state: SelfCheck) -> None:
    """Rate and offset, measured."""
    frames = state.encode([state.clip(SECONDS[-1])])
    timed = {k: f for k, f in frames.items() if not _one_a_clip(f)}
    if not timed or not _in_time(state.encoder):
        return
    found = timings(state.encoder, min(f.rate for f in timed.values()), state.device)
    for layer, said in timed.items():
        timing = found[layer]
        if timing is None:
            state.note("clicks", "too few frames to tell their times", layer)
        else:
            _judge(state, layer, said, timing)


def _judge(state: SelfCheck, layer: str, said: Frames, timing: Timing) -> None:
    hop = 1 / said.rate
    if timing.scatter > max(SPREAD * hop, OFFSET):
        text = f"heard all over the clip, {timing.scatter:.2g} s away on average"
        state.note("clicks", text, layer)
        return
    most = max(RATE, 1 / timing.span)
    state.add(
        "rate",
        abs(timing.rate / said.rate - 1) <= most,
        f"{timing.rate:.2f} Hz",
        f"{said.rate:.2f} Hz",
        layer,
    )
    late = timing.offset - said.offset
    found, expected = f"{1000 * timing.offset:.1f} ms", f"{1000 * said.offset:.1f} ms"
    slack = max(1.5 * hop, OFFSET)
    if -PAST * hop <= late < -slack:
        state.note(
            "offset", f"{found}, not {expected}: it hears the past, as causal layers do", layer
        )
    else:
        state.add("offset", abs(late) <= slack, found, expected, layer)


def _extremes(state: SelfCheck) -> None:
    """Silence, full scale and one sample: numbers, or an error that says what is wrong."""
    samples = round(SECONDS[0] * state.encoder.sample_rate)
    square = torch.ones(samples)
    square[: samples // 2] = -1
    for name, clip in {
        "silence": torch.zeros(samples),
        "full scale": square,
        "one sample": torch.full((1,), 0.1),
    }.items():
        try:
            bad = [k for k, f in state.encode([clip]).items() if not valid(f, 0).isfinite().all()]
        except ValueError as error:
            state.note(name, f"refused: {' '.join(str(error).split())}")
            continue
        shown = f"not finite in {', '.join(bad[:3])}" if bad else "finite"
        state.add(name, not bad, shown, "finite, or a ValueError that says why")


def _cost(state: SelfCheck) -> None:
    """Seconds and memory that one clip of 30 s takes."""
    cuda = torch.device(state.device).type == "cuda"
    if cuda:
        torch.cuda.reset_peak_memory_stats(state.device)
    before = _peak(state.device)
    clip, started = state.clip(LONG), time.perf_counter()
    frames = state.encode([clip])
    if cuda:
        torch.cuda.synchronize(state.device)
    seconds = time.perf_counter() - started
    kept = sum(f.values.nbytes for f in frames.values()) / 2**20
    more = (_peak(state.device) - before) / 2**20
    state.note(
        "cost",
        f"30 s of audio in {seconds:.2f} s; {kept:.0f} MiB of features, {more:.0f} MiB more at the "
        "peak than before",
    )


def _peak(device: torch.device | str) -> float:
    """Bytes of memory at the highest so far."""
    if torch.device(device).type == "cuda":
        return float(torch.cuda.max_memory_allocated(device))
    return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _in_time(encoder: Encoder) -> bool:
    return bool(getattr(encoder, "in_time", True))


def _one_a_clip(frames: Frames) -> bool:
    return frames.values.shape[1] == 1
