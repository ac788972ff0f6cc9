"""What is known of encoders that no class is given: the table ``conf/encoders.csv``."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from commands.folders import CONF

TABLE = CONF / "encoders.csv"
FACTS = (
    "family",
    "trained_on",
    "objective",
    "parameters",
    "hours",
    "licence",
    "source",
    "verified",
)
"""What a row of the table, or a yaml of one's own, says of an encoder."""
COLUMNS = ("encoder", *FACTS, "what", "sample_rate", "layers", "features")
"""The last four are said of encoders that cannot run here; of others their yaml says them."""
NUMBERS = ("parameters", "hours", "sample_rate")


def facts_of(name: str, said: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What is known of an encoder: what its own config says, then its row of the table.

    Parameters
    ----------
    name : str
        Of its yaml. One without a row has no facts but its own.
    said : mapping, optional
        Its config, which may say any of :data:`FACTS`.
    """
    row = read_table(TABLE).get(name, {})
    own = {key: said.get(key) for key in FACTS} if said is not None else {}
    return row | {key: value for key, value in own.items() if value is not None}


def not_runnable() -> dict[str, dict[str, Any]]:
    """Rows of encoders that cannot run here, by name: those that have no yaml."""
    rows = read_table(TABLE)
    return {name: row for name, row in rows.items() if not _yaml(name).is_file()}


def cannot_run(name: str) -> str | None:
    """Why an encoder of the table cannot run, and how to score it; None of any other name."""
    row = not_runnable().get(name)
    if row is None:
        return None
    how = f" ({row['features']})" if row.get("features") else ""
    return (
        f"{name} cannot run here: make its features elsewhere{how}, and give them as "
        "encoder=precomputed encoder.path=FILE.npz"
    )


@cache
def read_table(path: Path) -> dict[str, dict[str, Any]]:
    """Rows by the name of the encoder; what is empty is left out.

    Raises
    ------
    ValueError
        If a column is missing or unknown, a name stands twice, or a cell cannot be read.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file)
        if set(reader.fieldnames or ()) != set(COLUMNS):
            got = ", ".join(reader.fieldnames or ())
            raise ValueError(f"{path} has the columns {got}: expected {', '.join(COLUMNS)}")
        rows: dict[str, dict[str, Any]] = {}
        for cells in reader:
            where = f"{path}, line {reader.line_num}"
            name = cells.pop("encoder")
            if not name or name in rows or None in cells or None in cells.values():
                raise ValueError(
                    f"{where}: got the encoder {name!r}, expected a name that stands once, and "
                    f"{len(COLUMNS)} cells: put quotes around text that has a comma"
                )
            rows[name] = {key: _read(key, text, where) for key, text in cells.items() if text}
    return rows


def _read(key: str, text: str, where: str) -> Any:
    if key == "verified":
        if text not in ("yes", "no"):
            raise ValueError(f"{where}: verified is {text}, expected yes, no or nothing")
        return text == "yes"
    if key not in NUMBERS:
        return text
    try:
        return float(text) if "." in text or "e" in text.lower() else int(text)
    except ValueError:
        message = f"{where}: {key} is {text}, expected a number such as 960, or nothing"
        raise ValueError(message) from None


def _yaml(name: str) -> Path:
    return CONF / "encoder" / f"{name}.yaml"
