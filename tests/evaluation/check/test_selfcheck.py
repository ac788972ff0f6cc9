"""The self-check passes encoders that keep their promises and finds every broken one."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from rich.console import Console
from torch import Tensor, nn

from commands.scoring import check
from evaluation.check.clicks import timings
from evaluation.check.findings import Finding, SelfCheck
from evaluation.check.invariances import padding_invariance
from evaluation.check.selfcheck import self_check
from evaluation.rows import replace_rows
from models.encoder import Frames
from models.external.baselines.envelope import Envelope
from models.external.baselines.logmel import LogMelFrames, LogMelStatistics
from models.external.hooks import Hooked
from reporting.selfcheck import print_findings
from tests.composing import config


class Sound(nn.Module):
    """An encoder that does as it says: log energy of a few bands, 100 frames a second."""

    name, sample_rate = "sound", 8000
    layers: tuple[str, ...] = ("a", "b")

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv1d(1, 6, 160, 80)

    def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
        inside = torch.arange(audio.shape[1]) < lengths[:, None]
        audio = nn.functional.pad(audio * inside, (0, max(0, 160 - audio.shape[1])))
        values = (self.conv(audio[:, None]).square() + 1e-3).log().transpose(1, 2)
        count = ((lengths - 160) // 80 + 1).clamp_min(1)
        return {layer: Frames(values + i, count, 100.0, 0.01) for i, layer in enumerate("ab")}


class Broken(Sound):
    """One promise of :class:`Sound` broken."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
        if self.how == "silence" and not audio.any():
            return {k: replace(f, values=f.values / 0) for k, f in self._made(audio, lengths)}
        if self.how == "refuses":
            raise ValueError("no audio today")
        found = {k: self._bent(f) for k, f in self._made(audio, lengths)}
        if self.how == "missing":
            del found["b"]
        if self.how == "order":
            found = dict(reversed(found.items()))
        if self.how == "weights":
            self.conv.weight.data += 1.0
        return found

    def _made(self, audio: Tensor, lengths: Tensor) -> Any:
        return super().encode(audio, lengths).items()

    def _bent(self, frames: Frames) -> Frames:
        values, lengths = frames.values, frames.lengths
        changed: dict[str, dict[str, Any]] = {
            "random": {"values": values + 0.1 * torch.randn_like(values)},
            "batch": {"values": values - values.mean(0, keepdim=True) * (len(values) > 1)},
            "padding": {"values": values - values.mean(1, keepdim=True)},
            "rate": {"rate": 50.0},
            "milliseconds": {"rate": 0.1},
            "offset": {"offset": 0.06},
            "lengths": {"lengths": lengths + 5},
            "padded lengths": {"lengths": torch.full_like(lengths, values.shape[1])},
            "width": {"values": values[..., : 5 + values.shape[1] % 2]},
            "constant": {"values": torch.ones_like(values)},
            "reversed": {"values": values.flip(1)},
            "nan": {"values": values.where(values > values.mean(), torch.nan)},
        }
        return replace(frames, **changed.get(self.how, {}))


def failed(findings: list[Finding]) -> set[str]:
    return {finding.check for finding in findings if finding.verdict == "fails"}


@pytest.mark.parametrize(
    "make", [Sound, lambda: Broken("nothing"), Envelope, LogMelStatistics, LogMelFrames]
)
def test_good_encoders_pass(make: Any) -> None:
    findings = self_check(make())
    assert failed(findings) == set()
    assert {f.check for f in findings} >= {"determinism", "padding invariance", "silence", "cost"}


@pytest.mark.parametrize(
    ("how", "checks"),
    {
        "random": {"determinism", "batch invariance", "padding invariance"},
        "batch": {"batch invariance"},
        "padding": {"padding invariance"},
        "rate": {"frame count", "rate"},
        "milliseconds": {"frame count"},
        "offset": {"offset"},
        "lengths": {"frames"},
        "padded lengths": {"padding invariance"},
        "width": {"width"},
        "constant": {"different sounds"},
        "missing": {"layers"},
        "order": {"layers"},
        "silence": {"silence"},
        "nan": {"frames"},
        "weights": {"weights"},
        "refuses": {"layers", "clicks", "determinism"},
    }.items(),
)
def test_every_broken_promise_is_found(how: str, checks: set[str]) -> None:
    assert checks <= failed(self_check(Broken(how)))


def test_frames_in_the_wrong_order_have_no_times() -> None:
    findings = self_check(Broken("reversed"))
    notes = [f for f in findings if f.verdict == "note" and f.check == "clicks"]
    assert failed(findings) & {"rate", "offset"} or notes
    assert "padding invariance" in failed(findings)


@pytest.mark.parametrize(("window", "hop"), [(160, 80), (400, 100), (1600, 800)])
def test_rate_and_offset_are_measured(window: int, hop: int) -> None:
    net = nn.Conv1d(1, 8, window, hop)
    net.weight.data *= torch.hann_window(window)
    encoder = Hooked(nn.Sequential(net), 8000, "0", "bdt", channel=True)
    (timing,) = timings(encoder, 8000 / hop).values()
    assert timing is not None
    assert timing.rate == pytest.approx(8000 / hop, rel=0.02)
    assert timing.offset == pytest.approx(window / 2 / 8000, abs=0.2 * hop / 8000 + 0.003)
    assert timing.scatter < hop / 8000


def test_what_padding_does_decides_about_batching() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv1d(1, 4, 80, 40), nn.GroupNorm(4, 4))

    def decided(layers: list[str], batching: str) -> Finding:
        state = SelfCheck(Hooked(net, 8000, layers, "bdt", channel=True, batching=batching))
        with torch.inference_mode():
            padding_invariance(state)
        assert state.findings[-1].check == "batching"
        return state.findings[-1]

    found = decided(["0", "1"], "auto")
    assert found.verdict == "note"
    assert "not safe; encoded together where lengths are equal" in found.found
    found = decided(["0", "1"], "padded")
    assert (found.verdict, found.expected) == ("fails", "encoder.batching=equal")
    assert decided(["0"], "auto").found.endswith("safe; encoded together, padded")


def test_layers_that_agree_share_a_row(tmp_path: Path) -> None:
    findings = [
        Finding("width", "ok", "8", "one width", "layers.0"),
        Finding("width", "ok", "16", "one width", "layers.1"),
        Finding("width", "fails", "8 9", "one width", "layers.2"),
        Finding("cost", "note", "little"),
    ]
    console = Console(width=100, record=True, file=io.StringIO())
    bad = print_findings("mine", findings, console)
    shown = console.export_text()
    assert [row["layer"] for row in bad] == ["layers.2"]
    assert "layers.0 … layers.1 (2)" in shown
    assert "8 … 16" in shown
    assert "mine fails 1 of 4 checks" in shown
    replace_rows(tmp_path / "found.jsonl", findings)
    rows = [json.loads(line) for line in (tmp_path / "found.jsonl").read_text().splitlines()]
    assert rows[2] == {**vars(findings[2])}


def test_the_command(tmp_path: Path, capsys: Any, monkeypatch: Any) -> None:
    settings = ["encoder=envelope", "device=cpu", f"output_dir='{tmp_path}'", "check=true"]
    check(config(tmp_path, *settings, script="probe"))
    assert "envelope passes" in capsys.readouterr().out
    assert "clicks" not in failed_in(tmp_path)
    monkeypatch.setattr(Envelope, "encode", Broken("rate").encode)
    monkeypatch.setattr(Envelope, "layers", ("a", "b"))
    with pytest.raises(SystemExit) as exit:
        check(config(tmp_path, *settings, script="probe"))
    assert exit.value.code == 1
    assert "rate" in failed_in(tmp_path)


def failed_in(folder: Path) -> set[str]:
    rows = [json.loads(line) for line in (folder / "selfcheck.jsonl").read_text().splitlines()]
    return {row["check"] for row in rows if row["verdict"] == "fails"}


def test_bursts_leave_the_loudness_of_a_clip_as_it_is() -> None:
    heard: list[np.ndarray] = []

    class Listening(Sound):
        def encode(self, audio: Tensor, lengths: Tensor) -> dict[str, Frames]:
            heard.append(audio[0].numpy())
            return super().encode(audio, lengths)

    timings(Listening(), 100.0)
    loudness = [float(np.sqrt((clip**2).mean())) for clip in heard]
    assert max(loudness) / min(loudness) < 1.02
    assert max(float(abs(clip).max()) for clip in heard) < 1
