"""Both sides of a sync in tests: a folder and a bucket as plain dicts, and the calls made."""

from __future__ import annotations

import hashlib
import os
import uuid
from collections import Counter
from pathlib import Path
from typing import Any

from b2sdk.v3 import B2Api, Bucket, InMemoryAccountInfo

from support.emulator import LocalB2
from support.installation import Installation

HOUR_MILLIS = 3_600_000
LONG_AGO = 1_700_000_000_000


class Pair:
    """One bucket and one folder of an installation, looked at from outside with b2sdk."""

    def __init__(self, installation: Installation, local_b2: LocalB2) -> None:
        self.installation = installation
        self.local_b2 = local_b2
        account = local_b2.account
        self.api = B2Api(InMemoryAccountInfo())
        self.api.authorize_account(
            application_key_id=account["key_id"],
            application_key=account["application_key"],
            realm=account["realm"],
        )
        self.name = f"sync-{uuid.uuid4().hex[:12]}"
        self.bucket: Bucket = self.api.create_bucket(self.name, "allPrivate")
        self.folder = installation.data / self.name
        self.folder.mkdir()
        self.local = f"data://.my/{self.name}/"
        self.remote = f"b2://{self.name}/"

    def write(self, name: str, content: bytes | str = b"x", millis: int = LONG_AGO) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        os.utime(path, ns=(millis * 1_000_000, millis * 1_000_000))
        return path

    def put(self, name: str, content: bytes = b"x", millis: int | None = LONG_AGO) -> str:
        info = {} if millis is None else {"src_last_modified_millis": str(millis)}
        return str(self.bucket.upload_bytes(content, name, file_info=info).id_)

    def up(self, **options: Any) -> Any:
        return self.run(self.local, self.remote, **options)

    def down(self, **options: Any) -> Any:
        return self.run(self.remote, self.local, **options)

    def run(self, source: str, destination: str, **options: Any) -> Any:
        return self.installation.client.sync(source, destination, **options).wait(40)

    def there(self) -> dict[str, bytes]:
        """The visible files of the bucket."""
        return {
            version.file_name: self.read(version.id_)
            for version, _ in self.bucket.ls(recursive=True, latest_only=True)
        }

    def read(self, file_id: str) -> bytes:
        from io import BytesIO

        into = BytesIO()
        self.api.download_file_by_id(file_id).save(into)
        return into.getvalue()

    def versions(self) -> dict[str, list[str]]:
        """The actions of all versions, the newest first."""
        found: dict[str, list[str]] = {}
        for version, _ in self.bucket.ls(recursive=True, latest_only=False):
            found.setdefault(version.file_name, []).append(version.action)
        return found

    def here(self) -> dict[str, bytes]:
        """The files of the folder."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in self.folder.rglob("*")
            if path.is_file()
        }

    def millis(self, name: str) -> int:
        return (self.folder / name).stat().st_mtime_ns // 1_000_000

    def sha1(self, name: str) -> str:
        return hashlib.sha1((self.folder / name).read_bytes()).hexdigest()

    def calls(self) -> Counter[str]:
        """The calls B2 has got since `forget_calls`, by name. Meant for a B2 of the test's own."""
        entries = self.local_b2.admin("GET", "journal?after=0")["entries"]
        return Counter(entry["call"].removeprefix("b2_") for entry in entries)

    def forget_calls(self) -> None:
        self.local_b2.admin("POST", "journal/clear")
