"""What is there already of a plan's files in B2: listed a thousand at a time, not asked one by one.

Where an item is to be left alone if its file is there (`if_exists` skip or fail), the item asks
B2 with one class B call. A batch that is submitted a second time finds nearly all of them there.
So the plan is read some thousand items ahead, their names are sorted, and B2 lists from one of
them to the next: a page tells of all names between its first and its last. What it shows goes
along with the item. It only ever ends an item; whatever is to be sent or written after all asks
B2 once more, right before.
"""

from __future__ import annotations

import logging
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice, takewhile

from b2jobs import locations
from b2jobs.errors import JobError
from b2jobs.items import Item, Planned
from b2jobs.locations import B2File, InvalidLocation
from b2jobs.requests import last_name
from b2jobs.requests.job import Listed
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.pages import page_of
from b2jobs_worker.b2.versions import from_json
from b2jobs_worker.batch.plan.source import Forecast, NotYet, PlanSource

AHEAD = 4_000
"""Items. More of them find more of a manifest's names on one page, where it is not in order."""
FIRST_AHEAD = 1_000
"""At first: a planner may rest soon, and whoever goes on looks again. Then twice as many."""
WORTH = 10
"""What a page must save: a class C call costs what ten of class B do."""
MOST_POOR = 2
"""Pages in a row that save less; then the rest of what was read ahead asks for itself."""

logger = logging.getLogger(__name__)


class LookedAhead:
    """Implements `PlanSource`: the items of *source*, with what is there of their files.

    Cursors are those of *source*. What was read ahead and not used is read again from there.
    """

    def __init__(
        self,
        source: PlanSource,
        if_exists: str | None,
        client: B2Client,
        spent: Callable[[dict[str, int], float], None],
    ) -> None:
        """*spent* is told the calls by class and the dollars of each look."""
        self._source = source
        self._if_exists = if_exists
        self._client = client
        self._spent = spent

    def forecast(self) -> Forecast:
        return self._source.forecast()

    def items(self, cursor: str) -> Iterator[tuple[str, Planned]]:
        stopped: list[NotYet | JobError] = []
        stream = _until_stopped(self._source.items(cursor), stopped)
        most = FIRST_AHEAD
        while ahead := list(islice(stream, most)):
            yield from self._looked_at(ahead)
            most = min(2 * most, AHEAD)
        if stopped:
            raise stopped[0]

    def _looked_at(self, ahead: list[tuple[str, Planned]]) -> Iterator[tuple[str, Planned]]:
        asking: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for at, (_, planned) in enumerate(ahead):
            file = self._asked_about(planned)
            if file is not None:
                asking[file.bucket][file.name].append(at)
        found: dict[int, Listed] = {}
        for bucket, places in asking.items():
            for name, listed in self._listed(bucket, sorted(places)).items():
                found |= dict.fromkeys(places[name], listed)
        for at, (cursor, planned) in enumerate(ahead):
            if at in found and isinstance(planned, Item):
                options = {**planned.options, "listed": found[at]}
                yield cursor, replace(planned, options=options)
            else:
                yield cursor, planned

    def _asked_about(self, planned: Planned) -> B2File | None:
        """The file in B2 that an item would ask about."""
        if not isinstance(planned, Item) or planned.action not in ("upload", "download", "copy"):
            return None
        if planned.options.get("if_exists", self._if_exists) not in ("skip", "fail"):
            return None
        try:
            if planned.action == "download":
                file = locations.parse(planned.source)
            else:
                file = locations.parse(planned.destination)
                if isinstance(file, B2File) and file.is_prefix:
                    name = last_name(locations.parse(planned.source)) or ""
                    file = B2File(file.bucket, file.name + name)
        except InvalidLocation:
            return None  # its own attempt says so
        return file if isinstance(file, B2File) and not file.is_prefix else None

    def _listed(self, bucket: str, names: list[str]) -> dict[str, Listed]:
        """What B2 shows of *names*, which are sorted. Only a shortcut: empty where it may not."""
        meter = self._client.meter
        before, dollars = meter.calls, meter.dollars
        try:
            account = self._client.account()
            if "listFiles" not in account.capabilities:
                return {}
            allowed = account.name_prefix or ""
            return self._walked(bucket, [name for name in names if name.startswith(allowed)])
        except JobError as error:
            logger.info("%s is not listed ahead: %s", bucket, error.code)
            return {}
        finally:
            used = {name: count - before[name] for name, count in meter.calls.items()}
            if any(used.values()):
                self._spent(used, meter.dollars - dollars)

    def _walked(self, bucket: str, names: list[str]) -> dict[str, Listed]:
        found: dict[str, Listed] = {}
        wanted, prefix = set(names), _common_start(names)
        at = poor = 0
        while len(names) - at >= WORTH and poor < MOST_POOR:
            seen = time.time()
            documents, following = page_of(
                self._client, self._client.bucket(bucket), prefix, (names[at], None)
            )
            there = [each for each in documents if each["fileName"] in wanted]
            for document in there:
                version = from_json(document)
                found[version.name] = (version.file_id, version.size, version.sha1, seen)
            poor = 0 if len(there) >= WORTH else poor + 1
            if following is None or not documents:
                break
            last = documents[-1]["fileName"]
            while at < len(names) and names[at] <= last:
                at += 1
        return found


def _until_stopped(
    items: Iterable[tuple[str, Planned]], stopped: list[NotYet | JobError]
) -> Iterator[tuple[str, Planned]]:
    """*items* until they raise: what came before is used first."""
    try:
        yield from items
    except (NotYet, JobError) as error:
        stopped.append(error)


def _common_start(names: list[str]) -> str:
    """What all of *names*, which are sorted, begin with."""
    if not names:
        return ""
    pairs = zip(names[0], names[-1], strict=False)
    return "".join(ours for ours, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
