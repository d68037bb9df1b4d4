"""Figures of a request that do not depend on the machine: instructions of the core, and calls of the host's functions.

They are not measured here. Tests in tests/hot-path count them and compare them with the files that this table shows.
"""

import csv
import io
from collections import defaultdict
from pathlib import Path

from lab import Lab
from report import Report, Table
from tools import ROOT

_FOLDER = ROOT / "tests/hot-path"
_INSTRUCTIONS = _FOLDER / "counts.tsv"
_HOST_CALLS = _FOLDER / "host-calls.tsv"


def measure(_: Lab) -> Report:
    """Reads the files."""
    return report(_read(_INSTRUCTIONS), _read(_HOST_CALLS) if _HOST_CALLS.exists() else [])


def report(instructions: list[dict[str, str]], host_calls: list[dict[str, str]]) -> Report:
    """Joins the rows of both files by the shape of a request."""
    calls = defaultdict(int)
    for row in host_calls:
        calls[row["shape"]] += int(row["calls"])
    columns = ["instructions per request", "shared data reads per request"]
    table = Table("signed-in requests", [*columns, "host calls per request"], [0, 0, 0])
    for row in instructions:
        shape = row["shape"]
        table.rows[shape] = [*(int(row[column]) for column in columns), calls.get(shape)]
    return Report("counts, which tests keep (tests/hot-path)", [table])


def _read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text()), delimiter="\t"))
