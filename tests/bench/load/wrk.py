"""wrk: HTTP/1.1 without TLS."""

import re


def command(wrk: str, url: str, headers: list[str], seconds: int, connections: int) -> list[str]:
    """The command that sends requests for some seconds."""
    words = [wrk, "-t1", f"-c{connections}", f"-d{seconds}s"]
    return [*words, *(word for header in headers for word in ("-H", header)), url]


def answered(output: str) -> int:
    """The number of requests, all of which were answered with 200."""
    found = re.search(r"(\d+) requests in", output)
    if "Non-2xx" in output or "Socket errors" in output or not found or not int(found[1]):
        raise RuntimeError(f"not every request was answered with 200:\n{output}")
    return int(found[1])
