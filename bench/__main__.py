"""Speed, next to other tools: `make bench`, or `python -m bench [NAME...] [--quick]`.

Runs the programs of this folder one after the other, from Python's own environment, which has
the other tools too. All of them take about two hours on two cores; --quick takes a tenth of
the work and one round, to see that they run. What they print is what docs/benchmarks.md and
docs/decisions/ quote. Nothing else should run on the machine meanwhile.

At the end of each it says what became slower since the last run that was recorded, in ratios to a
peer of the same run (bench/recorded.json); --record makes this run that one. A --quick run is
compared with quick ones.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

from bench import recorded

PEERS = ["--peers", sys.prefix]

PROGRAMS: dict[str, tuple[list[str], list[str]]] = {
    # name: module with arguments, arguments of --quick
    "emulator": (["bench.emulator.speed"], ["--seconds", "1", "--size-mib", "64"]),
    "delivery": (["bench.delivery.speed"], ["--jobs", "500"]),
    "single": (["bench.delivery.single"], ["--jobs", "200", "--rounds", "1"]),
    "telling": (["bench.delivery.telling"], ["--rounds", "3", "--jobs", "50"]),
    "start": (["bench.delivery.start"], ["--rounds", "1"]),
    "layers": (["bench.engine.layers"], ["--files", "50", "--rounds", "1"]),
    "large": (["bench.engine.large"], ["--mib", "32", "--lines", "150:100", "--rounds", "1"]),
    "staged": (["bench.delivery.staged"], ["--rounds", "1", "--most-mib", "1"]),
    "soak": (["bench.delivery.soak"], ["--jobs", "1000", "--kills", "2"]),
    "engine": (["bench.engine.compare", *PEERS], ["--rounds", "1", "--scale", "0.1"]),
    "batch": (["bench.batch.compare", *PEERS], ["--rounds", "1", "--files", "200"]),
    "again": (["bench.batch.again"], ["--rounds", "1", "--files", "1000"]),
    "million": (["bench.batch.million", "--items", "1000000"], ["--items", "10000"]),
    "sync": (["bench.sync.speed"], ["--rounds", "1", "--files", "500"]),
}


def _run(command: list[str]) -> tuple[int, dict[str, float]]:
    """Run a program, show what it prints, and answer its status and ratios."""
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return process.returncode, recorded.told(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PROGRAMS)}")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--record", action="store_true", help="compare later runs with this one")
    given = parser.parse_args()
    unknown = set(given.names) - set(PROGRAMS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; known are {', '.join(PROGRAMS)}")
    failed = []
    for name in given.names or PROGRAMS:
        (module, *arguments), quick = PROGRAMS[name]
        print(f"== {name}", flush=True)
        words = [*arguments, *(quick if given.quick else [])]
        status, ratios = _run([sys.executable, "-m", module, *words])
        if status:
            failed.append(name)
            continue
        kept = f"{name}, quick" if given.quick else name
        for line in recorded.compared(recorded.read().get(kept, {}), ratios):
            print(line, flush=True)
        if given.record and ratios:
            recorded.record(kept, ratios)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
