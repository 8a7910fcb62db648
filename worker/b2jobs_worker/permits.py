"""Holding jobs to the policy: asked before anything is touched, and for each item of a batch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from b2jobs import locations
from b2jobs.errors import CallerError
from b2jobs.for_people import shown
from b2jobs.keyfile import WORKERS
from b2jobs.locations import B2Version, InlineData, LocalPath, Location, StagedBytes
from b2jobs.requests import Batch, Bucket, Job
from b2jobs_worker.attempt import Anything, Permit
from b2jobs_worker.policy import Rules
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources.roots import LocalPlace, place

_READ = ("source", "manifest", "prefix")
_WRITTEN = ("destination", "target", "ledger")
_CLIMBING = re.compile(r"(?:[/\\\\]|%2f|%5c)(?:\.|%2e){1,2}(?:[/\\\\;#]|%2f|%5c|\Z)", re.IGNORECASE)
_LOOKS_AT_ITS_TARGET = ("list", "du")
_EMPTIES_ITS_SOURCE = ("move",)
_INTERNAL = {"pack": ("batch", "sync", "delete"), "remove": ("sync",)}
_OF_SYNCS = {"hide": ("sync",)}
"""Kinds that workers make, by the kinds that make them; the latter as items of a plan only.
What is in a pack is held to its own kind."""
_NO_RULES = Rules()
_NOTHING = Rules(kinds=(), accounts=(), read=(), write=(), on_done=())


def permit(settings: Settings, producer: str, priority: str) -> Permit:
    """What a job of *producer* in the queue of *priority* may do."""
    tables = settings.policy
    found: list[tuple[str, Rules]] = [("policy.worker", tables.worker)]
    if producer != WORKERS:
        named = producer if producer in tables.producers else "*"
        if named in tables.producers:
            found.append((f"policy.producers.{named}", tables.producers[named]))
        elif tables.producers:
            found.append((f"policy.producers (which has no {producer or 'unsigned'})", _NOTHING))
    for queue, rules in tables.queues.items():
        if queue == priority:
            found.append((f"policy.queues.{queue}", rules))
    if all(rules == _NO_RULES for _, rules in found):
        made = Anything()
        made.producer = producer
        return made
    return _Permit(settings, producer, found)


class _Permit:
    """Implements `Permit`: every table that applies must allow it."""

    def __init__(self, settings: Settings, producer: str, tables: list[tuple[str, Rules]]) -> None:
        self.producer = producer
        self._settings = settings
        self._tables = tables

    def request(self, job: Job, *, is_item: bool = False) -> None:
        made_by = {**_INTERNAL, **_OF_SYNCS} if is_item else _INTERNAL
        kinds = made_by.get(job.kind) or (_asked_for(job),)
        for name, rules in self._tables:
            if rules.kinds is not None and not set(kinds) & set(rules.kinds):
                raise _refused(f"a job of kind {_asked_for(job)}", f"{name}.kinds")
            if rules.read is not None and isinstance(job, Bucket) and job.action == "list":
                raise _refused("the names of all buckets", f"{name}.read")
            for account in (getattr(job, "account", None), getattr(job, "source_account", None)):
                if rules.accounts is not None and account not in (None, *rules.accounts):
                    raise _refused(f"the account {account!r}", f"{name}.accounts")
            for key in (getattr(job, "customer_key", None), getattr(job, "encryption_key", None)):
                if rules.customer_keys is not None and key not in (None, *rules.customer_keys):
                    raise _refused(f"the customer's key {key!r}", f"{name}.customer_keys")
        for entry in getattr(job, "on_done", None) or ():
            self.tell(getattr(entry, "task", ""), getattr(entry, "url", ""))
        for location, is_written in _places_of(job):
            self.place(location, is_written=is_written)

    def place(self, location: Location, *, is_written: bool) -> None:
        if isinstance(location, InlineData | StagedBytes | B2Version):
            return  # a version's bucket and name are looked up first, and then asked for here
        self._uri(self._named(location), is_written=is_written)

    def tell(self, task: str, url: str) -> None:
        """Whether *task* may be called, or *url*."""
        for name, rules in self._tables:
            if rules.on_done is None:
                continue
            if task and any(fnmatchcase(task, pattern) for pattern in rules.on_done):
                continue
            if url and any(_is_below(url, each) for each in rules.on_done if "://" in each):
                continue
            if task or url:
                raise _refused(f"to tell {task or urlsplit(url).hostname}", f"{name}.on_done")

    def size(self, size_bytes: int | None) -> None:
        for name, rules in self._tables:
            if rules.max_bytes is not None and (size_bytes or 0) > rules.max_bytes:
                raise _over(f"{size_bytes} bytes", rules.max_bytes, f"{name}.max_bytes")

    def items(self, count: int, size_bytes: int) -> None:
        for name, rules in self._tables:
            if rules.max_items is not None and count > rules.max_items:
                raise _over(f"{count} items", rules.max_items, f"{name}.max_items")
            if rules.max_batch_bytes is not None and size_bytes > rules.max_batch_bytes:
                raise _over(f"{size_bytes} bytes", rules.max_batch_bytes, f"{name}.max_batch_bytes")

    def _uri(self, uri: str, *, is_written: bool) -> None:
        for name, rules in self._tables:
            allowed = rules.write if is_written else rules.read
            if allowed is not None and not any(_is_below(uri, each) for each in allowed):
                act = "write" if is_written else "read"
                raise _refused(f"to {act} {shown(uri)[:200]}", f"{name}.{act}")

    def _named(self, location: Location) -> str:
        """The location as rules name it: a path by its root."""
        if isinstance(location, LocalPath):
            found = place(location, self._settings)
            if isinstance(found, LocalPlace):
                return f"data://{found.root.name}/{found.path}"
        return str(location)


def _asked_for(job: Job) -> str:
    """The kind as who asks names it: to delete a prefix is to delete, though it is a batch."""
    return "delete" if isinstance(job, Batch) and job.target is not None else job.kind


def _places_of(job: Job) -> Iterator[tuple[Location, bool]]:
    """The places that *job* names, and whether it changes what is there."""
    if isinstance(job, Bucket):
        if job.name is not None:
            yield locations.parse(f"b2://{job.name}/"), job.action != "show"
        return
    for names, is_written in ((_READ, False), (_WRITTEN, True)):
        for name in names:
            uri = getattr(job, name, None)
            if isinstance(uri, str):
                reads = name == "target" and job.kind in _LOOKS_AT_ITS_TARGET
                yield locations.parse(uri), is_written and not reads
                if name == "source" and job.kind in _EMPTIES_ITS_SOURCE:
                    yield locations.parse(uri), True


def _is_below(uri: str, rule: str) -> bool:
    if uri == rule:
        return True
    # A server takes `..` of a URL for the folder above; elsewhere it is a name like others.
    return rule.endswith("/") and uri.startswith(rule) and not _climbs(uri)


def _climbs(uri: str) -> bool:
    return uri.startswith("https://") and _CLIMBING.search(uri.partition("?")[0]) is not None


def _refused(what: str, rule: str) -> CallerError:
    return CallerError(
        "policy_refused",
        f"This producer may not have {what}, says the rule {rule}.",
        hint="Ask for something else, or let whoever runs the workers change the rule.",
    )


def _over(what: str, most: int, rule: str) -> CallerError:
    return CallerError(
        "limit_reached",
        f"{what} are more than the {most} that the rule {rule} allows.",
        hint="Ask for less, or let whoever runs the workers change the rule.",
    )
