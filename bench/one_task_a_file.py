"""The usual way: one Celery task for each file, b2sdk's `Bucket` in it."""

from __future__ import annotations

import os
import time
from functools import cache
from pathlib import Path

from b2sdk.v3 import B2Api, Bucket, InMemoryAccountInfo
from celery import Celery
from redis import Redis

DONE = "bench:done"
"""How many tasks have ended well: a counter in the broker's Redis."""

app = Celery("bench", broker=os.environ["BENCH_REDIS"])
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=4)


@cache
def bucket() -> Bucket:
    api = B2Api(InMemoryAccountInfo())
    api.authorize_account(
        os.environ["B2_APPLICATION_KEY_ID"],
        os.environ["B2_APPLICATION_KEY"],
        os.environ["B2_ENVIRONMENT"],
    )
    return api.get_bucket_by_name(os.environ["BENCH_BUCKET"])


@cache
def redis() -> Redis:
    return Redis.from_url(os.environ["BENCH_REDIS"])


@app.task(name="bench.upload")
def upload(path: str, name: str) -> None:
    bucket().upload_local_file(path, name)
    redis().incr(DONE)


@app.task(name="bench.download")
def download(name: str, path: str) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    bucket().download_file_by_name(name).save_to(path)
    redis().incr(DONE)


@app.task(name="bench.copy")
def copy(file_id: str, name: str) -> None:
    bucket().copy(file_id, name)
    redis().incr(DONE)


@app.task(name="bench.note")
def note() -> None:
    redis().rpush("bench:started", time.time())
