"""`tls_handshakes` (host/proxy/benches): full and resumed handshakes."""

import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

from programs import pin


@dataclass
class Done:
    """The handshakes that were made."""

    full: int
    resumed: int


def done(line: str) -> Done:
    """Reads a line of the program's output."""
    found = re.fullmatch(r"full (\d+) resumed (\d+)", line.strip())
    if not found:
        raise RuntimeError(f"`tls_handshakes` failed and printed `{line.strip()}`")
    return Done(int(found[1]), int(found[2]))


class Handshakes:
    """A client that keeps its sessions until it is closed."""

    def __init__(self, program: Path, words: list, core: int | None):
        self._process = subprocess.Popen(
            [str(word) for word in [program, *words]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=pin(core),
        )

    def make(self, order: str) -> Done:
        """Makes handshakes: `count N` or `seconds N`."""
        self._process.stdin.write(order + "\n")
        self._process.stdin.flush()
        return done(self._process.stdout.readline())

    def close(self):
        """Ends the program."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()
