"""What all transfers of one process share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from pydantic import ValidationError

from b2jobs.errors import JobError, OperatorError
from b2jobs.locations import Location, WebFile
from b2jobs.redis.pieces import Pieces
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2.accounts import Accounts
from b2jobs_worker.b2.budget import Budgets
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.concurrency import MOST
from b2jobs_worker.b2.governor import Governor
from b2jobs_worker.b2.meter import Meter, Meters
from b2jobs_worker.b2.prices import Prices
from b2jobs_worker.secrets import SecretsFile
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources.opener import open_sink, open_source, open_target
from b2jobs_worker.sources.port import Sink, Source
from b2jobs_worker.sources.target import ObjectTarget
from b2jobs_worker.sources.web_connection import Opening
from b2jobs_worker.transfer.buffers import Buffers
from b2jobs_worker.transfer.in_flight import FEWEST, InFlights
from b2jobs_worker.transfer.threads import Threads


class OpenSink(Protocol):
    """`sources.open_sink` with the settings of this process."""

    def __call__(self, location: Location, job_id: str, replaces: str | None = None, /) -> Sink: ...


@dataclass(frozen=True)
class Context:
    """The accounts, the places, the threads and the memory of one process.

    Make one with `build` when the worker starts; it may be made before a fork, since what
    must not cross one (connections, threads) is made at first use in the process using it.
    """

    accounts: Accounts
    settings: Settings
    open_source: Callable[..., Source]
    open_sink: OpenSink
    open_target: Callable[[Location, Callable[[], None]], ObjectTarget | None]
    prices: Prices = field(default_factory=Prices)
    threads: Threads = field(default_factory=Threads)
    buffers: Buffers = field(default_factory=Buffers)
    in_flight: InFlights = field(default_factory=InFlights)

    @property
    def fair_bytes(self) -> int:
        """What each slot has of the memory for parts, were it shared equally."""
        return self.settings.parts_memory_mib * 1024 * 1024 // self.settings.slots

    def source(
        self, location: Location, attempt: Attempt, *, resuming: bool = False
    ) -> AbstractContextManager[Source]:
        """*location* opened for *attempt*, whose end also ends a server that does not answer.

        *resuming*: see `sources.open_source`.
        """
        if isinstance(location, WebFile):
            return self._web_file(location, attempt, resuming=resuming)
        return closing(self._opened(location, attempt, resuming=resuming))

    @contextmanager
    def _web_file(self, location: WebFile, attempt: Attempt, *, resuming: bool) -> Iterator[Source]:
        opening = Opening(partial(attempt.permit.place, is_written=False))
        with (
            attempt.on_interrupt(opening.close),
            closing(self._opened(location, attempt, resuming=resuming, opening=opening)) as source,
        ):
            yield source

    def _opened(self, location: Location, attempt: Attempt, **options: Any) -> Source:
        try:
            return self.open_source(location, **options)
        except JobError:
            attempt.checkpoint()
            raise

    def client(self, account: str, attempt: Attempt, customer_key: str | None = None) -> B2Client:
        """The way into B2 for *attempt*, with a meter of its own.

        *customer_key*: the name of the key that reads files which are encrypted with it.
        """
        client = B2Client(self.accounts, account, attempt, Meter(self.prices, account))
        if customer_key is not None:
            client.customer_key = client.encryption(customer_key)
        return client


def build(
    settings: Settings,
    *,
    governor: Governor | None = None,
    budgets: Budgets | None = None,
    pieces: Pieces | None = None,
    durable: bool = True,
) -> Context:
    """The context of a worker with *settings*. Reads no secrets yet.

    *pieces*: where the bytes that producers hand over are read.
    *durable*: downloads are flushed to the disk before they take their name; see `LocalSink`.
    """
    return Context(
        accounts=Accounts(
            SecretsFile(settings.secrets_file),
            governor=governor,
            budgets=budgets,
            ca_file=settings.ca_file,
        ),
        settings=settings,
        prices=_prices(settings),
        open_source=partial(open_source, settings=settings, pieces=pieces),
        open_sink=lambda location, job_id, replaces=None: open_sink(
            location, settings, job_id, durable=durable, replaces=replaces
        ),
        open_target=lambda location, checkpoint: open_target(location, settings, checkpoint),
        # Each large file holds some while it lasts, and small ones must not wait for that.
        threads=Threads(MOST + FEWEST * settings.slots),
        buffers=Buffers(settings.parts_memory_mib * 1024 * 1024),
        in_flight=InFlights(settings.parallel_parts),
    )


class Usage:
    """What one job has used since this was made, as fields of its result."""

    def __init__(self, client: B2Client, attempt: Attempt, *others: B2Client) -> None:
        self._meter: Meter | Meters = client.meter
        if others:
            self._meter = Meters(client.meter, *(each.meter for each in others))
        self._attempt = attempt
        self._since = time.monotonic()

    def fields(self, kind: str) -> dict[str, Any]:
        return {
            "job": self._attempt.job_id,
            "kind": kind,
            "attempts": self._attempt.number,
            "seconds": round(time.monotonic() - self._since, 3),
            "calls": self._meter.calls,
            "dollars": self._meter.dollars,
        }


def _prices(settings: Settings) -> Prices:
    try:
        return Prices.model_validate(settings.prices)
    except ValidationError as error:
        first = error.errors()[0]
        raise OperatorError(
            "config_invalid",
            f"The prices are refused: {'.'.join(map(str, first['loc']))}: {first['msg']}.",
            hint="It may say class_a_per_thousand, class_b_per_thousand, class_c_per_thousand, "
            "storage_per_gb_month.",
        ) from error
