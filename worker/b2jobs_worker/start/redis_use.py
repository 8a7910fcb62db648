"""Whether this worker may use its Redis."""

from __future__ import annotations

from collections.abc import Iterator
from uuid import uuid4

from redis import Redis
from redis.exceptions import (
    AuthenticationError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from b2jobs.connection import connect, turned_down, within
from b2jobs.errors import InvalidJob
from b2jobs.redis_url import shown
from b2jobs_worker.delivery.startup import dangers
from b2jobs_worker.settings import Settings
from b2jobs_worker.start.finding import Finding, finding

PATIENCE_SECONDS = 2.0
OLDEST = (7, 0)

# What jobs are made of, on a key that nobody else has and that is gone at the end.
_PROBE = """
redis.call('TIME')
redis.call('HSET', KEYS[1], 'a', '1')
redis.call('HINCRBY', KEYS[1], 'a', 1)
redis.call('EXPIRE', KEYS[1], 10)
redis.call('DEL', KEYS[1])
redis.call('ZADD', KEYS[1], 1, 'a')
redis.call('DEL', KEYS[1])
redis.call('LPUSH', KEYS[1], 'a')
redis.call('RPOP', KEYS[1])
return 1
"""
_FOR_GOOD = (
    "NOAUTH",
    "WRONGPASS",
    "DENIED",
    "DB index is out of range",
    "CERTIFICATE_VERIFY_FAILED",
)


def redis_findings(settings: Settings) -> list[Finding]:
    """What keeps jobs from running in this Redis, asked within `PATIENCE_SECONDS`.

    One that is away, loading, full or a replica for now heals; one that wants another
    password, gives no rights, has no such database, is a cluster or too old does not.
    """
    redis = connect(settings.redis_url, settings.redis_timeout_seconds)
    try:
        with within(PATIENCE_SECONDS):
            redis.eval(_PROBE, 1, f"{settings.key_prefix}b2jobs:probe:{uuid4().hex}")
            return list(of_kind(redis, shown(settings.redis_url)))
    except ReadOnlyError:
        return [
            Finding(
                "redis_read_only",
                f"Redis at {shown(settings.redis_url)} is a replica and takes no jobs.",
                "Name the primary, or all by sentinel://HOST:PORT/SERVICE.",
            )
        ]
    except (RedisError, OSError) as error:
        return [_refusal(error, settings)]
    finally:
        redis.close()


def redis_dangers(settings: Settings) -> list[Finding]:
    """What could lose accepted jobs; processes log the same when they start."""
    redis = connect(settings.redis_url, settings.redis_timeout_seconds)
    try:
        with within(PATIENCE_SECONDS):
            found = redis.config_get("appendonly", "maxmemory-policy", "maxmemory")
    except (RedisError, OSError):
        return []  # not permitted, or away, which is said elsewhere
    finally:
        redis.close()
    return [
        Finding("redis_may_lose_jobs", said, "`b2jobs docs guarantees` says what each is worth.")
        for said in dangers(found)
    ]


def of_kind(redis: Redis, where: str) -> Iterator[Finding]:
    """What its version and its kind keep it from."""
    try:
        info = redis.info()
    except (NoPermissionError, ResponseError):  # users without @dangerous; nothing to complain of
        return
    version = str(info.get("redis_version", ""))
    numbers = tuple(int(part) for part in version.split(".")[:2] if part.isdecimal())
    if numbers and numbers < OLDEST:
        yield Finding(
            "redis_too_old",
            f"Redis at {where} is {version}; b2jobs needs 7.0 or later.",
            "Use Redis 7 or Valkey 7.2, or later.",
            heals=False,
        )
    if info.get("cluster_enabled"):
        yield _cluster(where)


def _refusal(error: Exception, settings: Settings) -> Finding:
    where = shown(settings.redis_url)
    text = str(error).rstrip(".")
    if isinstance(error, ClusterDownError | MovedError) or "cluster mode" in text:
        return _cluster(where)
    if isinstance(error, NoPermissionError) or "can't " in text:
        return Finding(
            "redis_refused",
            f"Redis at {where} does not let this user do what jobs need: {text}.",
            f"Give it +@all -@admin -@dangerous and the keys ~{settings.key_prefix}*.",
            heals=False,
        )
    if isinstance(error, AuthenticationError):
        return Finding(
            "redis_refused",
            f"Redis at {where} wants another user or password: {text}.",
            "Put them into the URL: redis://USER:PASSWORD@HOST:PORT/DB, percent-encoded.",
            heals=False,
        )
    said = turned_down(error, settings.redis_url)
    for_good = any(word in text for word in _FOR_GOOD)
    if isinstance(said, InvalidJob):
        return finding(said, heals=False)
    code = "redis_refused" if for_good else said.code
    return Finding(code, str(said), said.hint, heals=not for_good)


def _cluster(where: str) -> Finding:
    return Finding(
        "redis_is_cluster",
        f"Redis at {where} is a node of a cluster, which b2jobs cannot use.",
        "Use a single Redis, with replicas and Sentinel for failover.",
        heals=False,
    )
