"""What makes two encoders one for the cache, and what cannot be known."""

from __future__ import annotations

import copy
import math
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from commands.building import build
from evaluation.identity import UnknownIdentityError, identity
from models.external.baselines.envelope import Envelope
from models.external.baselines.logmel import LogMelFrames, LogMelStatistics
from models.external.baselines.spectrotemporal import Cochleagram
from models.external.controls import permuted
from tests.composing import TINY, config
from tests.evaluation.toys import ToyEncoder


class Bare:
    """An encoder that is no module, with one more attribute."""

    name, sample_rate, layers = "bare", 100, ("a",)

    def __init__(self, extra: Any = None) -> None:
        self.extra = extra

    def encode(self, audio: Any, lengths: Any) -> Any:
        raise NotImplementedError


class Holder:
    def __init__(self, value: object) -> None:
        self.value, self.owner = value, self


def tiny(folder: Path, *overrides: str) -> Any:
    torch.manual_seed(0)
    return build(config(folder, *TINY, *overrides).model)


def changed(model: Any, change: Callable[[Any], object]) -> Any:
    other = copy.deepcopy(model)
    change(other)
    return other


def test_our_model_is_its_weights_and_settings_not_its_name(tmp_path: Path) -> None:
    model = tiny(tmp_path)
    own = identity(model)
    assert identity(tiny(tmp_path, "name=another")) == own
    assert identity(changed(model, lambda m: setattr(m, "step", 7))) == own
    assert identity(changed(model, lambda m: m.eval())) == own

    def nudge(other: Any) -> None:
        with torch.no_grad():
            other.encoder.layers[0].norm1.bias[0] += 1e-7

    different = [
        changed(model, nudge),
        changed(model, lambda m: setattr(m, "chunk_frames", 200)),
        changed(model, lambda m: setattr(m.encoder, "norm", "residual")),
        changed(model, lambda m: setattr(m.frontend, "hop", 300)),
        changed(model, lambda m: m.double()),
        permuted(model),
    ]
    assert len({own, *map(identity, different)}) == 1 + len(different)


def test_settings_that_a_state_dict_does_not_hold_count() -> None:
    encoders = [
        LogMelStatistics(),
        LogMelStatistics(bands=64),
        LogMelFrames(),
        Envelope(),
        Envelope(exponent=0.5),
        Cochleagram(),
    ]
    assert all(not encoder.state_dict() for encoder in encoders)
    assert len({identity(encoder) for encoder in encoders}) == len(encoders)
    assert identity(LogMelStatistics(name="other")) == identity(LogMelStatistics())


@pytest.mark.parametrize(
    ("one", "two"),
    [
        (1, True),
        (1.0, 1),
        ("1", 1),
        ((1, 2), (1, (2,))),
        ([1, 2], (1, 2)),
        (("ab", "c"), ("a", "bc")),
        ({"a": 1}, {"b": 1}),
        (torch.ones(2), torch.ones(2).double()),
        (torch.ones(2, 1), torch.ones(1, 2)),
        (torch.ones(2), np.ones(2, "float32")),
        (torch.relu, torch.sigmoid),
        (nn.functional.relu, nn.functional.gelu),
        (partial(round, ndigits=1), partial(round, ndigits=2)),
        (nn.ReLU, nn.GELU),
        (Holder(1), Holder(2)),
        (nn.Linear(1, 1, bias=False), nn.Identity()),
        (Path("a"), "a"),
    ],
)
def test_values_are_told_apart(one: object, two: object) -> None:
    assert identity(Bare(one)) == identity(Bare(copy.deepcopy(one)))
    assert identity(Bare(one)) != identity(Bare(two))


def test_devices_and_order_of_sets_do_not_count() -> None:
    assert identity(Bare(torch.device("cuda", 0))) == identity(Bare(torch.device("cuda", 1)))
    assert identity(Bare({"a", "b", "c"})) == identity(Bare({"c", "b", "a"}))


def test_two_of_one_kind_are_told_from_one_twice() -> None:
    one = Holder(1)
    assert identity(Bare((one, one))) != identity(Bare((one, Holder(1))))


def test_hooks_that_can_be_hashed_are() -> None:
    def normed() -> nn.Module:
        encoder = ToyEncoder()
        torch.manual_seed(0)
        encoder.inner = weight_norm(nn.Linear(2, 2))  # type: ignore[assignment]
        return encoder

    assert identity(normed()) == identity(normed())  # type: ignore[arg-type]
    hooked = normed()
    hooked.register_forward_hook(lambda *_: None)
    with pytest.raises(UnknownIdentityError, match=r"encoder._forward_hooks\[0\] is the function"):
        identity(hooked)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("value", "what"),
    [
        (lambda: 1, r"encoder.extra is the function .*<lambda>, made in place"),
        (torch.Generator(), "encoder.extra is a Generator"),
        (threading.Lock(), "encoder.extra is a lock"),
        ([1, {"a": iter([])}], r"encoder.extra\[1\]\[0\]\[1\] is a list_iterator"),
        (Holder(math.sqrt), None),
        (Holder("x".upper), "encoder.extra.value is"),
        (np.array([object()]), "encoder.extra is an array of objects"),
    ],
)
def test_what_cannot_be_hashed_is_named(value: object, what: str | None) -> None:
    if what is None:
        assert identity(Bare(value))
        return
    with pytest.raises(UnknownIdentityError, match=what):
        identity(Bare(value))


def test_settings_speak_for_what_cannot_be_hashed() -> None:
    def spoken(settings: object, gain: int = 1) -> Bare:
        encoder = Bare(lambda: 1)
        encoder.settings, encoder.gain = settings, gain  # type: ignore[attr-defined]
        return encoder

    marks = {identity(spoken({"a": 1})), identity(spoken({"a": 2})), identity(spoken({"a": 1}, 2))}
    assert len(marks) == 3
    assert identity(spoken({"a": 1})) in marks
    with pytest.raises(UnknownIdentityError, match="bare has settings = None"):
        identity(spoken(None))


def test_source_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = identity(Bare())
    monkeypatch.setattr("evaluation.identity._code", lambda: "other")
    assert identity(Bare()) != own


def test_an_encoder_without_source_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    class Typed(Bare):
        __module__ = "__console__"

    with pytest.raises(UnknownIdentityError, match="__console__, which has no source file"):
        identity(Typed())
