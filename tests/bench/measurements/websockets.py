"""Relaying WebSockets: CPU time per message, beside a plain TCP relay."""

import config.nginx
from lab import Lab
from names import HOST
from programs import Program, free_port
from report import Report, Table, Target
from rounds import quartiles, take_turns

_RELAY, _NGINX, _MODULE = "plain TCP relay", "nginx", "host with the module"
_SHARE = 1.1
_CONNECTIONS = 16
_SIZES = {64: "64-byte messages", 64 << 10: "64 KiB messages"}
_WARM_UP_SECONDS = 1


def measure(lab: Lab) -> Report:
    """Measures each proxy with short and with long messages, one at a time on each WebSocket, which come back."""
    proxies = _start(lab)
    for name in proxies:
        _exchange(lab, proxies[name][1], 64, _WARM_UP_SECONDS)
    turns = [(size, name) for size in _SIZES for name in proxies]
    spent = quartiles(take_turns(turns, lab.effort.rounds, lambda turn: _cost(lab, proxies[turn[1]], turn[0])))
    return report(spent)


def report(spent: dict[tuple[int, str], float]) -> Report:
    """Relates the costs: microseconds by size and proxy."""
    found = Report(f"relaying WebSockets ({_CONNECTIONS} WebSockets without TLS, a message there and back)")
    for size, title in _SIZES.items():
        table = Table(title, ["µs", "to the relay"], [1, 2])
        relay = spent[size, _RELAY]
        for name in (_RELAY, _NGINX, _MODULE):
            table.rows[name] = [spent[size, name], spent[size, name] / relay]
        found.tables.append(table)
        text = f"relaying WebSockets, relative to a plain TCP relay, {title}"
        found.targets.append(Target(5, text, spent[size, _MODULE] / relay, _SHARE))
    return found


def _start(lab: Lab) -> dict[str, tuple[Program, int]]:
    port = free_port()
    proxies = {_RELAY: (lab.start(_RELAY, [lab.tools.tcp_relay, port, lab.echo], port, lab.proxy_core), port)}
    port = free_port()
    servers = config.nginx.proxy(config.nginx.Front(port), lab.echo, websockets=True)
    proxies[_NGINX] = (lab.start_nginx(port, servers), port)
    settings = lab.settings(upstream=lab.echo, websockets=True)
    proxies[_MODULE] = (lab.start_jetway(settings), settings.port)
    return proxies


def _cost(lab: Lab, proxy: tuple[Program, int], size: int) -> float:
    program, port = proxy
    before = program.cpu_ns()
    answered = _exchange(lab, port, size, lab.effort.seconds)
    return (program.cpu_ns() - before) / 1000 / answered


def _exchange(lab: Lab, port: int, size: int, seconds: int) -> int:
    command = [lab.tools.websocket_peer, "load", port, HOST, lab.session, _CONNECTIONS, size, seconds]
    answered = int(lab.load(command))
    if not answered:
        raise RuntimeError("no message came back")
    return answered
