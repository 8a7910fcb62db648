"""What `celery/broker.py` relies on in kombu: where copies of taken messages are kept."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from celery import Celery
from kombu import Connection, Queue
from kombu.transport import redis as kombu_redis

from b2jobs_worker.celery import broker
from b2jobs_worker.celery.consumer import PromptDispatcher
from support.installation import Installation
from support.redis_server import RedisServer


@pytest.fixture
def connection(installation: Installation, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    for transport in (kombu_redis.Transport, kombu_redis.SentinelTransport):
        monkeypatch.setattr(transport, "Channel", transport.Channel)
    broker.install(lambda raw, error: None)
    options = {"global_keyprefix": installation.key_prefix, "unacked_key": "b2jobs:unacked"}
    options["unacked_index_key"] = "b2jobs:unacked_index"
    with Connection(installation.redis_url, transport_options=options) as made:
        yield made


def test_a_doorbell_leaves_no_copy(installation: Installation, connection: Connection) -> None:
    installation.client.upload("data:,x", "b2://some-bucket/x")

    message = connection.SimpleQueue("b2jobs").get(timeout=5)

    names = installation.keys()
    assert not [name for name in names if "unacked" in name]
    message.ack()
    assert message.acknowledged


def test_other_messages_keep_theirs_until_they_are_acknowledged(
    installation: Installation, connection: Connection
) -> None:
    queue = connection.SimpleQueue("b2jobs")
    queue.put({"some": "thing"})

    message = queue.get(timeout=5)

    key = f"{installation.key_prefix}b2jobs:unacked"
    [copy] = installation.redis.hvals(key)
    raw, exchange, routing_key = json.loads(copy)
    assert raw["properties"]["delivery_tag"] == message.delivery_tag
    assert (exchange, routing_key) == ("", "b2jobs")  # given back where it was taken from
    assert installation.redis.zcard(f"{installation.key_prefix}b2jobs:unacked_index") == 1
    message.ack()
    assert installation.redis.hlen(key) == 0


def test_a_message_that_is_not_acknowledged_is_given_back(
    installation: Installation, connection: Connection
) -> None:
    queue = connection.SimpleQueue("b2jobs")
    queue.put({"some": "thing"})
    message = queue.get(timeout=5)

    message.requeue()

    assert queue.get(timeout=5).payload == {"some": "thing"}


# A worker that was told to stop sat out its last BRPOP, up to a second, before it closed.
def test_closing_does_not_wait_for_a_message(connection: Connection) -> None:
    channel = waiting(connection)

    channel.close()  # an hour before Redis would end the wait

    assert channel.closed


def test_what_redis_took_for_a_channel_that_closes_is_given_back(
    installation: Installation, connection: Connection
) -> None:
    channel = waiting(connection)
    handle = installation.client.upload("data:,x", "b2://some-bucket/x")
    queue = f"{installation.key_prefix}b2jobs"
    assert installation.redis.llen(queue) == 0  # it is on its way
    installation.client.upload("data:,x", "b2://some-bucket/y")

    channel.close()

    first = installation.redis.lindex(queue, -1)
    assert json.loads(first)["headers"]["id"] == handle.id  # before what came later
    assert installation.redis.llen(queue) == 2


def test_closing_while_redis_is_away_is_closing(connection: Connection) -> None:
    channel = waiting(connection)
    channel.client.connection._sock.close()

    channel.close()

    assert channel.closed


def waiting(connection: Connection) -> Any:
    """A channel that has asked for a message of a consumer that was just cancelled."""
    connection.transport_options["polling_interval"] = 3600
    channel = connection.channel()
    consumer = connection.Consumer(Queue("b2jobs"), channel=channel)
    consumer.consume()
    channel.connection.cycle._register_BRPOP(channel)
    consumer.cancel()
    return channel


# It tried for ever: a worker whose Redis went away while it started could not be stopped.
def test_what_monitors_are_told_waits_for_no_redis(make_redis: Callable[..., RedisServer]) -> None:
    server = make_redis()
    app = Celery(broker=server.url, set_as_current=False)
    app.events.dispatcher_cls = PromptDispatcher
    with app.connection_for_write() as connection:
        dispatcher = app.events.Dispatcher(connection, buffer_while_offline=False)
        dispatcher.send("worker-online", retry=True)
        server.kill()
        with pytest.raises(connection.connection_errors):
            dispatcher.send("worker-heartbeat", retry=True)
