"""From files in the layouts of their authors, through config and encoder, to scores."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from commands.building import build, build_benchmarks
from evaluation.evaluate import evaluate
from tests.composing import config
from tests.datamodules.upstream_eeg import LAG, write_alice, write_ds004408


def write_three_runs(folder: Path) -> None:
    write_ds004408(folder, runs=(1, 2, 3))


@pytest.mark.long
@pytest.mark.parametrize(
    ("name", "folder", "write"),
    [("alice", "brennan2019", write_alice), ("ds004408", "ds004408", write_three_runs)],
)
def test_the_lag_of_the_response_is_found(
    tmp_path: Path, name: str, folder: str, write: Callable[[Path], object]
) -> None:
    write(tmp_path / "brain" / folder)
    own = f"benchmark.eeg.{name}"
    cfg = config(
        tmp_path,
        f"benchmark=[eeg/{name}]",
        f"paths.data={tmp_path}",
        f"paths.cache={tmp_path}/cache",
        "full=true",
        "encoder=envelope",
        f"{own}.pieces.seconds=1.5",
        f"{own}.pieces.word_seconds=2.6",
        f"{own}.surrogates.draws=99",
        script="probe",
    )
    benchmarks, failures = build_benchmarks(cfg)
    assert not failures
    found = evaluate(build(cfg.encoder), list(benchmarks.values()))
    assert not found.failures
    rows = [row for row in found.scores if row.subject == ""]
    for metric in ("lag_rsa_spearman", "lag_cka_debiased"):
        curve = [row for row in rows if row.metric == metric and row.layer == "envelope"]
        best = max(curve, key=lambda row: row.value)
        assert abs(float(best.window) - LAG) <= 1 / benchmarks[f"eeg/{name}"].responses.rate  # type: ignore[attr-defined]
        assert best.p == 1 / 100
    kinds = {row.metric.split("_")[0] for row in rows}
    assert {"map", "word", "tnc", "window", "ceiling", "peak"} <= kinds
