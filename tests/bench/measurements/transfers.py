"""HTTP/2 with many streams, and downloads and uploads of 1 MiB: CPU time per request and per byte."""

from pathlib import Path

import client
import config.nginx
from lab import Lab
from load import h2load
from load.h2load import Load
from names import HOST, TRANSFER_BYTES
from programs import Program, free_port
from report import Report, Table, Target
from rounds import quartiles, take_turns

_NGINX, _MODULE = "nginx", "host with the module"
_SHARE = 1.2
_STREAMS = 32
_SMALL_REQUESTS = 10_000
_TRANSFERS = 200
_CONNECTIONS = 4


def _loads(body: Path) -> dict[str, Load]:
    return {
        f"HTTP/2, {_STREAMS} streams on a connection": Load("/", _SMALL_REQUESTS, _STREAMS),
        "download of 1 MiB, HTTP/2 over TLS": Load("/download", _TRANSFERS, 1, _CONNECTIONS),
        "upload of 1 MiB, HTTP/2 over TLS": Load("/upload", _TRANSFERS, 1, _CONNECTIONS, body),
        "download of 1 MiB, HTTP/1.1": Load("/download", _TRANSFERS, 1, _CONNECTIONS, http1=True),
        "upload of 1 MiB, HTTP/1.1": Load("/upload", _TRANSFERS, 1, _CONNECTIONS, body, http1=True),
    }


def measure(lab: Lab) -> Report:
    """Measures each proxy with each load."""
    body = lab.folder / "upload"
    body.write_bytes(bytes(TRANSFER_BYTES))
    loads = _loads(body)
    servers = {(name, http1): _start(lab, name, http1) for name in (_NGINX, _MODULE) for http1 in (False, True)}
    for name in (_NGINX, _MODULE):
        _check_upload(lab, servers[name, True][1])
    turns = [(what, name) for what in loads for name in (_NGINX, _MODULE)]

    def cost(turn: tuple[str, str]) -> float:
        load = loads[turn[0]]
        return _cost(lab, servers[turn[1], load.http1], load)

    for what in loads:
        _check_same_cipher(lab, loads[what], [servers[name, loads[what].http1] for name in (_NGINX, _MODULE)])
    return report(quartiles(take_turns(turns, lab.effort.rounds, cost)), loads)


def report(spent: dict[tuple[str, str], float], loads: dict[str, Load]) -> Report:
    """Relates the costs: microseconds per request by load and proxy."""
    found = Report("HTTP/2 and transfers")
    headings = ["nginx µs", "host µs", "nginx ns/B", "host ns/B", "to nginx"]
    table = Table("CPU time per request and per byte", headings, [1, 1, 3, 3, 2])
    for what, load in loads.items():
        nginx, host = spent[what, _NGINX], spent[what, _MODULE]
        is_transfer = load.path != "/"
        per_byte = [cost * 1000 / TRANSFER_BYTES if is_transfer else None for cost in (nginx, host)]
        table.rows[what] = [nginx, host, *per_byte, host / nginx]
        found.targets.append(Target(7, f"relative to nginx, {what}", host / nginx, _SHARE))
    found.tables.append(table)
    return found


def _start(lab: Lab, name: str, http1: bool) -> tuple[Program, int]:
    certificate = None if http1 else lab.certificate()
    if name == _NGINX:
        port = free_port()
        front = config.nginx.Front(port, certificate, http2=True)
        return lab.start_nginx(port, config.nginx.proxy(front, lab.upstream)), port
    settings = lab.settings(certificate=certificate)
    return lab.start_jetway(settings), settings.port


def _check_upload(lab: Lab, port: int):
    """Makes sure that the upstream reads a whole upload before it answers."""
    headers = {"Cookie": lab.session}
    status, answer = client.request(port, "/upload", headers, method="POST", body=bytes(TRANSFER_BYTES))
    if status != 200 or int(answer.get("x-received", 0)) < TRANSFER_BYTES:
        raise RuntimeError(f"an upload was answered with {status} after {answer.get('x-received')} bytes")


def _check_same_cipher(lab: Lab, load: Load, servers: list[tuple[Program, int]]):
    """Makes sure that the proxies encrypt with the same cipher, and warms them up."""
    ciphers = {_send(lab, port, load).cipher for _, port in servers}
    if len(ciphers) != 1:
        raise RuntimeError(f"the proxies choose different ciphers: {ciphers}")


def _cost(lab: Lab, server: tuple[Program, int], load: Load) -> float:
    program, port = server
    before = program.cpu_ns()
    done = _send(lab, port, load)
    return (program.cpu_ns() - before) / 1000 / done.requests


def _send(lab: Lab, port: int, load: Load) -> h2load.Done:
    output = lab.load(load.command(lab.tools.h2load, HOST, port, [f"cookie: {lab.session}"]))
    done = h2load.done(output, load.requests)
    if load.path == "/download" and done.body_bytes != load.requests * TRANSFER_BYTES:
        raise RuntimeError(f"{load.requests} downloads had {done.body_bytes} bytes")
    return done
