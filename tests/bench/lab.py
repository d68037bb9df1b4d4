"""What the measurements share: a folder, the upstream, the provider, certificates, and starting programs."""

import base64
import contextlib
import functools
import os
import resource
import secrets
import subprocess
from dataclasses import dataclass
from pathlib import Path

import client
import config.jetway
import config.nginx
import machine
import openssl
from names import HOST
from programs import Program, free_port, pin
from provider import Provider
from tools import Tools

#: How long a load may take beyond its seconds.
_LOAD_TIMEOUT_SECONDS = 60


@dataclass
class Effort:
    """How long and how often everything is measured."""

    rounds: int
    seconds: int


class Lab:
    """Programs that run until the end of a measurement, or of the benchmark."""

    def __init__(self, tools: Tools, effort: Effort, folder: Path, shared: contextlib.ExitStack):
        self.tools, self.effort, self.folder = tools, effort, folder
        self.load_core, self.proxy_core = machine.cores()
        self._shared = shared
        self._stack = shared
        self._names = 0
        self._certificates: dict[str, openssl.Certificate] = {}
        self.environment = {
            "COOKIE_SECRET": base64.b64encode(secrets.token_bytes(32)).decode(),
            "IDP_CLIENT_SECRET": secrets.token_urlsafe(16),
            # A module that was compiled once is found by the next start.
            **cache_folder(folder / "cache"),
        }
        _raise_open_files()

    @contextlib.contextmanager
    def measurement(self):
        """Stops at its end what was started within it."""
        with contextlib.ExitStack() as stack:
            self._stack = stack
            try:
                yield
            finally:
                self._stack = self._shared

    def start(self, name: str, command: list, port: int, core: int | None) -> Program:
        """Starts a program and waits until it listens."""
        self._names += 1
        program = Program(f"{name} {self._names}", command, self.folder, core, self.environment)
        self._stack.callback(program.stop)
        program.wait_for(port)
        return program

    def new_name(self, name: str) -> str:
        """A name for a file that no other has."""
        self._names += 1
        return f"{name.replace(' ', '-')}-{self._names}"

    def start_nginx(self, port: int, servers: str) -> Program:
        """Starts nginx as a proxy."""
        path = config.nginx.write(self.folder, self.new_name("nginx"), servers)
        return self.start("nginx", [self.tools.nginx, "-c", path], port, self.proxy_core)

    def write_jetway(self, settings: config.jetway.Settings) -> Path:
        """Writes a configuration of Jetway."""
        return config.jetway.write(self.folder, self.new_name("jetway"), settings)

    def start_jetway(self, settings: config.jetway.Settings) -> Program:
        """Starts the host with the module and one worker. No proxy here writes an access log."""
        return self.start_jetway_file(self.write_jetway(settings), settings.port)

    def start_jetway_file(self, path: Path, port: int, *words) -> Program:
        """The same with a file that is already written, and with other options."""
        # An option that is given twice would be an error, so these are the defaults of options that `words` may give.
        defaults = {"--workers": 1, "--log-level": "warn"}
        options = [word for pair in defaults.items() if pair[0] not in words for word in pair]
        command = [self.tools.jetway, "run", *options, *words, "-c", path]
        program = self.start("host with the module", command, port, self.proxy_core)
        # Its port is open before the module is compiled.
        program.wait_until(lambda: "listening on" in program.text(), "begin to serve")
        return program

    def settings(self, **more) -> config.jetway.Settings:
        """Settings of Jetway with a port of their own."""
        more.setdefault("upstream", self.upstream)
        return config.jetway.Settings(port=free_port(), issuer=self.provider.issuer, **more)

    def jetway(self, *words) -> bytes:
        """Returns the output of a command of `jetway`."""
        return self.run([self.tools.jetway, *words])

    def run(self, command: list, core: int | None = None) -> bytes:
        """Returns the output of a command."""
        environment = self.environment if command[0] == self.tools.jetway else {}
        done = subprocess.run(
            list(map(str, command)),
            cwd=self.folder,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            check=True,
            timeout=self.effort.seconds + _LOAD_TIMEOUT_SECONDS,
            preexec_fn=pin(core),
        )
        return done.stdout

    def load(self, command: list) -> str:
        """Runs a program that makes load, and returns its output."""
        return self.run(command, self.load_core).decode()

    def _start_shared(self, name: str, command: list, port: int):
        own, self._stack = self._stack, self._shared
        try:
            self.start(name, command, port, self.load_core)
        finally:
            self._stack = own

    @functools.cached_property
    def upstream(self) -> int:
        """The port of the server behind the proxies."""
        port = free_port()
        path = config.nginx.write(self.folder, "upstream", config.nginx.upstream(self.folder, port))
        self._start_shared("upstream", [self.tools.nginx, "-c", path], port)
        return port

    @functools.cached_property
    def echo(self) -> int:
        """The port of the WebSocket server behind the proxies."""
        port = free_port()
        self._start_shared("echo", [self.tools.websocket_peer, "echo", port], port)
        return port

    @functools.cached_property
    def provider(self) -> Provider:
        """The OpenID provider."""
        keys = [openssl.SigningKey(self.folder, algorithm) for algorithm in ("ES256", "RS256", "EdDSA")]
        provider = Provider(keys)
        self._shared.callback(provider.close)
        return provider

    def certificate(self, algorithm: str = "ES256") -> openssl.Certificate:
        """The certificate of all servers, with a key of this kind."""
        if algorithm not in self._certificates:
            self._certificates[algorithm] = openssl.certificate(self.folder, algorithm, HOST)
        return self._certificates[algorithm]

    @functools.cached_property
    def session(self) -> str:
        """The `Cookie` header of a signed-in user, made by the module, for every proxy with the module."""
        settings = self.settings()
        program = self.start_jetway(settings)
        cookies = client.session(settings.port)
        program.stop()
        return cookies


def cache_folder(folder: Path) -> dict[str, str]:
    """The environment in which `jetway` keeps its cache in a folder."""
    # The service's variable comes before the user's.
    return {"CACHE_DIRECTORY": str(folder), "XDG_CACHE_HOME": str(folder)}


def _raise_open_files():
    """A thousand WebSockets have two thousand connections."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
