"""What a file in B2 carries besides its bytes: one model for uploads, copies, batches and syncs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import ValidationInfo, field_validator, model_validator

from b2jobs.metadata import CUSTOMER_KEY
from b2jobs.requests.info import HEADERS, ContentType, check_header, check_info, http_date
from b2jobs.requests.job import Job
from b2jobs.requests.protection import (
    CUSTOMER,
    EncryptionName,
    ForSeconds,
    RetentionMode,
    UntilTime,
    check_retention,
)


class Attributes(Job):
    """What the file that a job makes is to carry. None leaves it to the source, or to B2.

    cache_control, content_disposition, content_encoding, content_language, content_expires:
        headers that B2 sends with the file; an empty text is none at all, whatever the source
        has. `content_expires` is HTTP's `Expires`; a job's own `expires` is when it is dropped.
    encryption: `SSE-B2`, `SSE-C:NAME` with a customer's key that the workers' secrets file has
        under that name, or `default`: what the bucket says.
    retention: `governance` or `compliance`, with `retain_until` (a time) or `retain_for`
        (seconds from when the file is made, or text such as `30d`); `none` is none.
    legal_hold: whether it is put under a legal hold.
    """

    cache_control: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    content_expires: str | None = None
    encryption: EncryptionName | None = None
    retention: RetentionMode | None = None
    retain_until: UntilTime | None = None
    retain_for: ForSeconds | None = None
    legal_hold: bool | None = None

    @field_validator("expires", mode="before")
    @classmethod
    def _not_the_header(cls, given: object) -> object:
        if isinstance(given, str) and given[:1].isalpha():
            raise ValueError(
                "it is in how many seconds the job is no longer started; the header of a file is "
                "content_expires"
            )
        return given

    @field_validator("content_expires", mode="before")
    @classmethod
    def _as_http_has_it(cls, given: object) -> object:
        text = given.isoformat() if isinstance(given, datetime) else given
        return http_date(text) if isinstance(text, str) and text else text

    @field_validator(*HEADERS)
    @classmethod
    def _header(cls, text: str | None, about: ValidationInfo) -> str | None:
        return check_header(HEADERS[str(about.field_name)], text) if text else text

    @model_validator(mode="after")
    def _together(self) -> Self:
        if self.model_fields_set.isdisjoint(_CARRIED):
            return self
        info: dict[str, str] = getattr(self, "info", None) or {}
        for name, key in HEADERS.items():
            if getattr(self, name) is not None and key in info:
                raise ValueError(f"{name} is given twice: info has {key} too")
        check_retention(self.retention, self.retain_until, self.retain_for)
        protected = self.encryption not in (None, "default") or self.legal_hold or self.retain_until
        try:
            check_info(self.put_into(info), strict=bool(protected or self.retain_for))
        except ValueError as error:
            raise ValueError(f"info, with the headers, {error}") from error
        return self

    @property
    def encryption_key(self) -> str | None:
        """The name of the customer's key that encrypts the file."""
        key = (self.encryption or "").removeprefix(CUSTOMER)
        return key if key != self.encryption and key else None

    def put_into(self, info: Mapping[str, str]) -> dict[str, str]:
        """*info* with the headers that are named, and without those that are named as empty."""
        found = dict(info)
        if self.model_fields_set.isdisjoint(_CARRIED):
            return found
        if self.encryption is not None:
            found.pop(CUSTOMER_KEY, None)
            if self.encryption_key is not None:
                found[CUSTOMER_KEY] = self.encryption_key
        for name, key in HEADERS.items():
            text = getattr(self, name)
            if text is not None:
                found.pop(key, None)
            if text:
                found[key] = text
        return found


_CARRIED = frozenset(Attributes.model_fields) - frozenset(Job.model_fields) | {"info"}
"""Files that carry nothing of their own are most of them."""


class AllAttributes(Attributes):
    """Those that also replace what a source has: type and info.

    info: replaces all the source's, but not its headers, its digest and its time.
    """

    content_type: ContentType | None = None
    info: dict[str, str] | None = None

    @field_validator("info")
    @classmethod
    def _info(cls, info: dict[str, str] | None) -> dict[str, str] | None:
        return info if info is None else check_info(info)

    def attributes(self) -> dict[str, Any]:
        """What is named of them, as arguments of an upload or a copy."""
        return self.model_dump(mode="json", include=set(ATTRIBUTES), exclude_none=True)


ATTRIBUTES = tuple(name for name in AllAttributes.model_fields if name not in Job.model_fields)
"""The arguments that say what a file carries."""


def refuse_attributes(request: AllAttributes) -> None:
    """Refuse what is named, where nothing is made in B2 that could carry it."""
    for name in request.attributes():
        raise ValueError(f"{name} has no meaning for a download: only files in B2 carry it")


def together(general: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of one file in front of those that hold for all files of a batch."""
    info = own.get("info") or {}
    kept = {name: value for name, value in general.items() if HEADERS.get(name) not in info}
    if "retention" in own:
        kept = {name: value for name, value in kept.items() if not name.startswith("ret")}
    return {**kept, **own}
