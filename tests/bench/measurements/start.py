"""The time from exec to the first answered request, with and without a cache of the compiled module."""

import http.client
import tempfile
import time
from pathlib import Path

import client
from lab import Lab, cache_folder
from programs import Program
from report import Report, Table, Target
from rounds import quartile

_WARM_SECONDS, _COLD_SECONDS = 0.3, 1.0
_STARTS = 5
#: Between two attempts to reach the program.
_PAUSE_SECONDS = 0.001


def measure(lab: Lab) -> Report:
    """Starts the host several times with an empty cache, and then again with the cache that it left."""
    cold, warm, cached = [], [], True
    for _ in range(_STARTS):
        with tempfile.TemporaryDirectory(dir=lab.folder) as cache:
            cold.append(_start(lab, cache))
            cached = cached and any(path.is_file() for path in Path(cache).rglob("*"))
            if cached:
                warm.append(_start(lab, cache))
    return report(cold, warm if cached else [])


def report(cold: list[float], warm: list[float]) -> Report:
    """Reports the seconds of the starts; `warm` is empty if the program keeps no cache."""
    found = Report("start of the host, on all cores")
    table = Table("from exec to the first answered request", ["s"], [3])
    table.rows["without a cache of the compiled module"] = [quartile(cold)]
    table.rows["with the cache of an earlier start"] = [quartile(warm) if warm else None]
    found.tables.append(table)
    found.targets.append(Target(8, "seconds to the first answer without a cache", quartile(cold), _COLD_SECONDS))
    if warm:
        found.targets.append(Target(8, "seconds to the first answer with a cache", quartile(warm), _WARM_SECONDS))
    else:
        found.notes.append("the program wrote no file to its cache, so there is no start with a cache")
    return found


def _start(lab: Lab, cache: str) -> float:
    settings = lab.settings()
    command = [lab.tools.jetway, "run", "--log-level", "warn", "-c", lab.write_jetway(settings)]
    headers = {"Cookie": lab.session}

    def is_answered() -> bool:
        try:
            status = client.request(settings.port, headers=headers)[0]
        except (OSError, http.client.HTTPException):
            return False
        if status != 200:
            raise RuntimeError(f"the first request was answered with {status}")
        return True

    environment = {**lab.environment, **cache_folder(Path(cache))}
    began = time.monotonic()
    program = Program(lab.new_name("start"), command, lab.folder, None, environment)
    try:
        program.wait_until(is_answered, "answer", _PAUSE_SECONDS)
        return time.monotonic() - began
    finally:
        program.stop()
