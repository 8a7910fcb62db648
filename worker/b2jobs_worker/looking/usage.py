"""What is below a prefix, added up version by version."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import Any

from b2jobs.requests.listings import DiskUsage
from b2jobs.results import DiskUsageResult, Result
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2.pages import Documents
from b2jobs_worker.looking.found import Choice, pages_of
from b2jobs_worker.sources.limits import began_millis
from b2jobs_worker.transfer.context import Context, Usage
from b2jobs_worker.work import Work

_AT = "at"
_NOTED_EVERY = 10
"""Pages: what a killed worker asks for again."""


@dataclass
class Tally:
    """What has been added up so far. last: the name whose newest version has been seen."""

    files: int = 0
    size_bytes: int = 0
    versions: int = 0
    version_bytes: int = 0
    hidden: int = 0
    hide_markers: int = 0
    unfinished: int = 0
    last: str = ""
    calls: dict[str, int] = field(default_factory=dict)

    def add(self, documents: Documents, choice: Choice) -> None:
        """Count *documents* in, which come newest first within a name."""
        for document in documents:
            action = document["action"]
            if action == "start":
                self.unfinished += choice.takes(document)
                continue
            is_newest, self.last = document["fileName"] != self.last, document["fileName"]
            if not choice.takes(document):
                continue
            size = int(document.get("contentLength") or 0)
            if action == "hide":
                self.hide_markers += 1
                self.hidden += is_newest
            else:
                self.versions += 1
                self.version_bytes += size
                self.files += is_newest
                self.size_bytes += size if is_newest else 0


class DiskUsageWork(Work[DiskUsage]):
    """One class C call for a thousand versions."""

    def __init__(self, context: Callable[[], Context]) -> None:
        self._context = context

    def run(self, request: DiskUsage, attempt: Attempt) -> Result:
        """Add up; a later attempt goes on near where the last one was.

        Raises:
            JobError: B2 could not be asked.
        """
        context = self._context()
        client = context.client(request.account, attempt)
        target = request.target_location
        client.require("listFiles", name=target.name)
        usage = Usage(client, attempt)
        known: dict[str, Any] = json.loads(attempt.journal.load().get(_AT) or "{}")
        tally = Tally(**known.get("tally", {}))
        before = Counter(tally.calls)
        now = began_millis(attempt.journal) if request.has_limits else 0
        choice = Choice(request, target, now)
        name, file_id = known.get("start") or (None, None)
        bucket = client.bucket(target.bucket)
        pages = pages_of(client, bucket, target, (name, file_id), versions=True)
        with closing(pages):
            for number, (documents, following) in enumerate(pages, 1):
                attempt.checkpoint()
                tally.add(documents, choice)
                if following is not None and number % _NOTED_EVERY == 0:
                    tally.calls = dict(before + Counter(client.meter.calls))
                    noted = {"start": following, "tally": asdict(tally)}
                    attempt.journal.record({_AT: json.dumps(noted)})
        calls = before + Counter(client.meter.calls)
        spent = {name: calls[name] for name in "abc"}
        old_bytes = tally.version_bytes - tally.size_bytes
        counts = {name: count for name, count in asdict(tally).items() if name not in _OWN}
        return DiskUsageResult(
            **{**usage.fields("du"), "calls": spent, "dollars": context.prices.dollars(spent)},
            **counts,
            uri=request.target,
            old_versions=tally.versions - tally.files,
            old_bytes=old_bytes,
            month_dollars=context.prices.month_dollars(tally.version_bytes),
            old_month_dollars=context.prices.month_dollars(old_bytes),
        )


_OWN = ("last", "calls")
