"""What is signed, what a good signature says, and how it looks in Redis; see `signing`."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from b2jobs.errors import B2JobsError, InvalidJob

VALID_SECONDS = 7 * 24 * 3600.0
"""How long after its time a job may begin, where it does not say `expires`."""
LONGEST_RETRY_SECONDS = 30 * 24 * 3600.0
CLOCKS_DIFFER_SECONDS = 300.0
MARK = "!1 "
T = TypeVar("T")
U = TypeVar("U")
logger = logging.getLogger(__name__)


class SignatureRefused(InvalidJob):
    """What should be signed is not, or not by who may; `code` says which of these."""

    def __init__(self, message: str, *, code: str, hint: str = "") -> None:
        super().__init__(message, code=code, hint=hint)


class SealRefused(B2JobsError):
    """What a worker should have left was written by somebody else: it is not believed."""

    code = "seal_refused"
    hint = "Somebody without a key has written to Redis. See `b2jobs docs security`."


@dataclass(frozen=True)
class Submission:
    """All that a job does, as its record has it.

    request: the arguments, as JSON text. trace: its place in its producer's trace.
    """

    id: str
    kind: str
    priority: str
    key: str
    request: str
    trace: str = ""


@dataclass(frozen=True)
class Signed:
    """What a signature that was found good says.

    producer: who asked; empty where nobody has signed. token: what is remembered when the job
    has ended. at, delay, expires, retry: seconds.
    """

    producer: str = ""
    token: str = ""
    at: float = 0.0
    delay: float = 0.0
    expires: float | None = None
    retry: float = 0.0

    @property
    def begins_until(self) -> float:
        """When it is too late to begin."""
        wait = VALID_SECONDS if self.expires is None else self.expires
        return self.at + self.delay + wait

    @property
    def ends(self) -> float:
        """When the signature is worth nothing any more."""
        return self.begins_until + min(self.retry, LONGEST_RETRY_SECONDS)


UNSIGNED = Signed()


def unsealed(left: T) -> T:
    """What was sealed, believed as it is: for who has no key to check it."""
    return split(left)[1] if isinstance(left, str | bytes) else left


def split(sealed: Any) -> tuple[str, Any]:
    """The seal before *sealed*, empty where there is none, and what it is the seal of."""
    if isinstance(sealed, str):
        start, end, content = sealed.partition("\n")
        return (start, content) if end and start.startswith(MARK) else ("", sealed)
    raw, end, rest = sealed.partition(b"\n")
    return (raw.decode(errors="replace"), rest) if end and raw.startswith(b"!1 ") else ("", sealed)


def celery_message(
    headers: Mapping[str, Any], positional: object, named: object, links: object
) -> list[object]:
    """All of a Celery message that decides what is done, in the order in which it is signed."""
    when = [str(headers.get(name) or "") for name in ("eta", "expires", "group")]
    given = {name: value for name, value in dict(links or {}).items() if value}  # type: ignore[call-overload]  # a mapping
    return [positional or [], named or {}, given, when]


def header_of(text: str) -> dict[str, Any]:
    header = json.loads(text)
    if not isinstance(header["by"], str) or not isinstance(header["for"], str):
        raise TypeError
    numbers = {n: float(header[n]) for n in ("at", "delay", "expires", "retry") if n in header}
    return {"by": header["by"], "for": header["for"], **numbers}


def check_time(found: Signed) -> None:
    now = time.time()
    if found.at > now + CLOCKS_DIFFER_SECONDS:
        raise SignatureRefused(
            f"The job was signed {found.at - now:.0f} s from now.",
            code="signature_expired",
            hint="Set the clocks of producers and workers.",
        )
    if now > found.ends:
        raise SignatureRefused(
            f"The job's signature was good until {now - found.ends:.0f} s ago.",
            code="signature_expired",
            hint="Submit it again.",
        )


def believed(opened: Callable[[], T], otherwise: U) -> T | U:
    """What *opened* returns; *otherwise*, and a word in the log, where its seal is refused."""
    try:
        return opened()
    except SealRefused as error:
        logger.error("%s %s", error, error.hint)
        return otherwise


def missing() -> SignatureRefused:
    return SignatureRefused(
        "The job is not signed, and these workers do nothing that is not.",
        code="signature_missing",
        hint="Give its producer a key (b2jobs keys make NAME) and set B2JOBS_KEYS_FILE.",
    )


def invalid(why: str) -> SignatureRefused:
    return SignatureRefused(
        f"The job's signature {why}.",
        code="signature_invalid",
        hint="Somebody without a key has written to Redis, or producers and workers have "
        "different keys: see `b2jobs docs security`.",
    )
