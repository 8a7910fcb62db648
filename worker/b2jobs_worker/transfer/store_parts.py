"""The parts of one object while they are written: fetched in parallel, taken into the digest in
their order, sent in parallel.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from typing import TypeVar

from b2jobs.errors import JobError
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2 import retry
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.downloads import Arriving
from b2jobs_worker.b2.governor import SHORT_PAUSE_SECONDS
from b2jobs_worker.sources.target import ObjectTarget
from b2jobs_worker.transfer import checkpoint, digest
from b2jobs_worker.transfer.checkpoint import LargeFile
from b2jobs_worker.transfer.context import Context
from b2jobs_worker.transfer.in_flight import InFlight
from b2jobs_worker.transfer.parts import PartPlan
from b2jobs_worker.transfer.ranges import cut_short

T = TypeVar("T")

_PAUSES_SECONDS = (0.2, 1.0, 3.0)
_TRIED_AGAIN = {
    "destination_busy",
    "destination_unavailable",
    "destination_unreachable",
    "destination_damaged",
}


def tried_again(act: Callable[[], T], client: B2Client) -> T:
    """What *act*, a request to a store, gives; tried again for seconds where that helps."""
    for pause in (*_PAUSES_SECONDS, None):
        try:
            return act()
        except JobError as error:
            asked = error.wait.seconds if error.wait else None
            if pause is None or error.code not in _TRIED_AGAIN:
                raise
            if asked is not None and asked > SHORT_PAUSE_SECONDS:
                raise
            client.sleep(pause if asked is None else asked)
    raise AssertionError("unreachable")


class StoreParts:
    """The parts of *file* that are not in the store yet: those behind *tokens*.

    *known* is the digest of what is there. When `send` returns, `tokens` has all parts and
    `sha1` is that of the whole.
    """

    def __init__(
        self,
        client: B2Client,
        attempt: Attempt,
        context: Context,
        target: ObjectTarget,
        file: LargeFile,
        first: int,
        tokens: dict[int, str],
        known: digest.Digest,
    ) -> None:
        self.tokens = tokens
        self._client = client
        self._attempt = attempt
        self._context = context
        self._target = target
        self._file = file
        self._first = first
        self._url = str(client.account().session.get_download_url_by_id(file.identity))
        self._plan = PartPlan(file.part_bytes, file.size)
        self._digest = known
        self._states: dict[int, str | None] = {}
        self._hashed = self._noted = len(tokens)
        self._done = self._plan.offset(self._hashed + 1)
        self._changed = threading.Condition()
        self._stopped = False

    @property
    def sha1(self) -> str:
        return self._digest.hexdigest()

    def send(self, arriving: Arriving, connection: ExitStack) -> None:
        """Fetch and send; *arriving*, on *connection*, begins with the first of the parts."""
        account = self._client.account()
        opening: Arriving | None = arriving
        with (
            connection,
            self._context.buffers.of_one() as buffers,
            self._context.in_flight.of_one(
                f"from {account.name} to a store",
                sample_bytes=self._plan.part_bytes,
                refusals=lambda: account.concurrency.cuts,
            ) as in_flight,
            # One more: while parts are sent, the next one arrives.
            self._context.threads.lanes(lambda: in_flight.limit + 1) as lanes,
        ):

            def look() -> None:
                self._attempt.checkpoint()
                lanes.check()

            try:
                for number in range(self._hashed + 1, (self._plan.count or 0) + 1):
                    look()
                    lanes.wait_until_free()
                    buffer = buffers.take(self._plan.part_bytes, look)
                    view = buffer[: self._plan.length(number)]
                    if opening is not None:
                        self._receive(number, view, opening)
                        connection.close()
                    lanes.submit(
                        *(self._lane, number, view, opening is None, in_flight),
                        *(buffers.give, buffer),
                    )
                    opening = None
                lanes.join()
            finally:
                self._stop()

    def _lane(
        self,
        number: int,
        view: memoryview,
        is_missing: bool,
        in_flight: InFlight,
        give: Callable[[memoryview], None],
        buffer: memoryview,
    ) -> None:
        def put() -> str:
            try:
                return self._target.put_part(self._file.file_id, number, view)
            except JobError as error:
                if error.code == "destination_busy":
                    in_flight.refused()
                raise

        moved = 0
        began = in_flight.began()
        try:
            if is_missing:
                self._receive(number, view, None)
            if self._take_in(number, view):
                self._note(number, tried_again(put, self._client))
                moved = len(view)
        except BaseException:
            self._stop()
            raise
        finally:
            in_flight.ended(began, moved)
            give(buffer)

    def _receive(self, number: int, view: memoryview, opening: Arriving | None) -> None:
        """Part *number* into *view*; a connection that breaks is opened again there."""
        first = self._first + self._plan.offset(number)
        got = tries = 0
        while got < len(view):
            before = got
            fetched = (
                self._client.download(self._url, first + got, first + len(view) - 1)
                if opening is None
                else nullcontext(opening)
            )
            try:
                with fetched as body:
                    while got < len(view):
                        self._attempt.checkpoint()
                        count = body.readinto(view[got:])
                        if not count and opening is None:
                            raise cut_short()
                        if not count:
                            break
                        got += count
                        self._received(count)
            except JobError as error:
                tries = 1 if got > before else tries + 1
                pause = retry.pause_before_next(error, tries)
                if pause is None:
                    raise
                self._client.sleep(pause)
            opening = None

    def _received(self, count: int) -> None:
        with self._changed:
            self._done += count
            done = self._done
        self._attempt.progress("receiving", done, self._file.size)

    def _take_in(self, number: int, view: memoryview) -> bool:
        """Take part *number* into the digest in its turn; false when that will never come."""
        with self._changed:
            while self._hashed + 1 != number:
                if self._stopped:
                    return False
                self._changed.wait(0.25)
            self._digest.update(view)
            self._states[number] = self._digest.state()
            self._hashed = number
            self._changed.notify_all()
        return True

    def _note(self, number: int, token: str) -> None:
        """Part *number* is in the store. The journal is told of those without a gap before them."""
        with self._changed:
            self.tokens[number] = token
            fields: dict[str, str] = {}
            while self._noted + 1 in self.tokens:
                self._noted += 1
                state = self._states.pop(self._noted)
                offset = min(self._plan.offset(self._noted + 1), self._file.size or 0)
                fields |= checkpoint.part_done(self._noted, self.tokens[self._noted])
                fields |= checkpoint.digest_at(offset, state)
            if fields:
                self._attempt.journal.record(fields)

    def _stop(self) -> None:
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
