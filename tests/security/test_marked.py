"""A marked key, searched for in everything that a failing job of each kind leaves behind."""

from __future__ import annotations

import base64
import gzip
import json
import traceback
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from celery import Celery
from celery.signals import before_task_publish

import b2jobs
from b2jobs.cli.main import _run
from b2jobs.requests import KINDS, PUBLIC_KINDS
from b2jobs.signing import sign_message
from support.emulator import LocalB2
from support.installation import Installation
from support.processes import children
from support.waiting import eventually

STORE, WORD, QUERY = "marked-store-secret", base64.b64encode(b"m" * 32).decode(), "marked-query"
MISTYPED, PASSWORD = "K005markedMARKEDmarkedMARKEDmar", "marked-password"
NOWHERE = "b2://no-such-bucket-of-ours/x"
WEB = f"https://127.0.0.1:9/x?X-Signature={QUERY}"
GIVEN = {
    "source": NOWHERE, "destination": "b2://no-such-bucket-of-ours/y", "target": NOWHERE,
    "action": "create", "name": "no", "manifest": NOWHERE, "prefix": "b2://no-such-bucket-of-ours/",
}  # fmt: skip
BETTER: dict[str, dict[str, Any]] = {
    "upload": {"source": "data://.my/none", "destination": NOWHERE},
    "download": {"source": NOWHERE, "destination": "data://.my/y"},
    "batch": {"source": "data://.my/none/", "destination": "b2://no-such-bucket-of-ours/"},
    "bucket": {"action": "update", "name": "no-such-bucket-of-ours", "type": "public"},
}
OTHERS = [
    ("upload", {"source": WEB, "destination": NOWHERE}),
    ("upload", {"source": "s3://no-such/x", "destination": NOWHERE}),
    ("upload", {"source": "data:,x", "destination": NOWHERE, "on_done": "https://127.0.0.1:9/"}),
    ("check", {"account": "other"}),
    ("check", {"account": MISTYPED}),
    ("upload", {"source": f"https://user:{PASSWORD}@127.0.0.1/x", "destination": NOWHERE}),
    ("upload", {"source": "s3://x/y", "destination": NOWHERE, "account": MISTYPED}),
]


def asked() -> Iterator[tuple[str, dict[str, Any]]]:
    """A job of each public kind that cannot be done, with what that kind takes."""
    for kind in PUBLIC_KINDS:
        fields = KINDS[kind].model_fields
        guessed = {name: value for name, value in GIVEN.items() if name in fields}
        yield kind, BETTER.get(kind, guessed)
    for kind, arguments in OTHERS:
        yield kind, dict(arguments)


def marks(account: dict[str, str], keys: Path) -> dict[str, bytes]:
    """What must stand nowhere, in the forms in which it is used."""
    key, key_id = account["application_key"], account["key_id"]
    found = {"key": key, "store": STORE, "word": WORD, "query": QUERY, "password": PASSWORD}
    found["basic"] = base64.b64encode(f"{key_id}:{key}".encode()).decode()
    raw = {name: text.encode() for name, text in found.items()}
    raw["mistyped account"] = MISTYPED.encode()
    content = json.loads(keys.read_text())
    for number, each in enumerate([*content["workers"], *content["producers"]["shop"]]):
        raw[f"secret {number}"] = each["secret"].encode()
        raw[f"secret {number}, raw"] = base64.b64decode(each["secret"])
    return raw


def unpacked(raw: bytes) -> bytes:
    """*raw*, and behind it what it is when it is unpacked."""
    for unpack in (zlib.decompress, gzip.decompress):
        for start in (0, raw.find(b"\n") + 1):
            try:
                return raw + unpack(raw[start:])
            except (zlib.error, OSError, EOFError):
                continue
    return raw


def in_redis(installation: Installation) -> Iterator[tuple[str, bytes]]:
    """Every key of this Redis with its values, as bytes."""
    ask: Callable[..., Any] = installation.redis.execute_command
    read: dict[bytes, tuple[object, ...]] = {
        b"string": ("GET",), b"hash": ("HGETALL",), b"list": ("LRANGE", 0, -1),
        b"set": ("SMEMBERS",), b"zset": ("ZRANGE", 0, -1), b"stream": ("XRANGE", "-", "+"),
    }  # fmt: skip
    for key in ask("KEYS", f"{installation.key_prefix}*", NEVER_DECODE=True):
        command, *rest = read[ask("TYPE", key, NEVER_DECODE=True)]
        found = ask(command, key, *rest, NEVER_DECODE=True)
        yield repr(key), b"\n".join(map(unpacked, flat(found)))


def flat(found: Any) -> Iterator[bytes]:
    if isinstance(found, bytes):
        yield found
    elif isinstance(found, dict):
        for name, value in found.items():
            yield from (*flat(name), *flat(value))
    elif isinstance(found, list | tuple | set):
        for each in found:
            yield from flat(each)


def processes(pid: int) -> Iterator[bytes]:
    """What everybody on this machine can read of a process and those below it."""
    yield Path(f"/proc/{pid}/cmdline").read_bytes()
    for child in children(pid):
        yield from processes(child)


def test_no_key_is_in_what_failing_jobs_leave(
    make_installation: Callable[..., Installation],
    local_b2: LocalB2,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = {"access_key_id": "id", "secret_access_key": STORE, "endpoint": "http://127.0.0.1:9"}
    secrets = {**local_b2.account, "stores": {"s3://": store}}
    installation = make_installation(account={**secrets, "webhooks": {"*": f"whsec_{WORD}"}})
    shop = installation.require_signatures()
    worker = installation.start_celery(
        app="b2jobs_worker.celery.app", more=("-l", "DEBUG"), B2JOBS_LOG_LEVEL="debug",
        B2JOBS_REMOTE_CONTROL="true", B2JOBS_PRIVATE_HOSTS="127.0.0.1",
        B2JOBS_WEBHOOK_HOSTS='["*"]',
    )  # fmt: skip
    prefix = {"global_keyprefix": installation.key_prefix}
    app = Celery("shop", broker=installation.redis_url, backend=installation.redis_url)
    app.conf.update(
        broker_transport_options=prefix, result_backend_transport_options=prefix,
        task_routes=b2jobs.celery_routes,
    )  # fmt: skip
    for name, value in installation.env().items():
        if name.startswith("B2JOBS") and name != "B2JOBS_KEYS_FILE":
            monkeypatch.setenv(name, value)
    monkeypatch.setenv("B2JOBS_KEYS_FILE", str(shop))
    before_task_publish.connect(sign_message)
    try:
        sent = [
            app.send_task(f"b2jobs.{kind}", kwargs={**arguments, "retry": 0})
            for kind, arguments in asked()
        ]
    finally:
        before_task_publish.disconnect(sign_message)
    said: dict[str, bytes] = {}
    seen = set()
    for task in sent:
        handle = installation.client.job(task.id)
        eventually(lambda: task.ready() and handle.record().has_ended, timeout=90)  # noqa: B023
        try:
            task.get()
        except Exception as error:  # noqa: BLE001 - whatever it raises is looked at
            said[f"traceback {task.id}"] = "".join(traceback.format_exception(error)).encode()
        record = handle.record()
        seen.add((record.kind, record.state))
        for more in ([], ["--json"]):
            _run(["job", "show", task.id, *more])
    for command in (["events"], ["job", "list"], ["words", "list"]):
        _run(command)
    with pytest.raises(SystemExit):
        _run(["status"])
    inspect = app.control.inspect(timeout=2.0)
    for name in ("stats", "registered", "conf", "active", "reserved", "report"):
        said[f"inspect {name}"] = repr(getattr(inspect, name)()).encode()
    shown = capsys.readouterr()
    said |= {"command line": (shown.out + shown.err).encode(), "log": worker.output().encode()}
    said["processes"] = b"\n".join(processes(worker.pid))
    said |= dict(in_redis(installation))

    assert {kind for kind, state in seen if state == "failed"} >= set(PUBLIC_KINDS) - {"check"}
    assert b"DEBUG" in said["log"]
    assert len(said["inspect stats"]) > 100
    for place, text in said.items():
        for name, mark in marks(local_b2.account, installation.folder / "keys.json").items():
            # The URL of the source is in its job's request, which workers need; no person sees it.
            if name == "query" and ("b2jobs:job:" in place or "outcomes" in place):
                continue
            assert mark not in text, (name, place)
