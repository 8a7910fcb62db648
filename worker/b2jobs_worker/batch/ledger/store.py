"""The batch's side of Redis: every question and every write of planners and packs."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import astuple
from typing import Any, TypeVar, cast

from b2jobs.celery_meta import failed_meta, revoked_meta, succeeded_meta
from b2jobs.errors import Failure, QueueUnavailable
from b2jobs.items import unpacked
from b2jobs.ledger import check_packed, packed_line, packed_rows, readable, rows_of
from b2jobs.records import Records
from b2jobs.redis import unavailable
from b2jobs.requests import State
from b2jobs.signed import Submission
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.batch.ledger.outcome import Again, Outcome
from b2jobs_worker.batch.ledger.packs import Change, Entry, OpenPack, Orders, pack_name

T = TypeVar("T")
_FOR_EVER_SECONDS = 1e9


class Store:
    """Thread-safe; one for a process. With an *attempt*, waits while Redis is away.

    keep_seconds: for how long a batch is known after its end.
    keeps_content: whether what failed lines carry themselves is kept for a retry.
    """

    def __init__(
        self, records: Records, keep_seconds: float, *, keeps_content: bool = False
    ) -> None:
        self.records = records
        self.keep_seconds = keep_seconds
        self.keeps_content = keeps_content

    def key(self, kind: str, name: str) -> str:
        return f"{self.records.prefix}{kind}:{name}"

    # -- the planner's side ---------------------------------------------------------------

    def state(self, attempt: Attempt) -> dict[str, str]:
        """The batch's hash: cursor, counters, flags."""
        key = self.key("batch", attempt.job_id)
        found = self.patiently(
            attempt, lambda: cast("dict[str, str]", self.records.redis.hgetall(key))
        )
        return self._opened_state(attempt.job_id, found)

    def packs(self, attempt: Attempt) -> dict[str, tuple[str, Failure | None]]:
        """The packs under way: the state of each and, where it failed, why.

        A pack whose record is gone has the state `gone`.
        """

        def look() -> dict[str, tuple[str, Failure | None]]:
            redis = self.records.redis
            key = self.key("batch", attempt.job_id) + ":packs"
            names = cast("list[str]", redis.zrange(key, 0, -1))
            pipe = redis.pipeline(transaction=False)
            for name in names:
                pipe.hmget(self.key("job", name), "state", "failure")
            return {
                name: (state or "gone", Failure(**json.loads(failure)) if failure else None)
                for name, (state, failure) in zip(names, pipe.execute(), strict=True)
            }

        return self.patiently(attempt, look)

    def note(self, attempt: Attempt, **fields: object) -> None:
        """Write into the batch's hash. Raises `Interrupted` where it is not ours any more."""
        texts = {name: str(value) for name, value in fields.items()}
        self._fenced(attempt, "batches/note", fields=self._sealed_state(attempt.job_id, texts))

    def add_cost(self, attempt: Attempt, calls: Mapping[str, int], dollars: float) -> None:
        """Add to what the batch has used. Raises `Interrupted` where it is not ours any more."""
        spent = {"calls": _counted(calls), "dollars": f"{dollars:.9g}"}
        self._fenced(attempt, "batches/note", fields={}, **spent)

    def pause(self, attempt: Attempt, why: str) -> None:
        """Begin no more items of the batch, for a reason that has a code."""
        self._call(attempt, "batches/pause", id=attempt.job_id, why=why)

    def write(self, attempt: Attempt, change: Change, *, priority: str, orders: Orders) -> None:
        """Carry out a step of the plan. Raises `Interrupted` where it is not ours any more."""
        ring, batch = self.records.ring, attempt.job_id
        packs, items = [], []
        for pack in change.packs:
            request = json.dumps({"batch": attempt.job_id, "number": pack.number})
            name = pack_name(attempt.job_id, pack.number)
            signature = ring.sign(
                Submission(name, "pack", priority, "", request, attempt.trace.place),
                retry=_FOR_EVER_SECONDS,
                asked=ring.asked(attempt.permit.producer),
            )
            job = {
                "kind": "pack",
                "priority": priority,
                "request": request,
                "retry": _FOR_EVER_SECONDS,
                **({"signature": signature} if signature else {}),
                **({"trace": attempt.trace.place} if attempt.trace.place else {}),
            }
            packs.append({"number": pack.number, "id": name, "job": job})
            rows = [[e.position, e.earlier, e.planned.packed()] for e in pack.entries]
            items.append(ring.seal(packed_rows([astuple(orders), *rows]), "pack", name))
        self._fenced(
            attempt,
            "batches/plan",
            *(
                segment and ring.seal(segment, "segment", batch, number)
                for number, segment in change.segments.items()
            ),
            *items,
            fields=self._sealed_state(batch, change.fields),
            counts={name: str(amount) for name, amount in change.counts.items()},
            segments=list(change.segments),
            closed=change.closed,
            packs=packs,
        )

    def rest(
        self,
        attempt: Attempt,
        reason: str,
        delay_seconds: float,
        low: int,
        failure: Failure | None = None,
    ) -> None:
        """Let the planner wait for *reason*, or until at most *low* packs are under way.

        *failure*: what it has met, shown meanwhile.
        """
        told = failure.model_dump_json() if failure else ""
        self._fenced(
            attempt, "batches/rest", reason=reason, delay=delay_seconds, low=low, failure=told
        )

    def wake_packs(self, attempt: Attempt, reason: str | None = None, *, after: str = "-1") -> None:
        """Ring for every pack behind *after* that waits, for *reason* or whatever for."""
        while after:
            after = self._call(
                attempt, "batches/wake_packs", id=attempt.job_id, after=after, reason=reason
            )

    def spool(self, attempt: Attempt, chunks: Iterable[bytes], keep_seconds: int) -> None:
        """Keep a sync's plan. Raises `Interrupted` where it is not ours any more."""
        self._fenced(attempt, "batches/spool", *chunks, keep=keep_seconds)

    def end(
        self,
        attempt: Attempt,
        state: State,
        failure: Failure | None,
        result: dict[str, Any],
    ) -> None:
        """End the batch with its counters."""
        result = self.records.ring.seal_result(result, attempt.permit.producer)
        if failure is None:
            meta = succeeded_meta(result)
        else:
            meta = revoked_meta() if state == "cancelled" else failed_meta(failure)
        self._fenced(
            attempt,
            "batches/finish",
            state=state,
            failure=None if failure is None else failure.model_dump_json(),
            result=json.dumps(result),
            meta=meta,
            keep=self.keep_seconds,
        )

    # -- the pack's side ------------------------------------------------------------------

    def open_pack(self, attempt: Attempt, pack: str) -> OpenPack | None:
        """What is in the pack; None when its batch has been forgotten.

        Raises:
            SealRefused: no planner has written it. OperatorError: `record_broken`.
        """

        def look() -> tuple[bytes | None, dict[str, str]]:
            redis = self.records.redis
            check_packed(int(redis.strlen(self.key("pack", pack))))
            packed = self._binary("GET", self.key("pack", pack))
            return packed, cast("dict[str, str]", redis.hgetall(self.key("outcomes", pack)))

        packed, found = self.patiently(attempt, look)
        if packed is None:
            return None
        ring = self.records.ring
        orders, *rows = rows_of(ring.unseal(packed, "pack", pack))
        found = ring.unsealed_fields(found, "outcome", pack)
        with readable():
            lines = {at: json.loads(text) for at, text in found.items()}
            return OpenPack(
                Orders(*orders),
                [Entry(at, earlier, unpacked(row)) for at, earlier, row in rows],
                {int(at): Outcome(*line) for at, line in lines.items() if at[0] != "t"},
                {int(at[1:]): Again(*line) for at, line in lines.items() if at[0] == "t"},
            )

    def record(
        self,
        attempt: Attempt,
        batch: str,
        outcomes: Iterable[tuple[int, Outcome | Again]],
        calls: Mapping[str, int],
        dollars: float,
        actions: Mapping[int, str],
    ) -> str:
        """Record outcomes; each counts once. Answers `ok`, `paused`, `cancel` or `lost`."""
        ring, pack = self.records.ring, attempt.job_id
        found = [[*_recorded(at, each), actions.get(at, "")] for at, each in outcomes]
        for outcome in found:
            at = f"t{outcome[0]}" if outcome[2] == "again" else str(outcome[0])
            outcome[1] = ring.seal(outcome[1], "outcome", pack, at)
        standing = self._call(
            attempt,
            "packs/record",
            pack=attempt.job_id,
            fence=attempt.fence,
            batch=batch,
            calls=_counted(calls),
            dollars=f"{dollars:.9g}",
            outcomes=found,
        )
        return str(standing)

    def seal(self, attempt: Attempt, batch: str, number: int, segment: bytes) -> list[str] | None:
        """End the pack with its segment; the strays to remove, or None: not ours any more."""
        pack, fence = attempt.job_id, attempt.fence
        segment = self.records.ring.seal(segment, "segment", batch, number)
        answer, strays = self._call(
            attempt, "packs/seal", segment, pack=pack, fence=fence, batch=batch, number=number
        )
        return None if answer == "lost" else [str(stray) for stray in strays]

    def pause_pack(self, attempt: Attempt, batch: str) -> None:
        """Let the pack wait until its batch goes on."""
        pack, fence = attempt.job_id, attempt.fence
        self._call(attempt, "packs/pause", pack=pack, fence=fence, batch=batch)

    def disown(self, pack: str, made: Mapping[int, str]) -> dict[int, str]:
        """Ask what became of positions at which an outdated owner made something."""
        ring = self.records.ring
        sealed = [[at, ring.seal(what, "stray", pack, at)] for at, what in made.items()]
        answers = self.records.door.call("packs/disown", pack=pack, made=sealed)
        opened = (
            answer
            if answer in ("left", "sealed")
            else ring.unseal(str(answer), "outcome", pack, at)
            for at, answer in zip(made, answers, strict=True)
        )
        return dict(zip(made, opened, strict=True))

    # -- the ledger -----------------------------------------------------------------------

    def segment_numbers(self, batch: str) -> list[int]:
        """The packs whose outcomes are in Redis, in order."""
        with unavailable(self.records.url):
            names = cast(
                "list[str]", self.records.redis.hkeys(self.key("batch", batch) + ":ledger")
            )
        return sorted(map(int, names))

    def segment(self, batch: str, number: int) -> bytes | None:
        """One segment of the ledger, where it is still in Redis."""
        with unavailable(self.records.url):
            found = self._binary("HGET", self.key("batch", batch) + ":ledger", number)
        return found and self.records.ring.unseal(found, "segment", batch, number)

    def batch_state(self, batch: str) -> dict[str, str]:
        """The hash of any batch."""
        with unavailable(self.records.url):
            found = cast("dict[str, str]", self.records.redis.hgetall(self.key("batch", batch)))
        return self._opened_state(batch, found)

    def _sealed_state(self, batch: str, fields: Mapping[str, str]) -> dict[str, str]:
        """Fields of a batch's hash, those sealed that decide what is done."""
        ring = self.records.ring
        return {
            name: ring.seal(text, "batch", batch, name) if text and _is_sealed(name) else text
            for name, text in fields.items()
        }

    def _opened_state(self, batch: str, found: Mapping[str, str]) -> dict[str, str]:
        sealed = {name: text for name, text in found.items() if text and _is_sealed(name)}
        opened = self.records.ring.unsealed_fields(sealed, "batch", batch)
        if any(name in sealed and name not in opened for name in ("cursor", "sync")):
            opened["broken"] = _NOT_OURS
        return {name: text for name, text in found.items() if name not in sealed} | opened

    def _call(self, attempt: Attempt, script: str, *raw: bytes, **arguments: Any) -> Any:
        return self.patiently(attempt, lambda: self.records.door.call(script, *raw, **arguments))

    def _fenced(self, attempt: Attempt, script: str, *raw: bytes, **arguments: Any) -> None:
        own = {"id": attempt.job_id, "fence": attempt.fence}
        if not self._call(attempt, script, *raw, **own, **arguments):
            attempt.guard(anew=True)  # says why, by raising
            raise QueueUnavailable("The lease was lost and found again; the keeper rings again.")

    def patiently(self, attempt: Attempt, act: Callable[[], T]) -> T:
        """Call *act* until Redis answers; what interrupts the attempt ends the waiting."""
        pause = 0.1
        while True:
            try:
                with unavailable(self.records.url):
                    return act()
            except QueueUnavailable:
                attempt.checkpoint()
                time.sleep(pause)
                pause = min(2 * pause, 2.0)

    def _binary(self, *command: Any) -> bytes | None:
        found = self.records.redis.execute_command(  # type: ignore[no-untyped-call]  # untyped
            *command, NEVER_DECODE=True
        )
        return cast("bytes | None", found)


def _counted(calls: Mapping[str, int]) -> dict[str, int]:
    return {name: count for name, count in calls.items() if count}


def _recorded(position: int, found: Outcome | Again) -> list[Any]:
    if isinstance(found, Again):
        return [position, packed_line(found), "again", found.code, "0"]
    return [position, packed_line(found), found.status, found.code, str(found.moved_bytes)]


def _is_sealed(name: str) -> bool:
    return name in ("cursor", "sync", "planned_all") or name.startswith("spill:")


_NOT_OURS = Failure(
    code="seal_refused",
    message="Somebody else than a worker has written down how far the batch is.",
    hint="Submit it again; `b2jobs docs security` says what is sealed.",
    act="operator",
).model_dump_json()
