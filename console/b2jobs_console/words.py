"""How the pages say things: sizes, times, money, and names in which nothing is hidden."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

from markupsafe import Markup

from b2jobs.fleet import Budget
from b2jobs.for_people import masked_all
from b2jobs.printable import printable

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB")

REASONS = {
    "backoff": "failed for now and is tried again at the time shown",
    "rate_limited": "B2 asked to slow down",
    "cap": "a cap of the account is reached: raise it at Backblaze, or wait for tomorrow",
    "credentials": "the key is missing or refused: correct the workers' secrets file",
    "budget": "the budget is used up",
    "window": "waits for its time, or for parts of it that are under way",
    "paused": "somebody paused it",
    "in_line": "waits for a free worker",
    "no_worker": "no living worker serves its priority: start one",
}


def shown(value: Any) -> Any:
    """What a template prints for *value*: every text goes through here."""
    if value is None:
        return ""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def size(count: float | None) -> str:
    """`213 MiB`."""
    if count is None:
        return ""
    value = float(count)
    for unit in _UNITS:
        if abs(value) < 1024 or unit == _UNITS[-1]:
            break
        value /= 1024
    digits = 0 if unit == "bytes" or abs(value) >= 100 else 1
    return f"{value:,.{digits}f} {unit}"


def number(value: float) -> str:
    """`1,234,567`."""
    return f"{value:,.0f}"


def dollars(value: float) -> str:
    """`$12.30`; small amounts with the digits that count."""
    if value == 0 or abs(value) >= 0.1:
        return f"${value:,.2f}"
    return "$" + f"{value:.6f}".rstrip("0").rstrip(".") if value >= 1e-6 else "under $0.000001"


def lasting(seconds: float | None) -> str:
    """`3 h 20 min`."""
    if seconds is None:
        return ""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.0f} s"
    for unit, smaller, length, part in (
        ("min", "s", 60, 1),
        ("h", "min", 3600, 60),
        ("d", "h", 86400, 3600),
    ):
        if seconds < length * (24 if unit == "h" else 60) or unit == "d":
            whole, rest = int(seconds // length), int(seconds % length // part)
            return f"{whole:,} {unit}" + (f" {rest} {smaller}" if rest and whole < 10 else "")
    raise AssertionError("unreachable")


def moment(value: datetime | float | str | None, now: datetime | None = None) -> Markup:
    """How long ago or ahead, with the time itself, in UTC, when one asks."""
    if value is None or value == "":
        return Markup("")
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    elif not isinstance(value, datetime):
        value = datetime.fromtimestamp(value, UTC)
    seconds = ((now or datetime.now(UTC)) - value).total_seconds()
    said = f"{lasting(seconds)} ago" if seconds >= 0 else f"in {lasting(-seconds)}"
    if abs(seconds) < 1:
        said = "now"
    exact = value.astimezone(UTC).isoformat(" ", "seconds").replace("+00:00", " UTC")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(value.isoformat(), exact, said)


def clock(value: datetime | None) -> str:
    """`2026-11-25 21:08:47 UTC`."""
    if value is None:
        return ""
    return value.astimezone(UTC).isoformat(" ", "seconds").replace("+00:00", " UTC")


def reason(word: str) -> str:
    """Why a job does not run, as a sentence's part."""
    return REASONS.get(word, word.replace("_", " "))


def hint(text: str) -> Markup:
    """*text* with what stands between backticks as code."""
    parts = [Markup.escape(printable(part)) for part in text.split("`")]
    if len(parts) % 2 == 0:  # one of them stands alone
        return Markup("`").join(parts)
    code = Markup("<code>{}</code>")
    return Markup("").join(code.format(part) if n % 2 else part for n, part in enumerate(parts))


def short(job_id: str) -> str:
    """The first characters of an id made by us; others as they are, cut."""
    return job_id[:8] if len(job_id) == 36 else job_id[:24]


def urlencode(text: str) -> str:
    """*text* as a part of a link; what no id may have is written out."""
    return quote(str(text), errors="backslashreplace")


def budget(found: Budget) -> str:
    """`2,500 of 2,500 calls of class B, $0.10 of $1.00`."""
    told = []
    for name, most in found.most.items():
        used = found.used.get(name, 0)
        if name == "dollars":
            told.append(f"{dollars(used)} of {dollars(most)}")
        else:
            told.append(f"{number(used)} of {number(most)} calls of class {name.upper()}")
    return ", ".join(told)


def is_soon(moment: str) -> bool:
    """Whether a time, as results have it, is over or comes within two weeks."""
    return datetime.fromisoformat(moment) - datetime.now(UTC) < timedelta(days=14)


FILTERS = {
    "budget": budget,
    "is_soon": is_soon,
    "urlencode": urlencode,
    "size": size,
    "number": number,
    "dollars": dollars,
    "lasting": lasting,
    "moment": moment,
    "clock": clock,
    "reason": reason,
    "hint": hint,
    "short": short,
    "visible": printable,
    "masked": masked_all,
}
