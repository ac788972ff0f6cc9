"""Configs that name classes by an earlier place."""

from __future__ import annotations

import importlib

import pytest

from commands.moved import MOVED, update_config


@pytest.mark.parametrize(("old", "new"), MOVED.items())
def test_every_new_place_is_there(old: str, new: str) -> None:
    assert importlib.import_module(new)
    config = {"benchmark": {"a": [{"_target_": f"{old}.Some", "name": old}]}}
    found = update_config(config)
    assert found == {"benchmark": {"a": [{"_target_": f"{new}.Some", "name": old}]}}
    assert update_config(found) == found


def test_what_did_not_move_stays() -> None:
    config = {"_target_": "datamodules.simulated.brain.Other", "values": [1, "x", None]}
    assert update_config(config) == config


def test_settings_of_alignment_in_time_are_grouped() -> None:
    target = "evaluation.time.frame_alignment.FrameAlignment"
    old = {
        "_target_": "evaluation.eeg.FrameAlignment",
        "name": "eeg/x",
        "metrics": ["cka"],
        "piece_seconds": 2.0,
        "draws": 99,
        "surrogates": "circular",
    }
    found = update_config(old)
    assert found == {
        "_target_": target,
        "name": "eeg/x",
        "metrics": {"plain": ["cka"], "lag": ["rsa_spearman", "cka_debiased"]},
        "pieces": {"seconds": 2.0},
        "surrogates": {"draws": 99, "kind": "circular"},
    }
    assert update_config(found) == found
    new = {"_target_": target, "metrics": ["cka"], "surrogates": {"draws": 99}}
    assert update_config(new) == new
