"""How results and records look on stdout, for people and as JSON."""

from __future__ import annotations

import base64
import json
import sys
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import click

from b2jobs.cli.session import Session
from b2jobs.locations import masked
from b2jobs.records import Record
from b2jobs.results import BucketResult, Result, ShareResult, TransferResult

_QUIET = {"job", "kind", "attempts", "calls", "encoding"}
_LAST = {"seconds", "dollars"}


def line(data: dict[str, Any]) -> None:
    """One JSON object on one line."""
    click.echo(json.dumps(data, ensure_ascii=False))


def queued(session: Session, job_id: str) -> None:
    """A job that was submitted and is not followed: its id."""
    if session.json:
        line({"job": job_id})
    else:
        click.echo(job_id)


def answer(session: Session, outcome: Result) -> None:
    """A job's result: the content that was asked for, the URL, a list, or its fields."""
    if session.json:
        line(outcome.as_json())
        return
    match outcome:
        case TransferResult(content=str() as content, encoding="base64"):
            sys.stdout.buffer.write(base64.b64decode(content))
        case TransferResult(content=str() as content):
            click.echo(content, nl=False)
        case ShareResult():
            click.echo(outcome.url)
        case BucketResult(action="list"):
            table([(found.get("name", ""), found.get("type", "")) for found in outcome.buckets])
        case _:
            data = outcome.as_json()
            shown = {name: value for name, value in data.items() if name not in _QUIET and value}
            fields(
                {**{name: shown.pop(name) for name in list(shown) if name not in _LAST}, **shown}
            )


def ended(record: Record) -> None:
    """A job that did not succeed, as JSON."""
    failure = record.failure.model_dump() if record.failure else None
    line({"job": record.id, "kind": record.kind, "state": record.state, "failure": failure})


def fields(data: dict[str, Any]) -> None:
    """Name and value a line, aligned; what is nested is written as JSON."""
    width = max((len(name) for name in data), default=0)
    for name, value in data.items():
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        click.echo(f"{name.ljust(width)}  {text}")


def table(rows: Iterable[tuple[str, ...]]) -> None:
    """Columns as wide as they need to be; the last one is not padded."""
    rows = list(rows)
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        click.echo("  ".join([*cells, row[-1]]).rstrip())


def what(record: Record) -> str:
    """What a job does, in a few words: where from and where to."""
    request = record.request
    if "destination" in request:
        return f"{masked(str(request.get('source', '')))} -> {request['destination']}"
    for name in ("source", "target"):
        if name in request:
            return masked(str(request[name]))
    return " ".join(str(request[name]) for name in ("action", "name") if name in request)


def why(record: Record) -> str:
    """Why a job is where it is: the code of its failure, or what it waits for."""
    if record.failure and record.state in ("failed", "waiting"):
        return record.failure.code
    return record.reason


def moment(time: datetime | None) -> str:
    """A time of day, local, to the second."""
    return "" if time is None else f"{time.astimezone():%Y-%m-%d %H:%M:%S}"


def size(count: float) -> str:
    """Bytes for people, in powers of 1000."""
    for unit in ("B", "kB", "MB", "GB"):
        if abs(count) < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"
