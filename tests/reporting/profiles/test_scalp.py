"""Maps of the scalp: places from names alone, one scale, marks; bars where places are unknown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from matplotlib.collections import PathCollection

from evaluation.quantities import Quantity
from evaluation.rows import Score, meaning
from reporting.profiles.figure import benchmark_figure
from reporting.profiles.scalp import MONTAGES, montage_of
from reporting.tables import score_table

ALICE = [str(k) for k in range(1, 62) if k != 29]
BIOSEMI = [f"{part}{k}" for part in "ABCD" for k in range(1, 33)]
UNKNOWN = [f"region{k}" for k in range(30)]


def maps(names: Sequence[str], channels: Sequence[str]) -> list[Score]:
    """The last metric is the strongest; every third channel of each is found."""
    return [
        Score(
            "eeg/x",
            layer="selected",
            value=level + 0.01 * (number + 1) * (k % 5 - 1),
            **meaning(Quantity(name, "map", kind)),
            target=channel,
            p=0.01 if k % 3 == 0 else 0.5,
        )
        for number, name in enumerate(names)
        for k, channel in enumerate(channels)
        for kind, level in (("score", 0.3), ("excess", 0.0))
    ]


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        (ALICE, "easycap-M10"),
        (BIOSEMI, "biosemi128"),
        ([*BIOSEMI, "E1"], "biosemi160"),
        (["Fp1", "Cz", "PO4"], "biosemi32"),
        (["FP1", "CZ", "AFP5", "AFF5H"], "colin27_1005"),
        ([f"E{k}" for k in range(1, 129)], "GSN-HydroCel-128"),
        (UNKNOWN, None),
        (["Cz", "left ear"], None),
    ],
)
def test_the_smallest_montage_with_all_names_is_found(
    channels: list[str], expected: str | None
) -> None:
    found = montage_of(channels)
    assert (found and found[0]) == expected
    if found:
        assert [name.lower() for name in found[1].values()] == [c.lower() for c in channels]


def test_every_montage_is_known_to_mne_and_they_grow() -> None:
    from mne.channels import make_standard_montage

    sizes = [len(make_standard_montage(name).ch_names) for name in MONTAGES]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("channels", [ALICE, BIOSEMI], ids=["alice", "biosemi"])
def test_maps_share_a_symmetric_scale_and_mark_what_is_found(channels: list[str]) -> None:
    figure = benchmark_figure(score_table(maps(["rsa", "cka", "dcor"], channels)))
    shown = [place for place in figure.axes if place.images]
    assert [place.get_title() for place in shown] == ["rsa", "cka", "dcor"]
    assert {place.images[0].get_clim() for place in shown} == {(-0.09, 0.09)}
    (bar,) = (place for place in figure.axes if place.get_label() == "<colorbar>")
    assert bar.get_ylabel() == "similarity above surrogates"
    for place in shown:
        (marked,) = (line for line in place.lines if line.get_markerfacecolor() == "white")
        assert len(marked.get_xdata()) == len(channels[::3])  # type: ignore[arg-type]
    assert figure.subfigs[0].get_suptitle() == "electrodes above surrogates (dots: p < .05)"


def test_channels_without_a_place_are_bars_of_the_largest() -> None:
    figure = benchmark_figure(score_table(maps(["rsa"], UNKNOWN)))
    place = next(place for place in figure.axes if place.get_title() == "rsa")
    (bars,) = place.containers
    widths = [bar.get_width() for bar in bars]
    assert len(widths) == 20
    assert widths == sorted(widths, reverse=True)
    assert widths[0] == pytest.approx(0.03)
    assert not any(place.images for place in figure.axes)
    (dots,) = (drawn for drawn in place.collections if isinstance(drawn, PathCollection))
    assert 0 < len(dots.get_offsets()) < 20  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [1, 3])
def test_a_map_of_few_electrodes_is_not_drawn(count: int) -> None:
    figure = benchmark_figure(score_table(maps(["rsa"], ["Cz", "Pz", "Oz"][:count])))
    assert not any(place.images for place in figure.axes)


def test_no_effect_at_all_is_drawn_without_a_warning() -> None:
    rows = [replace(maps(["rsa"], [c])[1], value=0.0, p=None) for c in ALICE]
    figure = benchmark_figure(score_table(rows))
    assert figure.subfigs[0].get_suptitle() == "electrodes above surrogates (no p < .05)"
    figure.canvas.draw()
