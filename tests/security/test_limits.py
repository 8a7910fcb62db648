"""What single inputs may take: slots, memory, places. Each was tried on a service that had no limit
for it. One real worker of two slots, with a policy for everybody."""

from __future__ import annotations

import base64
import json
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from celery import Celery

import b2jobs
from b2jobs.ledger import packed_rows
from b2jobs.requests import Verify, build
from contract.sources.webserver import WebServer, web_server
from support.emulator import BucketView, LocalB2
from support.installation import Installation
from support.processes import Process
from support.waiting import eventually

BUCKET = "limits"


class Target:
    """A worker of two slots, an application that sends it messages, and its web server."""

    def __init__(self, installation: Installation, b2: LocalB2, web: WebServer) -> None:
        self.installation = installation
        self.client = installation.client
        self.web = web
        self.bucket = BucketView(b2, BUCKET)
        read = json.dumps(["data://.my/", f"b2://{BUCKET}/", web.url("/open/")])
        with installation.config.open("a") as config:
            config.write(f'\n[policy.producers."*"]\nread = {read}\n')
        self.worker: Process = installation.start_celery(
            app="b2jobs_worker.celery.app", slots=2, B2JOBS_PRIVATE_HOSTS="localhost",
            B2JOBS_CA_FILE=str(web.ca_file),
        )  # fmt: skip
        prefix = {"global_keyprefix": installation.key_prefix}
        self.app = Celery("shop", broker=installation.redis_url, set_as_current=False)
        self.app.conf.update(broker_transport_options=prefix, task_routes=b2jobs.celery_routes)

    def key(self, name: str) -> str:
        return f"{self.installation.key_prefix}b2jobs:{name}"

    def failure(self, job_id: str, timeout: float = 60) -> b2jobs.Failure:
        key = self.key(f"job:{job_id}")
        eventually(lambda: self.installation.redis.hget(key, "failure"), timeout=timeout)
        failure = self.client.job(job_id).record().failure
        assert failure is not None
        return failure

    def goes_on(self) -> None:
        name = uuid.uuid4().hex
        assert self.client.upload("data:,x", f"b2://{BUCKET}/{name}").wait(60).size == 1
        assert self.worker.status is None

    def memory_bytes(self) -> int:
        pages = Path(f"/proc/{self.worker.pid}/statm").read_text().split()[1]
        return int(pages) * 4096


@pytest.fixture(scope="module")
def target(
    tmp_path_factory: pytest.TempPathFactory, redis_url: str, local_b2: LocalB2
) -> Iterator[Target]:
    with web_server(tmp_path_factory.mktemp("web")) as web:
        installation = Installation(
            tmp_path_factory.mktemp("limits"), redis_url, account=local_b2.account
        )
        yield Target(installation, local_b2, web)
        installation.close()


def test_verifying_nothing_holds_no_slot(target: Target) -> None:
    # Ten messages without arguments held all slots for ten minutes.
    sent = [target.app.send_task("b2jobs.verify").id for _ in range(10)]
    sent.append(target.app.send_task("b2jobs.batch", kwargs={"stream": True}).id)
    waiting = [target.client.records.submit(str(uuid.uuid4()), Verify()) for _ in range(10)]

    target.goes_on()

    assert {target.failure(job).code for job in sent} == {"feed_missing"}
    for job in waiting:
        assert not target.client.job(job).record().has_ended
        target.client.job(job).cancel()
    eventually(lambda: all(target.client.job(job).state() == "cancelled" for job in waiting))


def test_a_message_is_only_so_long(target: Target) -> None:
    # A refused message of 30 MB was 107 MB in Redis for a day.
    redis, queue = target.installation.redis, f"{target.installation.key_prefix}b2jobs"
    target.app.send_task("b2jobs.upload", queue="aside")
    message = json.loads(str(redis.rpop(f"{target.installation.key_prefix}aside")))
    before = target.memory_bytes()
    sent = []
    for changed in (
        {"body": "x" * 9_000_000},
        {"headers": {**message["headers"], "argsrepr": "x" * 9_000_000}},
        {
            "headers": {**message["headers"], "compression": "application/x-gzip"},
            "body": base64.b64encode(zlib.compress(b"[" + b" " * 400_000_000)).decode(),
        },
    ):
        sent.append(str(uuid.uuid4()))
        headers = {**message["headers"], **changed.get("headers", {}), "id": sent[-1]}  # type: ignore[dict-item]  # of mixed values
        redis.lpush(queue, json.dumps({**message, **changed, "headers": headers}))

    codes = [target.failure(job).code for job in sent]

    assert codes == ["message_too_long", "message_too_long", "message_unreadable"]
    for job in sent:
        assert int(redis.memory_usage(target.key(f"job:{job}")) or 0) < 10_000
    target.goes_on()
    assert target.memory_bytes() - before < 200_000_000


def test_what_is_packed_in_redis_fills_no_memory(target: Target) -> None:
    before = target.memory_bytes()
    bombs = (
        zlib.compress(b"[" + b" " * 400_000_000),
        packed_rows([[[[["x"]]]], {"no": "row"}]),
        b"no zlib",
        zlib.compress(b"[" * 100_000),
    )
    for bomb in bombs:
        job = build("batch", {"stream": True})
        job_id = target.client.records.submit(str(uuid.uuid4()), job)
        target.installation.redis.hset(target.key(f"batch:{job_id}:feed"), "0", bomb)
        target.installation.redis.hset(target.key(f"batch:{job_id}"), "fed_all", "1")
        assert target.failure(job_id).code == "record_broken"
    target.goes_on()
    assert target.memory_bytes() - before < 400_000_000


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/open/a", "/secret?X-Signature=geheim"),
        ("/open/a", "//localhost:1/open/"),
        ("/open/../secret", ""),
        ("/open/%2e%2E/secret", ""),
        ("/open/a/..%2f..%2Fsecret", ""),
        ("/open", ""),
    ],
)
def test_an_https_source_leads_only_where_the_policy_says(
    target: Target, path: str, location: str
) -> None:
    target.web.status, target.web.headers = (302, {"Location": location}) if location else (200, {})
    url = target.web.url("") + path

    with pytest.raises(b2jobs.JobFailed) as caught:
        target.client.upload(f"{url}?X-Signature=geheim", f"b2://{BUCKET}/x", retry=0).wait(60)

    assert caught.value.failure.code == "policy_refused"
    assert "policy.producers.*.read" in caught.value.failure.message
    assert "geheim" not in str(caught.value)
    assert "geheim" not in target.worker.output()
