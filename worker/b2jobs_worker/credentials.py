"""What the secrets file holds: accounts of B2 and credentials of other object stores.

    {"key_id": "...", "application_key": "..."}                     one account
    {"accounts": {"default": {...}, "archive": {..., "realm": "..."}},
     "stores": {"s3://bucket": {"access_key_id": "...", ...}, "gs://": {...}},
     "webhooks": {"hooks.example.com": "whsec_...", "*": ["whsec_...", "whsec_..."]},
     "notifications": {"hooks.example.com": {"NAME": "..."}},
     "customer_keys": {"backups-2026": "32 random bytes in base64"}}

An entry that is wrong makes itself unusable and no other; a realm without TLS needs
`"allow_http": true` beside it, unless it is on this machine.

Nothing here quotes a value: a message names the key and the file, never what stands there.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from b2jobs.account_names import could_be_a_key
from b2jobs.requests.protection import is_key_name

PRODUCTION = "production"
DEFAULT_ACCOUNT = "default"
ANY_HOST = "*"

_ACCOUNT_KEYS = ("key_id", "application_key", "realm", "allow_http")
_STORE_KEYS = {
    "s3": ("access_key_id", "secret_access_key", "session_token", "region", "endpoint", "access"),
    "gs": ("service_account_key", "service_account_path", "endpoint", "access"),
    "azure": ("account_name", "account_key", "sas_token", "endpoint", "access"),
}
_ACCESS = ("read", "read-write")
_BASE_URL = re.compile(r"https?://[A-Za-z0-9_.:\[\]-]+(/[A-Za-z0-9_./~-]*)?\Z")
# Shorter than an application key (31 characters), or a bucket behind a scheme.
_TOLD = re.compile(r"(?:[A-Za-z0-9_.-]{1,24}|[a-z0-9]{1,8}://[a-z0-9.@-]{0,63})\Z")


Entry = TypeVar("Entry")


class Unfinished(str):
    """What is wrong with a text that does not parse: it may not be all there yet."""

    __slots__ = ()


class Malformed(ValueError):
    """What is wrong, in words that hold no value of the file."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


@dataclass(frozen=True)
class Credential:
    """One account's key. `repr` and `str` show `***`; two are equal when nothing changed."""

    account: str
    key_id: str
    application_key: SecretStr = field(repr=False)
    realm: str = PRODUCTION

    def __repr__(self) -> str:
        return (
            f"Credential(account={self.account!r}, key_id='***', application_key='***', "
            f"realm={self.realm!r})"
        )

    __str__ = __repr__


@dataclass(frozen=True)
class Contents:
    """A secrets file that was read and checked, and what is wrong with single entries of it."""

    accounts: Mapping[str, Credential]
    stores: Mapping[str, Mapping[str, SecretStr]] = field(repr=False)
    bad_accounts: Mapping[str, str] = field(repr=False)
    bad_stores: Mapping[str, str] = field(repr=False)
    webhooks: Mapping[str, tuple[SecretStr, ...]] = field(default_factory=dict, repr=False)
    bad_webhooks: Mapping[str, str] = field(default_factory=dict, repr=False)
    notifications: Mapping[str, Mapping[str, SecretStr]] = field(default_factory=dict, repr=False)
    bad_notifications: Mapping[str, str] = field(default_factory=dict, repr=False)
    customer_keys: Mapping[str, SecretStr] = field(default_factory=dict, repr=False)
    bad_customer_keys: Mapping[str, str] = field(default_factory=dict, repr=False)


def read(raw: bytes) -> Contents:
    """Check the bytes of a secrets file.

    Raises:
        Malformed: nothing of it can be used. Neither the exception nor its context holds any
            of the bytes.
    """
    document, problem = _decode(raw)
    del raw
    if problem:
        raise Malformed(problem)
    if not isinstance(document, dict):
        raise Malformed("it is not a JSON object")
    sections: dict[str, Any] = {
        name: document[name]
        for name in ("accounts", "stores", "webhooks", "notifications", "customer_keys")
        if name in document
    }
    flat = {name: value for name, value in document.items() if name not in sections}
    del document
    stores, bad_stores = sections.get("stores", {}), {}
    if not isinstance(stores, dict):
        stores, bad_stores = {}, {f"{name}://": '"stores" is not an object' for name in _STORE_KEYS}
    if "accounts" in sections:
        if not isinstance(sections["accounts"], dict):
            raise Malformed('"accounts" is not an object')
        if flat:
            raise Malformed(
                f'it has {_told(next(iter(flat)))} beside "accounts"; an account\'s keys stand '
                'inside of it, as "accounts": {"default": {...}}'
            )
        accounts = sections["accounts"]
        if not accounts:
            raise Malformed('"accounts" is empty')
    else:
        accounts = {DEFAULT_ACCOUNT: flat}
    good_accounts, bad_accounts = _judged(accounts, _account)
    good_stores, found = _judged(stores, _store)
    webhooks = sections.get("webhooks", {})
    if not isinstance(webhooks, dict):
        webhooks = {ANY_HOST: webhooks}
    notified = sections.get("notifications", {})
    if not isinstance(notified, dict):
        notified = {ANY_HOST: notified}
    keys = sections.get("customer_keys", {})
    if not isinstance(keys, dict):
        keys = {ANY_HOST: keys}
    return Contents(
        good_accounts,
        good_stores,
        bad_accounts,
        {**bad_stores, **found},
        *_judged(webhooks, _webhook_secrets),
        *_judged(notified, _notification_secrets),
        *_judged(keys, _customer_key),
    )


def _judged(
    section: Mapping[str, Any], read_entry: Callable[[str, object], Entry]
) -> tuple[dict[str, Entry], dict[str, str]]:
    """The entries that can be used, and what is wrong with the others."""
    good: dict[str, Entry] = {}
    bad: dict[str, str] = {}
    for name, value in section.items():
        try:
            good[name] = read_entry(name, value)
        except Malformed as error:
            bad[name] = error.problem
    return good, bad


def _decode(raw: bytes) -> tuple[Any, str]:
    """The document and what is wrong with it.

    A problem is returned, not raised: a `JSONDecodeError` carries the whole text, and would
    travel on as the context of whatever is raised while it is handled.
    """
    twice: list[str] = []

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        names = [name for name, _ in pairs]
        twice.extend(name for name in names if names.count(name) > 1)
        return dict(pairs)

    try:
        document = json.loads(raw.decode("utf-8-sig"), object_pairs_hook=unique)
    except UnicodeDecodeError as error:
        return None, Unfinished(f"it is not UTF-8 at byte {error.start}")
    except json.JSONDecodeError as error:
        where = f"line {error.lineno} column {error.colno}"
        return None, Unfinished(f"it is not JSON: {error.msg}, {where}")
    except RecursionError:
        return None, "it is nested too deeply"
    if twice:
        return None, f"it has {_told(twice[0])} twice"
    return document, ""


def _account(name: str, value: object) -> Credential:
    where = f"of account {_told(name)}"
    if could_be_a_key(name):
        raise Malformed("an account has a name that could be a key; it is not shown here")
    value, allow_http = _without_allow_http(value, where)
    fields = _strings(value, where, _ACCOUNT_KEYS)
    for key in ("key_id", "application_key"):
        if key not in fields:
            raise Malformed(f'"{key}" {where} is missing')
    realm = fields.get("realm", PRODUCTION).rstrip("/")
    if realm != PRODUCTION and not _BASE_URL.match(realm):
        raise Malformed(f'"realm" {where} is neither "production" nor a URL such as https://host')
    _refuse_clear(realm, f'"realm" {where}', allow_http=allow_http)
    return Credential(name, fields["key_id"], SecretStr(fields["application_key"]), realm)


def _without_allow_http(value: object, where: str) -> tuple[object, bool]:
    if not isinstance(value, dict):
        return value, False
    allow_http = value.get("allow_http", False)
    if not isinstance(allow_http, bool):
        raise Malformed(f'"allow_http" {where} is neither true nor false')
    return {key: text for key, text in value.items() if key != "allow_http"}, allow_http


def _refuse_clear(url: str, what: str, *, allow_http: bool) -> None:
    if url.lower().startswith("http://") and not allow_http and not _is_this_machine(url):
        raise Malformed(
            f"{what} is an http:// address of another machine, to which the key would go "
            'in clear: write https://, or "allow_http": true beside it'
        )


def _is_this_machine(url: str) -> bool:
    try:
        host = urlsplit(url).hostname or ""
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:  # no address, or no URL that can be taken apart
        return False


def _store(name: str, value: object) -> dict[str, SecretStr]:
    scheme, separator, bucket = name.partition("://")
    if not separator or scheme not in _STORE_KEYS or "/" in bucket:
        raise Malformed(
            f"the store {_told(name)} is not written as s3://BUCKET, gs://BUCKET or "
            "azure://CONTAINER (without a bucket: for all of them; s3://NAME@BUCKET: of a "
            "store with that name)"
        )
    where = f"of store {_told(name)}"
    value, allow_http = _without_allow_http(value, where)
    fields = _strings(value, where, _STORE_KEYS[scheme])
    if "endpoint" in fields and not _BASE_URL.match(fields["endpoint"]):
        raise Malformed(f'"endpoint" {where} is not a URL such as https://host')
    _refuse_clear(fields.get("endpoint", ""), f'"endpoint" {where}', allow_http=allow_http)
    if fields.get("access", "read") not in _ACCESS:
        raise Malformed(f'"access" of store {_told(name)} is neither "read" nor "read-write"')
    return {key: SecretStr(text) for key, text in fields.items()}


def _webhook_secrets(host: str, value: object) -> tuple[SecretStr, ...]:
    """One secret or several: while they change, every one of them signs."""
    texts: list[Any] = value if isinstance(value, list) else [value]
    for text in texts:
        if not isinstance(text, str) or not _is_webhook_secret(text):
            raise Malformed(
                f"a webhook secret of {_told(host)} is not written as whsec_ and the base64 of 24 "
                "to 64 random bytes"
            )
    return tuple(SecretStr(text) for text in texts)


def _notification_secrets(host: str, value: object) -> dict[str, SecretStr]:
    """What B2 signs with, or sends in headers, when it tells *host* of events."""
    where = f"of notifications to {_told(host)}"
    if host == ANY_HOST or not isinstance(value, dict):
        raise Malformed(f"the value {where} is not an object of names and secrets, for one host")
    for name, text in value.items():
        if not re.match(r"[A-Za-z0-9_.-]{1,24}\Z", name):
            raise Malformed(f"a name {where} has more than 24 letters, digits, . - and _")
        if not isinstance(text, str) or not re.match(r"[ -~]{1,1024}\Z", text):
            raise Malformed(f'"{name}" {where} is not printable ASCII of up to 1,024 characters')
    return {name: SecretStr(text) for name, text in value.items()}


def _customer_key(name: str, value: object) -> SecretStr:
    if not is_key_name(name):
        raise Malformed(
            "a customer's key has a name that is not shown here: it is up to 40 letters, digits "
            "and . _ -, and nothing that could be a key"
        )
    try:
        size = len(base64.b64decode(value, validate=True)) if isinstance(value, str) else 0
    except ValueError:
        size = 0
    if size != 32:
        raise Malformed(f'the customer\'s key "{name}" is not the base64 of 32 bytes')
    return SecretStr(str(value))


def _is_webhook_secret(text: str) -> bool:
    try:
        size = len(base64.b64decode(text.removeprefix("whsec_"), validate=True))
    except ValueError:
        return False
    return text.startswith("whsec_") and 24 <= size <= 64


def _strings(value: object, where: str, known: tuple[str, ...]) -> dict[str, str]:
    if not isinstance(value, dict):
        raise Malformed(f"the value {where} is not an object")
    for key, text in value.items():
        if key not in known:
            raise Malformed(f"{_told(key)} {where} is not known; known are {', '.join(known)}")
        if not isinstance(text, str):
            raise Malformed(f'"{key}" {where} is not a string')
        if not text:
            raise Malformed(f'"{key}" {where} is empty')
        if key != "service_account_key" and not re.match(r"[!-~]+\Z", text):
            raise Malformed(f'"{key}" {where} has white space or characters that are not ASCII')
    return value


def shown(name: str) -> str:
    """An account's name as it may stand in a message: not when it could be a key."""
    return "(a name that could be a key)" if could_be_a_key(name) else name


def _told(name: str) -> str:
    """A key as it may stand in a message: not when it could be a secret in the wrong place."""
    return f'"{name}"' if _TOLD.match(name) else "a key that is not shown here"
