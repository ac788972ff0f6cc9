"""Prosody: planted contrasts and shared neighbours are found, against literal loops."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from alignment.mediation import mediated_share
from alignment.neighbours import tri_modal_consistency
from alignment.rsa import compare, rdm
from alignment.series.prosody import affect_proxies, sentence_prosody
from datamodules.simulated.speech import sentence_valence, simulated_speech
from evaluation.time.contrasts import contrast_rows
from evaluation.time.pieces import Draws, Series
from evaluation.time.prosody import SAMPLE_RATE, Prosody, sharing_rows
from evaluation.time.rows import TimeRows
from evaluation.time.statistics import AgainstSurrogates
from tests.alignment.test_inference import noise
from tests.evaluation.people import RATE, N, one, people

LARGE = torch.full((N,), 10**9)
"""Of so many responses that the level is that of the others."""


class Known(Prosody):
    """Prosody that is given instead of measured."""

    def __init__(self, pairs: Tensor, frames: list[Tensor] | None = None) -> None:
        # Aroused are the calm sentences of the same pairs, and the other way round.
        self.__dict__.update(pairs=pairs, arousal_pairs=pairs.flip(1), given=frames)

    def frames(self, rate: float) -> list[Tensor]:
        found: list[Tensor] = self.__dict__["given"]
        return found


def rows_of(subjects: int = 2) -> TimeRows:
    return TimeRows("eeg/x", people(0.5, subjects), torch.arange(N))


def pairs(count: int = 10) -> Tensor:
    return torch.stack([torch.arange(count), torch.arange(count) + 15], 1)


def followed(effect: float) -> AgainstSurrogates:
    """Excess of .1, in the first ten sentences more by ``effect``; levels of any height."""
    level = torch.rand(N, 2, 2, 3, generator=torch.Generator().manual_seed(0)).double()
    excess = 0.1 + 0.05 * noise(N * 12, seed=1).view(N, 2, 2, 3)
    excess[:10] += effect
    return AgainstSurrogates(
        level + excess, level, LARGE, torch.zeros(2, 1, 2, 3), torch.arange(N) % 2
    )


@pytest.mark.parametrize("effect", [-0.1, 0.0])
def test_a_contrast_is_found_where_there_is_one(effect: float) -> None:
    rows = [*contrast_rows(rows_of(), Known(pairs()), {"cka_debiased": followed(effect)})]
    value = {row.target: row for row in rows}
    assert {row.metric for row in rows} == {"prosody_cka_debiased"}
    assert value["neutral"].value == pytest.approx(0.1, abs=0.04)
    assert value["negative"].value == pytest.approx(0.1 + effect, abs=0.04)
    difference = value["difference"]
    assert difference.value == pytest.approx(value["negative"].value - value["neutral"].value)
    assert difference.p is not None
    assert (difference.p < 0.01) == (effect != 0)
    assert value["calm"].value == value["negative"].value
    assert value["arousal_difference"].value == pytest.approx(-difference.value)
    assert value["arousal_difference"].p == difference.p
    assert value["aroused"].p is None


def test_too_few_pairs_are_left_out_with_a_word(caplog: pytest.LogCaptureFixture) -> None:
    found = contrast_rows(rows_of(), Known(pairs(3)), {"cka_debiased": followed(0.1)})
    assert [*found] == []
    assert "3 pairs of negative and neutral sentences" in caplog.text
    assert "3 pairs of aroused and calm sentences" in caplog.text


def triple(strength: float, length: int = 60) -> tuple[list[Tensor], Series]:
    """Prosody, a layer that holds it, one that does not, and a brain that follows it."""
    p, x, y = [], [], []
    for i in range(N):
        smooth = noise(length + 2, 4, seed=i).cumsum(0)
        smooth = smooth - smooth.mean(0)
        p.append(smooth[:length])
        held = smooth[:length] + 0.3 * noise(length, 4, seed=100 + i)
        other = noise(length, 4, seed=200 + i).cumsum(0)
        x.append([held, other - other.mean(0)])
        follows = noise(2 * (length + 2), 4, seed=300 + i).view(2, length + 2, 4).cumsum(1)
        # The brain is two samples late.
        y.append(torch.cat([follows[:, :2], strength * smooth[:length] + follows[:, 2:]], 1))
    index = torch.arange(N)
    return p, Series(x, y, 0, index % 2, index, torch.zeros_like(index))


def shared(strength: float, draws: int = 99) -> list:
    p, series = triple(strength)
    chosen = torch.zeros(N, 2, 2, 3)
    chosen[:, 0, :, 2] = 1
    known = AgainstSurrogates(
        chosen, torch.zeros_like(chosen), LARGE, torch.zeros(2, 1, 2, 3), torch.arange(N) % 2
    )
    return [
        *sharing_rows(
            rows_of(), Known(pairs(), p), series, known, [0, 1, 2], ("held", "other"),
            Draws(draws, 1, 0),
        )
    ]  # fmt: skip


@pytest.mark.long
def test_what_three_share_is_found() -> None:
    rows = shared(3.0)
    held, other = (one(rows, metric="tnc", layer=layer) for layer in ("held", "other"))
    band = one(rows, metric="null_tnc", layer="held")
    assert band.ci_high is not None
    assert held.value > band.ci_high > other.value
    assert held.p == 1 / 100
    ratio = one(rows, metric="mediation_ratio", layer="held")
    assert ratio.ci_low is not None
    assert ratio.ci_low > 0.5
    assert one(rows, metric="mediation_ratio", layer="other").value < 0.3
    quiet = [row.p for row in shared(0.0) if row.metric == "tnc"]
    assert all(p > 0.05 for p in quiet)


@pytest.mark.long
def test_values_are_those_of_a_loop() -> None:
    p, series = triple(1.0)
    rows = shared(1.0, draws=9)
    exclusion = round(0.2 * RATE)
    for j, layer in enumerate(("held", "other")):
        consistency, r = [], []
        for i in range(N):
            m = series.x[i][j]
            for s in range(2):
                e = series.y[i][s, 2:62]
                consistency.append(tri_modal_consistency(p[i], e, m, 10, exclusion))
                found = [rdm(part) for part in (p[i], e, m)]
                r.append(
                    torch.stack([compare(found[a], found[b]) for a, b in ((0, 1), (0, 2), (1, 2))])
                )
        assert one(rows, metric="tnc", layer=layer).value == pytest.approx(
            float(torch.stack(consistency).mean()), abs=1e-9
        )
        expected = mediated_share(*torch.stack(r).mean(0))
        assert one(rows, metric="mediation_ratio", layer=layer).value == pytest.approx(
            float(expected), abs=1e-6
        )


@pytest.mark.long
def test_prosody_is_measured_from_the_sounds() -> None:
    stimuli, _ = simulated_speech(18, prosody=1.5)
    truth = sentence_valence(18)
    prosody = Prosody(stimuli)
    negative, neutral = (truth[part] for part in prosody.pairs.T)
    assert len(negative) >= 3
    assert (negative == 0).double().mean() >= 0.8
    assert (neutral == 1).double().mean() > 0.6
    seconds = [len(stimuli.waveform(i, SAMPLE_RATE)) / SAMPLE_RATE for i in range(18)]
    assert all(abs(seconds[a] - seconds[b]) <= 0.26 for a, b in prosody.pairs.tolist())
    arousal = affect_proxies(
        [sentence_prosody(stimuli.waveform(i, SAMPLE_RATE), SAMPLE_RATE) for i in range(18)]
    ).arousal
    aroused, calm = (arousal[part] for part in prosody.arousal_pairs.T)
    assert len(aroused) >= 3
    assert aroused.min() >= arousal.sort().values[12]
    assert calm.max() <= arousal.sort().values[5]
    frames = prosody.frames(RATE)
    for table, length in zip(frames, seconds, strict=True):
        assert table.shape == (pytest.approx(length * RATE, abs=1.5), 7)
    every = torch.cat(frames)
    assert bool(every.isfinite().all())
    assert every.mean(0).abs().max() < 0.1
    # Loud frames are voiced more often than soft ones.
    assert torch.corrcoef(every[:, 1:3].T)[0, 1] > 0.3
