"""Commands about a job that is under way: cancel it, pause it.

They are a seal beside the flag in Redis, of whoever gives them. Workers that require signatures
obey the job's producer and who has the workers' keys; a flag without a good seal they pass over.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import Literal, cast

from b2jobs.errors import InvalidJob
from b2jobs.keyfile import WORKERS
from b2jobs.records import Records
from b2jobs.redis import unavailable
from b2jobs.requests import State
from b2jobs.signed import believed, header_of
from b2jobs.signing import Ring

Act = Literal["cancel", "pause", "resume"]


def command(records: Records, job_id: str, act: Act) -> str | None:
    """What goes beside the flag of *act*; None where nothing of the job is signed, or no worker
    asks for that.

    Raises:
        InvalidJob: `keys_missing`: the workers would not obey who asks here.
        QueueUnavailable
    """
    with unavailable(records.url):
        key = f"{records.prefix}job:{job_id}"
        signature = cast("str | None", records.redis.hget(key, "signature"))
    ring, producer = records.ring, _producer_of(signature or "")
    if not signature:
        return None
    if ring.name in (WORKERS, producer):
        return ring.seal(act, act, job_id, _run_of(signature))
    if not wants_signatures(records):
        return None
    here = f"the key here is {ring.name}'s" if ring.name else "there is no key here"
    raise InvalidJob(
        f"The job {job_id} is {producer or 'the workers'}'s, and {here}.",
        code="keys_missing",
        hint="Its workers heed its producer, and who has the workers' keys: set B2JOBS_KEYS_FILE "
        "to one of these, or let its producer do it.",
    )


def check_operator(records: Records) -> None:
    """Refuse what concerns the whole fleet, where its workers would not heed who asks here.

    Raises:
        InvalidJob: `keys_missing`
        QueueUnavailable
    """
    ring = records.ring
    if ring.is_workers or (not ring.name and not wants_signatures(records)):
        return
    raise InvalidJob(
        "This concerns the whole fleet, and there is no workers' key here.",
        code="keys_missing",
        hint="Set B2JOBS_KEYS_FILE to the workers' file, or do it on a worker's machine.",
    )


def cancel(records: Records, job_id: str) -> State:
    """`Records.cancel`, with the command that workers look at.

    Raises:
        InvalidJob, JobNotFound, QueueUnavailable
    """
    return records.cancel(job_id, by=command(records, job_id, "cancel"))


def is_heeded(ring: Ring, said: str, act: Act, job_id: str, signature: str, producer: str) -> bool:
    """Whether a worker does as it is told: *said* stands beside the flag of a job that *producer*
    has asked for under *signature*. Where signatures are not required it always does."""
    if not ring.required:
        return True
    return _is_believed(ring, said, act, job_id, _run_of(signature), producer, time.time() // 60)


@lru_cache(maxsize=1024)
def _is_believed(
    ring: Ring, said: str, act: str, job_id: str, run: str, producer: str, minute: float
) -> bool:
    del minute  # what is not believed is looked at twice a second: it is told of once a minute
    return believed(lambda: ring.unseal(said, act, job_id, run, by=producer) == act, False)


def wants_signatures(records: Records) -> bool:
    """Whether there are workers that do what is signed alone."""
    from b2jobs import fleet

    return any(worker.wants_signatures for worker in fleet.workers(records))


def _run_of(signature: str) -> str:
    """A job that is tried again is signed anew: what was said of it before means nothing then."""
    return signature.partition(" ")[0]


def _producer_of(signature: str) -> str:
    try:
        return str(header_of(signature.split(" ", 3)[3])["for"])
    except (ValueError, TypeError, KeyError, IndexError, RecursionError):
        return ""  # a worker will say what is wrong with it
