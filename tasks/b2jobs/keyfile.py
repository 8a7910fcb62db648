"""The file of signing keys: who has which, two of each at most.

    {"workers": [{"id": "...", "secret": "..."}],
     "producers": {"shop": [{"id": "...", "secret": "..."}]}}

Workers have all of it. A producer has a file with its own keys alone. The first key of each signs,
all of them are believed: so a key is changed without a moment in which work is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from b2jobs.errors import InvalidJob

WORKERS = "workers"
"""Whose keys seal what workers write for workers; no producer bears this name."""
VALID_AT_A_TIME = 2
_LIMIT_BYTES = 1024 * 1024
_LEAST_SECRET_BYTES = 16
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\Z")


@dataclass(frozen=True)
class Key:
    """One key and whose it is."""

    id: str
    owner: str
    secret: bytes = field(repr=False)


def check_name(name: str) -> None:
    """Refuse what cannot be a producer's name.

    Raises:
        InvalidJob
    """
    if name == WORKERS or not _NAME.match(name):
        raise InvalidJob(
            f"{name[:80]!r} cannot be a producer's name.",
            code="keys_invalid",
            hint="Take up to 64 letters, digits and . _ -; 'workers' is taken.",
            field="producer",
        )


def new_key(owner: str) -> Key:
    """A key of 256 random bits."""
    return Key(f"{owner}-{secrets.token_hex(4)}", owner, secrets.token_bytes(32))


def read(path: Path) -> list[Key]:
    """All keys of the file: the workers' first, each owner's newest first.

    Raises:
        InvalidJob: `keys_missing`, `keys_exposed`, `keys_invalid`.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            _judge(path, os.fstat(descriptor))
            raw = file.read(_LIMIT_BYTES + 1)
    except OSError as error:
        raise _refused(
            f"The file of keys {path} cannot be read: {error.strerror}", code="keys_missing"
        ) from error
    if len(raw) > _LIMIT_BYTES:
        raise _refused(f"The file of keys {path} has more than {_LIMIT_BYTES} bytes")
    problem, found = _parsed(raw)
    if problem:
        raise _refused(f"The file of keys {path} cannot be used: {problem}")
    return found


def write(path: Path, keys: list[Key]) -> None:
    """Replace the file as a whole, mode 0600; on an error the old one is still there."""
    owned: dict[str, list[dict[str, str]]] = {}
    for key in keys:
        secret = base64.b64encode(key.secret).decode()
        owned.setdefault(key.owner, []).append({"id": key.id, "secret": secret})
    content: dict[str, Any] = {WORKERS: owned.pop(WORKERS)} if WORKERS in owned else {}
    content["producers"] = owned
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def _judge(path: Path, status: os.stat_result) -> None:
    user = os.geteuid()
    if not stat.S_ISREG(status.st_mode):
        raise _refused(f"The file of keys {path} is not a regular file")
    if status.st_uid not in (0, user):
        raise _refused(f"The file of keys {path} belongs to another user", code="keys_exposed")
    # Root may hand it to a worker through a group, as it does the secrets file.
    handed_over = user != 0 and status.st_uid == 0
    if status.st_mode & (stat.S_IRWXO | stat.S_IWGRP | (0 if handed_over else stat.S_IRGRP)):
        raise _refused(
            f"The file of keys {path} has mode {stat.S_IMODE(status.st_mode):04o}: others can "
            "read or change it",
            code="keys_exposed",
            hint="Run chmod 600 on it.",
        )


def _parsed(raw: bytes) -> tuple[str, list[Key]]:
    """What is wrong, and the keys; returned, so that no traceback has a frame with a secret."""
    try:
        content = json.loads(raw)
    except (ValueError, RecursionError):
        return "it is not JSON", []
    if not isinstance(content, Mapping) or not set(content) <= {WORKERS, "producers"}:
        return "it is no object of workers and producers", []
    producers = content.get("producers", {})
    if not isinstance(producers, Mapping):
        return "producers is no object", []
    found: list[Key] = []
    for owner, listed in [(WORKERS, content.get(WORKERS, [])), *producers.items()]:
        if owner in producers and (owner == WORKERS or not _NAME.match(owner)):
            return "a producer's name is refused", []
        if not isinstance(listed, list) or len(listed) > VALID_AT_A_TIME:
            return f"{owner} needs a list of at most {VALID_AT_A_TIME} keys", []
        for entry in listed:
            key = _key(owner, entry)
            if key is None:
                return f"a key of {owner} is not an id and a secret of 16 bytes or more", []
            found.append(key)
    if not found:
        return "it has no key", []
    if len({key.id for key in found}) != len(found):
        return "two keys have the same id", []
    return "", found


def _key(owner: str, entry: object) -> Key | None:
    if not isinstance(entry, Mapping) or set(entry) != {"id", "secret"}:
        return None
    if not isinstance(entry["id"], str) or not isinstance(entry["secret"], str):
        return None
    try:
        secret = base64.b64decode(entry["secret"], validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(secret) < _LEAST_SECRET_BYTES or not re.fullmatch(r"[A-Za-z0-9._-]{1,100}", entry["id"]):
        return None
    return Key(entry["id"], owner, secret)


def _refused(said: str, *, code: str = "keys_invalid", hint: str = "") -> InvalidJob:
    return InvalidJob(
        f"{said}.",
        code=code,
        hint=hint
        or "`b2jobs keys make` writes one; `b2jobs docs security` says how they are used.",
        field="keys_file",
    )
