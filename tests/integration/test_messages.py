"""Nothing that lies in a queue may stop a worker: whatever is pushed at a real one, it goes on."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from celery import Celery
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import b2jobs
from support.fake import Fake
from support.installation import Installation
from support.processes import Process
from support.waiting import eventually

KWARGS = {"source": "data:,x", "destination": "b2://some-bucket/x"}
LISTS = ("b2jobs", "b2jobs\x06\x163", "b2jobs.high", "b2jobs.low", "celery")


class Target:
    """A worker that is shot at, and the application that waits for results."""

    def __init__(self, installation: Installation) -> None:
        self.fake = Fake(installation)
        self.installation = installation
        self.worker: Process = installation.start_celery(slots=2)
        prefix = {"global_keyprefix": installation.key_prefix}
        self.app = Celery(
            "foreign",
            broker=installation.redis_url,
            backend=installation.redis_url,
            set_as_current=False,
        )
        self.app.conf.update(
            broker_transport_options=prefix, result_backend_transport_options=prefix
        )

    def push(self, raw: bytes | str, into: str = "b2jobs") -> None:
        self.installation.redis.lpush(f"{self.installation.key_prefix}{into}", raw)

    def message(self, task_id: str, **changes: Any) -> dict[str, Any]:
        """What Celery sends, taken out of its queue again."""
        self.app.send_task("b2jobs.upload", kwargs=KWARGS, queue="aside", task_id=task_id)
        raw = self.installation.redis.rpop(f"{self.installation.key_prefix}aside")
        made: dict[str, Any] = json.loads(str(raw))
        return {**made, **changes}

    def goes_on(self) -> None:
        """The same process still runs jobs, and nothing of ours is left lying or going round."""
        assert self.fake.submit().wait(60).size == 3
        assert self.fake.submit(priority="low").wait(60).size == 3
        assert self.worker.status is None
        redis, prefix = self.installation.redis, self.installation.key_prefix
        ours = [key for key in LISTS if key != "celery"]
        eventually(lambda: not any(redis.llen(f"{prefix}{key}") for key in ours), timeout=20)
        copies = [f"{prefix}b2jobs:unacked", f"{prefix}b2jobs:unacked_index"]
        eventually(
            lambda: not redis.exists(*copies),
            timeout=20,
            what=lambda: str(redis.hgetall(copies[0])),
        )


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory, redis_url: str) -> Iterator[Target]:
    made = Target(Installation(tmp_path_factory.mktemp("target"), redis_url))
    made.goes_on()
    yield made
    log = (made.installation.folder / "w.log").read_text()
    made.installation.close()
    # It neither lost its connection over a message nor began anew.
    assert "Connection to broker lost" not in log
    assert log.count(" ready.") == 1


def failed(target: Target, task_id: str) -> b2jobs.Failure:
    """The failure under *task_id*, the same in the record and in Celery's result."""
    with pytest.raises(b2jobs.JobFailed) as caught:
        target.app.AsyncResult(task_id).get(timeout=30)
    record = target.installation.client.job(task_id).record()
    assert record.state == "failed"
    assert record.failure == caught.value.failure
    return caught.value.failure


def encoded(body: object) -> str:
    return base64.b64encode(json.dumps(body).encode()).decode()


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | st.text(max_size=8)
    | st.sampled_from(["b2jobs.upload", "\ud800", "\x00", '"', "%1", "9999-12-31T23:59:59-23:00"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
HEADERS = (
    *("lang", "task", "id", "shadow", "eta", "expires", "group", "retries", "timelimit", "rung"),
    *("root_id", "argsrepr", "origin", "stamps", "stamped_headers", "compression", "redelivered"),
)
PROPERTIES = (
    *("correlation_id", "reply_to", "delivery_mode", "delivery_info", "priority"),
    *("body_encoding", "delivery_tag"),
)
ENVELOPE = ("body", "content-type", "content-encoding", "headers", "properties")


@st.composite
def spoilt(draw: st.DrawFn) -> str:
    """A sound message with some of its fields taken away or of another type."""
    body = draw(
        st.just(encoded([[], KWARGS, {}]))
        | anything.map(encoded)
        | st.tuples(anything, anything, anything).map(encoded)
        | st.text(max_size=12)
    )
    made: dict[str, Any] = {
        "body": body,
        "content-type": "application/json",
        "content-encoding": "utf-8",
        "headers": {"task": "b2jobs.upload", "id": str(uuid.uuid4()), "lang": "py"},
        "properties": {
            "delivery_tag": str(uuid.uuid4()),
            "delivery_info": {"exchange": "", "routing_key": "b2jobs"},
            "body_encoding": "base64",
            "priority": 0,
        },
    }
    for part, names in ((made["headers"], HEADERS), (made["properties"], PROPERTIES)):
        for name in draw(st.lists(st.sampled_from(names), max_size=2)):
            part[name] = draw(anything)
        if draw(st.integers(0, 5)) == 0:
            part.pop(draw(st.sampled_from(names)), None)
    if draw(st.integers(0, 4)) == 0:
        made[draw(st.sampled_from(ENVELOPE))] = draw(anything)
    if draw(st.integers(0, 7)) == 0:
        made.pop(draw(st.sampled_from(ENVELOPE)))
    return json.dumps(made)


garbage = (
    st.binary(max_size=20)
    | anything.map(json.dumps).map(str.encode)
    | st.sampled_from([b"[" * 5_000, b'{"headers":' * 5_000, b"\xff\xfe", b"", b"{}"])
)


@settings(max_examples=15, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(LISTS), spoilt().map(str.encode) | garbage), min_size=40))
def test_a_worker_goes_on_whatever_lies_in_its_queues(
    target: Target, pushed: list[tuple[str, bytes]]
) -> None:
    for into, raw in pushed:
        target.push(raw, into)
    target.goes_on()


@pytest.mark.parametrize("rung", [True, False])
@pytest.mark.parametrize("task", [[1], {"a": 1}, 7, None, True, "", "b2jobs.", "theirs.work"])
def test_a_task_that_is_no_name(target: Target, task: object, rung: bool) -> None:
    # A list in its place ended every process, one after the other: `unhashable type`.
    message = target.message(str(uuid.uuid4()))
    message["headers"]["task"] = task
    if rung:
        message["headers"]["rung"] = "1.0"
    target.push(json.dumps(message))
    target.goes_on()


@pytest.mark.parametrize(
    "task_id",
    ['a"b', "a\nb", "%1", "a b", "ä", "x" * 300, '"}', "a/../b", "@id@", "a\x00b", "-x", "a\\"],
)
def test_an_id_outside_of_the_grammar_is_refused_by_it(target: Target, task_id: str) -> None:
    # A quotation mark in an id ended worker processes again and again: Lua found it as a pattern.
    target.app.send_task("b2jobs.upload", kwargs=KWARGS, queue="b2jobs", task_id=task_id)
    assert failed(target, task_id).code == "job_id_refused"
    target.goes_on()


@pytest.mark.parametrize("task_id", ["order:17", "nightly.2026-01-01", "a@b", "x" * 200, "0"])
def test_other_ids_are_the_senders_own(target: Target, task_id: str) -> None:
    sent = target.app.send_task("b2jobs.upload", kwargs=KWARGS, queue="b2jobs", task_id=task_id)
    assert sent.get(timeout=30)["job"] == task_id


@pytest.mark.parametrize(
    "value",
    [datetime(2026, 1, 1, tzinfo=UTC), uuid.UUID(int=7), float("nan"), float("inf"), [1], None],
)
@pytest.mark.parametrize("name", ["source", "key", "retry", "typo"])
def test_arguments_that_can_never_succeed_end_the_job(
    target: Target, name: str, value: object
) -> None:
    # A datetime or a UUID could not be written down: the caller waited for ever.
    if name == "key" and value is None:
        pytest.skip("no key is a key")
    sent = target.app.send_task("b2jobs.upload", kwargs={**KWARGS, name: value}, queue="b2jobs")
    failure = failed(target, sent.id)
    assert failure.code in ("invalid_request", "invalid_location")
    assert name in failure.message


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"content-type": "application/x-python-serialize"}, "application/x-python-serialize"),
        ({"content-type": "application/x-yaml"}, "application/x-yaml"),
        ({"content-type": "text/plain"}, "text/plain"),
        ({"content-type": ["application/json"]}, "broken"),
        ({"body": base64.b64encode(b'{"half').decode()}, "broken"),
        ({"body": base64.b64encode(b"\xff\xfe").decode()}, "broken"),
        ({"body": "no base64"}, "read"),
        ({"body": base64.b64encode(b"[" * 100_000).decode()}, "broken"),
        ({"body": encoded([1, 2])}, "args, kwargs"),
        ({"body": encoded([[], [["source", "x"]], {}])}, "mapping"),
        ({"body": encoded([[], KWARGS, "links"])}, "embed"),
        ({"body": {"no": "text"}}, "read"),
        ({"body": None}, "read"),
        ({"properties": []}, None),
        ({"properties": ["x"]}, "mappings"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_a_body_that_cannot_be_read_ends_the_job(
    target: Target, changes: dict[str, Any], says: str | None
) -> None:
    task_id = str(uuid.uuid4())
    target.push(json.dumps(target.message(task_id, **changes)))
    failure = failed(target, task_id)
    assert failure.code == "message_unreadable"
    assert says is None or says in failure.message
    target.goes_on()


def test_pickle_and_broken_compression_end_the_job(target: Target) -> None:
    pickled, squeezed, sound = (str(uuid.uuid4()) for _ in range(3))
    send = target.app.send_task
    send("b2jobs.upload", kwargs=KWARGS, queue="b2jobs", task_id=pickled, serializer="pickle")
    message = target.message(squeezed)
    message["headers"]["compression"] = "application/x-gzip"
    target.push(json.dumps(message))
    send("b2jobs.upload", kwargs=KWARGS, queue="b2jobs", task_id=sound, compression="zlib")
    assert "JSON" in failed(target, pickled).hint
    assert failed(target, squeezed).code == "message_unreadable"
    assert target.app.AsyncResult(sound).get(timeout=30)["size"] == 3


def test_a_kind_that_is_not_known_ends_the_job(target: Target) -> None:
    sent = target.app.send_task("b2jobs.uplaod", kwargs=KWARGS, queue="b2jobs")
    assert failed(target, sent.id).code == "unknown_kind"


@pytest.mark.parametrize(
    ("header", "value"),
    [("eta", "9999-12-31T23:59:59-23:00"), ("eta", [1]), ("expires", {"a": 1}), ("eta", "2300")],
)
def test_a_time_that_is_none_ends_the_job(target: Target, header: str, value: object) -> None:
    task_id = str(uuid.uuid4())
    message = target.message(task_id)
    message["headers"][header] = value
    target.push(json.dumps(message))
    assert failed(target, task_id).code == "invalid_request"
    assert list(target.installation.client.records.listed("failed"))


def test_a_huge_message_is_refused_unread(target: Target) -> None:
    task_id = str(uuid.uuid4())
    body = encoded([[], {**KWARGS, "typo": "x" * 20_000_000}, {}])
    target.push(json.dumps(target.message(task_id, body=body)))
    assert failed(target, task_id).code == "message_too_long"
    request = target.installation.client.job(task_id).record().request
    assert request == {}
    target.goes_on()
