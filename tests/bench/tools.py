"""The programs that the benchmark runs: installed ones, and ones that cargo builds."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TARGET = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")


@dataclass
class Tools:
    """The paths of the programs."""

    nginx: Path
    wrk: Path
    h2load: Path
    envoy: Path
    jetway: Path
    #: The programs of host/proxy/benches.
    plain_proxy: Path
    tcp_relay: Path
    websocket_peer: Path
    tls_handshakes: Path


def find_tools(jetway: Path | None, programs: Path | None, envoy: str | None) -> Tools:
    """Finds the installed programs and builds the others, unless they are given."""
    built = {"jetway": jetway.resolve() if jetway else _build("jetway", "bin", "jetway")}
    for name in ("plain_proxy", "tcp_relay", "websocket_peer", "tls_handshakes"):
        built[name] = (programs / name).resolve() if programs else _build("jetway-proxy", "bench", name)
    installed = {name: _installed(name) for name in ("nginx", "wrk", "h2load")}
    return Tools(**installed, **built, envoy=_installed(envoy or _envoy()))


def _envoy() -> str:
    """`ENVOY` from the environment, the one that tests/setup.sh installed, or the one of the search path."""
    peers = TARGET / "peers/env"
    lines = peers.read_text().splitlines() if peers.exists() else []
    installed = dict(line.split("=", 1) for line in lines if "=" in line)
    return os.environ.get("ENVOY") or installed.get("ENVOY", "envoy")


def _installed(name: str) -> Path:
    found = shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if not found:
        sys.exit(f"there is no `{name}` (help: `make bench` installs it)")
    return Path(found)


def _build(package: str, kind: str, name: str) -> Path:
    """Builds one program of a package, a `bin` or a `bench`, and returns its path."""
    command = ["cargo", "build", "--release", "--locked", "-p", package, f"--{kind}", name]
    command.append("--message-format=json-render-diagnostics")
    lines = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    for message in map(json.loads, lines):
        if message.get("executable") and message["target"]["name"] == name:
            return Path(message["executable"])
    raise RuntimeError(f"cargo built no {kind} `{name}`")
