"""All that producers and workers do to Redis in one step: the scripts, and the door to them.

Keys, behind the prefix and `b2jobs:`

    job:ID            hash: the record
    journal:ID        hash: what of a large transfer is done
    strays:ID         set: what outdated owners made, to be removed when the job ends
    followers:ID      set: Celery ids that share the result of a job with the same key
    untold            set: ids of ended jobs whose followers are not all told yet
    key:KEY           the id of the job that was submitted under KEY
    queued:PRIORITY   sorted set of ids by the time of their last doorbell
    running           sorted set of ids by the end of their lease
    waiting           sorted set of ids by the time they are due
    succeeded, failed, cancelled   sorted sets of ids by the time they ended
    batches           sorted set of the batches and syncs: open ones first, then by their expiry
    workers, keeper   who lives, by the time of its last sign; who leads
    retention         hash: how many seconds results and failures are kept, how many events, and
                      how many bytes producers may hand over
    limits, open      hashes: how many jobs of a producer or in a queue may wait; how many of a
                      producer have not ended
    used              sorted set of the tokens of signatures whose job has ended, by how long they
                      would be good
    events            stream: what happened to jobs, the latest (docs/events.md)
    worker:WORKER     what a worker process says of itself (JSON), for two minutes
    numbers:MINUTE    hash: what happened how often in a minute since 1970 (docs/numbers.md)
    numbers:day:DAY   hash: the same of a day; numbers:total: of all time, up to minute `folded`

    outbox            sorted set of lanes by the time they are due (shared/outbox.lua)
    lane:LANE         sorted set of the words of a lane by the time they are due
    word:ID           hash: what is told to one receiver of one end of a job
    undelivered       sorted set of the words that were given up, by when
    silences          hash: how often in a row the destination of a lane did not answer
    outbox-bell       wakes whoever delivers words
    follower:ID       what is told of a Celery task that shares another job's result

    staged:ID         hash: number -> piece of the bytes a producer handed over; `job`: whose they
                      are, empty while they are written
    staged            hash: id of staged bytes -> how many
    staged_bytes      how many there are of them all
    staging           sorted set of their ids by the time they are looked at, and dropped if no
                      job that goes on has them

    batch:ID          hash: cursor, counters, flags, where spilled parts of the ledger are
    batch:ID:packs    sorted set of the packs under way by their number
    batch:ID:ledger   hash: pack number -> its outcomes, gzip of JSON lines
    batch:ID:feed     hash: number of a chunk of submitted items -> gzip of JSON lines
    pack:PACK         the items of a pack under way
    outcomes:PACK     hash: position -> outcome of a finished item of a pack under way
    sync-plan:ID      list: the plan of a sync
    pair:HASH         the sync that has a pair of sides

All keys of a batch expire with its record. `shared/job.lua` says how a job changes its state;
each other file is one script, and its header says what it takes, what it answers, and what it
does in a full Redis.
"""

from b2jobs.redis.door import Door, script_text, unavailable
from b2jobs.requests import Priority

__all__ = ["QUEUES", "Door", "script_text", "unavailable"]

QUEUES: dict[Priority, str] = {"high": "b2jobs.high", "normal": "b2jobs", "low": "b2jobs.low"}
