"""Every class of transformers is evaluated on real sounds, from a folder to scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from commands.building import build_benchmarks
from evaluation.evaluate import evaluate
from models.external.huggingface.model import load_huggingface
from tests.composing import config
from tests.models.tiny_transformers import TINY, save_tiny

pytest.importorskip("transformers", reason="transformers is not installed")

NAMES = ("fmri/nh2015_components_rsa", "probe/fsdd")


@pytest.mark.slow
@pytest.mark.data("brain/natsound165", "probes/fsdd")
@pytest.mark.parametrize("name", TINY)
def test_every_class_is_scored(name: str, tmp_path: Path) -> None:
    encoder = load_huggingface(str(save_tiny(name, tmp_path / "model")))
    benchmarks, failures = build_benchmarks(config(tmp_path, f"benchmark=[{','.join(NAMES)}]"))
    result = evaluate(encoder, list(benchmarks.values()))
    assert not [*failures, *result.failures]
    for benchmark, metric, chance in zip(NAMES, ("rsa", "linear_accuracy"), (0, 0.1), strict=True):
        rows = [row for row in result.scores if (row.benchmark, row.metric) == (benchmark, metric)]
        whole = [row for row in rows if not row.target]
        assert {*encoder.layers} <= {row.layer for row in whole}
        assert {row.n for row in whole} == {len(benchmarks[benchmark].stimuli or [])}
        assert max(row.value for row in whole) > chance
