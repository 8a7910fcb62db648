"""A batch seen from the producer: follow it, steer it, read its ledger."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any, cast

from typing_extensions import TypeVar

from b2jobs.batch_status import MAX_COST_REACHED, BatchStatus, as_it_stands, status
from b2jobs.commands import command
from b2jobs.errors import InvalidJob, JobNotFound
from b2jobs.feed import taken
from b2jobs.handle import AsyncHandle, Handle, ask
from b2jobs.ledger import Digest, lines_of, report_line, report_text
from b2jobs.records import Records
from b2jobs.redis import unavailable
from b2jobs.requests import State
from b2jobs.results import BatchResult
from b2jobs.signed import unsealed
from b2jobs.threads import Threads

B = TypeVar("B", bound=BatchResult, default=BatchResult)


class BatchHandle(Handle[B]):
    """One batch. Everything a handle can do, and what only batches know."""

    def state(self) -> State:
        """As `status()` has it: `running` while packs of it run."""
        return as_it_stands(self.records, self.record()).state

    def reason(self) -> str:
        """Why nothing of it moves, in one word; empty while something does."""
        return as_it_stands(self.records, self.record()).reason

    def status(self) -> BatchStatus:
        """Counters, progress and the reason of any waiting."""
        return status(self.records, self.id)

    def pause(self) -> State:
        """Stop beginning items; those under way end, or stop within seconds where they can
        go on later. Returns the state before. A batch that has ended stays as it is.

        Raises:
            InvalidJob: `keys_missing`, as for `cancel`.
        """
        return self._run("batches/pause", by=command(self.records, self.id, "pause"))

    def resume(self, *, max_cost: float | None = None) -> State:
        """Go on with a paused batch; one that is not paused is left alone, but for *max_cost*.

        max_cost: dollars it may use from now on, with what it has used.

        Raises:
            InvalidJob: it is paused because of its cost, and *max_cost* is not higher; or
                `keys_missing`, as for `cancel`.
        """
        check_cost(self.status(), max_cost)
        command(self.records, self.id, "resume")
        return self._run("batches/resume", max_cost=None if max_cost is None else f"{max_cost:.9g}")

    def retry(self, *, only_failed: bool = False, codes: Iterable[str] = ()) -> State:
        """Run a batch that has ended again: what failed (with one of *codes*, where given) or
        was cancelled and, unless *only_failed*, what was not planned yet."""
        asked = {"codes": list(codes), "only_failed": only_failed}
        signature = self.records.signed_anew(self.id) or None
        return self._run("batches/retry", again=json.dumps(asked), signature=signature)

    def lines(self) -> Iterator[dict[str, Any]]:
        """The report's lines; the whole of it is never held.

        What the ledger has put outside Redis is fetched by a worker: this needs one then.
        """
        for packed in self._spilled():
            for line in lines_of(packed):
                yield report_line(line)
        yield from lines(self.records, self.id)

    def report(self) -> Iterator[str]:
        """The report as JSON lines: one an item, the summary with the digest as the last."""
        digest = Digest()
        for line in self.lines():
            text = report_text(line)
            digest.add(text)
            yield text
        now = self.status()
        summary = {
            "batch": self.id,
            "state": now.state,
            "lines": digest.lines,
            "digest": digest.hexdigest(),
            "items": now.items,
            "outcomes": now.outcomes,
            "codes": now.codes,
            "moved_bytes": now.moved_bytes,
        }
        yield report_text({"summary": summary})

    def _spilled(self) -> Iterator[bytes]:
        records = self.records
        with unavailable(records.url):
            key = f"{records.prefix}batch:{self.id}"
            found = cast("dict[str, str]", records.redis.hgetall(key))
        if not any(name.startswith("spill:") and entry for name, entry in found.items()):
            return
        account = self.record().request.get("account", "default")
        job = ask(records, "ledger", batch=self.id, account=account)
        yield from taken(records, Handle(records, job))

    def _run(self, script: str, **arguments: str | None) -> State:
        state = self.records.door.call(script, id=self.id, **arguments)
        if not state:
            raise JobNotFound(f"There is no batch {self.id!r}.")
        return cast("State", state)


class AsyncBatchHandle(AsyncHandle[B]):
    """The awaitable twin of `BatchHandle`; `lines` and `report` are for `async for`."""

    def __init__(self, threads: Threads, handle: BatchHandle[B]) -> None:
        super().__init__(threads, handle)
        self._batch = handle

    async def status(self) -> BatchStatus:
        return await self._threads.run(self._batch.status)

    async def pause(self) -> State:
        return await self._threads.run(self._batch.pause)

    async def resume(self, *, max_cost: float | None = None) -> State:
        return await self._threads.run(self._batch.resume, max_cost=max_cost)

    async def retry(self, *, only_failed: bool = False, codes: Iterable[str] = ()) -> State:
        run = self._threads.run
        return await run(self._batch.retry, only_failed=only_failed, codes=codes)

    async def lines(self) -> AsyncIterator[dict[str, Any]]:
        async for some in self._threads.pages(self._batch.lines):
            for line in some:
                yield line

    async def report(self) -> AsyncIterator[str]:
        async for some in self._threads.pages(self._batch.report):
            for line in some:
                yield line


def check_cost(now: BatchStatus, max_cost: float | None) -> None:
    """Refuse to go on with a batch that would be paused again for its cost.

    Raises:
        InvalidJob
    """
    over = (now.failure or {}).get("code") == MAX_COST_REACHED
    needed = max(now.dollars, now.estimated_dollars or 0.0) if over else now.dollars
    if max_cost is None and not over:
        return
    if max_cost is None or not needed < max_cost < float("inf"):
        given = "" if max_cost is None else f", and max_cost is {max_cost:g}"
        raise InvalidJob(
            f"The batch {now.job} has used ${now.dollars:g} and needs about ${needed:g}{given}.",
            hint=f"Give more: `b2jobs batch resume {now.job} --max-cost DOLLARS`.",
            field="max_cost",
        )


def lines(records: Records, batch: str) -> Iterator[dict[str, Any]]:
    """The lines of the report from the ledger, segment by segment."""
    key = f"{records.prefix}batch:{batch}:ledger"
    with unavailable(records.url):
        names = cast("list[str]", records.redis.hkeys(key))
        numbers = sorted(int(name) for name in names if name.isdecimal())
    for each in numbers:
        with unavailable(records.url):
            packed = records.redis.execute_command(  # type: ignore[no-untyped-call]  # untyped
                "HGET", key, each, NEVER_DECODE=True
            )
        for line in lines_of(unsealed(packed or b"")):
            yield report_line(line)
