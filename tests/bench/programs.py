"""Starting and stopping the programs of one benchmark, and reading what the kernel charged them."""

import os
import signal
import socket
import subprocess
import time
from pathlib import Path

#: How long a program may take to answer on its port: Envoy compiles the module first.
START_SECONDS = 60
#: How long a program may take to stop before it is killed.
STOP_SECONDS = 5
#: `CPUCLOCK_SCHED` of the kernel: the clock of all threads of a process, those that have ended included.
_CPU_CLOCK_OF_PROCESS = 2


def free_port() -> int:
    """Returns an unused port."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def pin(core: int | None):
    """Returns the function by which a new process stays on one core; nothing for `None`."""
    return (lambda: os.sched_setaffinity(0, {core})) if core is not None else None


class Program:
    """A running program and its children, pinned to one core."""

    def __init__(self, name: str, command: list, folder: Path, core: int | None, env: dict | None = None):
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [str(word) for word in command],
                cwd=folder,
                env={**os.environ, **(env or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=pin(core),
            )

    def wait_for(self, port: int):
        """Waits until the program listens.

        Raises `RuntimeError` with the end of its output if it ends or takes too long.
        """
        self.wait_until(lambda: _is_open(port), f"listen on port {port}")

    def wait_until(self, is_done, what: str, pause: float = 0.02) -> None:
        """Waits until a condition holds while the program runs."""
        deadline = time.monotonic() + START_SECONDS
        while not is_done():
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.name} ended:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"{self.name} does not {what} after {START_SECONDS} s:\n{self.tail()}")
            time.sleep(pause)

    def text(self) -> str:
        """Returns the program's output."""
        return self.log.read_text(errors="replace")

    def tail(self) -> str:
        """Returns the end of the program's output."""
        return self.text()[-2000:]

    def signal(self, number: int):
        """Sends a signal to the program itself."""
        self._process.send_signal(number)

    def stop(self):
        """Stops the program and its children."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:
                pass
            try:
                self._process.wait(STOP_SECONDS)
                return
            except subprocess.TimeoutExpired:
                continue

    def cpu_ns(self) -> int:
        """Nanoseconds on a core since the start: all threads of the program and its children."""
        return sum(time.clock_gettime_ns(~pid << 3 | _CPU_CLOCK_OF_PROCESS) for pid in self._family())

    def resident_bytes(self) -> int:
        """Resident memory of the program and its children, pages that they share counted once (`Pss`)."""
        return sum(_resident_bytes(Path(f"/proc/{pid}/smaps_rollup").read_text()) for pid in self._family())

    def _family(self) -> list[int]:
        family, found = [], [self._process.pid]
        while found:
            pid = found.pop()
            family.append(pid)
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(child) for child in children.read_text().split()]
        return family


def _resident_bytes(rollup: str) -> int:
    line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) * 1024


def _is_open(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
        return True
    except OSError:
        return False
