"""The local B2 as a process: its credentials, faults and the journal of the calls it got."""

from __future__ import annotations

import io
import json
import sys
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from b2emulator.admin import Admin
from support.processes import Process
from support.waiting import eventually


class LocalB2:
    """One `python -m b2emulator`. `admin` speaks to its control API."""

    def __init__(self, folder: Path, *options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self._stderr = folder / "emulator.log"
        self.process = Process(
            [sys.executable, "-m", "b2emulator", "--port", "0", *options], log=self._stderr
        )
        self.ready: dict[str, Any] = eventually(self._announced, what=self.process.output)
        self.realm = str(self.ready["realm"])

    @property
    def account(self) -> dict[str, str]:
        """What stands in a secrets file."""
        return {name: self.ready[name] for name in ("key_id", "application_key", "realm")}

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Call the control API; the answer, read from JSON."""
        request = urllib.request.Request(
            f"{self.ready['admin']}/{path.lstrip('/')}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    @property
    def faults(self) -> Admin:
        """Puts faults in force, counts calls: see `b2emulator.admin`."""
        return Admin(self.realm)

    def close(self) -> None:
        if self.process.status is None:
            self.process.stop()

    def _announced(self) -> dict[str, Any] | None:
        assert self.process.status is None, self.process.output()
        for line in self.process.output().splitlines():
            if line.startswith("{") and '"admin"' in line:
                found: dict[str, Any] = json.loads(line)
                return found
        return None


class BucketView:
    """A bucket as B2 has it, seen with the unmodified SDK and not with our code."""

    def __init__(self, b2: LocalB2, name: str) -> None:
        from b2sdk.v3 import B2Api, InMemoryAccountInfo

        api = B2Api(InMemoryAccountInfo())
        api.authorize_account(b2.account["key_id"], b2.account["application_key"], b2.realm)
        self.name = name
        self._bucket = api.create_bucket(name, "allPrivate")

    def versions(self) -> dict[str, int]:
        """How many versions each name has."""
        found = self._bucket.ls(latest_only=False, recursive=True)
        return dict(
            Counter(version.file_name for version, _ in found if version.action == "upload")
        )

    def unfinished(self) -> list[str]:
        return [file.file_name for file in self._bucket.list_unfinished_large_files()]

    def content(self, name: str) -> bytes:
        into = io.BytesIO()
        self._bucket.download_file_by_name(name).save(into)
        return into.getvalue()

    def put(self, name: str, content: bytes) -> str:
        """Upload with the SDK; the file id."""
        return str(self._bucket.upload_bytes(content, name).id_)
