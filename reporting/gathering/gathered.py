"""What was found of all runs, as tables."""

from __future__ import annotations

from dataclasses import dataclass, field

import pandas as pd


@dataclass(frozen=True)
class Gathered:
    """Everything that was found, as tables.

    Attributes
    ----------
    scores : DataFrame
        Every row, with the columns of :data:`reporting.tables.COLUMNS`, ``run`` (the folder as
        given) and ``name`` (of an encoder with one fingerprint at one step; shown to people).
    heads : DataFrame
        :func:`reporting.tables.headlines` of the scores, with run and name: one row for each
        encoder, fingerprint, step, benchmark and metric.
    encoders : DataFrame
        Index ``name``; columns encoder, fingerprint, step, run, final (it stands for its encoder
        where encoders are compared: the last step of a training run, or one made elsewhere),
        family, trained_on, objective, parameters, hours and control (a floor, such as log-mel,
        envelopes, random or permuted weights).
    failures : DataFrame
        Columns run, encoder, benchmark, error, step.
    notes : list of str
        What was left out or is doubtful, one line each: duplicates, versions of benchmarks,
        unequal subjects, missing cells.
    duplicates : DataFrame
        Columns name, benchmark, run (whose rows are left out), kept (whose rows stay), rows and
        difference (the largest of values; 0 where both runs agree).
    versions : DataFrame
        Columns benchmark (as it is called here), written (as in the rows), runs and settings
        (those that differ from the first version's).
    """

    scores: pd.DataFrame
    heads: pd.DataFrame
    encoders: pd.DataFrame
    failures: pd.DataFrame
    notes: list[str] = field(default_factory=list)
    duplicates: pd.DataFrame = field(default_factory=pd.DataFrame)
    versions: pd.DataFrame = field(default_factory=pd.DataFrame)
