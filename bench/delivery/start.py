"""How long a worker takes to be ready and to be gone, and the CPU of it; imports and --help.

python -m bench.delivery.start --rounds 5
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "tests"))

from bench.measures import cpu_seconds

from support.installation import Installation
from support.processes import children
from support.redis_server import RedisServer
from support.waiting import eventually

COMMANDS = {
    "python_alone": [sys.executable, "-c", "pass"],
    "import_b2jobs": [sys.executable, "-c", "import b2jobs"],
    "import_and_client": [sys.executable, "-c", "import b2jobs; b2jobs.Client()"],
    "help": [str(Path(sys.executable).parent / "b2jobs"), "--help"],
    "upload_help": [str(Path(sys.executable).parent / "b2jobs"), "upload", "--help"],
}


def of_command(command: list[str]) -> tuple[float, float]:
    """Seconds and CPU seconds of one run."""
    began, before = time.monotonic(), os.times()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    after = os.times()
    return time.monotonic() - began, sum(after[2:4]) - sum(before[2:4])


def of_worker(installation: Installation, name: str) -> dict[str, float]:
    """One start and stop of `b2jobs worker` as it comes, with nothing to do."""
    records = installation.client.records
    began = time.monotonic()
    worker = installation.start(
        str(Path(sys.executable).parent / "b2jobs"), "worker", name=name, B2JOBS_PROCESSES="2"
    )
    eventually(lambda: worker.output().count(" ready.") == 3, timeout=60, what=worker.output)
    ready = time.monotonic() - began
    everyone = [worker.pid, *children(worker.pid)]
    used = sum(cpu_seconds(pid) for pid in everyone)
    eventually(lambda: len(records.workers(within_seconds=5)) == 3)
    time.sleep(1.0)  # idle, as one is that waits for work
    memory = sum(private_bytes(pid) for pid in everyone)
    began = time.monotonic()
    worker.stop()
    return {
        "ready": ready,
        "ready_cpu": used,
        "gone": time.monotonic() - began,
        "mib": memory / 2**20,
    }


def private_bytes(pid: int) -> int:
    """Memory of a process, its part of what it shares with others (PSS)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024


def told(values: list[float]) -> dict[str, float]:
    return {
        "median": round(statistics.median(values), 3),
        "least": round(min(values), 3),
        "most": round(max(values), 3),
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--rounds", type=int, default=5)
    given = options.parse_args()
    found: dict[str, list[float]] = {}

    def note(name: str, value: float) -> None:
        found.setdefault(name, []).append(value)

    with tempfile.TemporaryDirectory(prefix="b2jobs-start-") as folder:
        server = RedisServer(Path(folder) / "redis", appendonly=True)
        (Path(folder) / "i").mkdir()
        installation = Installation(Path(folder) / "i", server.url)
        installation.write_secrets({"key_id": "x", "application_key": "y"})
        try:
            for round_ in range(given.rounds):
                for name, command in COMMANDS.items():
                    seconds, cpu = of_command(command)
                    note(f"{name}_seconds", seconds)
                    note(f"{name}_cpu", cpu)
                for name, value in of_worker(installation, f"w{round_}").items():
                    note(f"worker_{name}", value)
        finally:
            installation.close()
            server.close()
    print(json.dumps({name: told(values) for name, values in found.items()}, indent=1))


if __name__ == "__main__":
    main()
