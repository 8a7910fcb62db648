"""Scripts on the session's Redis, or on one that is full."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from support.redis_server import RedisServer
from support.scripts import Scripts


@pytest.fixture
def scripts(redis_url: str) -> Iterator[Scripts]:
    with Redis.from_url(redis_url, decode_responses=True) as redis:
        made = Scripts(redis, redis_url, f"t{uuid.uuid4().hex[:8]}:")
        yield made
        names = list(redis.scan_iter(match=f"{made.prefix}*", count=1000))
        if names:
            redis.unlink(*names)


@pytest.fixture
def own_scripts(make_redis: Callable[..., RedisServer]) -> Scripts:
    """On a Redis of the test's own."""
    server = make_redis(maxmemory_policy="noeviction")
    return Scripts(server.client(), server.url, "t:")
