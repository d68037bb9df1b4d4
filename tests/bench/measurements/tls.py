"""TLS handshakes for each second of CPU time, and whether sessions are resumed everywhere."""

import signal

import config.jetway
import config.nginx
from lab import Lab
from load.handshakes import Handshakes
from names import HOST
from programs import Program, free_port
from report import Report, Table, Target
from rounds import quartiles, take_turns

_NGINX, _MODULE = "nginx", "host with the module"
_SHARE = 0.9
#: A key's algorithm and a version of TLS.
_KINDS = (("ES256", "1.3"), ("ES256", "1.2"), ("RS256", "1.3"))
_KEYS = {"ES256": "P-256", "RS256": "RSA 2048"}
#: How many of a hundred handshakes resume a session when they should: clients may begin some before they have a ticket.
_LEAST_RESUMED_PERCENT = 98
_WORKERS = 2
#: So many connections reach each worker.
_OVER_WORKERS = 40
#: As many handshakes as the client makes at a time, all with tickets from before a reload.
_AFTER_RELOAD = 4
#: As many as leave the client with all the sessions that it keeps.
_FIRST = 8
_RELOADED = "the configuration was reloaded"


def measure(lab: Lab) -> Report:
    """Measures full and resumed handshakes with each kind of certificate."""
    servers = {(name, key): _start(lab, name, key) for key in _KEYS for name in (_NGINX, _MODULE)}
    turns = [
        (name, key, version, resumption)
        for key, version in _KINDS
        for resumption in ("full", "resumed")
        for name in (_NGINX, _MODULE)
    ]
    spent = take_turns(turns, lab.effort.rounds, lambda turn: _cost(lab, servers[turn[:2]], turn))
    found = report(quartiles(spent))
    over_workers, after_reload = _resumed(lab)
    found.targets += [
        Target(6, f"share of sessions that {_WORKERS} workers resume", over_workers, 1, at_most=False),
        Target(6, "share of sessions that are resumed after a reload", after_reload, 1, at_most=False),
    ]
    return found


def report(spent: dict[tuple[str, str, str, str], float]) -> Report:
    """Relates the costs of handshakes: microseconds by proxy, key, version and resumption."""
    found = Report("TLS handshakes (a connection each, no request)")
    table = Table("handshakes for each second of CPU time", ["nginx", "host", "to nginx"], [0, 0, 2])
    for key, version in _KINDS:
        for resumption in ("full", "resumed"):
            nginx, host = (1e6 / spent[name, key, version, resumption] for name in (_NGINX, _MODULE))
            what = f"{resumption}, TLS {version}, {_KEYS[key]}"
            table.rows[what] = [nginx, host, host / nginx]
            text = f"handshakes relative to nginx, {what}"
            found.targets.append(Target(6, text, host / nginx, _SHARE, at_most=False))
    found.tables.append(table)
    return found


def _start(lab: Lab, name: str, key: str) -> tuple[Program, int]:
    certificate = lab.certificate(key)
    if name == _NGINX:
        port = free_port()
        front = config.nginx.Front(port, certificate)
        return lab.start_nginx(port, config.nginx.proxy(front, lab.upstream)), port
    settings = lab.settings(certificate=certificate)
    return lab.start_jetway(settings), settings.port


def _client(lab: Lab, port: int, key: str, version: str, resumption: str) -> Handshakes:
    words = [port, HOST, lab.certificate(key).chain, version, resumption]
    return Handshakes(lab.tools.tls_handshakes, words, lab.load_core)


def _cost(lab: Lab, server: tuple[Program, int], turn: tuple[str, str, str, str]) -> float:
    _, key, version, resumption = turn
    program, port = server
    client = _client(lab, port, key, version, resumption)
    try:
        client.make(f"count {_FIRST}")
        before = program.cpu_ns()
        done = client.make(f"seconds {lab.effort.seconds}")
        spent = program.cpu_ns() - before
    finally:
        client.close()
    wanted, made = getattr(done, resumption), done.full + done.resumed
    if wanted * 100 < made * _LEAST_RESUMED_PERCENT or not made:
        raise RuntimeError(f"of {made} handshakes only {wanted} were {resumption}: {turn}")
    return spent / 1000 / made


def _resumed(lab: Lab) -> tuple[float, float]:
    """Returns the shares of sessions that were resumed, over several workers and after a reload."""
    settings = lab.settings(certificate=lab.certificate())
    path = lab.write_jetway(settings)
    words = ["--workers", _WORKERS, "--log-level", "info"]
    program = lab.start_jetway_file(path, settings.port, *words)
    client = _client(lab, settings.port, "ES256", "1.3", "resumed")
    try:
        client.make(f"count {_FIRST}")
        over_workers = client.make(f"count {_OVER_WORKERS}")
        settings.page_name = "reloaded"
        config.jetway.write(path.parent, path.stem, settings)
        program.signal(signal.SIGHUP)
        program.wait_until(lambda: _RELOADED in program.text(), "reload")
        after_reload = client.make(f"count {_AFTER_RELOAD}")
    finally:
        client.close()
    return over_workers.resumed / _OVER_WORKERS, after_reload.resumed / _AFTER_RELOAD
