"""Speed, next to other tools: `make bench`, or `python -m bench [NAME...] [--quick]`.

Runs the programs of this folder one after the other, from Python's own environment, which has
the other tools too. All of them take about two hours on two cores; --quick takes a tenth of
the work and one round, to see that they run. What they print is what docs/benchmarks.md and
docs/decisions/ quote. Nothing else should run on the machine meanwhile.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

PEERS = ["--peers", sys.prefix]

PROGRAMS: dict[str, tuple[list[str], list[str]]] = {
    # name: module with arguments, arguments of --quick
    "emulator": (["bench.emulator.speed"], ["--seconds", "1", "--size-mib", "64"]),
    "delivery": (["bench.delivery.speed"], ["--jobs", "500"]),
    "single": (["bench.delivery.single"], ["--jobs", "200", "--rounds", "1"]),
    "telling": (["bench.delivery.telling"], ["--rounds", "3", "--jobs", "50"]),
    "staged": (["bench.delivery.staged"], ["--rounds", "1", "--most-mib", "1"]),
    "soak": (["bench.delivery.soak"], ["--jobs", "1000", "--kills", "2"]),
    "engine": (["bench.engine.compare", *PEERS], ["--rounds", "1", "--scale", "0.1"]),
    "batch": (["bench.batch.compare", *PEERS], ["--rounds", "1", "--files", "200"]),
    "again": (["bench.batch.again"], ["--rounds", "1", "--files", "1000"]),
    "million": (["bench.batch.million", "--items", "1000000"], ["--items", "10000"]),
    "sync": (["bench.sync.speed"], ["--rounds", "1", "--files", "500"]),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(PROGRAMS)}")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    unknown = set(given.names) - set(PROGRAMS)
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; known are {', '.join(PROGRAMS)}")
    failed = []
    for name in given.names or PROGRAMS:
        (module, *arguments), quick = PROGRAMS[name]
        print(f"== {name}", flush=True)
        words = [*arguments, *(quick if given.quick else [])]
        if subprocess.run([sys.executable, "-m", module, *words], check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
