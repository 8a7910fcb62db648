"""What may be asked besides source and destination, for type checkers: a field of the request each.

Unset and None are the same where a field may be None.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal, TypedDict

from b2jobs.requests.job import IfExists, Priority
from b2jobs.requests.on_done import AskedOnDone
from b2jobs.requests.protection import RetentionMode


class JobOptions(TypedDict, total=False):
    """Those of every job: see `Job`."""

    key: str | None
    priority: Priority
    retry: float
    expires: float | None
    on_done: AskedOnDone | None


class AccountOptions(JobOptions, total=False):
    account: str


class AttributeOptions(AccountOptions, total=False):
    """What a file in B2 carries: see `b2jobs.requests.attributes`."""

    content_type: str
    info: dict[str, str]
    cache_control: str | None
    content_disposition: str | None
    content_encoding: str | None
    content_language: str | None
    content_expires: str | datetime | None
    encryption: str | None
    retention: RetentionMode | None
    retain_until: str | datetime | None
    retain_for: str | float | None
    legal_hold: bool | None


class UploadOptions(AttributeOptions, total=False):
    if_exists: IfExists
    hash_first: bool


class DownloadOptions(AccountOptions, total=False):
    if_exists: Literal["skip", "fail", "replace"]
    range: str | None
    verify: bool
    customer_key: str | None


class CopyOptions(AttributeOptions, total=False):
    if_exists: IfExists
    customer_key: str | None
    source_account: str | None


class MoveOptions(CopyOptions, total=False):
    bypass_governance: bool


class RetentionOptions(AccountOptions, total=False):
    retain_until: str | datetime | None
    retain_for: str | float | None
    bypass_governance: bool


class BucketOptions(AccountOptions, total=False):
    type: Literal["private", "public", "allPrivate", "allPublic"] | None
    lifecycle: list[dict[str, Any]] | None
    encryption: Literal["SSE-B2", "none"] | None
    lock: bool | None
    retention: str | None
    cors: list[dict[str, Any]] | None
    replication: dict[str, Any] | None
    notifications: list[dict[str, Any]] | None
    info: dict[str, str] | None
    if_revision: int | None


class StreamOptions(AttributeOptions, total=False):
    if_exists: IfExists | None
    dry_run: bool
    max_cost: float | None
    strict: bool
    ledger: str | None
    customer_key: str | None
    source_account: str | None


class ChoosingOptions(AccountOptions, total=False):
    """Those of jobs about many files: see `Choosing`."""

    include: list[str]
    exclude: list[str]
    min_age: float | None
    max_age: float | None
    min_size: int | None
    max_size: int | None


class RemovalOptions(ChoosingOptions, total=False):
    bypass_governance: bool
    dry_run: bool
    ledger: str | None


class DeleteOptions(RemovalOptions, total=False):
    """Those of a prefix, and of one file, which has no use for what chooses among many."""

    versions: str


class ListOptions(ChoosingOptions, total=False):
    recursive: bool
    versions: bool
    limit: int | None


class BatchOptions(StreamOptions, ChoosingOptions, total=False):
    """Those of a batch of a prefix or a manifest."""

    names: Literal["report", "encode"]


class SyncOptions(ChoosingOptions, AttributeOptions, total=False):
    max_cost: float | None
    delete: Literal["keep", "hide", "remove"]
    keep_days: float | None
    compare: Literal["modtime", "size", "sha1", "none"]
    newer: Literal["fail", "skip", "replace"]
    symlinks: Literal["follow", "skip"]
    max_delete: float
    allow_empty_source: bool
    overlap: Literal["wait", "skip", "replace"]
    names: Literal["report", "encode"]
    dry_run: bool
    customer_key: str | None
    source_account: str | None
