"""Azurite, Microsoft's own Azure storage server for tests, where node and npm are there."""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from azure.core.credentials import AzureNamedKeyCredential
from azure.storage.blob import BlobServiceClient

from support.processes import Process
from support.waiting import eventually, free_port

VERSION = "3.35.0"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""Of every Azurite, published with it."""
_CACHE = Path("~/.cache/b2jobs-tests/azurite").expanduser()
_INSTALL_SECONDS = 120


class Azurite:
    """Containers are made and filled through `client`."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.endpoint = f"http://127.0.0.1:{port}/{ACCOUNT}"
        self.client = BlobServiceClient(self.endpoint, AzureNamedKeyCredential(ACCOUNT, KEY))

    def credentials(self, **more: str) -> dict[str, str]:
        """Its entry in a secrets file."""
        return {"account_name": ACCOUNT, "account_key": KEY, "endpoint": self.endpoint, **more}


@contextmanager
def azurite(folder: Path) -> Iterator[Azurite]:
    """Run one for a while, empty, in memory; the test is skipped where it cannot be had."""
    program = _installed()
    port = free_port()
    options = ["--blobHost", "127.0.0.1", "--blobPort", str(port), "--inMemoryPersistence"]
    options += ["--skipApiVersionCheck", "--silent", "--disableTelemetry"]
    process = Process([*program, *options], log=folder / "azurite.log")

    def answers() -> bool:
        assert process.status is None, process.output()
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False
        return True

    try:
        eventually(answers, what=process.output, timeout=60)
        yield Azurite(port)
    finally:
        process.kill()


def _installed() -> list[str]:
    """What runs it. Installed once for each user, outside of the repository."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("Azurite needs node and npm, which are not installed")
    script = _CACHE / "node_modules/azurite/dist/src/blob/main.js"
    _CACHE.mkdir(parents=True, exist_ok=True)
    with (_CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not script.exists():
            command = [npm, "install", "--no-audit", "--no-fund", "--prefix", str(_CACHE)]
            try:
                subprocess.run(
                    [*command, f"azurite@{VERSION}"],
                    check=True,
                    capture_output=True,
                    timeout=_INSTALL_SECONDS,
                )
            except (subprocess.SubprocessError, OSError) as error:
                pytest.skip(f"npm did not install Azurite: {error}")
    return [node, str(script)]
