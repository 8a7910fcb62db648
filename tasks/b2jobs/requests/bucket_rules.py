"""What a bucket can carry, checked by B2's own rules and written the way B2 writes it.

Lifecycle, CORS, replication and notification rules are B2's JSON; the default retention is a
word such as `governance:30d`. A secret is never written here: `secret:NAME` stands for one of
the workers' secrets file, and `***` for the one that the bucket has.
"""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Annotated, Any, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator
from pydantic.alias_generators import to_camel

from b2jobs.account_names import could_be_a_key
from b2jobs.errors import InvalidJob
from b2jobs.model import Model

MOST_DAYS = 3000
"""B2 locks a file for so long at the most."""
MOST_RULES = 100
MOST_NOTIFICATIONS = 25
KEPT = "***"
"""In place of a secret that the bucket has, when it is shown; given back, it stays."""

_RETENTION = re.compile(r"(governance|compliance):([1-9]\d{0,3})([dy])\Z")
_SECRET = re.compile(r"secret:[A-Za-z0-9_.-]{1,64}\Z")
_ORIGIN = re.compile(r"(\*|https?|https?://[^*\s]*\*?[^*\s]*)\Z")
_EVENTS = re.compile(
    r"b2:(ObjectCreated:(\*|Upload|MultipartUpload|Copy|Replica|MultipartReplica)"
    r"|ObjectDeleted:(\*|Delete|LifecycleRule)|HideMarkerCreated:(\*|Hide|LifecycleRule)"
    r"|MultipartUploadCreated:(\*|LiveRead))\Z"
)
_Prefix = Annotated[str, Field(max_length=1024)]
_Days = Annotated[int, Field(ge=1, le=2_147_483_647)]
_Operation = Literal[
    "b2_download_file_by_name",
    "b2_download_file_by_id",
    "b2_upload_file",
    "b2_upload_part",
    "s3_delete",
    "s3_get",
    "s3_head",
    "s3_post",
    "s3_put",
]


class _Rule(Model):
    model_config = ConfigDict(
        alias_generator=to_camel,
        strict=True,
        regex_engine="python-re",
    )


class _Lifecycle(_Rule):
    file_name_prefix: _Prefix
    days_from_uploading_to_hiding: _Days | None = None
    days_from_hiding_to_deleting: _Days | None = None
    days_from_starting_to_canceling_unfinished_large_files: _Days | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_dump(exclude={"file_name_prefix"}, exclude_none=True):
            raise ValueError("needs a number of days, such as daysFromHidingToDeleting")
        return self


class _Cors(_Rule):
    cors_rule_name: Annotated[str, Field(pattern=r"^(?!b2-)[A-Za-z0-9-]{6,50}\Z")]
    allowed_origins: Annotated[list[str], Field(min_length=1)]
    allowed_operations: Annotated[list[_Operation], Field(min_length=1)]
    allowed_headers: Annotated[list[str], Field(max_length=100)] = Field(default_factory=list)
    expose_headers: Annotated[list[str], Field(max_length=100)] = Field(default_factory=list)
    max_age_seconds: Annotated[int, Field(ge=0, le=86_400)]

    @field_validator("allowed_origins")
    @classmethod
    def _origins(cls, origins: list[str]) -> list[str]:
        for origin in origins:
            if not _ORIGIN.match(origin):
                raise ValueError(
                    f"has {origin!r:.100}; it is *, https, or https://HOST with one * at most"
                )
        return origins

    @model_validator(mode="after")
    def _short(self) -> Self:
        lists = (
            *(self.allowed_origins, self.allowed_operations),
            *(self.allowed_headers, self.expose_headers),
        )
        texts = [self.cors_rule_name, *(text for texts in lists for text in texts)]
        if (used := sum(len(text.encode()) for text in texts)) >= 1000:
            raise ValueError(f"has {used} bytes of text; B2 takes less than 1,000 in one rule")
        return self


_KeyId = Annotated[str, Field(min_length=1, max_length=64)]


def _no_key(value: str) -> str:
    if could_be_a_key(value):
        raise ValueError(
            "looks like an application key and is not repeated here; B2 wants the key's id, which "
            "`b2 key list` shows"
        )
    return value


class _ReplicationRule(_Rule):
    replication_rule_name: Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}\Z")]
    destination_bucket_id: Annotated[str, Field(min_length=1, max_length=64)]
    file_name_prefix: _Prefix = ""
    include_existing_files: bool = False
    is_enabled: bool = True
    priority: Annotated[int, Field(ge=1, le=2_147_483_647)] = 128


class _ReplicationSource(_Rule):
    replication_rules: Annotated[list[_ReplicationRule], Field(min_length=1)]
    source_application_key_id: _KeyId

    _id = field_validator("source_application_key_id")(_no_key)

    @model_validator(mode="after")
    def _differ(self) -> Self:
        _unlike(
            "replicationRuleName", [each.replication_rule_name for each in self.replication_rules]
        )
        _unlike("priority", [each.priority for each in self.replication_rules])
        return self


class _ReplicationDestination(_Rule):
    source_to_destination_key_mapping: Annotated[dict[_KeyId, _KeyId], Field(min_length=1)]

    @field_validator("source_to_destination_key_mapping")
    @classmethod
    def _ids(cls, mapping: dict[str, str]) -> dict[str, str]:
        for key_id in (*mapping, *mapping.values()):
            _no_key(key_id)
        return mapping


class _Replication(_Rule):
    as_replication_source: _ReplicationSource | None = None
    as_replication_destination: _ReplicationDestination | None = None


class _Header(_Rule):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}\Z")]
    value: str

    @field_validator("value")
    @classmethod
    def _named(cls, text: str) -> str:
        return _secret_name(text)


class _Target(_Rule):
    target_type: Literal["webhook"] = "webhook"
    url: Annotated[str, Field(max_length=1024)]
    custom_headers: Annotated[list[_Header], Field(max_length=10)] | None = None
    hmac_sha256_signing_secret: str | None = None

    @field_validator("hmac_sha256_signing_secret")
    @classmethod
    def _named(cls, text: str | None) -> str | None:
        return text if text is None else _secret_name(text)

    @field_validator("url")
    @classmethod
    def _https(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme != "https" or not parts.hostname or parts.username or parts.password:
            raise ValueError("is not https://HOST/path without a user or a password")
        return url

    @model_validator(mode="after")
    def _headers(self) -> Self:
        _unlike("custom header", [each.name.lower() for each in self.custom_headers or ()])
        return self


class _Notification(_Rule):
    name: Annotated[str, Field(pattern=r"^(?!b2-)[A-Za-z0-9-]{6,63}\Z")]
    event_types: Annotated[list[str], Field(min_length=1)]
    object_name_prefix: _Prefix = ""
    is_enabled: bool = True
    is_suspended: Annotated[bool, Field(exclude=True)] = False
    suspension_reason: Annotated[str | None, Field(exclude=True)] = None
    max_events_per_batch: Annotated[int, Field(ge=1, le=50)] = 1
    target_configuration: _Target

    @field_validator("event_types")
    @classmethod
    def _events(cls, types: list[str]) -> list[str]:
        for event in types:
            if not _EVENTS.match(event):
                raise ValueError(f"has {event!r:.100}; B2 knows b2:ObjectCreated:* and its like")
        if len({event.rpartition(":")[0] for event in types}) > 1:
            raise ValueError("has events of several categories; a rule takes those of one")
        _unlike("event type", types)
        if len(types) > 1 and any(event.endswith(":*") for event in types):
            raise ValueError("has `*`, which is all of its category, beside others")
        return types


M = TypeVar("M", bound=_Rule)


def lifecycle(rules: object) -> list[dict[str, Any]]:
    """Up to 100 rules of which no prefix begins with another's; see B2's "Lifecycle Rules".

    This and the functions below raise `InvalidJob`, which names the rule and its field.
    """
    made = _each(_Lifecycle, "lifecycle", rules, MOST_RULES)
    prefixes = sorted(each.file_name_prefix for each in made)
    _apart("lifecycle", "fileNamePrefix", prefixes)
    return [each.model_dump(by_alias=True, exclude_none=True) for each in made]


def cors(rules: object) -> list[dict[str, Any]]:
    """Up to 100 rules; of those that match, B2 takes the first."""
    made = _each(_Cors, "cors", rules, MOST_RULES)
    _named_apart("cors", "corsRuleName", [each.cors_rule_name for each in made])
    return [each.model_dump(by_alias=True) for each in made]


def replication(given: object) -> dict[str, Any]:
    """Where files are copied to, and whose copies are taken; `{}` ends both."""
    made = _one(_Replication, "replication", given)
    return made.model_dump(by_alias=True, exclude_none=True)


def notifications(rules: object) -> list[dict[str, Any]]:
    """Up to 25 rules. Their secrets are `secret:NAME`, or `***` for what the bucket has."""
    made = _each(_Notification, "notifications", rules, MOST_NOTIFICATIONS)
    _named_apart("notifications", "name", [each.name for each in made])
    for event in {event for each in made for event in each.event_types}:
        named = [each.object_name_prefix for each in made if event in each.event_types]
        _apart("notifications", f"objectNamePrefix for {event}", sorted(named))
    return [each.model_dump(by_alias=True, exclude_none=True) for each in made]


def retention(text: str) -> str:
    """`none`, or mode and time: `governance:30d`, `compliance:7y`."""
    match = _RETENTION.match(text)
    if text != "none" and match is None:
        raise ValueError("is not none, governance:30d or compliance:7y (d for days, y for years)")
    if match is not None and int(match[2]) * (365 if match[3] == "y" else 1) > MOST_DAYS:
        raise ValueError(f"is longer than the {MOST_DAYS:,} days for which B2 locks a file")
    return text


def info(given: dict[str, str]) -> dict[str, str]:
    """The bucket's own info: ten entries, of which `cache-control` is a header of downloads."""
    if len(given) > 10:
        raise ValueError(f"has {len(given)} entries, 10 are allowed")
    for name, text in given.items():
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,50}", name) or name.lower().startswith("b2-"):
            raise ValueError(
                f"has the key {name!r:.60}; keys are up to 50 letters, digits, - and _, not b2-..."
            )
        if len(text.encode()) > 10_000 or any(ord(char) < 32 for char in text):
            raise ValueError(f"has control characters or over 10,000 bytes in {name!r}")
    return given


def _secret_name(text: str) -> str:
    if text != KEPT and not _SECRET.match(text):
        raise ValueError(
            "is written out and not repeated here: put it into the workers' secrets file and "
            "write secret:NAME"
        )
    return text


def _each(model: type[M], field: str, rules: object, most: int) -> list[M]:
    if not isinstance(rules, list | tuple):
        raise _invalid(field, f"is of type {type(rules).__name__}; it is a list of rules")
    if len(rules) > most:
        raise _invalid(field, f"has {len(rules)} rules; B2 takes {most}")
    return [_one(model, f"{field}.{at}", rule) for at, rule in enumerate(rules)]


def _one(model: type[M], field: str, given: object) -> M:
    try:
        return model.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False)[0]
        where = ".".join(
            [field, *("***" if could_be_a_key(str(step)) else str(step) for step in first["loc"])]
        )
        cause = first.get("ctx", {}).get("error")
        if first["type"] == "extra_forbidden":
            aliases = (str(each.alias or name) for name, each in model.model_fields.items())
            known = f" Known beside it are {', '.join(aliases)}." if len(first["loc"]) == 1 else ""
            raise _invalid(where, f"is not known to B2.{known}") from None
        if first["type"] == "missing":
            raise _invalid(where, "is missing; B2 needs it") from None
        said = str(cause) if cause else f"is refused: {first['msg']}"
        raise _invalid(where, f"{_shown(given, first['loc'])}{said}") from None


def _shown(given: object, path: tuple[int | str, ...]) -> str:
    """The value at *path*, when it is short, single and no secret."""
    for step in path:
        try:
            given = given[step]  # type: ignore[index]  # what it is, is being found out
        except (KeyError, IndexError, TypeError):
            return ""
    secret = {"value", "hmacSha256SigningSecret", "sourceApplicationKeyId", "url"} & set(path)
    if (
        secret
        or "sourceToDestinationKeyMapping" in path
        or not isinstance(given, str | int | float)
    ):
        return ""
    return f"({given!r:.100}) "


def _apart(field: str, name: str, prefixes: list[str]) -> None:
    """Refuse prefixes (sorted) of which one begins with another: B2 would not know which counts."""
    for first, second in pairwise(prefixes):
        if second.startswith(first):
            raise _invalid(field, f"has {name} {first!r:.100} and {second!r:.100}, which overlap")


def _named_apart(field: str, name: str, names: list[str]) -> None:
    try:
        _unlike(name, [each.lower() for each in names])
    except ValueError as error:
        raise _invalid(field, str(error)) from None


def _unlike(what: str, values: list[Any]) -> None:
    twice = next((each for each in values if values.count(each) > 1), None)
    if twice is not None:
        raise ValueError(f"has the {what} {twice!r} twice")


def _invalid(field: str, said: str) -> InvalidJob:
    return InvalidJob(
        f"{field} {said.removesuffix('.')}.",
        hint="docs/buckets.md shows each setting.",
        field=field,
    )
