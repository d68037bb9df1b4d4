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

_HOSTS = {"1": 1, "100": 100, "10,000": 10_000}
_PATHS = {"100 paths of one host": 100, "10,000 paths of one host": 10_000}
_SPREAD = 1.10
_WARM_UP_SECONDS = 1
_RELOADED = "the configuration was reloaded"
_RELOAD_PAUSE_SECONDS = 0.002


@dataclass
class Costs:
    """The figures of one configuration."""

    request_us: float
    serving_mib: float
    reload_seconds: float
    reloaded_mib: float


@dataclass
class _Server:
    proxy: requests.Proxy
    settings: config.jetway.Settings
    path: Path
    serving_mib: float


def measure(lab: Lab) -> Report:
    """Measures each configuration; the requests are for the last route."""
    servers = {name: _start(lab, lab.settings(routes=count)) for name, count in _HOSTS.items()}
    servers |= {name: _start(lab, lab.settings(routes=count, one_host=True)) for name, count in _PATHS.items()}

    def cost(name: str) -> float:
        return requests.cost(lab, servers[name].proxy, shapes.BASE)

    spent = quartiles(take_turns(servers, lab.effort.rounds, cost))
    costs = {name: Costs(spent[name], server.serving_mib, *_reload(server)) for name, server in servers.items()}
    return report(costs)


def report(costs: dict[str, Costs]) -> Report:
    """Relates the figures of each number of routes."""
    found = Report("many routes (requests for the last one; host with the module, one worker)")
    headings = ["µs per request", "MiB", "reload s", "MiB after reload"]
    table = Table("routes", headings, [1, 1, 3, 1])
    for name, cost in costs.items():
        table.rows[name] = [cost.request_us, cost.serving_mib, cost.reload_seconds, cost.reloaded_mib]
    found.tables.append(table)
    of_requests = [cost.request_us for cost in costs.values()]
    text = "the most expensive request relative to the cheapest, 1 to 10,000 routes"
    found.targets.append(Target(10, text, max(of_requests) / min(of_requests), _SPREAD))
    return found


def _start(lab: Lab, settings: config.jetway.Settings) -> _Server:
    path = lab.write_jetway(settings)
    # Of the log only that a reload has happened.
    program = lab.start_jetway_file(path, settings.port, "--log-level", "warn,jetway_proxy::serve=info")
    proxy = requests.Proxy(program, settings.port, lab.session, checks=True)
    proxy.verify()
    requests.load(lab, settings.port, shapes.BASE.lines(lab.session), _WARM_UP_SECONDS)
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
