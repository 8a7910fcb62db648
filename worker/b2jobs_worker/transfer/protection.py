"""How the version that a job makes is protected: as it asks, or as the source of a copy is."""

from __future__ import annotations

from b2jobs.errors import CallerError
from b2jobs.requests import Retention as RetentionChange
from b2jobs.requests.attributes import AllAttributes, Attributes
from b2jobs_worker.b2.client import B2Client
from b2jobs_worker.b2.protection import NOTHING, Encryption, Protection, Retention
from b2jobs_worker.b2.versions import FileVersion


def asked(request: Attributes, client: B2Client) -> Protection:
    """What *request* asks for.

    Raises:
        CallerError: `retention_past`, `customer_key_unknown`.
        OperatorError: `capability_missing`; the secrets file cannot be used.
    """
    if request.encryption is None and request.retention is None and not request.legal_hold:
        return NOTHING
    encryption: Encryption | None = None
    if request.encryption_key is not None:
        encryption = client.encryption(request.encryption_key)
    elif request.encryption == "SSE-B2":
        encryption = Encryption()
    retention = retention_of(request, client)
    return _allowed(Protection(encryption, retention, bool(request.legal_hold)), client)


def kept(
    request: AllAttributes, client: B2Client, source: FileVersion
) -> tuple[Protection, list[str]]:
    """What a copy of *source* has: the source's, but what *request* names.

    Also the names of what the source may have and the account's key may not know. Errors as
    `asked` has them.
    """
    named = asked(request, client)
    encryption = named.encryption
    if request.encryption is None:
        if source.has_customer_key:
            encryption = client.customer_key
        elif source.encryption:
            encryption = Encryption()
    retention = named.retention if request.retention is not None else source.retained
    is_held = source.is_held if request.legal_hold is None else request.legal_hold
    not_told = [name for name in source.untold if getattr(request, name) is None]
    return _allowed(Protection(encryption, retention, is_held), client), not_told


def retention_of(request: Attributes | RetentionChange, client: B2Client) -> Retention | None:
    """The retention that *request* names, its end reckoned from now by B2's clock.

    Raises:
        CallerError: `retention_past`
    """
    if request.retention in (None, "none"):
        return None
    now_millis = client.account().http.server_millis()
    if request.retain_until is not None:
        until_millis = round(request.retain_until.timestamp() * 1000)
    else:
        until_millis = now_millis + round((request.retain_for or 0) * 1000)
    retention = Retention(str(request.retention), until_millis)
    if until_millis <= now_millis:
        raise CallerError(
            "retention_past",
            f"The retention is {retention}, which is over.",
            hint="Give a later retain_until, or retain_for.",
        )
    return retention


def _allowed(protection: Protection, client: B2Client) -> Protection:
    client.require(*protection.capabilities)
    return protection
