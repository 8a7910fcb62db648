"""What a file in B2 carries besides its bytes: one model for uploads, copies, batches and syncs."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from pydantic import ValidationInfo, field_validator, model_validator

from b2jobs.requests.info import HEADERS, ContentType, check_header, check_info, http_date
from b2jobs.requests.job import Job


class Attributes(Job):
    """What the file that a job makes is to carry. None leaves it to the source, or to B2.

    cache_control, content_disposition, content_encoding, content_language, content_expires:
        headers that B2 sends with the file; an empty text is none at all, whatever the source
        has. `content_expires` is HTTP's `Expires`; a job's own `expires` is when it is dropped.
    """

    cache_control: str | None = None
    content_disposition: str | None = None
    content_encoding: str | None = None
    content_language: str | None = None
    content_expires: str | None = None

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
        info: dict[str, str] = getattr(self, "info", None) or {}
        for name, key in HEADERS.items():
            if getattr(self, name) is not None and key in info:
                raise ValueError(f"{name} is given twice: info has {key} too")
        try:
            check_info(self.with_headers(info))
        except ValueError as error:
            raise ValueError(f"info, with the headers, {error}") from error
        return self

    def with_headers(self, info: Mapping[str, str]) -> dict[str, str]:
        """*info* with the headers that are named, and without those that are named as empty."""
        found = dict(info)
        for name, key in HEADERS.items():
            text = getattr(self, name)
            if text is not None:
                found.pop(key, None)
            if text:
                found[key] = text
        return found


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
    return {**kept, **own}
