"""Memory does not grow with the file: a third of a gigabyte through one process, up and down."""

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


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_large_file_stays_below_200_mib(tmp_path: Path) -> None:
    with (tmp_path / "zeros").open("wb") as file:
        file.truncate(SIZE)
    emulator = subprocess.Popen(
        [
            sys.executable, "-m", "b2emulator", "--memory", "--discard-bodies",
            "--bucket", "memory-bucket", "--secrets-file", str(tmp_path / "b2.json"),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )  # fmt: skip
    try:
        assert emulator.stdout is not None
        emulator.stdout.readline()
        done = subprocess.run(
            [sys.executable, "-c", SCRIPT, str(tmp_path)],
            stdout=subprocess.PIPE,
            text=True,
            check=True,
            timeout=110,
        )
    finally:
        emulator.send_signal(signal.SIGTERM)
        emulator.wait(10)
    found = json.loads(done.stdout)
    assert found["up"] == found["down"]
    assert found["size"] == SIZE
    assert found["peak_mib"] < LIMIT_MIB < SIZE >> 20
