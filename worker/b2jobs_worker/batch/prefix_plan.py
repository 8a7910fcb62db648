"""A plan from a prefix to a prefix: everything below one goes below the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from b2jobs import locations
from b2jobs.batch_jobs import Batch
from b2jobs.errors import CallerError
from b2jobs.locations import B2File, InvalidLocation, LocalPath, Location, RootPath
from b2jobs.patterns import chosen
from b2jobs_worker.batch.item import Action, Item, Planned, Refusal
from b2jobs_worker.batch.listing import Listed, below_bucket, below_folder
from b2jobs_worker.batch.places import Places
from b2jobs_worker.batch.plan import Forecast
from b2jobs_worker.sources.roots import LocalPlace, place
from b2jobs_worker.transfer.attempt import Attempt
from b2jobs_worker.transfer.context import Context


class PrefixPlan:
    """Implements `PlanSource`. A cursor is the last name that was planned."""

    def __init__(self, request: Batch, attempt: Attempt, context: Context) -> None:
        assert request.source is not None
        assert request.destination is not None
        self._source = locations.parse(request.source)
        self._destination = locations.parse(request.destination)
        self._attempt = attempt
        self._context = context
        self._account = request.account
        self._is_chosen = chosen(request.include, request.exclude)
        if not isinstance(self._source, B2File):
            self._action: Action = "upload"
        else:
            self._action = "copy" if isinstance(self._destination, B2File) else "download"

    def forecast(self) -> Forecast:
        """Look at both ends; how much is below the source only its listing tells."""
        places = Places(self._account, self._attempt, self._context)
        for end, is_target in ((self._source, False), (self._destination, True)):
            if isinstance(end, B2File):
                places.check_bucket(end, is_target=is_target)
            elif isinstance(end, RootPath | LocalPath):
                places.check_root(end, is_target=is_target)
        return Forecast()

    def items(self, cursor: str) -> Iterable[tuple[str, Planned]]:
        for listed in self._listing(cursor):
            if self._is_chosen(listed.name):
                yield listed.name, self._planned(listed)

    def _listing(self, after: str) -> Iterator[Listed]:
        source = self._source
        if isinstance(source, B2File):
            door = self._context.door(self._account, self._attempt)
            return below_bucket(door, source, after)
        assert isinstance(source, RootPath | LocalPath)
        found = place(source, self._context.settings)
        if not isinstance(found, LocalPlace):
            raise _cannot_list(source)
        return below_folder(f"{found.root.folder}/{found.path}", after)

    def _planned(self, listed: Listed) -> Planned:
        source, destination = f"{self._source}{listed.name}", f"{self._destination}{listed.name}"
        try:
            listed.name.encode()
            locations.parse(source)
            locations.parse(destination)
        except (InvalidLocation, UnicodeEncodeError) as error:
            name = listed.name.encode(errors="backslashreplace").decode()
            code = getattr(error, "code", "name_refused")
            return Refusal(code, str(error), f"{self._source}{name}", f"{self._destination}{name}")
        return Item(self._action, source, destination, listed.size)


def _cannot_list(source: Location) -> CallerError:
    return CallerError(
        "listing_unsupported",
        f"What is below {source} cannot be listed.",
        hint="Name the files in a manifest.",
    )
