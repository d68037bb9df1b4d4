"""The machine on which the figures were measured."""

import datetime
import os
import platform
import re
import subprocess
from pathlib import Path

from tools import Tools

#: With more other work than this, in cores, even ratios are rough.
_QUIET_LOAD = 0.5


def cores() -> tuple[int | None, int | None]:
    """A core for the load and the upstream, and one for the proxies."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        print("note: one core only, nothing is pinned and the figures are rough")
        return None, None
    return usable[0], usable[1]


def describe(tools: Tools) -> dict:
    """The date, the machine and the versions of the programs."""
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return {
        "date": datetime.date.today().isoformat(),
        "processor": model[1] if model else platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "load_at_start": round(os.getloadavg()[0], 2),
        "jetway": _first_line(tools.jetway, "--version"),
        "nginx": _first_line(tools.nginx, "-v"),
        "envoy": _first_line(tools.envoy, "--version"),
    }


def is_quiet(description: dict) -> bool:
    """Whether the machine did little else when the benchmark began."""
    return description["load_at_start"] <= _QUIET_LOAD


def _first_line(*command) -> str:
    done = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return next((line.strip() for line in done.stdout.splitlines() if line.strip()), "")
