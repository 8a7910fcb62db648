"""Remove one version, a file, or all below a prefix."""

from __future__ import annotations

import json
from collections.abc import Iterator

from b2jobs.locations import B2File, B2Version
from b2jobs.requests import Delete
from b2jobs.results import DeleteResult
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2.accounts import BucketName
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.versions import FileVersion
from b2jobs_worker.transfer.context import Context, Usage

_AT_ONCE = 32
_PAGE = 500
_Position = tuple[str, str | None]


def delete(request: Delete, attempt: Attempt, context: Context) -> DeleteResult:
    """Remove what the request names; what is not there counts as removed.

    `latest` means the newest version as it is when the job first looks: the ids to be
    removed are in the journal before the first is, so that a later attempt does not remove
    the next one. Below a prefix, `latest` removes the newest version of each name. What is
    hidden stays so: `latest` passes over names whose newest version is a hide marker. An
    unfinished large file is removed by `all`.

    Raises:
        JobError: docs/errors.md lists the codes.
    """
    client = context.client(request.account, attempt)
    usage = Usage(client, attempt)
    if request.bypass_governance:
        client.require("bypassGovernance")
    work = _Deleting(client, attempt, context, bypass=request.bypass_governance)
    location = request.target_location
    if isinstance(location, B2Version):
        client.require("readFiles", "deleteFiles")
        if request.shown == "unfinished":
            work.remove([FileVersion(location.file_id, "", action="start")])
        elif (version := client.version(location.file_id)) is not None:
            work.remove([version])
    else:
        one_id = request.versions not in ("latest", "all")
        capabilities = ("deleteFiles",) if one_id else ("deleteFiles", "listFiles")
        action = "start" if request.shown == "unfinished" else "upload"
        client.require(*capabilities, name=location.name)
        bucket = client.bucket(location.bucket)
        if one_id:
            work.remove([FileVersion(request.versions, location.name, action=action)])
        else:
            work.remove_listed(bucket, location, newest_only=request.versions == "latest")
    if request.shown is not None and attempt.number > 1:
        work.deleted = 1  # it was there: an earlier attempt, whose answer was lost, has removed it
    return DeleteResult(
        **usage.fields("delete"),
        uri=request.target,
        deleted=work.deleted,
        status="deleted" if work.deleted else "unchanged",
    )


class _Deleting:
    """Removes page by page. The journal has each page before it is removed."""

    def __init__(
        self, client: B2Client, attempt: Attempt, context: Context, *, bypass: bool
    ) -> None:
        self.deleted = 0
        self._bypass = bypass
        self._client = client
        self._attempt = attempt
        self._context = context

    def remove(self, found: list[FileVersion]) -> None:
        """Remove these versions, many at once."""
        self._attempt.guard()
        outcomes: list[bool] = []

        def one(version: FileVersion) -> None:
            if version.action == "start":
                outcomes.append(self._client.cancel_large_file(version.file_id))
            else:
                gone = self._client.delete_version(
                    version.file_id, version.name, bypass_governance=self._bypass
                )
                outcomes.append(gone)

        if len(found) == 1:
            one(found[0])
        else:
            self._context.threads.each(one, found, width=_AT_ONCE)
        self.deleted += sum(outcomes)

    def remove_listed(self, bucket: BucketName, target: B2File, *, newest_only: bool) -> None:
        """Remove what the listing shows, from where the journal says."""
        start: _Position | None = (target.name, None) if not target.is_prefix else ("", None)
        done_name = ""
        if self._attempt.number > 1 and (left := self._attempt.journal.load().get("page")):
            page = json.loads(left)
            self.deleted = page["deleted"]
            self.remove(self._still_there(bucket, target, page["versions"]))
            start = tuple(page["next"]) if page["next"] else None
            done_name = page["name"]
        for found, position in self._pages(bucket, target, start):
            chosen: list[FileVersion] = []
            for version in found:
                if not newest_only:
                    chosen.append(version)
                elif version.action != "start" and version.name != done_name:
                    done_name = version.name
                    if version.action != "hide":  # removing a marker would show the file again
                        chosen.append(version)
            self._note(chosen, position, done_name)
            self.remove(chosen)
            if not target.is_prefix and newest_only and done_name:
                return

    def _still_there(
        self, bucket: BucketName, target: B2File, noted: list[list[str]]
    ) -> list[FileVersion]:
        """Which versions of the page an earlier attempt began with are left.

        Asked of B2 and below the request's own prefix: what a journal says is not believed.
        """
        ids = {file_id for file_id, *_ in noted}
        names = [name for _, name, *_ in noted]
        found: list[FileVersion] = []
        for page, _ in self._pages(bucket, target, (min(names), None) if names else None):
            found += [version for version in page if version.file_id in ids]
            if page and page[-1].name > max(names):
                break
        return found

    def _pages(
        self, bucket: BucketName, target: B2File, start: _Position | None
    ) -> Iterator[tuple[list[FileVersion], _Position | None]]:
        count = _PAGE if target.is_prefix else 100
        while start is not None:
            at = None if start == ("", None) else start
            page, start = self._client.list_versions(
                bucket, prefix=target.name, start=at, count=count
            )
            if not target.is_prefix:
                page = [version for version in page if version.name == target.name]
                if start is not None and start[0] != target.name:
                    start = None
            yield page, start

    def _note(self, chosen: list[FileVersion], position: _Position | None, done_name: str) -> None:
        if not chosen:
            return
        page = {
            "versions": [(each.file_id, each.name, each.action) for each in chosen],
            "next": position,
            "name": done_name,
            "deleted": self.deleted,
        }
        self._attempt.journal.record({"page": json.dumps(page, separators=(",", ":"))})
