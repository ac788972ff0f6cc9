"""How EEG is cleaned: filters, resampling, bad channels, reference and scale."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Preprocessing:
    """How recordings are cleaned.

    Parameters
    ----------
    rate : float
        Analysis rate (Hz).
    high_pass : float, optional
        Lower edge of the pass band (Hz).
    low_pass : float, optional
        Upper edge of the pass band (Hz), below half of ``rate``; default .4 of ``rate``.
    line : float, optional
        Line frequency (Hz), notched with its harmonics; default that of the data set.
    phase : {"zero", "causal"}
        Zero-phase filters smear a response into its past; causal ones (minimum phase) delay it.
    flat, bad_z, bad_correlation : float
        A channel is bad whose standard deviation is below ``flat`` of the channels' median or
        beyond ``bad_z`` standard deviations of the others, or whose absolute correlations with
        the others have a 98th percentile below ``bad_correlation`` (Bigdely-Shamlo et al. 2015;
        their mean would rule out a quarter of a good cap: neighbours are alike, far ones not).
    interpolate : bool
        Whether bad channels are rebuilt from their neighbours by spherical splines (Perrin et al.
        1989); else they stay as they are, but out of the average reference.
    reference : {"average", "mastoid", "none"}
    huge : float
        A sample is rejected where the root mean square over channels, each scaled by its median
        absolute deviation, exceeds this. Rejected samples do not count for the scale of a
        channel; all values are cut off at ± ``huge`` standard deviations.
    zscore : bool
        Scale every channel of a recording to mean 0 and standard deviation 1; else microvolts.
    """

    rate: float = 50.0
    high_pass: float | None = 0.5
    low_pass: float | None = None
    line: float | None = None
    phase: Literal["zero", "causal"] = "zero"
    flat: float = 1e-3
    bad_z: float = 3.0
    bad_correlation: float = 0.4
    interpolate: bool = True
    reference: Literal["average", "mastoid", "none"] = "average"
    huge: float = 10.0
    zscore: bool = True

    def __post_init__(self) -> None:
        if not (self.high_pass or 0) < self.upper_edge < self.rate / 2:
            raise ValueError(
                f"pass band {self.high_pass} to {self.upper_edge:g} Hz: expected its upper edge "
                f"above the lower one and below {self.rate / 2:g} Hz, half of the analysis rate"
            )
        for name, known in (
            ("phase", ("zero", "causal")),
            ("reference", ("average", "mastoid", "none")),
        ):
            if getattr(self, name) not in known:
                raise ValueError(f"{name} {getattr(self, name)}: expected {' or '.join(known)}")

    @property
    def upper_edge(self) -> float:
        """Upper edge of the pass band (Hz)."""
        return 0.4 * self.rate if self.low_pass is None else self.low_pass
