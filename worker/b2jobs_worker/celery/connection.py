"""How Celery reaches our Redis: one reading of the URL for broker and result backend."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from b2jobs import redis_url
from b2jobs_worker.settings import Settings

UNACKED_SECONDS = 60
"""How long a message may lie between its taking and its acknowledging, which is at once."""


def connection_of(settings: Settings) -> tuple[str, dict[str, Any]]:
    """The URL of broker and result backend, and what of Celery's configuration belongs to it."""
    address = redis_url.read(settings.redis_url)
    options: dict[str, Any] = {
        "queue_order_strategy": "priority",
        "global_keyprefix": settings.key_prefix,
        # Names of our own: kombu gives back what lies in them too long, whoever took it, and
        # another application in this Redis may have its own idea of too long.
        "unacked_key": "b2jobs:unacked",
        "unacked_index_key": "b2jobs:unacked_index",
        "unacked_mutex_key": "b2jobs:unacked_mutex",
        "visibility_timeout": UNACKED_SECONDS,
        "socket_timeout": 10,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 25,
    }
    if address.service:
        options["master_name"] = address.service
        options["sentinel_kwargs"] = {
            "username": address.sentinel_username,
            "password": address.sentinel_password,
            "socket_timeout": 5,
            "socket_connect_timeout": 5,
            **({"ssl": True, **address.tls} if address.tls else {}),
        }
    return _kombu_url(address), {
        "broker_use_ssl": address.tls,
        "redis_backend_use_ssl": address.tls,
        "broker_transport_options": options,
        "result_backend_transport_options": options,
    }


def _kombu_url(address: redis_url.RedisUrl) -> str:
    """The URL in the spelling that kombu and Celery's result backend read alike."""
    user, password = (quote(text or "", safe="") for text in (address.username, address.password))
    login = f"{user}:{password}@" if user or password else ""
    if address.path:
        return f"redis+socket://{login}{quote(address.path)}?virtual_host={address.db}"
    scheme = "sentinel" if address.service else "rediss" if address.tls else "redis"
    return ";".join(
        f"{scheme}://{login}{f'[{host}]' if ':' in host else host}:{port}/{address.db}"
        for host, port in address.hosts
    )
