"""Layers of any module by pattern: names, layouts, frame counts and times, and what goes wrong."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest
import torch
from omegaconf import OmegaConf
from torch import Tensor, nn

from commands.building import build
from models.encoder import Encoder
from models.external.clock import Clock, measure_rate
from models.external.hooks import Hooked
from models.external.taps import first_tensor, matching, tap_layers

RATE = 8000


class Block(nn.Module):
    """Halves the rate; returns what is asked for."""

    def __init__(self, channels: int, kind: str = "tensor") -> None:
        super().__init__()
        self.conv, self.kind = nn.Conv1d(channels, channels, 4, 2, padding=1), kind

    def forward(self, x: Any) -> Any:
        x = x if isinstance(x, Tensor) else first_tensor(x, "")
        x = self.conv(x).relu()
        made = {
            "tensor": x,
            "tuple": (x, None),
            "dict": {"other": x[:, :1], "last_hidden_state": x},
        }
        return made[self.kind]


class Net(nn.Module):
    """Twelve convolutions on frames of 20 samples every 10."""

    def __init__(self, kinds: tuple[str, ...] = ("tensor",) * 12) -> None:
        super().__init__()
        self.stem = nn.Conv1d(1, 4, 20, 10)
        self.layers = nn.ModuleList(nn.Conv1d(4, 4, 3, padding=1) for _ in range(12))
        self.blocks = nn.ModuleList(Block(4, kind) for kind in kinds[:3])

    def forward(self, audio: Tensor) -> Tensor:
        x = self.stem(audio[:, None])
        for layer in self.layers:
            x = x + layer(x).tanh()
        for block in self.blocks:
            x = block(x)
        return x if isinstance(x, Tensor) else first_tensor(x, "")


@pytest.fixture
def net() -> Net:
    torch.manual_seed(0)
    return Net()


def clips(*samples: int) -> tuple[Tensor, Tensor]:
    audio = torch.zeros(len(samples), max(samples))
    for i, n in enumerate(samples):
        audio[i, :n] = 0.1 * torch.randn(n, generator=torch.Generator().manual_seed(i))
    return audio, torch.tensor(samples)


def test_names_are_in_natural_order_and_stars_stay_within_a_part(net: Net) -> None:
    names = [name for name, _ in matching(net, ["stem", "layers.*", "re:blocks\\.[01]"])]
    assert names == ["stem", *(f"layers.{i}" for i in range(12)), "blocks.0", "blocks.1"]
    assert [name for name, _ in matching(net, ["blocks.**.conv", "**"])][:3] == [
        f"blocks.{i}.conv" for i in range(3)
    ]
    net.alias = net.stem  # a second name for the same module
    assert [name for name, _ in matching(net, ["alias"])] == ["alias"]
    assert [name for name, _ in matching(net, ["stem", "alias"])] == ["stem"]


def test_a_pattern_that_matches_nothing_lists_the_layers(net: Net) -> None:
    with pytest.raises(ValueError, match=r"'encoder\.\*' matches no module of Net") as error:
        matching(net, ["stem", "encoder.*"])
    assert "stem, layers, layers.* (12), blocks, blocks.* (3), blocks.*.conv (3)" in str(
        error.value
    )
    with pytest.raises(ValueError, match="no regular expression"):
        matching(net, ["re:(("])


def test_frames_follow_the_strides_of_the_convolutions(net: Net) -> None:
    encoder = Hooked(net, RATE, ["stem", "layers.*", "blocks.*"], "bdt", name="net")
    assert isinstance(encoder, Encoder)
    audio, lengths = clips(9001, 4444, 1)
    found = encoder.encode(audio, lengths)
    assert tuple(found) == encoder.layers
    assert len(encoder.layers) == 1 + 12 + 3
    for layer, hop in {"stem": 10, "layers.11": 10, "blocks.0": 20, "blocks.2": 80}.items():
        frames = found[layer]
        assert frames.rate == pytest.approx(RATE / hop)
        # Of the stem's frames, centred on 10, 20, …, each block halves the number.
        assert frames.offset == pytest.approx((10 + hop) / 2 / RATE)
        for i, n in enumerate((9001, 4444)):
            alone = net.stem(audio[i : i + 1, None, :n])
            count = alone.shape[2]
            for _ in range({20: 1, 80: 3}.get(hop, 0)):
                count //= 2
            assert int(frames.lengths[i]) == count
        assert int(frames.lengths[2]) == 1
    torch.testing.assert_close(
        found["stem"].values[1, : int(found["stem"].lengths[1])],
        net.stem(audio[1:2, None, :4444])[0].T,
    )


def test_outputs_may_be_tuples_dicts_and_objects() -> None:
    torch.manual_seed(0)
    plain = Hooked(Net(), RATE, ["blocks.*"], "bdt")
    torch.manual_seed(0)
    wrapped = Hooked(Net(("tuple", "dict", "tensor")), RATE, ["blocks.*"], "bdt")
    audio, lengths = clips(4000)
    one, other = plain.encode(audio, lengths), wrapped.encode(audio, lengths)
    for layer in plain.layers:
        torch.testing.assert_close(one[layer].values, other[layer].values)

    @dataclass
    class Output:
        hidden: Tensor

    x = torch.ones(2)
    assert first_tensor(Output(x), "a") is x
    assert first_tensor({"hidden_states": (x, x + 1)}, "a") is x
    with pytest.raises(ValueError, match="layer a returns a NoneType without a tensor"):
        first_tensor(None, "a")


@pytest.mark.parametrize("kind", ["btd", "tbd", "bd", "bchw", "bcwh"])
def test_layouts(kind: str) -> None:
    class Spread(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.out = nn.Identity()

        def forward(self, audio: Tensor) -> None:
            bdt = audio.unfold(1, 20, 10).transpose(1, 2)[:, :6]
            image = bdt.unflatten(1, (2, 3))
            self.out(
                {
                    "btd": bdt.transpose(1, 2),
                    "tbd": bdt.permute(2, 0, 1),
                    "bd": bdt.mean(2),
                    "bchw": image,
                    "bcwh": image.transpose(2, 3),
                }[kind]
            )

    encoder = Hooked(Spread(), RATE, {"out": kind})
    audio, lengths = clips(4000, 2000)
    frames = encoder.encode(audio, lengths)["out"]
    expected = audio.unfold(1, 20, 10)[..., :6]
    if kind == "bd":
        assert frames.lengths.tolist() == [1, 1]
        torch.testing.assert_close(frames.values[1, 0], expected[1, :199].mean(0))
    else:
        assert frames.lengths.tolist() == [399, 199]
        torch.testing.assert_close(frames.values[1, :199], expected[1, :199])
        assert not frames.values[1, 199:].any()


def test_a_wrong_layout_is_explained(net: Net) -> None:
    with pytest.raises(ValueError, match="expected one of btd, bdt"):
        Hooked(net, RATE, ["stem"], "dtb")
    with pytest.raises(ValueError, match=r"layer stem outputs \(1, 4, 799\), which is not as its"):
        Hooked(net, RATE, ["stem"], "bchw")
    with pytest.raises(ValueError, match="give window_seconds if clips are padded"):
        Hooked(net, RATE, ["stem"], "btd")  # four frames, however long the clip is


def test_hooks_are_removed_and_outputs_are_detached(net: Net) -> None:
    taken: list[Tensor] = []
    with pytest.raises(RuntimeError), tap_layers(net, ["stem"], lambda _, x: taken.append(x)):
        net.blocks[0].conv(net(torch.zeros(1, 1000))[:, :2])
    assert taken[0].shape == (1, 4, 99)
    assert not taken[0].requires_grad
    assert not net.stem._forward_hooks
    encoder = Hooked(net, RATE, ["layers.*"], "bdt")
    net.blocks[1] = nn.Linear(3, 3)
    with pytest.raises(RuntimeError):
        encoder.encode(*clips(4000))
    assert not any(module._forward_hooks for module in net.modules())


def test_a_shared_module_is_a_layer_each_time_it_runs(net: Net) -> None:
    net.layers[7] = net.layers[3]
    encoder = Hooked(net, RATE, ["layers.*"], "bdt")
    assert [name for name in encoder.layers if "[" in name] == ["layers.3[0]", "layers.3[1]"]
    assert len(encoder.layers) == 12
    found = encoder.encode(*clips(4000))
    assert not torch.allclose(found["layers.3[0]"].values, found["layers.3[1]"].values)


def test_a_module_that_runs_piece_by_piece_or_now_and_then_is_explained() -> None:
    class Pieces(nn.Module):
        def __init__(self, piece: int, again: int) -> None:
            super().__init__()
            self.conv, self.piece, self.again = nn.Conv1d(1, 2, 10, 10), piece, again

        def forward(self, audio: Tensor) -> None:
            for part in audio.split(self.piece, 1):
                self.conv(part[:, None])
            if audio.shape[1] > self.again:
                self.conv(audio[:, None])

    encoder = Hooked(Pieces(1 << 15, 1 << 20), RATE, ["conv"], "bdt")
    with pytest.raises(
        ValueError, match=r"3276 frames of 40000 samples, where 4000 .* max_seconds"
    ):
        encoder.encode(*clips(40_000))
    encoder = Hooked(Pieces(1 << 20, 1 << 15), RATE, ["conv"], "bdt")
    with pytest.raises(
        ValueError, match="conv of pieces ran 2 times in one pass and 1 times before"
    ):
        encoder.encode(*clips(40_000))


def test_a_layer_that_does_not_run_is_named(net: Net) -> None:
    net.unused = nn.Linear(2, 2)
    with pytest.raises(ValueError, match=r"\['unused'\] of net did not run"):
        Hooked(net, RATE, ["stem", "unused"], "bdt")


def test_clips_are_never_padded_unless_it_is_seen_to_be_safe(net: Net) -> None:
    assert Hooked(net, RATE, ["stem"], "bdt").batching == "equal"
    # Convolutions without padding of their own hear nothing of what follows a frame.
    assert Hooked(net, RATE, ["stem"], "bdt", batching="auto").batching == "padded"
    assert Hooked(net, RATE, ["blocks.*"], "bdt", batching="auto").batching == "equal"
    with pytest.raises(ValueError, match="expected auto, padded, equal or single"):
        Hooked(net, RATE, ["stem"], "bdt", batching="alone")


@pytest.mark.parametrize("batching", ["equal", "single", "padded"])
def test_how_many_are_encoded_at_once(net: Net, batching: Any) -> None:
    sizes: list[int] = []
    net.stem.register_forward_hook(lambda part, inputs, output: sizes.append(len(output)))
    encoder = Hooked(net, RATE, ["stem"], "bdt", batching=batching, batch_seconds=2.0)
    sizes.clear()
    encoder.encode(*clips(4000, 4000, 4000, 3000, 4000, 4000))
    assert sizes == {"equal": [1, 4, 1], "single": [1] * 6, "padded": [4, 2]}[batching]


def test_long_clips_are_joined_from_pieces(net: Net) -> None:
    audio, lengths = clips(30_000, 5000, 8100)
    settings: dict[str, Any] = {"layers": ["stem", "blocks.0"], "layout": "bdt"}
    whole = Hooked(net, RATE, **settings).encode(audio, lengths)
    cut = Hooked(net, RATE, **settings, max_seconds=1.0).encode(audio, lengths)
    assert torch.equal(cut["stem"].lengths, whole["stem"].lengths)
    torch.testing.assert_close(cut["stem"].values, whole["stem"].values)
    # Twelve layers and a block hear 13 frames of 10 samples more on either side of a joint.
    away = (cut["blocks.0"].values - whole["blocks.0"].values).abs().amax(2)
    assert int((away > 1e-6).sum(1)[0]) in range(1, 3 * 2 * 7 + 1)
    assert int((away > 1e-6).sum(1)[1]) == 0


def test_layers_without_a_common_hop_cannot_be_join() -> None:
    net = nn.ModuleDict({"a": nn.Conv1d(1, 2, 701, 701), "b": nn.Conv1d(1, 2, 503, 503)})
    both = type("Both", (nn.Module,), {"forward": lambda s, x: [m(x) for m in s.net.values()]})()
    both.net = net
    encoder = Hooked(both, RATE, ["net.*"], "bdt", channel=True, max_seconds=1.0)
    with pytest.raises(ValueError, match="no common multiple: choose layers of one rate"):
        encoder.encode(*clips(20_000))


def test_a_fixed_window_is_padded_and_cut_back(net: Net) -> None:
    encoder = Hooked(net, RATE, ["stem"], "bdt", window_seconds=2.0)
    lengths_heard: list[int] = []
    net.stem.register_forward_hook(lambda m, inputs, out: lengths_heard.append(inputs[0].shape[2]))
    found = encoder.encode(*clips(8000, 2000, 40_000))["stem"]
    assert set(lengths_heard) == {16_000}
    rate = 1599 / 2  # frames of a window over its seconds
    assert found.rate == pytest.approx(rate)
    assert found.offset == pytest.approx(0.5 / rate)
    assert found.lengths.tolist() == [799, 200, 3997]
    said = Hooked(net, RATE, ["stem"], "bdt", window_seconds=2.0, rate=800.0, offset=10 / RATE)
    frames = said.encode(*clips(8000, 2000, 40_000))["stem"]
    assert (frames.rate, frames.offset) == (800.0, 10 / RATE)
    # centres at 10, 20, … samples that lie inside the clip
    assert frames.lengths.tolist() == [799, 199, 3999]


def test_a_rate_that_is_not_so_is_refused(net: Net) -> None:
    assert Hooked(net, RATE, ["stem"], "bdt", rate=799.0, offset=0.02).clocks["stem"].centre == 160
    with pytest.raises(
        ValueError, match=r"rate=100 Hz, but layer blocks.0 .* makes 400.000 frames"
    ):
        Hooked(net, RATE, ["blocks.0"], "bdt", rate=100.0)


@pytest.mark.parametrize(("start", "hop"), [(0, 160), (80, 320), (-319, 320), (-7, 1), (55, 4001)])
def test_clocks_are_found_by_counting(start: int, hop: int) -> None:
    def counts(samples: int) -> dict[str, int]:
        return {"layer": (samples - start) // hop}

    (clock,) = measure_rate(counts, 16_000, 16_000).values()
    assert (clock.hop, clock.start, clock.centre) == (hop, start, Fraction(start + hop, 2))
    for samples in (hop + start, 12_345, 999_999):
        assert clock.frames(samples) == counts(samples)["layer"]


def test_a_hop_that_is_no_whole_number_of_samples_is_found_nearly() -> None:
    (clock,) = measure_rate(lambda n: {"layer": int(n / 213.4) + 1}, 16_000, 16_000).values()
    assert float(clock.hop or 0) == pytest.approx(213.4, rel=1e-3)
    assert Clock().frames(77) == 1


def test_frames_that_come_in_lumps_are_explained() -> None:
    with pytest.raises(ValueError, match="padded inside to multiples of many frames"):
        measure_rate(lambda n: {"layer": -(-n // 512) * 512}, 16_000, 16_000)


def test_a_config_names_a_module_of_any_package() -> None:
    conv = {"_target_": "torch.nn.Conv1d", "in_channels": 1, "out_channels": 3}
    conv |= {"kernel_size": 20, "stride": 10}
    made = build(
        OmegaConf.create(
            {
                "_target_": "models.external.hooks.Hooked",
                "module": {"_target_": "torch.nn.Sequential", "_args_": [conv]},
                "sample_rate": RATE,
                "layers": {"*": "bdt"},
                "channel": True,
            }
        )
    )
    assert made.layers == ("0",)
    assert made.encode(*clips(4000))["0"].lengths.tolist() == [399]
