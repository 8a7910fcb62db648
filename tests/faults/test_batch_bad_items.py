"""One bad item never fails its pack, whatever it does. Items move nothing."""

from __future__ import annotations

import pytest

from b2jobs.errors import JobFailed
from support.installation import Installation
from support.waiting import eventually

pytestmark = pytest.mark.timeout(300)


def rows(*sources: str) -> list[dict[str, str]]:
    return [
        {"source": f"data://r/{source}", "destination": f"b2://some-bucket/{at}"}
        for at, source in enumerate(sources)
    ]


def test_an_item_that_kills_its_worker_is_found_and_fails_alone(installation: Installation) -> None:
    workers = [installation.start_celery("w0", app="support.batch_app")]
    batch = installation.client.batch_items(rows(*["fine"] * 20, "die", *["fine"] * 20))

    def ended() -> bool:
        if workers[-1].status is not None:  # somebody starts it again, as its parent would
            name = f"w{len(workers)}"
            workers.append(installation.start_celery(name, app="support.batch_app"))
        return batch.record().has_ended

    eventually(ended, timeout=240, what=lambda: str(batch.status()))

    assert batch.status().outcomes == {"transferred": 40, "failed": 1}
    assert batch.status().codes == {"worker_lost": 1}
    bad = [line for line in batch.lines() if line["status"] == "failed"]
    assert [line["source"] for line in bad] == ["data://r/die"]
    assert len(workers) == 5, (
        "twice with its pack, twice alone in one; then in processes of its own"
    )


def test_items_that_fail_for_now_are_tried_again_and_bugs_are_named(
    installation: Installation,
) -> None:
    installation.start_celery("w", app="support.batch_app")
    batch = installation.client.batch_items(rows(*["fine"] * 10, "later", "bug", *["fine"] * 10))
    with pytest.raises(JobFailed):
        batch.wait(timeout=120)
    assert batch.status().outcomes == {"transferred": 21, "failed": 1}
    found = {line["source"]: line for line in batch.lines()}
    assert found["data://r/bug"]["code"] == "internal_error"
    assert found["data://r/later"]["attempts"] == 3


def test_the_callback_is_sent_once(installation: Installation) -> None:
    installation.start_celery("w", app="support.batch_app")
    batch = installation.client.batch_items(rows("fine"), on_done=("app.migrated", "app-queue"))
    batch.wait(timeout=60)
    queue = f"{installation.key_prefix}app-queue"
    eventually(lambda: installation.redis.llen(queue) == 1)
    from kombu import Connection

    with Connection(
        installation.redis_url,
        transport_options={"global_keyprefix": installation.key_prefix},
    ) as connection:
        message = connection.SimpleQueue("app-queue").get(timeout=5)
        _, named, _ = message.payload
        message.ack()
    assert message.headers["task"] == "app.migrated"
    assert named["batch"] == batch.id
    assert named["state"] == "succeeded"
    assert named["summary"]["outcomes"] == {"transferred": 1}
