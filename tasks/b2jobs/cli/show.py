"""How results and records look on stdout, for people and as JSON."""

from __future__ import annotations

import base64
import json
import math
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from b2jobs import for_people
from b2jobs.cli import bucket_lines
from b2jobs.cli.session import Session
from b2jobs.for_people import masked
from b2jobs.printable import json_line, printable

if TYPE_CHECKING:  # `--help` and completion need none of it
    from b2jobs.record import Record
    from b2jobs.results import CheckResult, Result

_QUIET = {"job", "kind", "attempts", "calls", "encoding"}
_LAST = {"seconds", "dollars"}
_CHECKED = (
    *("upload", "download", "copy", "move", "delete", "hide", "unhide", "retention", "hold"),
    *("share", "sync", "bucket"),
)
size = for_people.size
_UNITS = ((86400, "d", 3600, "h"), (3600, "h", 60, "m"), (60, "m", 1, "s"))


def line(data: dict[str, Any]) -> None:
    """One JSON object on one line."""
    click.echo(json_line(data))


def say(text: str, *, err: bool = False) -> None:
    """One line of *text*, in which names of others may stand."""
    click.echo(printable(text), err=err)


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
    from b2jobs.results import BucketResult, CheckResult, ShareResult, TransferResult

    match outcome:
        case TransferResult(content=str() as content, encoding="base64"):
            sys.stdout.buffer.write(base64.b64decode(content))
        case TransferResult(content=str() as content):
            click.echo(content, nl=False)
        case CheckResult():
            _checked(outcome)
        case ShareResult():
            say(outcome.url)
        case BucketResult(action="list", buckets=[]):
            click.echo("There are no buckets.", err=True)
        case BucketResult(action="list"):
            table([(found.get("name", ""), found.get("type", "")) for found in outcome.buckets])
        case BucketResult(action="show", buckets=[found]):
            table(bucket_lines.lines(found))
        case BucketResult(action="create" | "update", buckets=[found]):
            table([("status", outcome.status), *bucket_lines.lines(found)])
        case _:
            data = outcome.as_json()
            shown = {name: value for name, value in data.items() if name not in _QUIET and value}
            fields(
                {**{name: shown.pop(name) for name in list(shown) if name not in _LAST}, **shown}
            )


def _checked(found: CheckResult) -> None:
    about = {"account": found.account, "key": found.key_id, "realm": found.realm}
    buckets = ", ".join(found.buckets) if found.buckets is not None else "all"
    expires = moment(found.expires_at) or "never"
    fields({**about, "buckets": buckets, "prefix": found.name_prefix or "none", "expires": expires})
    click.echo()
    kinds = sorted({*_CHECKED, *found.cannot})
    rows = [
        (kind, "no" if kind in found.cannot else "yes", ", ".join(found.cannot.get(kind, [])))
        for kind in kinds
    ]
    table([("JOB", "CAN", "LACKS"), *rows])
    if "writeKeys" in found.capabilities and found.buckets is None:
        click.echo(
            "Warning: this key can make other keys, as a master key can. Give the workers one "
            "that is restricted to what they do.",
            err=True,
        )
    if not found.signatures_required:
        click.echo(
            "Note: these workers do what is not signed, too. Whoever can write to Redis may do "
            "with this account all that its key may: `b2jobs docs security`.",
            err=True,
        )


def ended(record: Record) -> None:
    """A job that did not succeed, as JSON."""
    failure = record.failure.model_dump() if record.failure else None
    line({"job": record.id, "kind": record.kind, "state": record.state, "failure": failure})


def fields(data: dict[str, Any]) -> None:
    """Name and value a line, aligned; what is nested is written as JSON."""
    width = max((len(name) for name in data), default=0)
    for name, value in data.items():
        click.echo(f"{name.ljust(width)}  {printable(_said(name, value))}")


def _said(name: str, value: Any) -> str:
    """A value for people: money and bytes as such, lists by their members."""
    if isinstance(value, str):
        return value
    if name.endswith("dollars") and isinstance(value, int | float):
        return dollars(value)
    if (name == "size" or name.endswith("_bytes")) and isinstance(value, int):
        return size(value)
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    if name == "failure" and isinstance(value, dict):
        from b2jobs.cli.wording import for_command_line  # knows all requests

        words = (str(value[each]) for each in ("message", "hint") if value.get(each))
        return for_command_line(f"{' '.join(words)} [{value.get('code', '?')}]")
    if isinstance(value, dict) and all(_is_plain(each) for each in value.values()):
        return ", ".join(f"{each} {_plainly(count)}" for each, count in value.items())
    return json.dumps(value, ensure_ascii=False)


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float)


def _plainly(value: str | float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else f"{value:,}"


def table(rows: Iterable[tuple[str, ...]]) -> None:
    """Columns as wide as they need to be; the last one is not padded."""
    rows = [tuple(map(printable, row)) for row in rows]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [cell.ljust(width) for cell, width in zip(row[:-1], widths, strict=False)]
        click.echo("  ".join([*cells, row[-1]]).rstrip())


def listing(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]], none: str) -> None:
    """A table with a header; where it would be empty, *none* on stderr."""
    rows = list(rows)
    if rows:
        table([columns, *rows])
    else:
        click.echo(none, err=True)


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
    """A time, local, to the second, with its zone."""
    return "" if time is None else f"{time.astimezone():%Y-%m-%d %H:%M:%S %Z}"


def age(time: datetime | None) -> str:
    """How long ago *time* was."""
    return "" if time is None else seconds((datetime.now(UTC) - time).total_seconds())


def seconds(count: float) -> str:
    """A length of time in at most two units: `0.4s`, `12s`, `3m 20s`, `5h 2m`, `4d 3h`."""
    count = max(count, 0.0)
    if count < 10:
        return f"{count:.1f}s"
    whole = round(count)
    for unit, name, part, of_it in _UNITS:
        if whole >= unit:
            return f"{whole // unit}{name} {whole % unit // part}{of_it}"
    return f"{whole}s"


def dollars(amount: float) -> str:
    """Money to its first two digits that count, and to the cent: `$0.000004`, `$12.30`."""
    if not amount:
        return "$0"
    digits = max(2, 1 - math.floor(math.log10(abs(amount))))
    text = f"{amount:.{min(digits, 9)}f}"
    whole, _, rest = text.partition(".")
    return f"${whole}.{rest.rstrip('0').ljust(2, '0')}"
