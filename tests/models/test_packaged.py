"""Modules of other packages: made by name, their weights read without executing anything."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from models.external.layouts import layout as named
from models.external.packaged import load_packaged

RATE = 8000
CODE = """
import torch
from torch import nn


class Sizes:
    def __init__(self, cfg):
        self.dim = cfg["dim"]


class Net(nn.Module):
    '''Frames of 4 by 100 samples: tokens of two frequencies, time after time, time first.'''

    def __init__(self, dim, twice=False):
        super().__init__()
        self.patch = nn.Linear(50, getattr(dim, "dim", dim))
        self.block = nn.Identity()
        self.twice = twice

    @classmethod
    def from_folder(cls, folder):
        made = cls(3)
        made.load_state_dict(torch.load(folder + "/w.pt"))
        return made

    def extract(self, audio):
        tokens = self.patch(audio.unfold(1, 100, 100).unflatten(2, (2, 50))).flatten(1, 2)
        self.block((1 + self.twice) * tokens.transpose(0, 1))
"""
HOW: dict[str, Any] = {
    "install": "git clone https://example.org/net",
    "name": "net",
    "sample_rate": RATE,
    "layers": {"block": {"layout": "tfbd", "rows": 2}},
    "method": "extract",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a module and its weights in files of several forms."""
    (tmp_path / "packaged_net.py").write_text(CODE)
    monkeypatch.syspath_prepend(tmp_path)
    generator = torch.Generator().manual_seed(0)
    state = {"patch.weight": torch.randn(3, 50, generator=generator), "patch.bias": torch.zeros(3)}
    torch.save(state, tmp_path / "w.pt")
    torch.save({"model": state, "cfg": {"dim": 3}}, tmp_path / "both.pt")
    return tmp_path


def features(folder: Path, **settings: Any) -> Tensor:
    encoder = load_packaged("packaged_net.Net", **HOW, **settings)
    audio = torch.randn(1, 2000, generator=torch.Generator().manual_seed(1))
    frames = encoder.encode(audio, torch.tensor([2000]))["block"]
    assert (frames.rate, frames.lengths.tolist()) == (80.0, [20])
    weight = torch.load(folder / "w.pt")["patch.weight"]
    expected = audio.view(1, 20, 2, 50).mean(2) @ weight.T
    torch.testing.assert_close(frames.values, expected * (1 + encoder.module.twice))
    return frames.values


def test_weights_are_read_in_every_form(folder: Path) -> None:
    both = {"weights": str(folder / "both.pt"), "state": "model", "sizes": "cfg"}
    plain = features(folder, weights=str(folder / "w.pt"), arguments={"dim": 3})
    assert torch.equal(features(folder, **both), plain)
    assert torch.equal(features(folder, **both, sizes_class="packaged_net.Sizes"), plain)
    assert torch.equal(features(folder, **both, arguments={"twice": True}), 2 * plain)
    own = load_packaged("packaged_net.Net.from_folder", **HOW, weights=str(folder), passes="folder")
    assert own.layers == ("block",)
    assert own.name == "net"


def test_what_is_missing_is_said_in_one_line(folder: Path) -> None:
    for module in ("packaged_gone.Net", "packaged_net.Gone", "packaged_net.Net.gone", "Net"):
        with pytest.raises(ModuleNotFoundError, match=r"net needs .*: git clone https://example"):
            load_packaged(module, **HOW)
    with pytest.raises(FileNotFoundError, match=r"needs its weights: git .*encoder.weights=FILE"):
        load_packaged("packaged_net.Net", **HOW)
    with pytest.raises(FileNotFoundError, match=f"there are none at {folder}/none.pt: git clone"):
        load_packaged("packaged_net.Net", **HOW, weights=f"{folder}/none.pt")


class Attack:
    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.place,))


def test_nothing_in_a_file_is_executed(folder: Path) -> None:
    with (folder / "plain.pt").open("wb") as file:
        pickle.dump({"patch.weight": Attack(folder / "ran")}, file)
    torch.save({"patch.weight": Attack(folder / "ran")}, folder / "zip.pt")
    for name in ("plain.pt", "zip.pt"):
        with pytest.raises(ValueError, match="holds more than weights, which is not executed"):
            load_packaged(
                "packaged_net.Net", **HOW, weights=str(folder / name), arguments={"dim": 3}
            )
    assert not (folder / "ran").exists()


def test_weights_of_another_module_are_refused(folder: Path) -> None:
    made = {"module": "packaged_net.Net", "weights": str(folder / "both.pt"), **HOW}
    with pytest.raises(ValueError, match=r"holds no weights by name: check encoder.state"):
        load_packaged(**made, arguments={"dim": 3})
    with pytest.raises(ValueError, match=r"has no net, it has model, cfg: check encoder.weights"):
        load_packaged(**made, state="net", arguments={"dim": 3})
    with pytest.raises(ValueError, match=r"has not the weights of Net: .*size mismatch"):
        load_packaged(**made, state="model", arguments={"dim": 4})


@pytest.mark.parametrize("layout", ["btfd", "tfbd"])
def test_tokens_whose_time_comes_first(layout: str) -> None:
    tokens = torch.arange(2 * 7 * 3, dtype=torch.float32).view(2, 7, 3)  # one of no place, 3 by 2
    given = tokens if layout == "btfd" else tokens.transpose(0, 1)
    found = named(layout, rows=2, skip=1)(given, [3, 3])
    for clip, frames in zip(tokens, found, strict=True):
        literal = [(clip[1 + 2 * t] + clip[2 + 2 * t]) / 2 for t in range(3)]
        assert torch.equal(frames, torch.stack(literal))
    with pytest.raises(ValueError, match=re.escape("patches, btfd, tfbd, folded")):
        named("tbfd")
