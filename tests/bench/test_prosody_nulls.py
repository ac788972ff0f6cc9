"""What belongs together is found, and nothing where two of three do."""

from __future__ import annotations

import pytest

from bench.prosody import run


@pytest.mark.long
@pytest.mark.parametrize(("related", "found"), [("pem", True), ("pm", False), ("em", False)])
def test_only_three_that_belong_together_are_found(related: str, found: bool) -> None:
    rows = [run(related, seed, 39) for seed in range(6)]
    for metric in ("tnc", "mediation_ratio"):
        p = [row.p for seeds in rows for row in seeds if row.metric == metric]
        small = sum(value is not None and value <= 0.05 for value in p)
        assert small == 6 if found else small <= 2, metric
    null = [row for seeds in rows for row in seeds if row.metric == "null_mediation_ratio"]
    assert len(null) == 6
