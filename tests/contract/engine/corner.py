"""One test's corner of the engine: a worker's context, folders, a fresh name prefix."""

from __future__ import annotations

import base64
import json
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from b2emulator.admin import Admin
from b2jobs.requests import kinds
from b2jobs_worker import transfer
from b2jobs_worker.attempt import DetachedAttempt
from b2jobs_worker.transfer.in_flight import InFlight

BUCKET = "engine-bucket"
PART_BYTES = 200_000
CUSTOMER_KEYS = {name: base64.b64encode(name.encode() * 32).decode() for name in "kw"}
"""In the secrets file, under one letter each."""


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


def call(bench: Bench, name: str, **fields: object) -> dict[str, Any]:
    """One of B2's calls, which b2jobs does not make."""
    secret = json.loads(bench.secrets.read_text())
    basic = base64.b64encode(f"{secret['key_id']}:{secret['application_key']}".encode()).decode()
    asked = urllib.request.Request(
        f"{bench.realm}/b2api/v3/b2_authorize_account", headers={"Authorization": f"Basic {basic}"}
    )
    with urllib.request.urlopen(asked) as answer:
        account = json.load(answer)
    request = urllib.request.Request(
        f"{bench.realm}/b2api/v3/{name}",
        json.dumps({"accountId": account["accountId"], **fields}).encode(),
        {"Authorization": account["authorizationToken"]},
    )
    with urllib.request.urlopen(request) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def key_with(bench: Bench, *capabilities: str) -> Bench:
    """The same corner with another key of the account, which may do *capabilities*."""
    made = call(bench, "b2_create_key", keyName="narrow", capabilities=list(capabilities))
    secrets = json.loads(bench.secrets.read_text())
    secrets |= {"key_id": made["applicationKeyId"], "application_key": made["applicationKey"]}
    narrow = bench.folder / "narrow.json"
    narrow.touch(mode=0o600)
    narrow.write_text(json.dumps(secrets))
    settings = bench.context.settings.model_copy(update={"secrets_file": narrow})
    return replace(bench, context=transfer.build_context(settings), secrets=narrow)


def most_at_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """The most parts or ranges that were moving at the same time, from now on."""
    seen = [0]
    before = InFlight.began

    def began(self: InFlight) -> float:
        at = before(self)
        seen[0] = max(seen[0], self._moving)
        return at

    monkeypatch.setattr(InFlight, "began", began)
    return lambda: seen[0]
