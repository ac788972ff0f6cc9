"""At which steps a run is evaluated and saved."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Schedule:
    """Step 0, a few early steps, every ``every`` steps, and the last one.

    Parameters
    ----------
    every : int
        Optimiser steps between regular visits.
    early : int
        Log-spaced visits before the first regular one: every/2, every/4, …
    """

    every: int = 1000
    early: int = 4

    def __post_init__(self) -> None:
        whole = isinstance(self.every, int) and isinstance(self.early, int)
        if not whole or self.every < 1 or self.early < 0:
            raise ValueError(
                f"schedule every={self.every}, early={self.early}: expected every >= 1 and "
                "early >= 0, whole numbers"
            )

    def due(self, step: int, last: int) -> bool:
        """Whether ``step`` of a run of ``last`` steps is visited."""
        early = {self.every // 2**k for k in range(1, self.early + 1)}
        return step in early | {0, last} or step % self.every == 0
