"""What a web server or urllib3 says, as an error of b2jobs.

404, 410                 source_missing         caller
401, 403                 source_forbidden       caller
other 4xx                source_refused         caller
429, 408, 425            source_busy            nobody, after Retry-After
5xx                      source_unavailable     nobody, after Retry-After
no connection, timeouts  source_unreachable     nobody
broken off               source_interrupted     nobody
a drip                   source_too_slow        nobody
certificate              source_certificate     caller
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

from urllib3 import exceptions as foreign

from b2jobs.errors import CallerError, InternalError, JobError, PassingError, Wait

# Looked through from the top: the first class that fits names the error.
TRANSPORT: list[tuple[type[foreign.HTTPError], str]] = [
    (foreign.ConnectTimeoutError, "source_unreachable"),
    (foreign.ProxyError, "source_unreachable"),
    (foreign.MaxRetryError, "source_unreachable"),
    (foreign.ConnectionError, "source_interrupted"),
    (foreign.TimeoutError, "source_interrupted"),
    (foreign.ProtocolError, "source_interrupted"),
    (foreign.IncompleteRead, "source_interrupted"),
    (foreign.InvalidChunkLength, "source_interrupted"),
    (foreign.DecodeError, "source_interrupted"),
    (foreign.ResponseError, "source_interrupted"),
    (foreign.BodyNotHttplibCompatible, "source_interrupted"),
    (foreign.HeaderParsingError, "source_interrupted"),
    (foreign.InvalidHeader, "source_interrupted"),
    (foreign.UnrewindableBodyError, "source_interrupted"),
    (foreign.EmptyPoolError, "source_interrupted"),
    (foreign.ClosedPoolError, "source_interrupted"),
    (foreign.FullPoolError, "source_interrupted"),
    (foreign.SSLError, "source_interrupted"),
    (foreign.LocationValueError, "source_refused"),
    (foreign.HostChangedError, "source_refused"),
]


def transport_error(error: foreign.HTTPError, shown: str) -> JobError:
    """The error of b2jobs for what urllib3 met while reading *shown*."""
    reason = _reason(error)
    if is_certificate(error):
        return CallerError(
            "source_certificate",
            f"The certificate of {shown} is not trusted: {reason}.",
            hint="If it is right, give its authority to the worker with the setting ca_file.",
        )
    code = next((code for kind, code in TRANSPORT if isinstance(error, kind)), "")
    match code:
        case "source_unreachable":
            return PassingError(code, f"{shown} cannot be reached: {reason}.")
        case "source_interrupted":
            return PassingError(code, f"Reading {shown} broke off: {reason}.")
        case "source_refused":
            return CallerError(code, f"{shown} cannot be asked for: {reason}.")
        case _:
            return InternalError("source_transport", f"Reading {shown} failed: {reason}.")


def status_error(status: int, headers: Mapping[str, str], shown: str) -> JobError:
    """The error of b2jobs for an answer with *status*."""
    if status in (404, 410):
        return CallerError("source_missing", f"{shown} does not exist: {status}.")
    if status in (401, 403):
        return CallerError(
            "source_forbidden",
            f"{shown} may not be read: {status}.",
            hint="Use a URL that opens without a login; a signed one may have expired.",
        )
    if status in (408, 425, 429):
        wait = Wait("rate_limited", retry_after(headers))
        return PassingError("source_busy", f"{shown} asks to come later: {status}.", wait=wait)
    if status >= 500:
        wait = Wait("backoff", retry_after(headers))
        return PassingError(
            "source_unavailable", f"The server of {shown} fails: {status}.", wait=wait
        )
    return CallerError("source_refused", f"{shown} answered with {status}, which is no file.")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds that `Retry-After` asks for, as a number or a date; None without one."""
    text = headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except ValueError:
        return None


def is_certificate(error: BaseException) -> bool:
    """Whether *error*, or what it was made of, is a certificate that nobody vouches for."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return True
    inner = [error.args[0] if error.args else None, error.__cause__, getattr(error, "reason", None)]
    inner.append(getattr(error, "kwargs", {}).get("error"))  # botocore keeps it there
    inner.append(getattr(error, "inner_exception", None))  # and Azure there
    return any(isinstance(each, BaseException) and is_certificate(each) for each in inner)


def _reason(error: BaseException) -> str:
    """The innermost words, without the URL that urllib3 likes to put before them."""
    cause = error.__cause__ or error.__context__
    if isinstance(cause, OSError) and cause.strerror:
        return cause.strerror
    if isinstance(error, foreign.TimeoutError):
        return "timed out"
    inner = error.args[0] if error.args else ""
    return str(inner).rpartition("): ")[2].rstrip(".") or type(error).__name__
