"""The usual way: one Celery task for each file, `Bucket.upload_local_file` in it."""

from __future__ import annotations

import os
from functools import cache

from b2sdk.v3 import B2Api, Bucket, InMemoryAccountInfo
from celery import Celery

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


@app.task(name="bench.upload")
def upload(path: str, name: str) -> None:
    bucket().upload_local_file(path, name)
