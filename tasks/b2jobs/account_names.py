"""Names of accounts, and what must never stand as one: a key in the wrong place."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator

from b2jobs import for_people
from b2jobs.errors import InvalidJob

# B2's application keys are K, three digits and 27 characters; older master keys 40 or more
# hexadecimal digits. One that was cut short or has white space around it is meant too, and so
# is a customer's key for SSE-C: 32 bytes in base64, perhaps where its name should stand.
_KEY = re.compile(
    r"\s*(?:K\d{3}[A-Za-z0-9+/_-]{16,}|[0-9a-f]{32,}|(?:SSE-C:)?[A-Za-z0-9+/_-]{43}=?)\s*\Z"
)


def could_be_a_key(name: str) -> bool:
    """Whether *name* looks like an application key, so that it must not be shown or kept."""
    return _KEY.match(name) is not None


def _no_key(name: str) -> str:
    if could_be_a_key(name):
        raise InvalidJob(
            "The account's name looks like an application key. Nothing was queued, and it is "
            "not repeated here.",
            hint="Name an account of the workers' secrets file, such as 'default'.",
            field="account",
        )
    return name


AccountName = Annotated[str, AfterValidator(_no_key)]
"""The name of an account in the workers' secrets file."""


def masked(arguments: dict[str, Any]) -> dict[str, Any]:
    """*arguments* as they may be kept: what looks like a key is `***`, content is left out."""
    return {
        name: _masked(value) if isinstance(value, str) else value
        for name, value in arguments.items()
    }


def _masked(text: str) -> str:
    return "***" if could_be_a_key(text) else for_people.masked(text)
