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

    def __init__(self, name: str, command: list[str], folder: Path, core: int | None, env: dict | None = None):
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                command,
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
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                raise RuntimeError(f"{self.name} ended at once:\n{self.tail()}")
            try:
                socket.create_connection(("127.0.0.1", port), timeout=1).close()
                return
            except OSError:
                time.sleep(0.02)
        raise RuntimeError(f"{self.name} does not listen after {START_SECONDS} s:\n{self.tail()}")

    def tail(self) -> str:
        """Returns the end of the program's output."""
        return self.log.read_text(errors="replace")[-2000:]

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
        return sum(_thread_ns(task) for pid in self._family() for task in Path(f"/proc/{pid}/task").glob("*"))

    def _family(self) -> list[int]:
        family, found = [], [self._process.pid]
        while found:
            pid = found.pop()
            family.append(pid)
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                found += [int(child) for child in children.read_text().split()]
        return family


def _thread_ns(task: Path) -> int:
    return int((task / "schedstat").read_text().split()[0])
