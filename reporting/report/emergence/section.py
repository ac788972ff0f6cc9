"""When does alignment emerge?"""

from __future__ import annotations

import math
from collections.abc import Sequence

import pandas as pd

from reporting.drawing.pieces import encoder_looks, legend
from reporting.gathering.gathered import Gathered
from reporting.report.emergence.curves import OTHER_NAME, REGION, SCORE, TASK, Curve, curves
from reporting.report.emergence.figures import halves, lead_map, trajectories
from reporting.report.emergence.leads import Lead, leads
from reporting.report.emergence.rises import Rise, rises
from reporting.report.emergence.target_figures import components
from reporting.report.section import Chart, Grid, Section
from reporting.statistics.estimates import Estimate, number_text, short
from reporting.statistics.isotonic import FEWEST
from reporting.statistics.timing import SURE

QUESTION = "When does it emerge?"


def section(gathered: Gathered, seed: int = 0) -> Section:
    """Trajectories, times to half of the rise, peaks and declines, and what comes first."""
    found, notes = curves(gathered)
    brain = [curve for curve in found if curve.kind == SCORE]
    if not brain:
        note = "no training run with alignment at three steps or more"
        return Section("emergence", QUESTION, "Not enough to say.", [], [note])
    table, ahead = rises(found, seed), leads(found, seed=seed)
    regions = leads(found, REGION, REGION, seed)
    charts, left = _charts(gathered, found, table, ahead)
    notes += [*_run_notes(found, table), *left]
    items = [*charts, _table(table)]
    if ahead or regions:
        items.append(_leads([*regions, *ahead]))
    return Section("emergence", QUESTION, _answer(found, table, ahead, regions), items, notes)


def _answer(
    found: Sequence[Curve], table: Sequence[Rise], ahead: Sequence[Lead], regions: Sequence[Lead]
) -> str:
    runs = len({curve.run for curve in found})
    rising = [row for row in table if row.kind == SCORE and row.half.value > 0]
    if not rising:
        return f"In {runs} training runs no alignment score rises beyond its noise."
    first = rising[0]
    text = f"{first.label} of {first.encoder} has made half of its rise after {_steps(first.half)}"
    if first.half_hours.value > 0:
        text += f" ({first.half_hours.value:.2g} hours of audio)"
    text += f", n = {first.half.n} run{'s' * (first.half.n != 1)}"
    scores = [row for row in table if row.kind == SCORE]
    flat, curves_of_scores = sum(row.flat for row in scores), sum(row.runs for row in scores)
    if flat:
        text += (
            f". {flat} of {curves_of_scores} curves of alignment scores are flat, without a time"
        )
    for row in regions[:1]:
        doublings = row.doublings
        if not math.isnan(doublings.value):
            text += (
                f". {row.first} is half way {doublings} doublings of training before "
                f"{OTHER_NAME} (n = {doublings.n} {row.unit})"
            )
    known = [row for row in ahead if not math.isnan(row.doublings.value)]
    if known:
        earlier = sum(row.doublings.value > 0 for row in known)
        most = max(row.doublings.n for row in known)
        text += (
            f". In {earlier} of {len(known)} pairs of an alignment score and a task that both rise "
            f"the alignment score is half way first (half by chance; n = {most} {known[0].unit} at "
            "most)"
        )
        sure = [row.doublings.low > 0 for row in known if not math.isnan(row.doublings.low)]
        text += (
            f", with an adjusted interval above 0 in {sum(sure)} of {len(sure)}"
            if sure
            else ", too few for intervals"
        )
    return text + "."


def _steps(half: Estimate) -> str:
    value, space, ends = number_text(half).partition(" ")
    return f"{value} steps{space}{ends}"


def _run_notes(found: Sequence[Curve], table: Sequence[Rise]) -> list[str]:
    notes = []
    for encoder in dict.fromkeys(curve.encoder for curve in found):
        own_runs = {curve.run: curve.name for curve in found if curve.encoder == encoder}
        names = list(dict.fromkeys(own_runs.values()))
        if len(names) > 1:
            notes.append(
                f"{encoder}: {len(names)} runs of this name, family, data and objective are taken "
                f"for one encoder that differs in its seed ({', '.join(names)})"
            )
        if len(own_runs) == 1:
            notes.append(
                f"{encoder}: one run, so that intervals of its times are of the noise from step to "
                "step and not of other seeds"
            )
        ends = {curve.run: float(curve.steps[-1]) for curve in found if curve.encoder == encoder}
        if len(set(ends.values())) > 1:
            told = ", ".join(f"{end:,.0f}" for end in sorted(set(ends.values())))
            notes.append(
                f"{encoder}: its runs end at different steps ({told}), so that ends, rises and "
                "times to half are of different lengths of training"
            )
    unknown = {curve.encoder for curve in found if math.isnan(curve.hours_per_step)}
    if unknown:
        notes.append(f"hours of audio are not known of {', '.join(sorted(unknown))}")
    for encoder in dict.fromkeys(row.encoder for row in table):
        own = [r for r in table if r.encoder == encoder and r.kind in (SCORE, TASK)]
        few = [r.label for r in own if r.steps < FEWEST]
        flat = [f"{r.label} ({r.flat} of {r.runs})" for r in own if r.flat and r.steps >= FEWEST]
        if few:
            notes.append(
                f"{encoder}: no time to half, since fewer than {FEWEST} steps cannot tell a rise "
                f"from noise: {', '.join(few)}"
            )
        if flat:
            notes.append(
                f"{encoder}: flat, no time to half, since the rise is not beyond the noise of its "
                f"steps: {', '.join(flat)}"
            )
    if table:
        notes.append(f"a curve that is flat is given a time in {SURE:.0%} of cases")
    return notes


def _charts(
    gathered: Gathered,
    found: Sequence[Curve],
    table: Sequence[Rise],
    ahead: Sequence[Lead],
) -> tuple[list[Chart | Grid], list[str]]:
    """What is drawn, and notes of how much is not."""
    looks = encoder_looks(gathered)
    families = gathered.encoders["family"].fillna("").astype(str).to_dict()
    drawn, left = trajectories(found, looks, families)
    about = (
        "Mean over runs of an encoder at the steps that they share; the band is the range of its "
        "runs."
    )
    legend(drawn)
    items: list[Chart | Grid] = [
        Chart("emergence_steps", drawn, f"Scores over training steps. {about}")
    ]
    if any(not math.isnan(curve.hours_per_step) for curve in found):
        over, _ = trajectories(found, looks, families, hours=True)
        legend(over)
        items.append(Chart("emergence_hours", over, f"Scores over hours of audio. {about}"))
    parts, hidden = components(found, families)
    if parts is not None:
        legend(parts)
        caption = (
            "Targets of each score, at their own best layer: means over runs at the steps that "
            "they share; primary targets are solid."
        )
        items.append(Chart("emergence_targets", parts, caption))
    marks, unseen = halves(table, looks[0], families)
    caption = (
        "When each score that rises stands half way up its isotonic fit: geometric mean over "
        "runs, with Student's interval of logarithms, and of one run the interval of its noise; "
        "very wide ones end at the edge and are whole in the table. Flat curves have no mark."
    )
    items.append(Chart("emergence_half", marks, caption))
    if any(not math.isnan(row.doublings.value) for row in ahead):
        caption = (
            "By how many doublings of training each alignment score is half way before each task "
            "(blue: alignment first)."
        )
        items.append(Chart("emergence_leads", lead_map(ahead), caption))
    counts = {"scores": left, "panels of targets": hidden, "times to half": unseen}
    notes = [f"{n} more {what} are in the table, not drawn" for what, n in counts.items() if n]
    return items, notes


def _table(table: Sequence[Rise]) -> Grid:
    lines = [
        {
            "encoder": row.encoder,
            "kind": row.kind,
            "score": row.label,
            "runs": str(row.runs),
            "start": str(row.start),
            "end": str(row.final),
            "rise": str(row.rise),
            "steps to half": number_text(row.half) if row.half.n else "flat",
            "hours to half": number_text(row.half_hours),
            "runs that are flat": str(row.flat),
            "highest (optimistic)": f"{row.highest}, of {row.steps} steps",
            "step of the highest": number_text(row.highest_step),
            "decline (optimistic)": str(row.decline),
            "ceiling": short(row.ceiling),
        }
        for row in table
    ]
    caption = (
        "Rise from the first to the last evaluated step; the step at which half of it is made "
        "(isotonic fit, its bias taken out; flat: not beyond the noise of the steps); the highest "
        "value and what is lost after it. Both are maxima: of steps that are equally good, one is "
        "the highest by chance. Means over runs with Student's interval, each of its row alone."
    )
    return Grid("emergence_table", pd.DataFrame(lines), caption)


def _leads(table: Sequence[Lead]) -> Grid:
    lines = [
        {
            "first": row.first,
            "second": row.second,
            "n": str(row.doublings.n),
            "of": row.unit,
            "doublings": str(row.doublings),
            "shift (share of the run)": str(row.shift),
        }
        for row in table
    ]
    caption = (
        "Does the first lead the second? Doublings: log2 of the second time to half by the first. "
        "Shift: by how much of the run the second curve is late where both fit best. Positive: "
        "the first leads. Means over runs of one encoder, or over encoders (of each the mean over "
        "its runs), with Student's interval from three on; 95 % for all pairs of a kind together "
        "(Bonferroni). Runs in which either is flat do not count."
    )
    return Grid("emergence_leads_table", pd.DataFrame(lines), caption)
