"""A plan that removes what is below a prefix, version by version, each by its id."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any

from b2jobs import locations
from b2jobs.items import Item, Planned
from b2jobs.locations import B2File, InvalidLocation
from b2jobs.patterns import chosen
from b2jobs.requests import Batch
from b2jobs_worker.attempt import Attempt, Journal
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.pages import listed_pages
from b2jobs_worker.batch.plan.source import Forecast, NotYet
from b2jobs_worker.sources.limits import Limits

SETTLE_SECONDS = 1.0
_BEGAN = "removal_began"
Document = dict[str, Any]
Place = tuple[str, int, tuple[str, ...]]
"""The last version that was planned: its name, its time, and all ids of that time."""


class RemovalPlan:
    """Implements `PlanSource`. A cursor is the stage and the last version that was planned.

    What was uploaded after the batch's first look stays, whatever its name. Hide markers go
    last, when all else has come to its end, and only where nothing is left that they hide.
    """

    def __init__(
        self,
        request: Batch,
        attempt: Attempt,
        client: B2Client,
        spent: Callable[[dict[str, int], float], None],
        under_way: Callable[[], int],
    ) -> None:
        """*spent* is told the calls of the listings, *under_way* says how many packs there are."""
        self._target = request.target_location
        self._everything = request.versions == "all"
        self._dry_run = request.dry_run
        self._more = {"bypass_governance": True} if request.bypass_governance else {}
        self._attempt = attempt
        self._client = client
        self._spent = spent
        self._under_way = under_way
        self._began = _began(attempt.journal, client)
        self._is_chosen = chosen(request.include, request.exclude)
        self._limits = Limits.of(request, self._began)

    def forecast(self) -> Forecast:
        """Look whether the key may do it; what is there only the listing tells.

        Raises:
            JobError: `capability_missing`, `name_not_allowed`, `bucket_not_found`, ...
        """
        bypass = ["bypassGovernance"] if self._more else []
        self._client.require("listFiles", "deleteFiles", *bypass, name=self._target.name)
        self._client.bucket(self._target.bucket)
        return Forecast()

    def items(self, cursor: str) -> Iterable[tuple[str, Planned]]:
        stage, place = _read(cursor)
        if stage == "versions":
            for documents in self._names(place):
                if place and not self._everything and documents[0]["fileName"] == place[0]:
                    continue  # its newest went already: what is the newest now is to stay
                going, markers = self._decided(documents)
                if self._dry_run:
                    going += markers
                yield from self._planned("versions", going, place)
            if self._dry_run or not self._everything:
                return
            place = None
        if self._under_way():
            raise NotYet(SETTLE_SECONDS)
        for documents in self._names(place):
            yield from self._planned("markers", self._bare_markers(documents), place)

    def _names(self, place: Place | None) -> Iterator[list[Document]]:
        """The versions of each name from *place* on, the newest first."""
        target = self._target
        bucket = self._client.bucket(target.bucket)
        pages = listed_pages(
            self._client, bucket, target.name, (place[0] if place else None, None), versions=True
        )
        for name, found in groupby(self._documents(pages), itemgetter("fileName")):
            documents = list(found)
            if name.startswith(target.name) and self._is_chosen(name[len(target.name) :]):
                yield documents

    def _documents(self, pages: Iterable[tuple[list[Document], Any]]) -> Iterator[Document]:
        meter = self._client.meter
        before, dollars = meter.calls, meter.dollars
        for documents, _ in pages:
            now, cost = meter.calls, meter.dollars
            used = {name: count - before[name] for name, count in now.items()}
            self._spent(used, cost - dollars)
            before, dollars = now, cost
            yield from documents

    def _decided(self, documents: list[Document]) -> tuple[list[Document], list[Document]]:
        """Which versions of a name go, and which of its hide markers go behind them."""
        newest = next((each for each in documents if each["action"] != "start"), None)
        if not self._everything:
            goes = newest is not None and newest["action"] == "upload" and self._takes(newest)
            return [newest] if goes and newest is not None else [], []
        going = [each for each in documents if each["action"] != "hide" and self._takes(each)]
        return going, self._bare_markers(documents, {each["fileId"] for each in going})

    def _bare_markers(
        self, documents: list[Document], going: Collection[str] = ()
    ) -> list[Document]:
        """The hide markers that take part and have nothing left behind them but *going*."""
        bare: list[Document] = []
        for each in documents:
            if each["action"] == "hide" and self._takes(each):
                bare.append(each)
            elif each["action"] == "upload" and each["fileId"] not in going:
                bare.clear()
        return bare

    def _takes(self, document: Document) -> bool:
        uploaded = int(document.get("uploadTimestamp") or 0)
        size = int(document.get("contentLength") or 0)
        if document["action"] == "hide":
            size = self._limits.least_bytes  # it hides files of any size
        return uploaded <= self._began and self._limits.allow(size, uploaded)

    def _planned(
        self, stage: str, documents: list[Document], place: Place | None
    ) -> Iterator[tuple[str, Planned]]:
        """The items of one name, without those that were planned before *place*."""
        same_time: list[str] = []
        last = -1
        for document in documents:
            name, file_id = document["fileName"], document["fileId"]
            uploaded = int(document.get("uploadTimestamp") or 0)
            same_time = [*same_time, file_id] if uploaded == last else [file_id]
            last = uploaded
            if place is not None and name == place[0]:
                if uploaded > place[1] or file_id in place[2]:
                    continue
                if uploaded == place[1]:
                    same_time = [*place[2], file_id]
            yield json.dumps([stage, name, uploaded, same_time]), self._item(document)

    def _item(self, document: Document) -> Item:
        target = f"b2://{self._target.bucket}/{document['fileName']}"
        shown = "unfinished" if document["action"] == "start" else "file"
        options = {"versions": document["fileId"], "shown": shown}
        try:
            location = locations.parse(target)
            is_name = isinstance(location, B2File) and not location.is_prefix
        except InvalidLocation:
            is_name = False
        if not is_name:  # B2 lists names that it takes no longer
            target, options = f"b2id://{document['fileId']}", {"shown": shown}
        size = int(document.get("contentLength") or 0) if self._dry_run else None
        return Item("delete", "", target, size, options={**options, **self._more})


def _read(cursor: str) -> tuple[str, Place | None]:
    if not cursor:
        return "versions", None
    stage, name, uploaded, ids = json.loads(cursor)
    return stage, (name, uploaded, tuple(ids))


def _began(journal: Journal, client: B2Client) -> int:
    """When the batch has first looked, by B2's clock, since versions are as old as that says."""
    said = journal.load().get(_BEGAN)
    if said:
        return int(said)
    http = client.account().http
    now = http.told_millis() or http.server_millis()
    journal.record({_BEGAN: str(now)})
    return now
