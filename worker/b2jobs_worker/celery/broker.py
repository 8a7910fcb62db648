"""How messages are taken: a doorbell leaves no copy in Redis while it is answered.

kombu keeps a copy of every message it takes until it is acknowledged, so that it can be
given out again. A doorbell needs none: when it is lost the keeper rings again. Without the
copy a job costs two round trips less, and a full Redis, which refuses to store it, does not
keep workers from the jobs whose end frees memory. Messages of other applications keep their
copy until they have a record; a full Redis takes it all the same, since the message was just
removed from its queue.

A message whose envelope is not what kombu's own producers write is tidied before kombu reads
it; one that breaks its reader all the same is refused and dropped, and the worker goes on.

This replaces the channels of kombu's Redis transports in this process;
`tests/contract/test_broker.py` fails when kombu changes what it relies on.
"""

from __future__ import annotations

import bz2
import json
import logging
import lzma
import socket
import ssl
import threading
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from queue import Empty
from time import time
from typing import Any, cast

from kombu import compression
from kombu.transport import redis, virtual
from kombu.utils.encoding import bytes_to_str
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import DataError, OutOfMemoryError, RedisError

from b2jobs.errors import QueueUnavailable
from b2jobs.redis import Door
from b2jobs_worker.celery.message import MOST_MESSAGE_BYTES, check_size, is_doorbell

# What is no message's fault: Redis is away or refuses. Celery connects again. (kombu's own list
# has KeyError in it, which a message can cause.)
_PASSING = (RedisError, OSError, Empty)

logger = logging.getLogger(__name__)

# kombu's types are partial: what is used of it is named here once, as untyped.
_Copying: Any = redis.QoS
_Plain: Any = virtual.QoS


class DoorbellQoS(_Copying):  # type: ignore[misc]  # see above
    """Acknowledges as kombu does, apart from doorbells, of which Redis holds no copy."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._doorbells: set[str] = set()

    def append(self, message: Any, delivery_tag: str) -> None:
        if is_doorbell(message):
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

    def restore_visible(self, *arguments: Any, **options: Any) -> None:
        """Give out again what nobody acknowledged. A full Redis refuses the lock for it: later."""
        try:
            super().restore_visible(*arguments, **options)
        except OutOfMemoryError as error:
            logger.warning("unacknowledged messages are not looked for: %s", error)

    def _keep_copy(self, message: Any, delivery_tag: str) -> None:
        where = message.delivery_info
        copy = json.dumps([message._raw, where["exchange"], where["routing_key"]])
        with self.channel.conn_or_acquire() as client:
            _door(self.channel, client).call(
                "celery/keep_copy",
                copy.encode(),
                index=self.unacked_index_key,
                copies=self.unacked_key,
                tag=delivery_tag,
                at=time(),
            )


def _door(channel: Any, client: Any) -> Door:
    # kombu's client puts the prefix before a script's first key by itself.
    return Door(client, channel.connection.client.as_uri())


_sending = threading.local()


@contextmanager
def sending(put: Callable[[str, bytes], None]) -> Iterator[None]:
    """Give each message that this thread sends to *put*, with its list in Redis behind the key
    prefix, instead of sending it."""
    before = getattr(_sending, "put", None)
    _sending.put = put
    try:
        yield
    finally:
        _sending.put = before


class _Guarded:
    """A channel on which no message, whatever is in it, raises into Celery's loop."""

    QoS = DoorbellQoS
    connection: Any
    qos: Any
    _fanout_queues: Any
    _expires: Any
    keyprefix_queue: str
    keyprefix_binding_permanent: str
    sep: str
    conn_or_acquire: Any
    _get_message_priority: Any
    _q_for_pri: Any
    _in_poll: Any
    client: Any
    refuse: Callable[[object, Exception], None]

    def basic_consume(self, queue: str, *arguments: Any, **options: Any) -> Any:
        tag = super().basic_consume(queue, *arguments, **options)  # type: ignore[misc]
        callbacks = self.connection._callbacks
        callbacks[queue] = self._guard(callbacks[queue], queue)
        return tag

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        """A worker that starts, or connects again, in a full Redis has its queues all the same."""
        try:
            super()._queue_bind(exchange, routing_key, pattern, queue)  # type: ignore[misc]
        except OutOfMemoryError:
            if queue in self._expires:  # one for broadcasts, which find it without a table
                return
            names = (self.keyprefix_queue, self.keyprefix_binding_permanent)
            member = self.sep.join([routing_key or "", pattern or "", queue or ""])
            with self.conn_or_acquire() as client:
                sets = [name % (exchange,) for name in names]
                _door(self, client).call("celery/bind", sets=sets, member=member)

    def _put(self, queue: str, message: Any, **options: Any) -> None:
        """Send a message; while `sending` lasts in this thread, do with it what that says."""
        put = getattr(_sending, "put", None)
        if put is None:
            super()._put(queue, message, **options)  # type: ignore[misc]
            return
        priority = self._get_message_priority(message, reverse=False)
        put(self._q_for_pri(queue, priority), json.dumps(message).encode())

    def _brpop_read(self, **options: Any) -> Any:
        try:
            return super()._brpop_read(**options)  # type: ignore[misc]
        except (ValueError, TypeError, RecursionError, MemoryError) as error:
            logger.error("dropped: what is not JSON in a queue (%.500r)", error)
            return True

    def close(self) -> None:
        """Close without waiting for a message any more.

        kombu waits for the answer of its last BRPOP, for up to a second, since a message may be
        in it.
        """
        if self._in_poll:
            try:
                self._end_waiting()
            except (RedisError, OSError, QueueUnavailable) as error:
                logger.warning("closing: whether a message was taken is not known: %s", error)
        super().close()  # type: ignore[misc]

    def _end_waiting(self) -> None:
        """Redis ends the wait of a connection whose sending end is closed, after it has sent what
        it took from a queue for it. Over TLS it might not send that: there we wait, as kombu does.

        Raises:
            RedisError, OSError, QueueUnavailable
        """
        waiting, self._in_poll = self._in_poll, None
        if not isinstance(waiting._sock, ssl.SSLSocket):
            waiting._sock.shutdown(socket.SHUT_WR)
        with suppress(RedisConnectionError):  # it was closed, with nothing before
            if taken := self.client.parse_response(waiting, "BRPOP"):
                with self.conn_or_acquire() as client:
                    where = bytes_to_str(taken[0])
                    _door(self, client).call("celery/give_back", taken[1], list=where)

    def _receive_one(self, client: Any) -> Any:
        try:
            return super()._receive_one(client)  # type: ignore[misc]
        except (RecursionError, MemoryError) as error:
            logger.error("dropped: a broadcast that is not JSON (%.500r)", error)
            raise Empty from error

    def _guard(self, deliver: Callable[[Any], Any], queue: str) -> Callable[[Any], None]:
        is_broadcast = queue in self._fanout_queues

        def take(raw: Any) -> None:
            try:
                check_size(raw)
                deliver(raw if is_broadcast else tidied(raw, queue))
            except DataError as error:
                self._drop(raw, error)
            except _PASSING:
                raise
            except Exception as error:
                logger.debug("a message broke its reader", exc_info=True)
                self._drop(raw, error)

        return take

    def _drop(self, raw: Any, error: Exception) -> None:
        self.refuse(raw, error)
        properties = raw.get("properties") if isinstance(raw, dict) else None
        tag = properties.get("delivery_tag") if isinstance(properties, dict) else None
        if isinstance(tag, str) and tag in self.qos._delivered:
            self.qos.ack(tag)


class _Channel(_Guarded, redis.Channel):  # type: ignore[misc]  # see above
    pass


class _SentinelChannel(_Guarded, redis.SentinelChannel):  # type: ignore[misc]  # see above
    pass


def tidied(raw: Any, queue: str) -> dict[str, Any]:
    """*raw* with an envelope of the types that kombu relies on, to be given back to *queue*.

    Raises:
        TypeError: it is no message at all.
    """
    headers, properties = raw.get("headers") or {}, raw.get("properties") or {}
    if not isinstance(headers, dict) or not isinstance(properties, dict):
        raise TypeError("headers and properties are no mappings")
    tag = properties.get("delivery_tag")
    if not isinstance(tag, str) or not tag.isprintable() or len(tag) > 512:
        tag = str(uuid.uuid4())
    priority = properties.get("priority")
    raw["headers"] = headers
    raw["properties"] = {
        "body_encoding": properties.get("body_encoding"),
        "priority": priority if isinstance(priority, int) else 0,
        "delivery_tag": tag,
        "delivery_info": {"exchange": "", "routing_key": queue},
    }
    return cast("dict[str, Any]", raw)


def _bound_compression() -> None:
    """Unpack no message into more than one may have: a few bytes of zeros would fill the memory.
    What has no limit of its own (brotli, zstd) is not unpacked."""
    bounded: dict[str, Callable[[bytes], bytes]] = {
        "application/x-gzip": lambda packed: _bounded(zlib.decompressobj(), packed),
        "application/x-bz2": lambda packed: _bounded(bz2.BZ2Decompressor(), packed),
        "application/x-lzma": lambda packed: _bounded(lzma.LZMADecompressor(), packed),
    }
    for name in compression.encoders():
        encoder, content_type = compression.get_encoder(name)
        compression.register(encoder, bounded.get(content_type, _not_unpacked), content_type)


def _bounded(unpacker: Any, packed: bytes) -> bytes:
    text: bytes = unpacker.decompress(packed, MOST_MESSAGE_BYTES + 1)
    if len(text) > MOST_MESSAGE_BYTES:
        raise ValueError(f"it has more than {MOST_MESSAGE_BYTES} bytes")
    return text


def _not_unpacked(packed: bytes) -> bytes:
    raise ValueError(f"its {len(packed)} bytes are compressed in a way that is not unpacked here")


def install(refuse: Callable[[object, Exception], None]) -> None:
    """Make every Redis transport of this process, Sentinel's too, take messages like this.

    *refuse* is told of each message that broke its reader, and why.
    """
    _bound_compression()
    _Guarded.refuse = staticmethod(refuse)
    redis.Transport.Channel = _Channel
    redis.SentinelTransport.Channel = _SentinelChannel
