"""Every setting of a worker, with its unit, its consequence and its cost."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, field_validator, model_validator

from b2jobs import redis_url, schedule
from b2jobs.model import Model
from b2jobs.rates import Rates
from b2jobs.signing import Ring, ring
from b2jobs_worker.budgets import ANY_ACCOUNT, Budget
from b2jobs_worker.config_file import Configured
from b2jobs_worker.policy import Policy
from b2jobs_worker.timetable import Timetable, timetable


class Root(Model):
    """A named place, reached as `data://NAME/path`."""

    url: str
    access: Literal["read", "read-write"] = "read"


class Settings(Configured):
    """One frozen object; `Settings()` reads and checks everything at once."""

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        repr=False,
        description="Broker, result backend and records: redis://, rediss://, unix:// or "
        "sentinel://HOST:PORT,HOST:PORT/SERVICE/DB (docs/redis.md).",
    )
    redis_timeout_seconds: float = Field(
        10.0,
        ge=0.1,
        le=3600,
        description="How long one call of Redis may take, whatever is tried meanwhile; then "
        "`QueueUnavailable`. Producers read it too.",
    )
    key_prefix: str = Field(
        "",
        description="Put before every Redis key, so that two installations share one Redis. "
        "Producers need the same.",
    )
    secrets_file: Path = Field(
        Path("/run/secrets/b2.json"),
        description="The B2 credentials. Refused when others can read it; re-read when it changes.",
    )
    keys_file: Path | None = Field(
        None,
        description="The signing keys of producers and workers (docs/security.md). With it, what "
        "is signed is checked; producers read it too. Re-read when it changes.",
    )
    require_signature: bool = Field(
        False,
        description="Do nothing that no producer with a key has signed, and believe nothing in "
        "Redis that no worker has sealed. Needs `B2JOBS_KEYS_FILE`.",
    )
    remote_control: bool = Field(
        False,
        description="Obey all of Celery's remote control. Off, only `revoke` is heard, which "
        "cancels jobs; with `B2JOBS_REQUIRE_SIGNATURE` not even that.",
    )
    policy: Policy = Field(
        default_factory=Policy,
        description="What producers, queues and this worker may do (docs/security.md); only in "
        "the config file. Without it, everything.",
    )
    roots: dict[str, Root] = Field(
        default_factory=dict,
        description="Named places for data:// and file://; only in the config file.",
    )
    schedules: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Jobs submitted by cron expression or interval (docs/schedules.md); only in "
        "the config file, which should say the same on every worker: the leading keeper's counts.",
    )
    queues: str = Field(
        "high,normal,low",
        description="Priorities this worker serves, comma separated. A priority nobody serves "
        "waits for ever.",
    )
    foreign_queue: str = Field(
        "celery",
        description="Queue in which b2jobs.* messages of other Celery applications are looked "
        "for once a second; other messages in it are left alone. Empty turns it off.",
    )
    processes: int = Field(
        0,
        ge=0,
        description="Worker processes; 0 means one for each core. About 70 MB each.",
    )
    slots: int = Field(
        8,
        ge=1,
        le=256,
        description="Jobs at a time in each process. Memory: large files share "
        "`B2JOBS_PARTS_MEMORY_MIB`.",
    )
    part_size_bytes: int = Field(
        0,
        ge=0,
        description="Size of a large upload's parts; 0 takes 8 MiB, more where 10,000 of "
        "these are too few, less (5 MB at the least) where the slots could not each have one in "
        "memory. Parts wait there until B2 has them; above 64 MiB they do not, and are sent one "
        "after the other.",
    )
    parallel_parts: int = Field(
        0,
        ge=0,
        le=64,
        description="Parts or ranges of one large file under way at once; 0 begins with a few and "
        "follows the line (docs/operations.md), another number is kept to. Memory: an upload "
        "holds as many parts and one more, a download 1 MiB each.",
    )
    parts_memory_mib: int = Field(
        128,
        ge=16,
        le=1024 * 1024,
        description="MiB in each process for the parts and ranges of all its large files "
        "together. What finds none left waits. More lets a large upload have more parts under "
        "way, which a long or lossy line needs.",
    )
    requests_per_second: float | None = Field(
        None,
        gt=0,
        description="Most requests a second to one account by all workers together. Must be the "
        "same on every worker; requests above it wait in their slots.",
    )
    bytes_per_second: float | None = Field(
        None,
        gt=0,
        description="Most bytes a second to and from one account by all workers together. Must "
        "be the same on every worker; transfers above it wait in their slots.",
    )
    limits: dict[str, Any] = Field(
        default_factory=dict,
        description="Bytes and requests a second by hours and weekdays (docs/limits.md), in place "
        "of the two above while a window holds; only in the config file, which is read again "
        "when it changes.",
    )
    budgets: dict[str, Budget] = Field(
        default_factory=dict,
        description="What each account may use in a day (UTC), by its name or `*` for each other: "
        "class_b_calls, class_c_calls, dollars (docs/limits.md). Then jobs wait until 00:00 UTC. "
        "Only in the config file, which is read again when it changes.",
    )
    prices: dict[str, float] = Field(
        default_factory=dict,
        description="Your own prices in US dollars for a thousand calls: class_a_per_thousand, "
        "class_b_per_thousand, class_c_per_thousand, and storage_per_gb_month; only for the "
        "dollars of results.",
    )
    lease_seconds: float = Field(
        15.0,
        ge=3,
        le=300,
        description="How long a dead worker's job lies still. Shorter means faster recovery and "
        "more renewals; a worker frozen longer loses its jobs.",
    )
    grace_seconds: float = Field(
        5.0,
        ge=0,
        description="How long a job may go on after SIGTERM before it is handed back.",
    )
    keep_results_seconds: float = Field(
        24 * 3600.0,
        ge=60,
        description="How long records and results of jobs that succeeded or were cancelled are "
        "kept. About 2 KB each.",
    )
    keep_failures_seconds: float = Field(
        7 * 24 * 3600.0,
        ge=60,
        description="How long failed jobs are kept to be understood and tried again. "
        "About 2 KB each.",
    )
    staged_bytes: int = Field(
        64 * 1024 * 1024,
        ge=0,
        description="Most bytes that a producer may hand over with one job (`upload` of bytes, a "
        "path or a file object). They are in Redis until the job ends. Producers read it too; the "
        "lower value counts.",
    )
    staged_all_bytes: int = Field(
        0,
        ge=0,
        description="Most handed-over bytes of all jobs together; 0 is half of Redis's "
        "`maxmemory`, or 1 GiB where it has none. Producers read it too; the lower value counts.",
    )
    keep_staged_seconds: float = Field(
        0.0,
        ge=0,
        description="How long the handed-over bytes of a failed job, and what failed lines of an "
        "ended batch carry themselves (`data:`), are kept, so that they can be tried again "
        "(`b2jobs job retry`, `b2jobs batch retry`). They count as long.",
    )
    log_format: Literal["text", "json"] = Field(
        "text",
        description="How log lines look, on stderr: text for people, or one JSON object a line "
        "(docs/operations.md).",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="What is logged: this and what is worse. A job's end is one info line."
    )
    keep_events: int = Field(
        100_000,
        ge=0,
        le=10_000_000,
        description="How many events (`b2jobs events`) are kept, the latest ones. About 130 bytes "
        "each, three a job. 0 writes none.",
    )
    keep_numbers_seconds: float = Field(
        14 * 24 * 3600.0,
        ge=3600,
        le=400 * 24 * 3600,
        description="How long the numbers of each minute are kept (docs/numbers.md); those of each "
        "day 400 days. A minute in which something happened takes about 2 KB.",
    )
    reserved_slots: int = Field(
        2,
        ge=0,
        le=64,
        description="Slots in one more process that serves only `high`, so that an urgent job "
        "never waits for a long one. 0 saves that process, about 70 MB.",
    )
    download_mode: str = Field(
        "0640",
        pattern=r"^0[67][0-7]{2}$",
        description="Permissions of downloaded files, in octal as chmod takes them. Folders that a "
        "download makes may be entered by those who may read its files, as far as the worker's "
        "umask allows.",
    )
    cache_folder: Path | None = Field(
        Path("~/.cache/b2jobs"),
        description="Where syncs by SHA-1 remember the digests of local files, about 120 bytes "
        "each. Without it every process reads the files once more after its start.",
    )
    health_port: int | None = Field(
        None,
        ge=0,
        le=65535,
        description="Where the worker answers `/healthz` and `/readyz`, for Kubernetes and its "
        "like: 200 while its processes run, and once all of them take jobs.",
    )
    health_host: str = Field(
        "127.0.0.1",
        description="On which address that is; 0.0.0.0 for probes that come from elsewhere.",
    )
    private_hosts: str = Field(
        "",
        description="Hosts, comma separated, that https:// sources may name although they are "
        "private, loopback or link-local.",
    )
    ca_file: Path | None = Field(
        None,
        description="Certificates to trust besides the system's: for B2, https:// sources, object "
        "stores and webhooks.",
    )
    https_head_seconds: float = Field(
        30.0,
        gt=0,
        description="How long an https:// source may take until its answer begins, redirects "
        "included. Longer, and it is tried again later.",
    )
    https_least_bytes_per_second: float = Field(
        1000.0,
        ge=0,
        description="An https:// source that sends less, over half a minute, is given up and "
        "tried again later: it would hold a slot. 0 lets it.",
    )
    https_most_bytes: int = Field(
        1_000_000_000_000,
        gt=0,
        description="Most bytes of one https:// source. One that says more is refused, one "
        "without an end is stopped there.",
    )
    callback_queue: str = Field(
        "celery",
        min_length=1,
        description="Celery queue of `on_done` tasks and of canvas callbacks that name none.",
    )
    callback_routes: dict[str, str] = Field(
        default_factory=dict,
        description="Celery queues of such tasks by name, `*` for any part of it; only in the "
        "config file.",
    )
    webhook_hosts: str = Field(
        "",
        description="Hosts, comma separated, that `on_done` may send webhooks to; `*.example.com` "
        "for those below. Empty: none.",
    )
    webhook_private_hosts: str = Field(
        "",
        description="Those of `webhook_hosts`, or networks, that may be private, loopback or "
        "link-local; http:// is allowed for them alone.",
    )
    webhook_retry_seconds: float = Field(
        24 * 3600.0,
        ge=1,
        description="For how long a word that cannot be told is tried again, before it is kept as "
        "undelivered.",
    )

    @field_validator("redis_url")
    @classmethod
    def _read(cls, url: str) -> str:
        redis_url.read(url)
        return url

    @model_validator(mode="after")
    def _limited(self) -> Self:
        self.timetable()
        return self

    @model_validator(mode="after")
    def _served(self) -> Self:
        unknown = set(self.priorities()) - {"high", "normal", "low"}
        if unknown or not self.priorities():
            raise ValueError(f"queues is {self.queues!r}; write any of high,normal,low")
        return self

    @model_validator(mode="after")
    def _scheduled(self) -> Self:
        for name, values in self.schedules.items():
            schedule.define(name, values)
        return self

    @model_validator(mode="after")
    def _keyed(self) -> Self:
        keys = self.ring()
        if self.require_signature and not keys.is_workers:
            raise ValueError(
                f"require_signature needs the workers' key in {self.keys_file}, "
                f"which has those of {keys.name} alone"
            )
        return self

    def ring(self) -> Ring:
        """The keys of this process.

        Raises:
            InvalidJob: the file of keys cannot be used.
        """
        return ring(self.keys_file, self.require_signature, self.key_prefix)

    def timetable(self) -> Timetable:
        """What limits hold when."""
        return timetable(self.limits, Rates(self.bytes_per_second, self.requests_per_second))

    def budget(self, account: str) -> Budget | None:
        """What *account* may use in a day; None: whatever it wants."""
        return self.budgets.get(account) or self.budgets.get(ANY_ACCOUNT)

    def priorities(self) -> list[str]:
        return [name.strip() for name in self.queues.split(",") if name.strip()]

    def process_count(self) -> int:
        return self.processes or os.cpu_count() or 1


def load() -> Settings:
    """Read the settings.

    Raises:
        OperatorError: `config_invalid`, naming the file or variable, the field and the value.
    """
    return Settings.read()


@cache
def current() -> Settings:
    """The settings of this process, read once."""
    return load()
