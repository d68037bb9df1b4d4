"""Configurations with few and with many routes: CPU time per request, reload time and memory."""

import signal
import time
from dataclasses import dataclass
from pathlib import Path

import config.jetway
from lab import Lab
from measurements import requests, shapes
from report import Report, Table, Target
from rounds import quartiles, take_turns

_COUNTS = (1, 100, 10_000)
_SPREAD = 1.10
_WARM_UP_SECONDS = 1
_RELOADED = "the configuration was reloaded"
_RELOAD_PAUSE_SECONDS = 0.002


@dataclass
class Costs:
    """The figures of one number of routes."""

    request_us: float
    start_mib: float
    reload_seconds: float
    reloaded_mib: float


@dataclass
class _Server:
    proxy: requests.Proxy
    settings: config.jetway.Settings
    path: Path
    start_mib: float


def measure(lab: Lab) -> Report:
    """Measures each number of routes; the requests are for the last route."""
    servers = {count: _start(lab, count) for count in _COUNTS}

    def cost(count: int) -> float:
        return requests.cost(lab, servers[count].proxy, shapes.BASE)

    for server in servers.values():
        server.proxy.verify()
        requests.load(lab, server.proxy.port, shapes.BASE.lines(lab.session), _WARM_UP_SECONDS)
    spent = quartiles(take_turns(_COUNTS, lab.effort.rounds, cost))
    return report({count: Costs(spent[count], server.start_mib, *_reload(server)) for count, server in servers.items()})


def report(costs: dict[int, Costs]) -> Report:
    """Relates the figures of each number of routes."""
    found = Report("many routes (a host name each, requests for the last one; host with the module, one worker)")
    headings = ["µs per request", "MiB at start", "reload s", "MiB after reload"]
    table = Table("routes", headings, [1, 1, 3, 1])
    for count, cost in costs.items():
        row = [cost.request_us, cost.start_mib, cost.reload_seconds, cost.reloaded_mib]
        table.rows[f"{count:,}"] = row
    found.tables.append(table)
    of_requests = [cost.request_us for cost in costs.values()]
    text = "the most expensive request relative to the cheapest, 1 to 10,000 routes"
    found.targets.append(Target(10, text, max(of_requests) / min(of_requests), _SPREAD))
    return found


def _start(lab: Lab, count: int) -> _Server:
    settings = lab.settings(routes=count)
    path = lab.write_jetway(settings)
    # Of the log only that a reload has happened.
    program = lab.start_jetway_file(path, settings.port, "--log-level", "warn,jetway_proxy::serve=info")
    proxy = requests.Proxy(program, settings.port, lab.session, checks=True)
    return _Server(proxy, settings, path, program.resident_bytes() / (1 << 20))


def _reload(server: _Server) -> tuple[float, float]:
    """Returns the seconds that a reload takes, and MiB of memory afterwards."""
    program, settings = server.proxy.program, server.settings
    settings.page_name = "reloaded"
    config.jetway.write(server.path.parent, server.path.stem, settings)
    began = time.monotonic()
    program.signal(signal.SIGHUP)
    program.wait_until(lambda: _RELOADED in program.text(), "reload", _RELOAD_PAUSE_SECONDS)
    seconds = time.monotonic() - began
    server.proxy.verify()
    return seconds, program.resident_bytes() / (1 << 20)
