"""What a person must see to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from redis.exceptions import NoPermissionError

from b2jobs.errors import QueueUnavailable
from b2jobs.fleet import MOST_LOOKED_AT, Upcoming, Waiting, Worker, missing
from b2jobs.listing import latest_failures
from b2jobs.records import Records
from b2jobs.redis import unavailable
from b2jobs.requests import Priority

_MOST_CODES = 20
_MOST_NAMED = 3
_MEMORY_SHARE_THAT_WARNS = 0.9
_FRESH_SECONDS = 24 * 3600.0


@dataclass(frozen=True)
class Trouble:
    """Something a person must see to: what, and what to do about it."""

    code: str
    message: str
    hint: str = ""


def troubles(
    records: Records,
    workers: list[Worker],
    queued: dict[Priority, int],
    waiting: list[Waiting],
    words: dict[str, int],
    schedules: list[Upcoming],
    refused: Mapping[str, int],
) -> list[Trouble]:
    """All that needs a person now. *refused*: what had no good signature or seal lately.

    Raises:
        QueueUnavailable
    """
    return [
        *_unserved(workers, queued),
        *_missing(records, workers),
        *_stuck(waiting),
        *_failed(records),
        *_forged(refused),
        *_unwell(records, workers, words, schedules),
    ]


def _unserved(workers: list[Worker], queued: dict[Priority, int]) -> Iterator[Trouble]:
    served = {priority for worker in workers for priority in worker.priorities}
    if not workers:
        yield Trouble(
            "no_worker",
            "Nobody is working: no worker has shown life in the last 30 s.",
            "Start one with `b2jobs worker`, or look into its log.",
        )
        return
    for priority, count in queued.items():
        if count and priority not in served:
            yield Trouble(
                "priority_unserved",
                f"Jobs of priority {priority} wait ({count:,}), and no worker serves it.",
                "Start a worker whose `queues` name it.",
            )


def _missing(records: Records, workers: list[Worker]) -> Iterator[Trouble]:
    gone = missing(records, workers) if workers else []
    if gone:
        named = ", ".join(name for name, _ in gone[:_MOST_NAMED])
        rest = f" and {len(gone) - _MOST_NAMED} more" if len(gone) > _MOST_NAMED else ""
        have = "A worker process has" if len(gone) == 1 else f"{len(gone)} worker processes have"
        yield Trouble(
            "worker_missing",
            f"{have} gone without a word: {named}{rest}, {gone[0][1] / 60:.0f} min ago.",
            "Their jobs go on elsewhere. Start them again, or look into their logs; it is told "
            "for an hour.",
        )


_STUCK = {
    "credentials": "Correct the workers' secrets file; they go on by themselves.",
    "cap": "Raise the cap on B2's page Caps & Alerts, or wait until it is reset (00:00 GMT).",
}


def _stuck(waiting: list[Waiting]) -> Iterator[Trouble]:
    for each in waiting:
        if each.reason in _STUCK:
            yield Trouble(
                each.code or each.reason,
                f"{each.count:,} wait for {each.reason}, the oldest is {each.oldest}.",
                _STUCK[each.reason],
            )


def _failed(records: Records) -> Iterator[Trouble]:
    """What failed in the last day for a reason that its caller cannot mend."""
    now = datetime.now(UTC)
    codes: Counter[tuple[str, str]] = Counter()
    latest: dict[tuple[str, str], str] = {}
    for job, ended, failure in latest_failures(records, MOST_LOOKED_AT):
        if (now - ended).total_seconds() > _FRESH_SECONDS:
            break
        if failure.act in ("operator", "us"):
            what = (failure.code, failure.hint)
            codes[what] += 1
            latest.setdefault(what, job)
    for (code, hint), count in codes.most_common(_MOST_CODES):
        job = latest[code, hint]
        jobs = "job has" if count == 1 else "jobs have"
        yield Trouble(
            code,
            f"{count:,} {jobs} failed with {code} since yesterday; the latest is {job}.",
            hint or f"Look at it with `b2jobs job show {job}`.",
        )


def _forged(refused: Mapping[str, int]) -> Iterator[Trouble]:
    if refused:
        what = ", ".join(f"{name} {count:,}" for name, count in sorted(refused.items()))
        yield Trouble(
            "refused",
            f"In the last hour what was not signed or sealed as it must be was refused: {what}.",
            "Somebody without a key writes to Redis, or producers and workers have different "
            "keys: see docs/security.md.",
        )


def _unwell(
    records: Records, workers: list[Worker], words: dict[str, int], schedules: list[Upcoming]
) -> Iterator[Trouble]:
    versions = sorted({worker.version for worker in workers if worker.version})
    if len(versions) > 1:
        yield Trouble(
            "versions_differ",
            f"Workers run different versions: {', '.join(versions)}.",
            "Restart those that were left out of the update.",
        )
    if words.get("undelivered"):
        yield Trouble(
            "words_undelivered",
            f"{words['undelivered']:,} of the words about ended jobs could not be delivered.",
            "`b2jobs words list --standing undelivered` names them, `b2jobs words resend` helps.",
        )
    for schedule in schedules:
        if schedule.last_state == "failed":
            yield Trouble(
                "schedule_failed",
                f"The last run of the schedule {schedule.name} failed with {schedule.last_code}.",
                f"Run it again with `b2jobs schedule run {schedule.name}`.",
            )
    try:
        with unavailable(records.url):
            memory = records.redis.info("memory")
    except QueueUnavailable as error:
        if not isinstance(error.__cause__, NoPermissionError):
            raise
        return  # then Redis keeps it to itself
    most, used = int(memory.get("maxmemory") or 0), int(memory.get("used_memory") or 0)
    if most and used > _MEMORY_SHARE_THAT_WARNS * most:
        yield Trouble(
            "redis_full",
            f"Redis has used {used / most:.0%} of its memory; full, it takes no new jobs.",
            "Give it more (`maxmemory`), or keep results for a shorter time.",
        )
