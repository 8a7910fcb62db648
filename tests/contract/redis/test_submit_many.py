"""Many jobs in one step: each is what `submit` would have made of it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

import b2jobs
from b2jobs import records
from b2jobs.requests import Job
from support.scripts import Scripts

TARGET = "b2://some-bucket/"


@pytest.fixture
def client(scripts: Scripts, redis_url: str) -> b2jobs.Client:
    return b2jobs.Client(redis_url, key_prefix=scripts.prefix)


def uploads(count: int, **options: object) -> Iterator[Job]:
    return (b2jobs.Upload(source="data://.my/x", destination=f"{TARGET}{n}", **options)
            for n in range(count))  # fmt: skip


def test_each_is_as_one_that_was_submitted_alone(client: b2jobs.Client, scripts: Scripts) -> None:
    jobs = [
        b2jobs.Upload(source="data:,hello", destination=f"{TARGET}a", key="same", priority="high"),
        b2jobs.Check(account="archive", expires=60, on_done="app.told"),
        b2jobs.Upload(source="data:,other", destination=f"{TARGET}b", key="same"),
    ]
    alone = [client.submit(job.model_copy(update={"key": job.key and "alone"})) for job in jobs]
    together = client.submit_many(jobs)

    assert together[0].id == together[2].id != together[1].id
    for one, other in zip(alone, together, strict=True):
        before, after = (scripts.redis.hgetall(scripts.key(f"job:{j.id}")) for j in (one, other))
        assert set(before) == set(after)
        same = set(before) - {"id", "key", "created", "tell", "request", "expires", "staged"}
        assert {name: before[name] for name in same} == {name: after[name] for name in same}
        assert scripts.shelves(one.id) == scripts.shelves(other.id)
    assert [bell["headers"]["id"] for bell in scripts.bells("b2jobs.high")] == [
        alone[0].id,
        together[0].id,
    ]
    assert scripts.redis.hlen(scripts.key("staged")) == 2  # the bytes of the third are gone


def test_they_are_queued_in_their_order_a_hundred_a_step(
    client: b2jobs.Client, scripts: Scripts
) -> None:
    calls = scripts.redis.info("commandstats").get("cmdstat_evalsha", {"calls": 0})["calls"]
    handles = client.submit_many(uploads(250))
    after = scripts.redis.info("commandstats")["cmdstat_evalsha"]["calls"]
    assert [bell["headers"]["id"] for bell in scripts.bells()] == [each.id for each in handles]
    assert after - calls <= 100  # others use this Redis too; it would be 250
    assert [event.job for event in client.events()] == [each.id for each in handles]
    assert client.submit_many([]) == []


def test_a_refusal_says_how_many_are_queued(client: b2jobs.Client, scripts: Scripts) -> None:
    scripts.redis.hset(scripts.key("limits"), "queue:normal", 120)
    with pytest.raises(b2jobs.InvalidJob, match="wait already") as refused:
        client.submit_many(uploads(130))
    assert (refused.value.code, refused.value.queued) == ("limit_reached", 120)
    assert len(scripts.bells()) == 120

    again = [job.model_copy(update={"key": str(n)}) for n, job in enumerate(uploads(2))]
    scripts.redis.delete(scripts.key("limits"))
    assert client.submit_many(again)[0].id == client.submit_many(again)[0].id


def test_what_is_too_long_is_refused_before_its_step(
    client: b2jobs.Client, scripts: Scripts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MOST_REQUEST_BYTES", 2000)
    long = b2jobs.Upload(source="data://.my/x", destination=f"{TARGET}x", info={"a": "b" * 1500})
    handles = client.submit_many([long, long, long])  # which no one call could hold
    assert [bell["headers"]["id"] for bell in scripts.bells()] == [each.id for each in handles]
    monkeypatch.setattr(records, "MOST_REQUEST_BYTES", 1000)
    with pytest.raises(b2jobs.InvalidJob, match="bytes as JSON") as refused:
        client.submit_many([*uploads(3), long])
    assert refused.value.queued == 0
    assert len(scripts.bells()) == 3


def test_awaited_it_is_the_same(client: b2jobs.Client, scripts: Scripts) -> None:
    twin = b2jobs.AsyncClient(client=client)
    handles = asyncio.run(twin.submit_many(uploads(3)))
    assert [bell["headers"]["id"] for bell in scripts.bells()] == [each.id for each in handles]
