"""The way into B2 for one job: every call the engine makes, by what it is about."""

from __future__ import annotations

from b2jobs_worker.b2.buckets import BucketCalls
from b2jobs_worker.b2.calling import Interruptible
from b2jobs_worker.b2.copies import CopyCalls
from b2jobs_worker.b2.downloads import DownloadCalls
from b2jobs_worker.b2.locks import LockCalls
from b2jobs_worker.b2.uploads import UploadCalls


class B2Client(UploadCalls, DownloadCalls, CopyCalls, BucketCalls, LockCalls):
    """One job's calls to B2 under one account."""

    def on_behalf_of(self, attempt: Interruptible) -> B2Client:
        """The same client, with *attempt* to interrupt it; such as one that never does."""
        client = B2Client(self._accounts, self._name, attempt, self.meter)
        client.customer_key = self.customer_key
        return client
