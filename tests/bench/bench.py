#!/usr/bin/env -S python3 -B
"""CPU time per request of Jetway in its two proxies beside other proxies, in one run on one machine.

Everything runs on loopback: nginx as the upstream and wrk on one core, each proxy with one worker on another. The
proxies take turns in a new random order in each round, so that other load of the machine affects all of them.
What is printed is the time that the kernel charged all threads of a proxy, divided by the requests it answered: the
least and the lower quartile are what the proxy needs, the median shows how noisy the machine was.
"""

import argparse
import base64
import contextlib
import json
import os
import random
import re
import secrets
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import provider
import signin
import targets
from es256 import Key
from programs import Program, free_port, pin

ROOT = Path(__file__).resolve().parents[2]
CONNECTIONS = 32
WARM_UP_SECONDS = 1
#: The project's budget for the module, in microseconds per signed-in request in the bundled host.
HOST_BUDGET_US = 4.0


def envoy_path() -> str:
    """`ENVOY` from the environment, what tests/setup.sh installed, or what the search path has."""
    peers = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "peers/env"
    lines = peers.read_text().splitlines() if peers.exists() else []
    installed = dict(line.split("=", 1) for line in lines if "=" in line)
    return os.environ.get("ENVOY") or installed.get("ENVOY", "envoy")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=6, help="how often each proxy is measured")
    parser.add_argument("--seconds", type=int, default=2, help="how long each measurement takes")
    parser.add_argument("--jetway", type=Path, help="a `jetway` that is already built")
    parser.add_argument("--plain", type=Path, help="a `plain_proxy` (host/proxy/benches) that is already built")
    parser.add_argument("--envoy", default=envoy_path(), help="Envoy 1.40, if not the one that tests/setup.sh installs")
    return parser.parse_args()


def program_path(name: str, advice: str) -> str:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if not found:
        sys.exit(f"there is no `{name}` (help: {advice})")
    return found


def build(package: str, kind: str, name: str) -> Path:
    """Builds one program of a package, a `bin` or a `bench`, and returns its path."""
    command = ["cargo", "build", "--release", "-p", package, f"--{kind}", name]
    command.append("--message-format=json-render-diagnostics")
    lines = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    for message in map(json.loads, lines):
        if message.get("executable") and message["target"]["name"] == name:
            return Path(message["executable"])
    raise RuntimeError(f"cargo built no {kind} `{name}`")


def cores() -> tuple[int | None, int | None]:
    """A core for the load and the upstream, and one for the proxies."""
    usable = sorted(os.sched_getaffinity(0))
    if len(usable) < 2:
        print("note: one core only, nothing is pinned and the figures are rough")
        return None, None
    return usable[0], usable[1]


class Bench:
    """Programs that run until the end, and the ports on which they answer."""

    def __init__(self, options: argparse.Namespace, folder: Path, stack: contextlib.ExitStack):
        self.options, self.folder, self.stack = options, folder, stack
        self.load_core, self.proxy_core = cores()
        self.secrets = {
            "COOKIE_SECRET": base64.b64encode(secrets.token_bytes(32)).decode(),
            "IDP_CLIENT_SECRET": secrets.token_urlsafe(16),
        }
        self.nginx = program_path("nginx", "`apt-get install nginx-light`")
        self.wrk = program_path("wrk", "`apt-get install wrk`")
        self.envoy = program_path(options.envoy, "`tests/setup.sh` installs it, or name one in `ENVOY`")
        self.proxies: dict[str, tuple[Program, int]] = {}

    def start(self, name: str, command: list, port: int, core: int | None) -> Program:
        program = Program(name, [str(part) for part in command], self.folder, core, self.secrets)
        self.stack.callback(program.stop)
        program.wait_for(port)
        return program

    def proxy(self, name: str, port: int, command: list):
        self.proxies[name] = (self.start(name, command, port, self.proxy_core), port)

    def jetway(self, *words) -> bytes:
        """Returns the output of a command of `jetway`."""
        command = [str(self.options.jetway), *map(str, words)]
        environment = {**os.environ, **self.secrets}
        return subprocess.run(command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, check=True).stdout

    def start_all(self) -> str:
        """Starts everything and returns the `Cookie` header of a signed-in user, valid for every proxy."""
        key = Key()
        idp = provider.Provider(key)
        self.stack.callback(idp.close)
        upstream, folder = free_port(), self.folder
        self.start("upstream", [self.nginx, "-c", targets.upstream_nginx(folder, upstream)], upstream, self.load_core)

        port = free_port()
        self.proxy("nginx", port, [self.nginx, "-c", targets.nginx(folder, port, upstream)])
        port = free_port()
        config = targets.jetway(folder, "plain", port, upstream, idp.issuer)
        self.proxy("host without a plugin", port, [self.options.plain, config])
        port = free_port()
        config = targets.jetway(folder, "host", port, upstream, idp.issuer)
        # No proxy here writes an access log.
        quietly = ["run", "--workers", 1, "--log-level", "warn", "-c", config]
        self.proxy("host with the module", port, [self.options.jetway, *quietly])
        self.start_envoys(upstream, idp)

        token = key.sign(provider.claims(idp.issuer, "bench"))
        session = signin.session(self.proxies["host with the module"][1])
        self.check(session, token)
        return f"{targets.TOKEN_COOKIE}={token}; {session}"

    def start_envoys(self, upstream: int, idp: provider.Provider):
        folder = self.folder
        port = free_port()
        self.proxy_envoy("Envoy", port, targets.envoy_plain(folder, port, upstream))
        port = free_port()
        module = folder / "jetway.wasm"
        module.write_bytes(self.jetway("filter"))
        config = targets.jetway(folder, "envoy", port, upstream, idp.issuer)
        text = self.jetway("envoy-config", "-c", config, "--module", module).decode()
        self.proxy_envoy("Envoy with the module", port, targets.envoy_from_generator(folder, text))
        port = free_port()
        self.proxy_envoy(
            "Envoy with jwt_authn and RBAC", port, targets.envoy_jwt(folder, port, upstream, idp.issuer, idp.key.jwks())
        )

    def proxy_envoy(self, name: str, port: int, config: Path):
        command = [self.envoy, "-c", config, "--concurrency", 1, "--disable-hot-restart", "-l", "warning"]
        self.proxy(name, port, command)

    def check(self, session: str, token: str):
        """Verifies that the checks are on: a figure for a proxy that admits every client would be worthless."""
        credentials = {
            "host with the module": session,
            "Envoy with the module": session,
            "Envoy with jwt_authn and RBAC": f"{targets.TOKEN_COOKIE}={token}",
        }
        for name, (program, port) in self.proxies.items():
            cookie = credentials.get(name)
            headers = {"Cookie": cookie} if cookie else {}
            if (got := signin.status(port, headers)) != 200:
                raise RuntimeError(f"{name} answers {got} to a permitted user:\n{program.tail()}")
            if cookie and (got := signin.status(port, {})) == 200:
                raise RuntimeError(f"{name} admits every client")

    def measure(self, name: str, cookie: str, seconds: int) -> tuple[float, float]:
        """Microseconds of CPU time per request, and requests per second."""
        program, port = self.proxies[name]
        before = program.cpu_ns()
        requests = self.load(port, cookie, seconds)
        return (program.cpu_ns() - before) / 1000 / requests, requests / seconds

    def load(self, port: int, cookie: str, seconds: int) -> int:
        """Sends requests as a signed-in browser would and returns how many were answered, all of them with 200."""
        headers = [
            f"Host: {targets.HOST}",
            "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
            "Accept: */*",
            "Accept-Language: en-US,en;q=0.5",
            "Accept-Encoding: gzip, deflate, br",
            f"Cookie: {cookie}",
        ]
        command = [self.wrk, "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s"]
        command += [word for header in headers for word in ("-H", header)]
        command.append(f"http://127.0.0.1:{port}/")
        limits = {"timeout": seconds + 30, "preexec_fn": pin(self.load_core)}
        text = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, **limits).stdout
        answered = re.search(r"(\d+) requests in", text)
        if "Non-2xx" in text or "Socket errors" in text or not answered or not int(answered[1]):
            raise RuntimeError(f"not every request was answered with 200:\n{text}")
        return int(answered[1])


def quartile(values: list[float]) -> float:
    return statistics.quantiles(values, n=4, method="inclusive")[0] if len(values) > 1 else values[0]


def report(cpu: dict[str, list[float]], rate: dict[str, list[float]]):
    base = quartile(cpu["Envoy"])
    print(f"\nCPU time per request, µs ({CONNECTIONS} connections, HTTP/1.1 without TLS, one worker each)\n")
    print(f"{'':32}{'n':>4}{'least':>9}{'quarter':>9}{'median':>9}{'to Envoy':>10}{'req/s':>9}")
    for name, values in cpu.items():
        row = f"{name:32}{len(values):4}{min(values):9.1f}{quartile(values):9.1f}{statistics.median(values):9.1f}"
        print(f"{row}{quartile(values) / base:10.2f}{statistics.median(rate[name]):9.0f}")
    print("\nwhat the check adds, µs\n")
    print(f"{'':32}{'least':>13}{'quarter':>9}{'median of the rounds':>24}")
    added = {}
    for name, plain in (
        ("host with the module", "host without a plugin"),
        ("Envoy with the module", "Envoy"),
        ("Envoy with jwt_authn and RBAC", "Envoy"),
    ):
        rounds = statistics.median(a - b for a, b in zip(cpu[name], cpu[plain]))
        added[name] = quartile(cpu[name]) - quartile(cpu[plain])
        print(f"{name:32}{min(cpu[name]) - min(cpu[plain]):+13.1f}{added[name]:+9.1f}{rounds:+24.1f}")
    native = added["Envoy with jwt_authn and RBAC"]
    print(f"\naims: at most {HOST_BUDGET_US:+.1f} in the host; in Envoy no more than its own filters ({native:+.1f})")


def main():
    options = arguments()
    options.jetway = (options.jetway or build("jetway", "bin", "jetway")).resolve()
    options.plain = (options.plain or build("jetway-proxy", "bench", "plain_proxy")).resolve()
    # A terminated run stops its programs as an interrupted one does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jetway-bench-")))
        bench = Bench(options, folder, stack)
        cookie = bench.start_all()
        for name in bench.proxies:
            bench.load(bench.proxies[name][1], cookie, WARM_UP_SECONDS)
        cpu = {name: [] for name in bench.proxies}
        rate = {name: [] for name in bench.proxies}
        for number in range(options.rounds):
            order = random.sample(list(bench.proxies), len(bench.proxies))
            for name in order:
                spent, answered = bench.measure(name, cookie, options.seconds)
                cpu[name].append(spent)
                rate[name].append(answered)
            print(f"round {number + 1} of {options.rounds}", file=sys.stderr)
    report(cpu, rate)


if __name__ == "__main__":
    main()
