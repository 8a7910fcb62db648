"""An emulator as a process of its own, as users run it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from b2sdk.v3 import B2Api, Bucket, InMemoryAccountInfo

from b2emulator.admin import Admin
from support import processes
from support.warm import WarmProcess

PART_BYTES = 100_000
"""Minimum part size of the tests' emulators: large files need not be large."""


@dataclass
class Running:
    """A ready emulator and how to reach it."""

    process: subprocess.Popen[bytes] | WarmProcess
    ready: dict[str, Any]

    @property
    def realm(self) -> str:
        return str(self.ready["realm"])

    @property
    def admin(self) -> Admin:
        return Admin(self.realm)

    def api(self, key_id: str | None = None, application_key: str | None = None) -> B2Api:
        """An authorised b2sdk, unmodified."""
        api = B2Api(InMemoryAccountInfo())
        api.authorize_account(
            key_id or self.ready["key_id"],
            application_key or self.ready["application_key"],
            self.realm,
        )
        return api

    def bucket(self, name: str, **settings: Any) -> Bucket:
        return self.api().create_bucket(name, settings.pop("bucket_type", "allPrivate"), **settings)

    def kill(self) -> None:
        """kill -9."""
        self.process.kill()
        self.process.wait()

    def end(self) -> int:
        """SIGTERM; the exit code."""
        self.process.terminate()
        return self.process.wait(timeout=20)


def start(*options: str) -> Running:
    """Start one; returns when it is ready."""
    reading, writing = os.pipe()
    with os.fdopen(reading) as said, Path(os.devnull).open("r+b") as nothing:
        with os.fdopen(writing, "wb") as out:
            process = processes.start(
                (sys.executable, "-m", "b2emulator", *options), (nothing, out, nothing)
            )
        line = said.readline()
    assert line, f"the emulator did not start: exit {process.wait()}"
    return Running(process, json.loads(line))


@contextmanager
def emulator(*options: str) -> Iterator[Running]:
    """One emulator for a block."""
    running = start(*options)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.end()


def files_of(folder: Path) -> list[Path]:
    """The body files an emulator keeps in its data folder."""
    return sorted(path for path in (folder / "bodies").glob("??/*"))
