"""Memory does not grow with the file, nor with failures: what was taken is given back."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

SIZE = 320 * 1024 * 1024
LIMIT_MIB = 200

SCRIPT = """
import json, sys
from pathlib import Path
from b2jobs.requests import kinds
from b2jobs_worker import transfer
from b2jobs_worker.settings import Root, Settings
from b2jobs_worker.attempt import DetachedAttempt
folder = Path(sys.argv[1])
settings = Settings(
    secrets_file=folder / "b2.json",
    roots={"here": Root(url=f"file://{folder}", access="read-write")},
)
context = transfer.build_context(settings, durable=False)
def run(kind, **arguments):
    return transfer.RUN[kind](kinds.build(kind, arguments), DetachedAttempt(kind), context)
up = run("upload", source="data://here/zeros", destination="b2://memory-bucket/zeros")
down = run("download", source="b2://memory-bucket/zeros", destination="data://here/back")
# Not ru_maxrss: that counts the process which started this one, too.
status = Path("/proc/self/status").read_text()
peak = int(status.partition("VmHWM:")[2].split()[0]) // 1024
print(json.dumps({"up": up.sha1, "down": down.sha1, "size": down.size, "peak_mib": peak}))
"""


AGAIN = """
import gc, json, sys, threading
from pathlib import Path
from b2emulator.admin import Admin
from b2jobs.errors import JobError
from b2jobs.requests import kinds
from b2jobs_worker import transfer
from b2jobs_worker.settings import Root, Settings
from b2jobs_worker.attempt import DetachedAttempt, Interrupted
gc.disable()  # nothing may wait for the collector
folder = Path(sys.argv[1])
settings = Settings(
    secrets_file=folder / "b2.json",
    roots={"here": Root(url=f"file://{folder}", access="read-write")},
    part_size_bytes=8 * 1024 * 1024,
)
context = transfer.build_context(settings, durable=False)
admin = Admin(json.loads((folder / "b2.json").read_text())["realm"])
UP = {"source": "data://here/zeros", "destination": "b2://memory-bucket/zeros"}
DOWN = {"source": "b2://memory-bucket/zeros", "destination": "data://here/back"}
FAULTS = {
    "refused": {"fault": "access_denied"},
    "reset": {"fault": "reset_request", "bytes": 1_000_000},
    "away": {"fault": "service_unavailable"},
}
def rss():
    return int(Path("/proc/self/status").read_text().partition("VmRSS:")[2].split()[0]) // 1024
def once(what):
    attempt = DetachedAttempt(what)
    begun = threading.Event()
    def interrupt(phase, done, total=None):
        if done > 5_000_000 and not begun.is_set():
            begun.set()
            attempt.interrupt(what, keep=what == "handed-back")
    if what in FAULTS:
        admin.fault(**FAULTS[what], calls="b2_upload_part", skip=1)
    else:
        attempt.progress = interrupt
    kind, arguments = ("download", DOWN) if what == "download" else ("upload", UP)
    try:
        transfer.RUN[kind](kinds.build(kind, arguments), attempt, context)
    except (JobError, Interrupted):
        return
    finally:
        admin.clear_faults()
    raise AssertionError(f"{what} did nothing")
for kind, arguments in (("upload", UP), ("download", DOWN)):
    transfer.RUN[kind](kinds.build(kind, arguments), DetachedAttempt("warm"), context)
before = rss()
after = {}
for what in (*FAULTS, "cancelled", "handed-back", "download"):
    for _ in range(3):
        once(what)
    after[what] = rss() - before
print(json.dumps(after))
"""


def run(script: str, folder: Path) -> str:
    """What *script* prints, next to a B2 of its own."""
    emulator = subprocess.Popen(
        [
            *(sys.executable, "-m", "b2emulator", "--memory", "--discard-bodies"),
            *("--recommended-part-size", "10000000"),
            "--bucket", "memory-bucket", "--secrets-file", str(folder / "b2.json"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    try:
        assert emulator.stdout is not None
        emulator.stdout.readline()
        done = subprocess.run(
            [sys.executable, "-c", script, str(folder)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=110,
        )
    finally:
        emulator.send_signal(signal.SIGTERM)
        emulator.wait(10)
    return done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_fails_gives_its_memory_back(tmp_path: Path) -> None:
    """40 uploads cancelled one after the other took a worker from 78 MB to 1,443 MB."""
    with (tmp_path / "zeros").open("wb") as file:
        file.truncate(24 * 1024 * 1024)
    grown = json.loads(run(AGAIN, tmp_path))
    assert max(grown.values()) < 50, grown


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_large_file_stays_below_200_mib(tmp_path: Path) -> None:
    with (tmp_path / "zeros").open("wb") as file:
        file.truncate(SIZE)
    found = json.loads(run(SCRIPT, tmp_path))
    assert found["up"] == found["down"]
    assert found["size"] == SIZE
    assert found["peak_mib"] < LIMIT_MIB < SIZE >> 20
