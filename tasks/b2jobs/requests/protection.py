"""How a file in B2 is protected: words for its encryption, its retention and its hold."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from b2jobs.account_names import could_be_a_key
from b2jobs.errors import InvalidJob

CUSTOMER = "SSE-C:"
_KEY_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}\Z")
_LENGTH = re.compile(r"(\d+(?:\.\d+)?)\s*([smhdy]?)\Z")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86_400, "y": 365 * 86_400}


def is_key_name(text: str) -> bool:
    """Whether *text* can name a customer's key, and could not be one."""
    return _KEY_NAME.match(text) is not None and not could_be_a_key(text)


def _named(text: str) -> str:
    if not is_key_name(text):
        raise InvalidJob(
            "customer_key names a key of the workers' secrets file in up to 40 letters, digits "
            "and . _ -; what was given is not repeated here, since it could be the key itself.",
            hint='Put the key into the secrets file, as "customer_keys": {"NAME": "..."}, and '
            "give its NAME.",
            field="customer_key",
        )
    return text


def _encryption(text: str) -> str:
    upper = text.upper()
    if upper in ("SSE-B2", "DEFAULT"):
        return upper if upper == "SSE-B2" else "default"
    if not upper.startswith(CUSTOMER) or not is_key_name(text[len(CUSTOMER) :]):
        raise InvalidJob(
            "encryption is not written as SSE-B2, SSE-C:NAME or default; it is not repeated "
            "here, since it could be a key.",
            hint="NAME is that of a key in the workers' secrets file, in up to 40 letters, "
            "digits and . _ -",
            field="encryption",
        )
    return CUSTOMER + text[len(CUSTOMER) :]


def _time(given: object) -> object:
    if not isinstance(given, str):
        return given
    try:
        time = datetime.fromisoformat(given)
    except ValueError as error:
        raise ValueError("write a time such as 2044-12-01T16:00:00Z, or a day") from error
    if time.tzinfo is None and len(given) > len("2044-12-01"):
        raise ValueError("the time needs its zone, such as the Z in 2044-12-01T16:00:00Z")
    return time


def _in_utc(time: datetime) -> datetime:
    """A time with its zone; a day begins at 00:00 UTC."""
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)


def _length(given: object) -> object:
    match = _LENGTH.match(given.strip()) if isinstance(given, str) else None
    if isinstance(given, str) and match is None:
        raise ValueError("write seconds, or a number with s, m, h, d or y (365 days): 30d, 7y")
    return float(match[1]) * _SECONDS[match[2]] if match else given


KeyName = Annotated[str, AfterValidator(_named)]
"""The name of a customer's key in the workers' secrets file."""

EncryptionName = Annotated[str, AfterValidator(_encryption)]
"""`SSE-B2`, `SSE-C:NAME` with a customer's key, or `default`: what the bucket says."""

RetentionMode = Literal["governance", "compliance", "none"]
UntilTime = Annotated[datetime, BeforeValidator(_time), AfterValidator(_in_utc)]
ForSeconds = Annotated[float, BeforeValidator(_length), Field(gt=0, le=100 * 365 * 86_400)]


def check_retention(
    retention: str | None, retain_until: datetime | None, retain_for: float | None
) -> None:
    """Refuse a retention without its end, and an end without a retention."""
    ends = [
        name for name, end in (("retain_until", retain_until), ("retain_for", retain_for)) if end
    ]
    if len(ends) > 1:
        raise ValueError("retain_until and retain_for are both given; one of them says the end")
    if retention in (None, "none") and ends:
        raise ValueError(f"{ends[0]} needs retention too: governance or compliance")
    if retention in ("governance", "compliance") and not ends:
        raise ValueError(f"retention is {retention!r}: it needs retain_until or retain_for")
