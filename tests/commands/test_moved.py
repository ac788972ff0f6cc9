"""Configs that name classes by an earlier place."""

from __future__ import annotations

import importlib

import pytest

from commands.moved import MOVED, with_moved


@pytest.mark.parametrize(("old", "new"), MOVED.items())
def test_every_new_place_is_there(old: str, new: str) -> None:
    assert importlib.import_module(new)
    config = {"benchmark": {"a": [{"_target_": f"{old}.Some", "name": old}]}}
    found = with_moved(config)
    assert found == {"benchmark": {"a": [{"_target_": f"{new}.Some", "name": old}]}}
    assert with_moved(found) == found


def test_what_did_not_move_stays() -> None:
    config = {"_target_": "datamodules.simulated.brain.Other", "values": [1, "x", None]}
    assert with_moved(config) == config
