#!/usr/bin/env -S python3 -B
"""Instructions per signed-in request, counted by callgrind and compared with those that are kept.

`counts.tsv` has the instructions of the core as a native program. `module-counts.tsv` has those of the whole call of the module by
the bundled host: the module as wasmtime has compiled it, and the host's side of it, for the request and its response.

The counts do not depend on the load of the machine. They depend on the compiler (the kept ones are of Rust 1.95), and a
little on the processor: memory is copied and searched by the widest instructions that it has, on most machines AVX2.
"""

import argparse
import csv
import io
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COUNTS = Path(__file__).with_name("counts.tsv")
MODULE_COUNTS = Path(__file__).with_name("module-counts.tsv")
PACKAGE = "jetway-hot-path"
SHAPES = ("no-other-cookies", "4-kb-of-cookies", "40-headers", "identity")
#: The function whose calls are counted.
COUNTED = "jetway_hot_path::decide_repeatedly*"
#: The same for calls of the module.
COUNTED_MODULE = "jetway_hot_path::plugin::visit_repeatedly*"
REQUESTS = 200
#: By how much a count may differ, as a part of the kept one.
TOLERANCE = 0.03
HEAD = ("shape", "instructions per request", "shared data reads per request")
MODULE_HEAD = ("shape", "instructions per request")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="keep the counts of this run")
    parser.add_argument("--program", type=Path, help="a `jetway-hot-path` that is already built")
    parser.add_argument("--profile", type=Path, metavar="FOLDER", help="write a readable profile of each shape")
    return parser.parse_args()


def build() -> Path:
    # The build of `jetway` builds the module.
    command = ["cargo", "build", "--release", "--locked", "-p", PACKAGE, "-p", "jetway", "--message-format=json-render-diagnostics"]
    lines = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    for message in map(json.loads, lines):
        if message.get("executable") and message["target"]["name"] == PACKAGE:
            return Path(message["executable"])
    raise RuntimeError(f"cargo built no `{PACKAGE}`")


def module_file() -> Path:
    """Returns the module that the build of `jetway` contains."""
    if named := os.environ.get("JETWAY_FILTER_WASM"):
        return Path(named)
    target = ROOT / os.environ.get("CARGO_TARGET_DIR", "target")
    return target / "module/wasm32-wasip1/module/jetway_filter.wasm"


def run(command: list[str | Path]) -> str:
    """Runs the program under valgrind and returns what it printed."""
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"counting failed: {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout


def callgrind(function: str, output: Path) -> list[str]:
    # wasmtime writes code before it is run, which is not in a file.
    command = ["valgrind", "--tool=callgrind", "--smc-check=all-non-file", "--collect-atstart=no"]
    return [*command, f"--toggle-collect={function}", f"--callgrind-out-file={output}"]


def read_total(output: Path, function: str) -> int:
    """Returns the instructions per request that callgrind has counted."""
    total = re.search(r"^(?:totals|summary): (\d+)", output.read_text(), re.MULTILINE)
    if not total or not int(total[1]):
        sys.exit(f"callgrind counted nothing: is the function still named {function}?")
    return round(int(total[1]) / REQUESTS)


def count(program: Path, shape: str, output: Path) -> tuple[int, int]:
    """Returns the instructions and the reads of shared data per request, and leaves callgrind's output in a file."""
    printed = run([*callgrind(COUNTED, output), program, shape, str(REQUESTS)])
    reads = re.search(r"shared data reads (\d+)", printed)
    if not reads:
        sys.exit(f"the program has not printed its reads of shared data: {printed}")
    return read_total(output, COUNTED), int(reads[1])


def fill_cache(program: Path, cache: Path):
    """Compiles the module for the processor that valgrind simulates. Callgrind would need several times as long for that."""
    cache.mkdir(mode=0o700)
    command = ["valgrind", "--tool=none", "--smc-check=all-non-file", program, SHAPES[0], "1", module_file(), cache]
    run(command)


def count_module(program: Path, shape: str, output: Path, cache: Path) -> tuple[int]:
    """Returns the instructions per request of the module and the host, and leaves callgrind's output in a file."""
    run([*callgrind(COUNTED_MODULE, output), program, shape, str(REQUESTS), module_file(), cache])
    return (read_total(output, COUNTED_MODULE),)


def annotate(output: Path, folder: Path, shape: str):
    """Writes the functions by their own instructions, and by those of the functions that they call as well."""
    for kind, inclusive in (("own", "no"), ("inclusive", "yes")):
        command = ["callgrind_annotate", f"--inclusive={inclusive}", "--auto=no", "--threshold=99", str(output)]
        text = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout
        (folder / f"{shape}.{kind}.txt").write_text(text)


def read_kept(path: Path) -> dict[str, tuple[int, ...]]:
    if not path.exists():
        return {}
    rows = csv.reader(io.StringIO(path.read_text()), delimiter="\t")
    next(rows)
    return {shape: tuple(map(int, counts)) for shape, *counts in rows}


def write(path: Path, head: tuple[str, ...], counts: dict[str, tuple[int, ...]]):
    rows = [head, *((shape, *map(str, values)) for shape, values in counts.items())]
    path.write_text("".join("\t".join(row) + "\n" for row in rows))


def compare(name: str, counts: dict[str, tuple[int, ...]], kept: dict[str, tuple[int, ...]]) -> list[str]:
    """Returns what is wrong: counts that have grown, and counts that have shrunk and were not kept."""
    problems = []
    for shape, (instructions, *reads) in counts.items():
        if shape not in kept:
            problems.append(f"{name}, {shape}: no count is kept")
            continue
        before, *reads_before = kept[shape]
        if instructions > before * (1 + TOLERANCE):
            problems.append(f"{name}, {shape}: {instructions} instructions are more than {before} by over {TOLERANCE:.0%}")
        elif instructions < before * (1 - TOLERANCE):
            problems.append(f"{name}, {shape}: {instructions} instructions are fewer than {before} by over {TOLERANCE:.0%}")
        if reads != reads_before:
            problems.append(f"{name}, {shape}: shared data is read {reads} times, not {reads_before}")
    problems.extend(f"{name}, {shape}: there is no such shape" for shape in kept.keys() - counts.keys())
    return problems


def show(name: str, shape: str, counts: tuple[int, ...], kept: dict[str, tuple[int, ...]]):
    before = kept.get(shape, (0,))[0]
    change = f" ({counts[0] / before - 1:+.1%})" if before else ""
    print(f"{name:8}{shape:20}{counts[0]:8} instructions{change}", flush=True)


def main():
    options = arguments()
    program = options.program or build()
    core, module = {}, {}
    kept, kept_module = read_kept(COUNTS), read_kept(MODULE_COUNTS)
    if options.profile:
        options.profile.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="jetway-instructions-") as folder:
        output, cache = Path(folder) / "counted", Path(folder) / "cache"
        for shape in SHAPES:
            core[shape] = count(program, shape, output)
            show("core", shape, core[shape], kept)
            if options.profile:
                annotate(output, options.profile, shape)
        fill_cache(program, cache)
        for shape in SHAPES:
            module[shape] = count_module(program, shape, output, cache)
            show("module", shape, module[shape], kept_module)
            if options.profile:
                annotate(output, options.profile, f"module-{shape}")
    if options.profile:
        print(f"the profiles are in {options.profile}")
    elif options.write:
        write(COUNTS, HEAD, core)
        write(MODULE_COUNTS, MODULE_HEAD, module)
    elif problems := compare("core", core, kept) + compare("module", module, kept_module):
        problems.append("if that is intended, keep the new counts by `make instructions WRITE=1`")
        sys.exit("\n".join(problems))


if __name__ == "__main__":
    main()
