"""A plan from a prefix to a prefix: everything below one goes below the other."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from b2jobs import locations
from b2jobs.items import Action, Item, Planned, Refusal, refused
from b2jobs.locations import B2File, InvalidLocation, LocalPath, Location, RootPath
from b2jobs.patterns import chosen, silenced
from b2jobs.requests import Batch
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2.meter import Meter, difference
from b2jobs_worker.batch.plan.listing import Listed, below_bucket
from b2jobs_worker.batch.plan.places import Places
from b2jobs_worker.batch.plan.source import Forecast
from b2jobs_worker.sources.case import folds_case
from b2jobs_worker.sources.encoding import encoded, written
from b2jobs_worker.sources.failures import names_unsupported
from b2jobs_worker.sources.limits import Limits, began_millis
from b2jobs_worker.sources.listing import list_root
from b2jobs_worker.sources.names import LocalNames, Refused, b2_problem, store_names
from b2jobs_worker.sources.port import Problem
from b2jobs_worker.sources.roots import LocalPlace, place, store_place
from b2jobs_worker.transfer.context import Context


class PrefixPlan:
    """Implements `PlanSource`. A cursor is the last name that was planned."""

    def __init__(
        self,
        request: Batch,
        attempt: Attempt,
        context: Context,
        spent: Callable[[dict[str, int], float], None],
    ) -> None:
        """*spent* is told the calls by class and the dollars of each page that is listed."""
        self._spent = spent
        assert request.source is not None
        assert request.destination is not None
        self._source = request.source_location
        self._destination = request.destination_location
        self._attempt = attempt
        self._context = context
        self._account = request.account
        self._reads = request.source_account or request.account
        self._customer_key = request.customer_key
        self._encodes = request.names == "encode"
        self._is_chosen = chosen(request.include, request.exclude)
        self._is_silenced = silenced(request.include, request.exclude)
        self._limits: Limits | None = None
        if request.has_limits:
            self._limits = Limits.of(request, began_millis(attempt.journal))
        if not isinstance(self._source, B2File):
            self._action: Action = "upload"
        else:
            self._action = "copy" if isinstance(self._destination, B2File) else "download"

    def forecast(self) -> Forecast:
        """Look at both ends; how much is below the source only its listing tells."""
        for end, is_target in ((self._source, False), (self._destination, True)):
            account = self._account if is_target else self._reads
            places = Places(account, self._attempt, self._context)
            if isinstance(end, B2File):
                places.check_bucket(end, is_target=is_target)
            elif isinstance(end, RootPath | LocalPath):
                places.check_root(end, is_target=is_target)
            else:
                places.check_store(end, is_target=is_target)
        return Forecast()

    def items(self, cursor: str) -> Iterable[tuple[str, Planned]]:
        """What is below the source, in the order of its names.

        What the listing cannot use (unreadable folders, names that are no text) is refused;
        it has no place to go on behind, so it may be told again after a step ends there.
        """
        problems: list[Problem] = []
        refuse = self._refuse(cursor)
        behind = cursor
        for listed in self._listing(cursor, problems.append):
            yield from ((behind, each) for each in self._told(problems))
            behind = listed.name
            if self._takes_part(listed):
                yield behind, self._planned(listed, refuse)
        yield from ((behind, each) for each in self._told(problems))

    def _takes_part(self, listed: Listed) -> bool:
        limits = self._limits
        in_limits = limits is None or limits.allow(listed.size, listed.modified_millis)
        return in_limits and self._is_chosen(listed.name)

    def _told(self, problems: list[Problem]) -> list[Refusal]:
        told = [
            self._passed_over(each, for_now=_may_heal(each))
            for each in problems
            if not self._is_silenced(each.name)
        ]
        problems.clear()
        return told

    def _refuse(self, behind: str) -> Callable[[str], Refused | None]:
        """Says why a name cannot be a local file or object; asked in order, as syncs ask it."""
        if isinstance(self._destination, B2File):
            return lambda _: None
        objects = store_place(self._destination, self._context.settings)
        if objects is not None:
            if self._encodes:
                raise names_unsupported(str(self._destination))
            return store_names(objects.target.key)
        assert isinstance(self._destination, RootPath | LocalPath)
        where = place(self._destination, self._context.settings)
        folds = isinstance(where, LocalPlace) and folds_case(where)
        names = LocalNames(folds_case=folds, decodes=self._encodes)
        if behind:
            names.judge(behind)  # it may be a file that what follows takes for a folder
        return names.judge

    def _listing(self, after: str, report: Callable[[Problem], None]) -> Iterator[Listed]:
        source = self._source
        if isinstance(source, B2File):
            client = self._context.client(self._reads, self._attempt)
            return self._metered(client.meter, below_bucket(client, source, after))
        settings, encodes = self._context.settings, self._encodes
        entries = list_root(source, settings, report=report, after=after, encodes=encodes)
        return (Listed(entry.name, entry.size, entry.modified_millis) for entry in entries)

    def _metered(self, meter: Meter, listing: Iterator[Listed]) -> Iterator[Listed]:
        """*listing*; what it costs is told before what it has found."""
        told, dollars = meter.calls, 0.0
        try:
            for listed in listing:
                if (now := meter.calls) != told:
                    self._spent(difference(now, told), meter.dollars - dollars)
                    told, dollars = now, meter.dollars
                yield listed
        finally:
            if (now := meter.calls) != told:
                self._spent(difference(now, told), meter.dollars - dollars)

    def _named(self, side: Location, name: str) -> str:
        if self._encodes and isinstance(side, RootPath | LocalPath):
            return encoded(side) + written(name)
        return f"{side}{name}"

    def _passed_over(self, problem: Problem, *, for_now: bool = False) -> Refusal:
        name = problem.name.encode(errors="backslashreplace").decode()
        message = problem.message.encode(errors="backslashreplace").decode()
        item = Item(self._action, f"{self._source}{name}", f"{self._destination}{name}")
        return refused(item, problem.code, message, for_now=for_now)

    def _planned(self, listed: Listed, refuse: Callable[[str], Refused | None]) -> Planned:
        name = listed.name
        judged = refuse(name)
        if judged is not None:
            return self._passed_over(Problem(name, *judged))
        source, destination = self._named(self._source, name), self._named(self._destination, name)
        by_id = self._encodes and isinstance(self._source, B2File)
        if by_id and b2_problem(source.split("/", 3)[3]) is not None:
            source = f"b2id://{listed.file_id}"  # such as `a//b`
        try:
            name.encode()
            locations.parse(source)
            locations.parse(destination)
        except (InvalidLocation, UnicodeEncodeError) as error:
            code = getattr(error, "code", "name_refused")
            return self._passed_over(Problem(name, code, str(error)))
        options: dict[str, Any] = {"encoded": True} if self._encodes else {}
        if listed.has_customer_key and self._customer_key is not None:
            options["customer_key"] = self._customer_key
        return Item(self._action, source, destination, listed.size, options=options)


def _may_heal(problem: Problem) -> bool:
    """Whether a file of that name can be tried again. What is in a folder only a listing says."""
    return not problem.name.endswith("/") and problem.code != "name_not_utf8"
