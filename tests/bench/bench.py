#!/usr/bin/env -S python3 -B
"""Measures Jetway beside nginx and Envoy, in one run on one machine: `make bench`, docs/performance.md.

Everything runs on loopback: the upstream and the load on one core, each proxy with one worker on another. The proxies
take turns in a new random order in each round, so that other load of the machine affects all of them. A figure is the
lower quartile of the rounds; CPU time is what the kernel charged all threads of a proxy.
"""

import argparse
import contextlib
import json
import signal
import sys
import tempfile
import time
from pathlib import Path

import machine
import measurements
from lab import Effort, Lab
from report import Report
from tools import TARGET, find_tools


def names(text: str) -> list[str]:
    """Reads the argument of `--only`."""
    found = text.split(",")
    if unknown := set(found) - set(measurements.ALL):
        message = f"there is no measurement `{min(unknown)}`; there are {', '.join(measurements.ALL)}"
        raise argparse.ArgumentTypeError(message)
    return found


def count(text: str) -> int:
    """Reads a number of rounds or seconds."""
    if (number := int(text)) < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=names, metavar="NAME[,NAME]", help=f"of {', '.join(measurements.ALL)}")
    parser.add_argument("--rounds", type=count, default=6, help="how often each proxy is measured")
    parser.add_argument("--seconds", type=count, default=1, help="how long each of these takes")
    parser.add_argument("--json", type=Path, default=TARGET / "bench.json", help="the file to write")
    parser.add_argument("--jetway", type=Path, help="a `jetway` that is already built")
    parser.add_argument("--programs", type=Path, help="a folder with the built programs of host/proxy/benches")
    parser.add_argument("--envoy", help="Envoy 1.40, if not the one that tests/setup.sh installs")
    return parser.parse_args()


def run(lab: Lab, chosen: list[str]) -> tuple[dict[str, Report], dict[str, str]]:
    """Returns the reports, and why measurements failed."""
    reports, failures = {}, {}
    for name in chosen:
        began = time.monotonic()
        try:
            with lab.measurement():
                reports[name] = measurements.ALL[name](lab)
        except Exception as error:  # noqa: BLE001 - the others are measured all the same
            failures[name] = f"{type(error).__name__}: {error}"
            print(f"\n# {name} FAILED, there are no figures: {failures[name]}", flush=True)
        else:
            print("\n".join(reports[name].lines()), flush=True)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    return reports, failures


def main():
    options = arguments()
    tools = find_tools(options.jetway, options.programs, options.envoy)
    about = machine.describe(tools)
    print("\n".join(f"{key.replace('_', ' '):14} {value}" for key, value in about.items()))
    if not machine.is_quiet(about):
        print("note: this machine does other work, the figures are rough")
    # A terminated run stops its programs as an interrupted one does.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    effort = Effort(options.rounds, options.seconds)
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="jetway-bench-")))
        # The workers of nginx have another account, and read the file of the downloads.
        folder.chmod(0o711)
        lab = Lab(tools, effort, folder, stack)
        reports, failures = run(lab, options.only or list(measurements.ALL))
    print("\n# targets\n")
    targets = [target for report in reports.values() for target in report.targets]
    for target in sorted(targets, key=lambda target: target.number):
        print(target.line())
    print(f"\n{sum(target.is_met() for target in targets)} of {len(targets)} targets are met")
    print(f"measured in {time.monotonic() - began:.0f} s; {options.json}")
    result = {"machine": about, "rounds": effort.rounds, "seconds": effort.seconds, "failures": failures}
    result["measurements"] = {name: report.json() for name, report in reports.items()}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    if failures:
        sys.exit(f"these measurements failed: {', '.join(failures)}")


if __name__ == "__main__":
    main()
