"""Real workers that require signatures, and an attacker who writes in Redis and has no key."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from celery import Celery, chain, chord, group
from celery.signals import before_task_publish

import b2jobs
from b2jobs.items import Item
from b2jobs.ledger import packed_rows
from b2jobs.schedule import define
from b2jobs.schedules import Schedules
from b2jobs.signing import sign_message
from b2jobs.words import Words
from b2jobs_worker.celery.canvas import tasks_of
from support.emulator import BucketView, LocalB2
from support.installation import Installation
from support.waiting import eventually

POLICY = """
[policy.producers.shop]
kinds = ["upload", "download", "copy", "delete", "batch", "bucket", "share"]
accounts = ["default"]
read = ["data://.my/", "b2://seals-shop/"]
write = ["b2://seals-shop/", "data://.my/in/"]
on_done = ["shop.*", "https://shop.example.com/"]
max_bytes = 1000
max_items = 5
max_batch_bytes = 4000
max_waiting = 3
"""


class Fleet:
    """One worker with a policy for `shop`, whose bucket is `seals-shop`; `seals-other` is not."""

    def __init__(self, installation: Installation, b2: LocalB2) -> None:
        self.installation = installation
        self.attacker = installation.client
        self.keys = installation.require_signatures()
        installation.config.write_text(installation.config.read_text() + POLICY)
        self.shop = installation.client
        self.redis = installation.redis
        self.bucket, self.other = BucketView(b2, "seals-shop"), BucketView(b2, "seals-other")
        self.worker = self.start()

    def start(self) -> object:
        return self.installation.start_worker(B2JOBS_PROCESSES="1", B2JOBS_RESERVED_SLOTS="0")

    def key(self, name: str) -> str:
        return f"{self.installation.key_prefix}b2jobs:{name}"

    def code(self, job: b2jobs.Handle) -> str:
        """With which code the job fails, whoever asks."""
        eventually(lambda: self.attacker.job(job.id).record().has_ended, timeout=90)
        failure = self.attacker.job(job.id).record().failure
        assert failure is not None
        return failure.code


@pytest.fixture(scope="module")
def fleet(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, local_b2: LocalB2
) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    made = Fleet(Installation(folder, redis_url, account=local_b2.account), local_b2)
    (made.installation.data / "a").write_text("a")
    (made.installation.data / "large").write_text("x" * 1001)
    yield made
    made.installation.close()


def rows(*names: str, bucket: str = "seals-shop") -> list[dict[str, str]]:
    return [{"source": "data://.my/a", "destination": f"b2://{bucket}/{name}"} for name in names]


def test_a_signed_batch_is_done_and_read(fleet: Fleet) -> None:
    batch = fleet.shop.batch_items(rows("b/1", "b/2", "b/3"))

    assert batch.wait(120).outcomes == {"transferred": 3}
    assert len(list(batch.lines())) == 3
    # What is run again is read from the ledger: it is sealed.
    ledger = fleet.key(f"batch:{batch.id}:ledger")
    assert fleet.redis.execute_command("HGET", ledger, 0, NEVER_DECODE=True).startswith(b"!1 ")
    assert fleet.bucket.versions().keys() >= {"b/1", "b/2", "b/3"}


def test_items_that_somebody_else_feeds_are_not_planned(fleet: Fleet) -> None:
    def fed() -> Iterator[dict[str, str]]:
        yield from rows("f/1")
        job = eventually(lambda: [r for r in fleet.attacker.jobs(kind="batch") if not r.has_ended])
        forged = packed_rows([Item("upload", "data://.my/a", "b2://seals-shop/f/forged").packed()])
        for number in range(5):
            fleet.redis.hset(fleet.key(f"batch:{job[0].id}:feed"), str(number), forged)

    with pytest.raises(b2jobs.JobFailed) as caught:
        fleet.shop.batch_items(fed()).wait(120)

    assert caught.value.failure.code in ("seal_refused", "feed_broken")
    assert "f/forged" not in fleet.bucket.versions()


def test_forged_records_of_workers_are_not_done(fleet: Fleet) -> None:
    for kind, request in (
        ("pack", {"batch": "theirs", "number": 1}),
        ("remove", {"target": "data://.my/a", "identity": "1", "top": "data://.my/"}),
        ("bucket", {"action": "update", "name": "seals-shop", "type": "allPublic"}),
    ):
        job = f"forged-{kind}"
        record = {
            **{"id": job, "kind": kind, "priority": "normal", "key": "", "retry": "0"},
            **{"request": json.dumps(request), "state": "waiting", "created": "1"},
            **{"attempts": "0", "fence": "", "lost": "0", "expires": ""},
        }
        fleet.redis.hset(fleet.key(f"job:{job}"), mapping=record)
        fleet.redis.zadd(fleet.key("waiting"), {job: 0})
        assert fleet.code(fleet.attacker.job(job)) == "signature_missing"
    assert (fleet.installation.data / "a").read_text() == "a"


def test_schedules_run_for_who_signed_them_alone(fleet: Fleet) -> None:
    job = {"source": "data://.my/a", "destination": "b2://seals-shop/s/theirs"}
    forged = define("theirs", {"job": "upload", "arguments": job, "every": 1})
    Schedules(fleet.attacker.records).add(forged)
    ours = {**job, "destination": "b2://seals-shop/s/ours"}
    Schedules(fleet.shop.records).add(
        define("ours", {"job": "upload", "arguments": ours, "every": 1})
    )

    eventually(lambda: "s/ours" in fleet.bucket.versions(), timeout=90)

    Schedules(fleet.shop.records).remove("ours")
    Schedules(fleet.attacker.records).remove("theirs")
    assert "s/theirs" not in fleet.bucket.versions()
    assert "schedule theirs" in fleet.installation.workers[0].output()


@pytest.mark.parametrize(
    ("kind", "arguments", "rule"),
    [
        ("upload", {"source": "data://.my/a", "destination": "b2://seals-other/x"}, "write"),
        ("upload", {"source": "https://example.com/", "destination": "b2://seals-shop/x"}, "read"),
        ("copy", {"source": "b2://seals-other/x", "destination": "b2://seals-shop/x"}, "read"),
        ("download", {"source": "b2://seals-shop/x", "destination": "data://.my/x"}, "write"),
        ("delete", {"target": "b2://seals-other/", "versions": "all"}, "write"),
        ("bucket", {"action": "update", "name": "seals-other", "type": "allPublic"}, "write"),
        ("bucket", {"action": "list"}, "read"),
        ("check", {}, "kinds"),
        ("sync", {"source": "data://.my/", "destination": "b2://seals-shop/"}, "kinds"),
        (
            "upload",
            {"source": "data://.my/a", "destination": "b2://seals-shop/x", "account": "theirs"},
            "accounts",
        ),
        (
            "upload",
            {"source": "data://.my/a", "destination": "b2://seals-shop/x", "on_done": "os.system"},
            "on_done",
        ),
        (
            "batch",
            {"source": "data://.my/", "destination": "b2://seals-other/", "ledger": None},
            "write",
        ),
    ],
)
def test_what_the_policy_does_not_allow_is_refused_with_the_rules_name(
    fleet: Fleet, kind: str, arguments: dict[str, object], rule: str
) -> None:
    given = {name: value for name, value in arguments.items() if value is not None}

    with pytest.raises(b2jobs.JobFailed) as caught:
        fleet.shop.ask(kind, **given).wait(90)

    assert caught.value.failure.code == "policy_refused"
    assert f"policy.producers.shop.{rule}" in caught.value.failure.message
    assert "x" not in fleet.other.versions()


def test_versions_are_looked_up_before_the_act(fleet: Fleet) -> None:
    file_id = fleet.other.put("kept", b"kept")

    for kind, arguments in (
        ("delete", {"target": f"b2id://{file_id}"}),
        ("delete", {"target": "b2://seals-shop/kept", "versions": file_id}),
        ("copy", {"source": f"b2id://{file_id}", "destination": "b2://seals-shop/stolen"}),
        ("download", {"source": f"b2id://{file_id}", "destination": "data://.my/in/stolen"}),
    ):
        with pytest.raises(b2jobs.JobFailed) as caught:
            fleet.shop.ask(kind, **arguments).wait(90)
        assert caught.value.failure.code == "policy_refused", kind

    item = {"source": f"b2id://{file_id}", "destination": "b2://seals-shop/stolen"}
    with pytest.raises(b2jobs.JobFailed):
        (batch := fleet.shop.batch_items([item])).wait(120)
    assert batch.status().codes == {"policy_refused": 1}

    assert fleet.other.versions() == {"kept": 1}
    assert "stolen" not in fleet.bucket.versions()


def test_items_of_a_batch_are_each_held_to_the_policy(fleet: Fleet) -> None:
    items = [*rows("i/1"), *rows("i/2", bucket="seals-other")]

    with pytest.raises(b2jobs.JobFailed):
        (batch := fleet.shop.batch_items(items)).wait(120)

    assert batch.status().codes == {"policy_refused": 1}
    assert "i/1" in fleet.bucket.versions()
    assert "i/2" not in fleet.other.versions()


def test_limits_of_files_batches_and_waiting_jobs(fleet: Fleet) -> None:
    with pytest.raises(b2jobs.JobFailed) as caught:
        fleet.shop.upload("data://.my/large", "b2://seals-shop/large").wait(90)
    assert caught.value.failure.code == "limit_reached"
    with pytest.raises(b2jobs.JobFailed) as caught:
        fleet.shop.batch_items(rows(*(f"l/{n}" for n in range(6)))).wait(120)
    assert caught.value.failure.code == "limit_reached"
    assert not any(name.startswith(("large", "l/")) for name in fleet.bucket.versions())

    later = [
        fleet.shop.records.submit(f"later-{n}", b2jobs.Upload(
            source="data://.my/a", destination="b2://seals-shop/later"), delay_seconds=600)
        for n in range(3)
    ]  # fmt: skip
    with pytest.raises(b2jobs.InvalidJob) as refused:
        fleet.shop.upload("data://.my/a", "b2://seals-shop/one-more")
    assert refused.value.code == "limit_reached"
    for job in later:
        fleet.shop.job(job).cancel()
    assert fleet.shop.upload("data://.my/a", "b2://seals-shop/one-more").wait(90).size == 1


def test_a_canvas_calls_only_tasks_that_the_policy_allows(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    # `on_done` alone was held to it: whoever may send a message may hang any task behind it.
    installation = fleet.installation
    prefix = {"global_keyprefix": installation.key_prefix}
    app = Celery("shop", broker=installation.redis_url, set_as_current=False)
    app.conf.update(broker_transport_options=prefix, task_routes=b2jobs.celery_routes)
    words = Words(fleet.attacker.records)
    before = words.counts()
    allowed = app.signature("shop.stored", queue="shop")
    others = app.signature("other.task", queue="shop")
    monkeypatch.setenv("B2JOBS_KEYS_FILE", str(fleet.keys))
    monkeypatch.setenv("B2JOBS_KEY_PREFIX", installation.key_prefix)
    before_task_publish.connect(sign_message)
    try:
        kwargs = {"source": "data://.my/a", "destination": "b2://seals-shop/linked"}
        done = app.send_task("b2jobs.upload", kwargs=kwargs, link=allowed)
        refused = [
            app.send_task("b2jobs.upload", kwargs=kwargs, **{name: canvas})
            for name in ("link", "link_error")
            for canvas in (others, chain(allowed, others))
        ]
    finally:
        before_task_publish.disconnect(sign_message)

    failed = fleet.attacker.jobs
    eventually(lambda: {r.id for r in failed(state="failed")} >= {job.id for job in refused})
    for job in refused:
        assert fleet.code(fleet.attacker.job(job.id)) == "policy_refused"
    eventually(lambda: fleet.redis.llen(f"{installation.key_prefix}shop"))
    called = fleet.redis.lrange(f"{installation.key_prefix}shop", 0, -1)
    assert [json.loads(message)["headers"]["task"] for message in called] == ["shop.stored"]
    assert fleet.attacker.job(done.id).state() == "succeeded"
    assert fleet.bucket.versions()["linked"] == 1
    assert words.counts() == before


def test_every_task_that_a_canvas_could_call_is_seen() -> None:
    app = Celery(set_as_current=False)
    one, two, three, four = (app.signature(f"t.{n}") for n in range(4))
    mapped = app.signature("celery.map", kwargs={"task": "t.mapped", "it": []})
    canvas = chain(one, group(two, chain(three, chord([four], app.signature("t.body")))))
    told = json.loads(json.dumps({"callbacks": [canvas, mapped]}))
    assert tasks_of(told) == {*(f"t.{n}" for n in range(4)), "t.body", "t.mapped"}
    assert tasks_of(None) == set()
