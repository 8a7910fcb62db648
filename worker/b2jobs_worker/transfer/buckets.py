"""Create, update, delete and list buckets."""

from __future__ import annotations

from typing import Any

from b2jobs.errors import CallerError, JobError
from b2jobs.requests import Bucket
from b2jobs.results import BucketResult
from b2jobs_worker.attempt import Attempt
from b2jobs_worker.b2.accounts import BucketName
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.transfer.context import Context, Usage

DEFAULT_TYPE = "allPrivate"


def bucket(request: Bucket, attempt: Attempt, context: Context) -> BucketResult:
    """Do the request's action. Doing it again changes nothing and says "unchanged".

    Raises:
        CallerError: `bucket_name_taken` by another account, or with other settings here;
            `bucket_not_found` for an update; `bucket_not_empty`.
        OperatorError: `capability_missing`.
    """
    client = context.client(request.account, attempt)
    usage = Usage(client, attempt)
    attempt.guard()
    match request.action:
        case "list":
            status, documents = "listed", client.list_buckets()
        case "create":
            status, documents = _create(client, request)
        case "update":
            status, documents = _update(client, request)
        case "delete":
            status, documents = _delete(client, request)
    return BucketResult(
        **usage.fields("bucket"),
        action=request.action,
        status=status,
        buckets=[_described(each) for each in documents],
    )


def _create(client: B2Client, request: Bucket) -> tuple[str, list[dict[str, Any]]]:
    assert request.name is not None
    try:
        made = client.create_bucket(
            request.name,
            request.type or DEFAULT_TYPE,
            request.lifecycle,
            in_doubt=lambda: _made(client, request),
        )
    except JobError as error:
        if error.code != "bucket_name_taken":
            raise
        there = client.list_buckets(request.name)
        if not there or not _agrees(there[0], request):
            raise
        return "unchanged", there
    return "created", [made]


def _made(client: B2Client, request: Bucket) -> dict[str, Any] | None:
    there = client.list_buckets(request.name)
    return there[0] if there and _agrees(there[0], request) else None


def _update(client: B2Client, request: Bucket) -> tuple[str, list[dict[str, Any]]]:
    there = _there(client, request)
    if _agrees(there, request):
        return "unchanged", [there]
    name = BucketName(there["bucketId"], there["bucketName"])
    return "updated", [client.update_bucket(name, request.type, request.lifecycle)]


def _delete(client: B2Client, request: Bucket) -> tuple[str, list[dict[str, Any]]]:
    assert request.name is not None
    there = client.list_buckets(request.name)
    if not there:
        return "unchanged", []
    name = BucketName(there[0]["bucketId"], there[0]["bucketName"])
    return ("deleted" if client.delete_bucket(name) else "unchanged"), there[:1]


def _there(client: B2Client, request: Bucket) -> dict[str, Any]:
    there = client.list_buckets(request.name)
    if not there:
        raise CallerError(
            "bucket_not_found",
            f"There is no bucket {request.name!r} in this account.",
            hint="Create it first, or correct the name.",
        )
    return there[0]


def _agrees(document: dict[str, Any], request: Bucket) -> bool:
    """Whether the bucket already is as the request wants it."""
    if request.type is not None and document["bucketType"] != request.type:
        return False
    if request.lifecycle is None:
        return True
    return _rules(document.get("lifecycleRules") or []) == _rules(request.lifecycle)


def _rules(rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rules without the entries that say nothing, in order of their prefixes."""
    told = [{key: value for key, value in rule.items() if value is not None} for rule in rules]
    return sorted(told, key=lambda rule: str(rule.get("fileNamePrefix", "")))


def _described(document: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": document["bucketName"],
        "id": document["bucketId"],
        "type": document["bucketType"],
        "lifecycle": document.get("lifecycleRules") or [],
        "revision": document.get("revision"),
    }
