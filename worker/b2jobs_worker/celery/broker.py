"""How messages are taken: a doorbell leaves no copy in Redis while it is answered.

kombu keeps a copy of every message it takes until it is acknowledged, so that it can be
given out again. A doorbell needs none: when it is lost the keeper rings again. Without the
copy a job costs two round trips less, and a full Redis, which refuses to store it, does not
keep workers from the jobs whose end frees memory. Messages of other applications keep their
copy until they have a record; a full Redis takes it all the same, since the message was just
removed from its queue.

This replaces the acknowledging part (`QoS`) of kombu's Redis channels in this process;
`tests/contract/test_broker.py` fails when kombu changes what it relies on.
"""

from __future__ import annotations

import json
from time import time
from typing import Any

from kombu.transport import redis, virtual

_KEEP_COPY = """#!lua flags=allow-oom
redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
redis.call('HSET', KEYS[2], ARGV[2], ARGV[3])
"""


# kombu's types are partial: what is used of it is named here once, as untyped.
_Copying: Any = redis.QoS
_Plain: Any = virtual.QoS


class DoorbellQoS(_Copying):  # type: ignore[misc]  # see above
    """Acknowledges as kombu does, apart from doorbells, of which Redis holds no copy."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._doorbells: set[str] = set()

    def append(self, message: Any, delivery_tag: str) -> None:
        if "rung" in (message.headers or {}):
            self._doorbells.add(delivery_tag)
        else:
            self._keep_copy(message, delivery_tag)
        _Plain.append(self, message, delivery_tag)

    def ack(self, delivery_tag: str) -> None:
        if delivery_tag in self._doorbells:
            self._doorbells.discard(delivery_tag)
            _Plain.ack(self, delivery_tag)
        else:
            super().ack(delivery_tag)

    def _keep_copy(self, message: Any, delivery_tag: str) -> None:
        where = message.delivery_info
        copy = json.dumps([message._raw, where["exchange"], where["routing_key"]])
        prefix = self.channel.global_keyprefix
        with self.channel.conn_or_acquire() as client:
            client.eval(
                _KEEP_COPY,
                2,
                prefix + self.unacked_index_key,
                prefix + self.unacked_key,
                time(),
                delivery_tag,
                copy,
            )


def install() -> None:
    """Make every Redis channel of this process, Sentinel's too, acknowledge like this."""
    redis.Channel.QoS = DoorbellQoS
