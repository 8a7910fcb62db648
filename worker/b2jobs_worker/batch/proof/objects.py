"""Comparing a report with the objects of other stores: each is asked for its size and SHA-1."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Protocol

from b2jobs import locations
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.batch.proof.expected import Expected
from b2jobs_worker.sources import stores
from b2jobs_worker.sources.roots import store_place
from b2jobs_worker.transfer.context import Context

WIDTH = 32


class Findings(Protocol):
    """Where differences are told."""

    checked: int

    def say(self, what: str, file: str, **more: object) -> None: ...


def compare_objects(
    place: str, expected: Iterator[Expected], attempt: Attempt, context: Context, found: Findings
) -> None:
    """Ask for each object below *place*, such as `s3://BUCKET` or `data://ROOT`.

    One request each. Files of a folder root are not looked at; an object that does not tell its
    SHA-1 is compared by size.

    Raises:
        JobError: the store could not be asked; `policy_refused`.
    """
    lock = threading.Lock()

    def compare(want: Expected) -> None:
        attempt.checkpoint()
        uri = f"{place}/{want.name}"
        location = locations.parse(uri)
        where = store_place(location, context.settings)
        if where is None:
            return
        attempt.permit.place(location, is_written=False)
        there = stores.look(where, context.settings)
        with lock:
            found.checked += 1
            if want.absent:
                if there is not None:
                    found.say("extra", uri)
            elif there is None:
                found.say("missing", uri)
            elif there.size != want.size or (there.sha1 and want.sha1 not in ("", there.sha1)):
                differs = {"size": [want.size, there.size], "sha1": [want.sha1, there.sha1 or ""]}
                found.say("different", uri, differs=differs)

    context.threads.each(compare, expected, width=WIDTH)
