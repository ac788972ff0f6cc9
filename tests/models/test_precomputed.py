"""Features made elsewhere: matched by name, and refused with the reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from models.encoder import Frames, StoredFeatures
from models.external.precomputed import Precomputed

NAMES = np.array(["wav/b.wav", "wav/a.wav", "other/c.wav"])


def saved(folder: Path, **arrays: Any) -> Path:
    path = folder / "outside.npz"
    np.savez(path, **{"stimuli": NAMES, **arrays})
    return path


def vectors(found: dict[str, Tensor | Frames], layer: str) -> list[float]:
    value = found[layer]
    assert isinstance(value, Tensor)
    return value[:, 0].tolist()


def test_rows_are_found_with_or_without_folder_and_extension(tmp_path: Path) -> None:
    stored = Precomputed(saved(tmp_path, deep=np.array([[2.0], [1.0], [3.0]])))
    assert isinstance(stored, StoredFeatures)
    assert (stored.name, stored.layers) == ("outside", ("deep",))
    assert vectors(stored.lookup(["a", "b", "c"]), "deep") == [1, 2, 3]
    assert vectors(stored.lookup(["wav/a.wav", "b.wav", "x/c.flac"]), "deep") == [1, 2, 3]
    assert Precomputed(stored.path, name="mine").name == "mine"


def test_a_stem_of_two_names_stands_for_neither(tmp_path: Path) -> None:
    names = np.array(["left/a.wav", "right/a.wav", "b.wav"])
    stored = Precomputed(saved(tmp_path, stimuli=names, deep=np.array([[1.0], [2.0], [3.0]])))
    assert vectors(stored.lookup(["right/a.wav", "left/a.wav"]), "deep") == [2, 1]
    with pytest.raises(ValueError, match="no features of stimulus a "):
        stored.lookup(["b", "a"])


def test_a_missing_stimulus_is_named(tmp_path: Path) -> None:
    stored = Precomputed(saved(tmp_path, deep=np.zeros((3, 1))))
    with pytest.raises(ValueError, match=r"stimulus stim9_bell \(3 stimuli, the first is wav/b"):
        stored.lookup(["a", "stim9_bell", "stim10_dog"])


def test_frames_carry_rate_and_offset(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(3, 4, 2))
    path = saved(tmp_path, deep=values, flat=np.zeros((3, 5)), rate=50.0)
    found = Precomputed(path).lookup(["c", "a"])
    deep = found["deep"]
    assert isinstance(deep, Frames)
    assert isinstance(found["flat"], Tensor)
    torch.testing.assert_close(deep.values, torch.from_numpy(values[[2, 1]]).float())
    assert (deep.lengths.tolist(), deep.rate, deep.offset) == ([4, 4], 50.0, 0.01)
    later = Precomputed(saved(tmp_path, deep=values, rate=50.0, offset=0.5)).lookup(["a"])["deep"]
    assert isinstance(later, Frames)
    assert later.offset == 0.5


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "stimulus names but no layer"),
        ({"deep": np.zeros((2, 4))}, r"layer deep has shape \(2, 4\), expected \(3, dim\)"),
        ({"deep": np.zeros(3)}, r"layer deep has shape \(3,\)"),
        ({"deep": np.zeros((3, 4, 2))}, "frames but no 'rate' in Hz"),
        ({"deep": np.array([[0.0], [np.nan], [0]])}, r"deep is not finite at stimulus wav/a\.wav"),
        (
            {"deep": np.zeros((3, 1)), "stimuli": np.array(["a", "b", "a"])},
            "stimulus a more than once",
        ),
        ({"deep": np.array([[{}], [1], [2]], dtype=object)}, "no readable npz of plain arrays"),
        ({"stimuli": NAMES.astype(object)}, "it holds objects.* save names with dtype=str"),
        ({"deep": np.array([["a"]] * 3)}, "layer deep holds <U1, expected real numbers"),
        ({"deep": np.zeros((3, 1), complex)}, "layer deep holds complex128"),
        ({"deep": np.zeros((3, 0))}, r"layer deep has shape \(3, 0\)"),
        ({"deep": np.zeros((0, 1)), "stimuli": np.array([])}, "names no stimulus"),
        ({"deep": np.zeros((3, 4, 2)), "rate": 0}, "rate is 0 Hz"),
        (
            {"deep": np.zeros((3, 4, 2)), "rate": [1.0, 2.0]},
            r"rate is \[1. 2.\], expected one number",
        ),
        ({"deep": np.zeros((3, 1)), "offset": "soon"}, "offset is soon, expected one number"),
    ],
)
def test_a_file_that_is_wrong_is_explained(
    tmp_path: Path, arrays: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(ValueError, match=rf"outside\.npz.*{message}"):
        Precomputed(saved(tmp_path, **arrays))


def test_what_is_no_npz_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no features at .*none\.npz: check encoder\.path"):
        Precomputed(tmp_path / "none.npz")
    path = tmp_path / "other.npz"
    with path.open("wb") as file:
        np.save(file, np.zeros(3))  # one array, not an archive of them
    single = path.read_bytes()
    whole = saved(tmp_path, deep=np.zeros((3, 1))).read_bytes()
    for content in (b"", b"not an archive", single, whole[:-20]):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=r"other\.npz is no readable npz"):
            Precomputed(path)
    np.savez(path, deep=np.zeros((3, 1)))
    with pytest.raises(ValueError, match="no array 'stimuli'"):
        Precomputed(path)


def test_names_may_be_bytes_or_numbers(tmp_path: Path) -> None:
    deep = np.array([[1.0], [2.0], [3.0]])
    stored = Precomputed(saved(tmp_path, stimuli=np.array([b"a", b"b", b"c"]), deep=deep))
    assert vectors(stored.lookup(["c", "a"]), "deep") == [3, 1]
    stored = Precomputed(saved(tmp_path, stimuli=np.array([7, 8, 9]), deep=deep))
    assert vectors(stored.lookup(["8"]), "deep") == [2]


def test_fingerprint_is_of_the_content(tmp_path: Path) -> None:
    one = Precomputed(saved(tmp_path, deep=np.zeros((3, 1)))).fingerprint
    assert Precomputed(saved(tmp_path, deep=np.zeros((3, 1)))).fingerprint == one
    assert Precomputed(saved(tmp_path, deep=np.ones((3, 1)))).fingerprint != one
