"""The one door to Redis's scripts, and the one place where its refusals become ours."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from typing import Any

from redis import Redis
from redis.commands.core import Script
from redis.exceptions import (
    MasterDownError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from b2jobs.connection import turned_down

_INCLUDE = re.compile(r"^-- include (.+)\n", re.MULTILINE)
# redis-py takes the first word of these from their text.
_WITHOUT_THEIR_WORD = (OutOfMemoryError, ReadOnlyError, NoPermissionError, MasterDownError)
_REFUSALS = {
    *("OOM", "LOADING", "READONLY", "MASTERDOWN", "NOREPLICAS", "MISCONF", "BUSY"),
    *("NOAUTH", "WRONGPASS", "NOPERM", "DENIED"),
}


class Door:
    """Calls the scripts of this folder on one Redis, under one key prefix. Thread-safe."""

    def __init__(self, redis: Redis, url: str, root: str = "") -> None:
        self._redis = redis
        self._url = url
        self._root = root
        self._scripts: dict[str, Script] = {}

    def call(self, script: str, /, *raw: bytes, **arguments: object) -> Any:
        """Run `FOLDER/NAME.lua` with *arguments*, those that are None left out, and *raw* bytes.

        Whole numbers above 2**53 lose digits on the way: give them as text.

        Raises:
            QueueUnavailable: Redis did not confirm; the script may have run.
        """
        named = {name: value for name, value in arguments.items() if value is not None}
        given = json.dumps(named, ensure_ascii=False)
        if script not in self._scripts:
            self._scripts[script] = self._redis.register_script(script_text(script))
        with unavailable(self._url):
            return self._scripts[script](keys=[self._root], args=[given, *raw])


@cache
def script_text(name: str) -> str:
    """The script `FOLDER/NAME.lua` with what it includes."""
    text = (files("b2jobs.redis") / f"{name}.lua").read_text("utf-8")
    return _INCLUDE.sub(lambda found: script_text(found[1]), text)


@contextmanager
def unavailable(url: str) -> Iterator[None]:
    """Turn whatever keeps Redis from confirming into `QueueUnavailable`."""
    try:
        yield
    except (RedisError, OSError) as error:
        if isinstance(error, ResponseError) and not _is_refusal(error):
            raise
        raise turned_down(error, url) from error


def _is_refusal(error: ResponseError) -> bool:
    """Whether Redis turned a sound command down: full, loading, read-only, not permitted."""
    if isinstance(error, _WITHOUT_THEIR_WORD):
        return True
    words = re.findall(r"[A-Z]+", str(error))
    return not _REFUSALS.isdisjoint(words) or str(error).startswith("DB index is out of range")
