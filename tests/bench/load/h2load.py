"""h2load: HTTP/2 over TLS, and HTTP/1.1 for transfers."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Load:
    """A number of requests."""

    path: str
    requests: int
    streams: int
    connections: int = 1
    #: A file that each request sends.
    upload: Path | None = None
    http1: bool = False

    def command(self, h2load: str, host: str, port: int, headers: list[str]) -> list[str]:
        """The command that sends the requests to a port of loopback."""
        words = [h2load, f"--connect-to=127.0.0.1:{port}"]
        words += ["-n", self.requests, "-c", self.connections, "-m", self.streams]
        words += ["--h1"] if self.http1 else []
        words += ["-d", self.upload] if self.upload else []
        words += [word for header in headers for word in ("-H", header)]
        scheme = "http" if self.http1 else "https"
        return [str(word) for word in [*words, f"{scheme}://{host}{self.path}"]]


@dataclass
class Done:
    """What came back."""

    requests: int
    body_bytes: int
    #: The cipher of TLS, if there is one.
    cipher: str | None


def done(output: str, expected: int) -> Done:
    """Reads h2load's output, in which all requests must have succeeded."""
    succeeded = re.search(r"requests: \d+ total, .* (\d+) succeeded, 0 failed, 0 errored, 0 timeout", output)
    statuses = re.search(r"status codes: (\d+) 2xx, 0 3xx, 0 4xx, 0 5xx", output)
    traffic = re.search(r"traffic: .* \((\d+)\) data", output)
    if not (succeeded and statuses and traffic) or not int(succeeded[1]) == int(statuses[1]) == expected:
        raise RuntimeError(f"not all of {expected} requests were answered with 2xx:\n{output}")
    cipher = re.search(r"^Cipher: (\S+)$", output, re.MULTILINE)
    return Done(expected, int(traffic[1]), cipher[1] if cipher else None)
