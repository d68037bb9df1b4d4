#!/usr/bin/env -S python3 -B
"""Instructions of the core per signed-in request, counted by callgrind and compared with `counts.tsv`.

The counts do not depend on the load of the machine. They depend on the compiler (the kept ones are of Rust 1.95), and a
little on the processor: memory is copied and searched by the widest instructions that it has, on most machines AVX2.
"""

import argparse
import csv
import io
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COUNTS = Path(__file__).with_name("counts.tsv")
PACKAGE = "jetway-hot-path"
SHAPES = ("no-other-cookies", "4-kb-of-cookies", "40-headers", "identity")
#: The function whose calls are counted.
COUNTED = "jetway_hot_path::decide_repeatedly*"
REQUESTS = 200
#: By how much a count may differ, as a part of the kept one.
TOLERANCE = 0.03
HEAD = ("shape", "instructions per request", "shared data reads per request")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep the counts of this run")
    parser.add_argument("--program", type=Path, help="a `jetway-hot-path` that is already built")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="write a readable profile of each shape")
    return parser.parse_args()


def build() -> Path:
    command = ["cargo", "build", "--release", "--locked", "-p", PACKAGE, "--message-format=json-render-diagnostics"]
    lines = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    for message in map(json.loads, lines):
        if message.get("executable") and message["target"]["name"] == PACKAGE:
            return Path(message["executable"])
    raise RuntimeError(f"cargo built no `{PACKAGE}`")


def count(program: Path, shape: str, output: Path) -> tuple[int, int]:
    """Returns the instructions and the reads of shared data per request, and leaves callgrind's output in a file."""
    command = ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--toggle-collect={COUNTED}"]
    command += [f"--callgrind-out-file={output}", str(program), shape, str(REQUESTS)]
    run = subprocess.run(command, capture_output=True, text=True)
    reads = re.search(r"shared data reads (\d+)", run.stdout)
    if run.returncode or not reads:
        sys.exit(f"counting `{shape}` failed:\n{run.stdout}{run.stderr}")
    total = re.search(r"^(?:totals|summary): (\d+)", output.read_text(), re.MULTILINE)
    if not total or not int(total[1]):
        sys.exit(f"callgrind counted nothing for `{shape}`: is the function still named {COUNTED}?")
    return round(int(total[1]) / REQUESTS), int(reads[1])


def annotate(output: Path, folder: Path, shape: str):
    """Writes the functions by their own instructions, and by those of the functions that they call as well."""
    for kind, inclusive in (("own", "no"), ("inclusive", "yes")):
        command = ["callgrind_annotate", f"--inclusive={inclusive}", "--auto=no", "--threshold=99", str(output)]
        text = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
        (folder / f"{shape}.{kind}.txt").write_text(text)


def read_kept() -> dict[str, tuple[int, int]]:
    if not COUNTS.exists():
        return {}
    rows = csv.reader(io.StringIO(COUNTS.read_text()), delimiter="\t")
    next(rows)
    return {shape: (int(instructions), int(reads)) for shape, instructions, reads in rows}


def write(counts: dict[str, tuple[int, int]]):
    rows = [HEAD, *((shape, *map(str, values)) for shape, values in counts.items())]
    COUNTS.write_text("".join("\t".join(row) + "\n" for row in rows))


def compare(counts: dict[str, tuple[int, int]], kept: dict[str, tuple[int, int]]) -> list[str]:
    """Returns what is wrong: counts that have grown, and counts that have shrunk and were not kept."""
    problems = []
    for shape, (instructions, reads) in counts.items():
        if shape not in kept:
            problems.append(f"{shape}: no count is kept")
            continue
        before, reads_before = kept[shape]
        if instructions > before * (1 + TOLERANCE):
            problems.append(f"{shape}: {instructions} instructions are more than {before} by over {TOLERANCE:.0%}")
        elif instructions < before * (1 - TOLERANCE):
            problems.append(f"{shape}: {instructions} instructions are fewer than {before} by over {TOLERANCE:.0%}")
        if reads != reads_before:
            problems.append(f"{shape}: shared data is read {reads} times, not {reads_before}")
    problems.extend(f"{shape}: there is no such shape" for shape in kept.keys() - counts.keys())
    return problems


def main():
    options = arguments()
    program = options.program or build()
    counts = {}
    kept = read_kept()
    with tempfile.TemporaryDirectory(prefix="jetway-instructions-") as folder:
        for shape in SHAPES:
            output = Path(folder) / shape
            counts[shape] = count(program, shape, output)
            if options.profile:
                options.profile.mkdir(parents=True, exist_ok=True)
                annotate(output, options.profile, shape)
            before = kept.get(shape, (0, 0))[0]
            change = f" ({counts[shape][0] / before - 1:+.1%})" if before else ""
            print(f"{shape:20}{counts[shape][0]:8} instructions{change}, {counts[shape][1]} reads of shared data")
    if options.profile:
        print(f"the profiles are in {options.profile}")
    elif options.write:
        write(counts)
    elif problems := compare(counts, kept):
        problems.append("if that is intended, keep the new counts by `make instructions WRITE=1`")
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
