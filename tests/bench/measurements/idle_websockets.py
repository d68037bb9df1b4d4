"""Idle, signed-in WebSockets over TLS: their memory and their CPU time."""

import socket
import ssl
import time
from contextlib import ExitStack
from dataclasses import dataclass

import config.nginx
from lab import Lab
from names import HOST
from programs import Program, free_port
from report import Report, Table, Target

_NGINX, _MODULE = "nginx", "host with the module"
#: From each address: a route serves half of its 1,024 requests to one client.
_PER_ADDRESS = 500
_ADDRESSES = ("127.0.0.1", "127.0.0.2")
_COUNT = _PER_ADDRESS * len(_ADDRESSES)
_MEMORY_KIB = 20
#: A millionth of a core for each is what the measurement can tell from nothing.
_CPU_US_PER_SECOND = 1.0
#: Longer than the five seconds between two looks at the sessions of open WebSockets.
_IDLE_SECONDS = 6
_TIMEOUT_SECONDS = 30
_HANDSHAKE = (
    f"GET / HTTP/1.1\r\nHost: {HOST}\r\nOrigin: https://{HOST}\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: {cookie}\r\n\r\n"
)


def measure(lab: Lab) -> Report:
    """Opens the WebSockets at each proxy and leaves them alone."""
    certificate, session = lab.certificate(), lab.session
    found = Report(f"idle WebSockets ({_COUNT} over TLS, signed in)")
    table = Table("for each WebSocket", ["KiB", "CPU µs/s"], [1, 2])
    port = free_port()
    front = config.nginx.Front(port, certificate)
    program = lab.start_nginx(port, config.nginx.proxy(front, lab.echo, websockets=True))
    table.rows[_NGINX] = _measure_proxy(lab, program, port, session)
    settings = lab.settings(upstream=lab.echo, websockets=True, certificate=certificate)
    program = lab.start_jetway(settings)
    table.rows[_MODULE] = _measure_proxy(lab, program, settings.port, session)
    found.tables.append(table)
    memory, cpu = table.rows[_MODULE]
    found.targets = [
        Target(5, "KiB of memory of an idle WebSocket over TLS", memory, _MEMORY_KIB),
        Target(5, "CPU time of an idle WebSocket, µs in each second", cpu, _CPU_US_PER_SECOND),
    ]
    return found


def _measure_proxy(lab: Lab, program: Program, port: int, session: str) -> list[float]:
    context = ssl.create_default_context(cafile=lab.certificate().chain)
    with ExitStack() as stack:
        client = _Client(stack, context, port, session)
        # Memory that the first connection takes for all is not counted.
        client.open(_ADDRESSES[0])
        before = program.resident_bytes()
        idle = _idle_cpu_ns(program)
        sockets = [client.open(address) for address in _ADDRESSES for _ in range(_PER_ADDRESS - 1)]
        # What the last handshake left to do is done.
        time.sleep(1)
        memory = (program.resident_bytes() - before) / len(sockets) / 1024
        cpu = (_idle_cpu_ns(program) - idle) / len(sockets) / _IDLE_SECONDS / 1000
        for opened in sockets:
            _check_open(opened)
    return [memory, max(cpu, 0.0)]


def _idle_cpu_ns(program: Program) -> int:
    before = program.cpu_ns()
    time.sleep(_IDLE_SECONDS)
    return program.cpu_ns() - before


@dataclass
class _Client:
    stack: ExitStack
    context: ssl.SSLContext
    port: int
    session: str

    def open(self, address: str) -> ssl.SSLSocket:
        """Opens a WebSocket from an address, which the stack closes."""
        raw = socket.create_connection(("127.0.0.1", self.port), _TIMEOUT_SECONDS, source_address=(address, 0))
        opened = self.stack.enter_context(self.context.wrap_socket(raw, server_hostname=HOST))
        opened.sendall(_HANDSHAKE.format(cookie=self.session).encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            if not (more := opened.recv(4096)):
                break
            answer += more
        if not answer.startswith(b"HTTP/1.1 101 "):
            raise RuntimeError(f"a handshake was answered with {answer[:100]!r}")
        return opened


def _check_open(opened: ssl.SSLSocket):
    """Sends an empty message, which comes back."""
    opened.sendall(b"\x82\x80\x00\x00\x00\x00")
    if opened.recv(2) != b"\x82\x00":
        raise RuntimeError("a WebSocket was closed while it was idle")
