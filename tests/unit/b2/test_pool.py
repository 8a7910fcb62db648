"""Connections that nobody needs any more are closed, whether or not they are asked for again."""

from __future__ import annotations

import ssl

import pytest

from b2jobs_worker.b2 import pool as pools
from b2jobs_worker.b2.pool import ConnectionPool, Origin

HERE, THERE = Origin("https", "here", 443), Origin("https", "there", 443)


class Connection:
    is_closed = False

    def has_gone_stale(self) -> bool:
        return False

    def session(self) -> None: ...

    def close(self) -> None:
        self.is_closed = True


def test_what_was_idle_for_long_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixteen that a large file had opened stayed open, since the next request took the last."""
    now = [1000.0]
    monkeypatch.setattr(pools.time, "monotonic", lambda: now[0])
    pool = ConnectionPool(ssl.create_default_context(), connect_timeout_seconds=1)
    many, other = [Connection() for _ in range(16)], Connection()
    for each in many:
        pool.give(HERE, each)  # type: ignore[arg-type]  # as much of one as the pool uses
    pool.give(THERE, other)  # type: ignore[arg-type]
    for _ in range(60):
        now[0] += 1
        pool.give(HERE, pool.take(HERE))  # type: ignore[arg-type]
    assert [each.is_closed for each in many] == 15 * [True] + [False]
    assert other.is_closed
    assert pool._count == 1
