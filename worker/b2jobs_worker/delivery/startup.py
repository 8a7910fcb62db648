"""What a worker says about its Redis before it takes the first job."""

from __future__ import annotations

import logging

from redis.exceptions import RedisError

from b2jobs.connection import connect, shown
from b2jobs_worker.settings import Settings

logger = logging.getLogger(__name__)


def warn_about_redis(settings: Settings) -> list[str]:
    """Log what could lose accepted jobs in this Redis; the warnings are returned too.

    A Redis that cannot be asked (down, or CONFIG is not permitted) is named as such: the
    worker starts all the same and waits for it.
    """
    try:
        config = connect(settings.redis_url, settings.redis_timeout_seconds).config_get(
            "appendonly", "maxmemory-policy", "maxmemory"
        )
    except (RedisError, OSError) as error:
        warnings = [f"Redis at {shown(settings.redis_url)} could not be asked: {error}"]
    else:
        warnings = dangers(config)
    for warning in warnings:
        logger.warning("%s", warning)
    return warnings


def dangers(config: dict[str | None, str | None]) -> list[str]:
    """What in Redis's configuration could lose accepted jobs."""
    found = []
    if config.get("appendonly") == "no":
        found.append(
            "Redis keeps no append-only file: jobs accepted since its last snapshot are lost "
            "when it restarts. Set `appendonly yes`."
        )
    policy = config.get("maxmemory-policy")
    if policy not in (None, "noeviction"):
        found.append(
            f"Redis may evict jobs when its memory is full (maxmemory-policy {policy}). "
            "Set `maxmemory-policy noeviction`."
        )
    return found
