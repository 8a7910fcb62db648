"""One test's corner of the engine: a worker's context, folders, a fresh name prefix."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from b2emulator.admin import Admin
from b2jobs.requests import kinds
from b2jobs_worker import transfer
from b2jobs_worker.attempt import DetachedAttempt

BUCKET = "engine-bucket"
PART_BYTES = 200_000


@dataclass
class Bench:
    """One test's corner: a worker's context, folders `in` and `out`, a fresh name prefix."""

    context: transfer.Context
    admin: Admin
    folder: Path
    realm: str
    prefix: str
    secrets: Path

    def attempt(self, job_id: str = "job-1", **options: Any) -> DetachedAttempt:
        return DetachedAttempt(f"{self.prefix}{job_id}", **options)

    def put(self, name: str, content: bytes) -> str:
        path = self.folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return f"data://in/{name}"

    def b2(self, name: str) -> str:
        return f"b2://{BUCKET}/{self.prefix}{name}"

    def run(self, kind: str, attempt: DetachedAttempt | None = None, /, **arguments: Any) -> Any:
        request = kinds.build(kind, arguments)
        return transfer.RUN[kind](request, attempt or self.attempt(), self.context)

    def out(self, name: str) -> Path:
        return self.folder / "out" / name

    def versions(self, name: str) -> list[Any]:
        """All versions, hide markers and unfinished files of one name, newest first."""
        client = self.context.client("default", DetachedAttempt())
        return list(client.versions_of(client.bucket(BUCKET), self.prefix + name))

    def with_settings(self, **changes: Any) -> Bench:
        settings = self.context.settings.model_copy(update=changes)
        return replace(self, context=replace(self.context, settings=settings))

    def another_worker(self) -> Bench:
        """The same installation, from another process's point of view."""
        return replace(self, context=transfer.build_context(self.context.settings))
