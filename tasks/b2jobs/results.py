"""Results: what comes back from a job that succeeded, and how it looks as JSON."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from b2jobs.model import Model


class Result(Model):
    """What every job that succeeded says."""

    model_config = ConfigDict(extra="ignore")

    job: str = ""
    kind: str = ""
    attempts: int = 0
    seconds: float = 0.0
    calls: dict[str, int] = Field(default_factory=lambda: {"a": 0, "b": 0, "c": 0})
    dollars: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """The result as it stands in the record and in Celery's backend."""
        return self.model_dump(mode="json")


def without_content(result: dict[str, Any]) -> dict[str, Any]:
    """*result* as it stands in a list: `size` says how much a download without destination got."""
    return {name: value for name, value in result.items() if name not in ("content", "encoding")}


class TransferResult(Result):
    """The outcome of an upload, a download or a copy.

    uri: where the bytes are now. url: the file's stable address in B2, which opens by
    itself in a public bucket only. sha1: of the bytes transferred, 40 hex digits; None
    where B2 holds no digest of a copied file. verified: those bytes were compared with
    a digest end to end; false too for an upload whose source did not say where it ends.
    not_carried: names of a source's metadata that B2 does not take. content: what was asked
    for inline, as text (`encoding` utf-8) or base64.
    """

    url: str = ""
    uri: str = ""
    file_id: str = ""
    bucket: str = ""
    name: str = ""
    size: int = 0
    sha1: str | None = None
    verified: bool = False
    content_type: str = ""
    uploaded_at: datetime | None = None
    status: Literal["transferred", "unchanged"] = "transferred"
    resumed_bytes: int = 0
    not_carried: list[str] = Field(default_factory=list)
    content: str | None = None
    encoding: Literal["utf-8", "base64"] | None = None

    def as_json(self) -> dict[str, Any]:
        silent = {"content", "encoding"} if self.content is None else set()
        if not self.not_carried:
            silent.add("not_carried")
        return self.model_dump(mode="json", exclude=silent)


class DeleteResult(Result):
    """What a delete removed; deleting what is not there succeeds with `deleted` 0."""

    uri: str = ""
    deleted: int = 0
    status: Literal["deleted", "unchanged"] = "deleted"


class BucketResult(Result):
    """The buckets after the action; one, or for `list` all that the key may see.

    Each has `name`, `id`, `revision` and the settings as `Bucket` takes them: what `show` gives
    can be changed and given back. `unreadable` names those that the key may not read.
    """

    action: str = ""
    status: Literal["created", "updated", "deleted", "listed", "shown", "unchanged"] = "listed"
    buckets: list[dict[str, Any]] = Field(default_factory=list)


class ShareResult(Result):
    """A URL that opens the file until `expires_at`."""

    url: str = ""
    uri: str = ""
    expires_at: datetime | None = None


class CheckResult(Result):
    """What the account's key may do, and which kinds of job it cannot serve.

    expires_at: when B2 will not take the key any more; None for never.
    signatures_required: whether the worker does nothing that is not signed (docs/security.md).
    """

    account: str = ""
    key_id: str = ""
    realm: str = ""
    capabilities: list[str] = Field(default_factory=list)
    buckets: list[str] | None = None
    name_prefix: str | None = None
    cannot: dict[str, list[str]] = Field(default_factory=dict)
    expires_at: datetime | None = None
    signatures_required: bool = False


class BatchResult(Result):
    """What a batch came to.

    items, size_bytes: planned. outcomes: how many of them are `transferred`, `unchanged`,
    `deleted`, `hidden`, `failed`, `cancelled`. moved_bytes: of the transferred. codes: the
    failures by code. For a dry run the items and bytes of each action are in `plan`, and
    `calls` and `dollars` are what it would cost. compared, planned: see `SyncResult`.
    """

    status: Literal["complete", "incomplete", "dry_run"] = "complete"
    items: int = 0
    size_bytes: int = 0
    moved_bytes: int = 0
    outcomes: dict[str, int] = Field(default_factory=dict)
    codes: dict[str, int] = Field(default_factory=dict)
    packs: int = 0
    plan: dict[str, Any] = Field(default_factory=dict)
    compared: dict[str, int] = Field(default_factory=dict)
    planned: list[str] = Field(default_factory=list)

    @property
    def deleted(self) -> int:
        """How many versions are gone, as `DeleteResult` says it of one file."""
        return self.outcomes.get("deleted", 0)


class SyncResult(BatchResult):
    """What a sync came to; see `BatchResult`.

    compared: `sources` and `destinations` are files on each side, `unchanged` those that
        needed nothing, `gone` those that the source has not and that were to be hidden or
        removed, `old_versions` what else was to be removed, `problems` names that were left
        alone. For a dry run, `planned` has the first lines of the plan.
    status: also `skipped`, when a sync of the same pair was running and this was to give way.
    """

    status: Literal["complete", "incomplete", "dry_run", "skipped"] = "complete"  # type: ignore[assignment]  # one more


class HideResult(Result):
    """A file that was hidden, or is shown again; one that was so before is `unchanged`.

    file_id: of the hide marker, or of the version that is visible now.
    """

    uri: str = ""
    file_id: str = ""
    status: Literal["hidden", "shown", "unchanged"] = "hidden"


class LockResult(Result):
    """The retention or the hold of a version, as it is after the job."""

    uri: str = ""
    file_id: str = ""
    name: str = ""
    retention: Literal["governance", "compliance", "none"] | None = None
    retain_until: datetime | None = None
    legal_hold: bool | None = None
    status: Literal["changed", "unchanged"] = "changed"


class VerifyResult(Result):
    """How a report compares with B2: `samples` names the first differences of each sort."""

    checked: int = 0
    missing: int = 0
    different: int = 0
    extra: int = 0
    samples: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def agrees(self) -> bool:
        return not (self.missing or self.different or self.extra)


class ListResult(Result):
    """What a listing came to: its lines, folders among them, the bytes of the files it named.

    pages, digest: how many there were, and SHA-256 over them, by which the reader knows that it
    had all. lines: only with a `limit`; `more` says whether there would have been others.
    """

    uri: str = ""
    count: int = 0
    size_bytes: int = 0
    pages: int = 0
    digest: str = ""
    lines: list[dict[str, Any]] = Field(default_factory=list)
    more: bool = False


class DiskUsageResult(Result):
    """What is below a prefix.

    files, size_bytes: what is visible. versions, version_bytes: every version that takes room,
    the visible ones included. old_versions, old_bytes: those that are not visible: replaced, or
    hidden. hidden: names whose newest version is a hide marker. hide_markers: all of them.
    unfinished: large files that were begun and not finished; their parts take room too, and are
    not counted in bytes. month_dollars, old_month_dollars: what all versions, and the old ones
    alone, cost a month of storage beyond the free allowance.
    """

    uri: str = ""
    files: int = 0
    size_bytes: int = 0
    versions: int = 0
    version_bytes: int = 0
    old_versions: int = 0
    old_bytes: int = 0
    hidden: int = 0
    hide_markers: int = 0
    unfinished: int = 0
    month_dollars: float = 0.0
    old_month_dollars: float = 0.0


class ReadLedgerResult(Result):
    """How many files there were."""

    files: int = 0
