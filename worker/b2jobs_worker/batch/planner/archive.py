"""Where finished segments of a ledger are kept outside Redis: below a root, in B2 or elsewhere."""

from __future__ import annotations

import contextlib
import hashlib
import os
from dataclasses import replace

from b2jobs import locations
from b2jobs.locations import B2File, InlineData
from b2jobs.requests import Upload
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.batch.plan.reading import open_file
from b2jobs_worker.sources.failures import destination_error
from b2jobs_worker.sources.inline import InlineSource
from b2jobs_worker.sources.parts import part_token
from b2jobs_worker.sources.target import NewObject
from b2jobs_worker.transfer.context import Context
from b2jobs_worker.transfer.upload import upload


class Archive:
    """The files of one batch below a prefix. A file's name has its digest: written again, it
    is the same file."""

    def __init__(self, prefix: str, account: str, attempt: Attempt, context: Context) -> None:
        self._prefix = prefix
        self._account = account
        self._attempt = attempt
        self._context = context

    def write(self, batch: str, first: int, content: bytes) -> str:
        """Keep *content*; returns its URI.

        Raises:
            JobError: the place did not take it; nothing is lost, it is still in Redis.
        """
        digest = hashlib.sha1(content, usedforsecurity=False).hexdigest()[:12]
        uri = f"{self._prefix}{part_token(batch)}/{first:09}-{digest}.jsonl.gz"
        location = locations.parse(uri)
        if isinstance(location, B2File):
            source = InlineSource(InlineData("application/gzip", content))
            context = replace(self._context, open_source=lambda _, **__: source)
            request = Upload(
                source="data:,", destination=uri, if_exists="skip", account=self._account
            )
            upload(request, self._attempt, context)
            return uri
        target = self._context.open_target(location, self._attempt.checkpoint)
        if target is not None:
            sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
            new = NewObject("application/gzip", {}, None, sha1, batch)
            target.put(memoryview(content), new, None)
            return uri
        sink = self._context.open_sink(location, self._attempt.job_id)
        with contextlib.closing(sink):
            descriptor = sink.open(len(content))
            try:
                written = 0
                while written < len(content):
                    written += os.pwrite(descriptor, content[written:], written)
            except OSError as error:
                raise destination_error(error, uri) from error
            sink.commit(None)
        return uri

    def read(self, uri: str) -> bytes:
        """What was written as *uri*.

        Raises:
            JobError
        """
        with open_file(uri, self._account, self._attempt, self._context) as file:
            return file.read()
