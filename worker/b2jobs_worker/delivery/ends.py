"""The one line that a job's end is in the log."""

from __future__ import annotations

import logging
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from b2jobs.errors import Failure, InvalidJob
from b2jobs.for_people import is_inline, masked
from b2jobs_worker.delivery.claims import Claim
from b2jobs_worker.logs import FIELDS

_LONGEST_PLACE = 300
_WHERE = ("source", "destination", "target", "manifest", "batch", "action", "name")

logger = logging.getLogger("b2jobs_worker.jobs")


def log_end(
    claim: Claim,
    state: str,
    seconds: float,
    *,
    result: dict[str, Any] | None = None,
    failure: Failure | None = None,
) -> None:
    """Log what became of the job: from where, to where, how much, how long, at what cost."""
    found = result or {}
    fields: dict[str, Any] = {"job": claim.job_id, "kind": claim.kind, "state": state}
    asked = _asked(claim)
    fields |= {name: place(asked[name]) for name in _WHERE if isinstance(asked.get(name), str)}
    fields |= {
        "bytes": found.get("size"),
        "seconds": round(seconds, 3),
        "attempts": claim.attempt,
        "calls": found.get("calls"),
    }
    if failure is not None:
        fields |= {"code": failure.code, "failure": failure.message}
    fields = {name: value for name, value in fields.items() if value not in (None, "")}
    level = logging.WARNING if state == "failed" else logging.INFO
    logger.log(level, "%s", _sentence(fields), extra={FIELDS: fields})


def batch_of(claim: Claim) -> str:
    """The batch that a job is, or is a part of; empty for others."""
    if claim.kind in ("batch", "sync"):
        return claim.job_id
    return str(_asked(claim).get("batch") or "") if claim.kind == "pack" else ""


def _asked(claim: Claim) -> dict[str, Any]:
    try:
        return claim.arguments
    except InvalidJob:  # which is why it failed
        return {}


def place(text: str) -> str:
    """A location without what must not be in a log: what signs a URL, a password, the bytes."""
    scheme = text.partition(":")[0].lower()
    if scheme == "staged" or is_inline(text):
        return masked(text)
    if scheme in ("http", "https"):
        try:
            parts = urlsplit(text)
            host = parts.netloc.rpartition("@")[2]
            query = "..." if parts.query else ""
            text = urlunsplit((parts.scheme, host, parts.path, query, ""))
        except ValueError:
            return f"{scheme}: (not a URL)"
    return text if len(text) <= _LONGEST_PLACE else f"{text[:_LONGEST_PLACE]}..."


def _sentence(fields: dict[str, Any]) -> str:
    rest = dict(fields)
    words = [f"job {rest.pop('job')}: {rest.pop('state')}: {rest.pop('kind')}"]
    source, destination = rest.pop("source", None), rest.pop("destination", None)
    if source:
        words.append(str(source))
    if destination:
        words.append(f"-> {destination}")
    calls = rest.pop("calls", None)
    if calls:
        rest["calls"] = "/".join(str(calls.get(name, 0)) for name in "abc")
    failure = rest.pop("failure", None)
    words += [f"{name}={value}" for name, value in rest.items()]
    return " ".join(words) + (f": {failure}" if failure else "")
