"""B2 by hand: one request, one answer, both written down in a form that can be compared."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

from support.emulator_process import Running

KEPT_HEADERS = frozenset(
    {
        *("content-type", "content-range", "content-length", "retry-after", "accept-ranges"),
        *("cache-control", "content-disposition", "content-language", "expires"),
        "content-encoding",
    }
)


@dataclass(frozen=True)
class Answer:
    """Status, headers with lower-case names, body."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def code(self) -> str | None:
        """The error's code; None for a success."""
        return None if self.status < 400 or not self.body else self.json["code"]


@dataclass
class RawClient:
    """Speaks HTTP to one emulator and keeps a transcript."""

    running: Running
    version: int = 4
    transcript: list[dict[str, Any]] = field(default_factory=list)
    token: str = ""
    account: str = ""

    def authorize(self, key_id: str | None = None, secret: str | None = None) -> Answer:
        ready = self.running.ready
        basic = f"{key_id or ready['key_id']}:{secret or ready['application_key']}"
        encoded = base64.b64encode(basic.encode()).decode()
        answer = self.call("b2_authorize_account", {}, token=f"Basic {encoded}")
        if answer.status == 200:
            self.token = answer.json["authorizationToken"]
            self.account = answer.json["accountId"]
        return answer

    def call(self, name: str, fields: Any, *, token: str | None = None) -> Answer:
        """A JSON call."""
        body = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
        headers = {"Authorization": self.token if token is None else token}
        return self.request("POST", f"/b2api/v{self.version}/{name}", headers, body)

    def upload(self, url: Mapping[str, str], name: str, body: bytes, **headers: str) -> Answer:
        """b2_upload_file; *headers* with `_` for `-` go on top."""
        sent = {
            "Authorization": url["authorizationToken"],
            "X-Bz-File-Name": name,
            "Content-Type": "text/plain",
            "X-Bz-Content-Sha1": hashlib.sha1(body).hexdigest(),
            **{key.replace("_", "-"): value for key, value in headers.items()},
        }
        return self.request("POST", urlsplit(url["uploadUrl"]).path, sent, body)

    def upload_part(
        self, url: Mapping[str, str], number: object, body: bytes, **headers: str
    ) -> Answer:
        sent = {
            "Authorization": url["authorizationToken"],
            "X-Bz-Part-Number": str(number),
            "X-Bz-Content-Sha1": hashlib.sha1(body).hexdigest(),
            **{key.replace("_", "-"): value for key, value in headers.items()},
        }
        return self.request("POST", urlsplit(url["uploadUrl"]).path, sent, body)

    def get(
        self, path: str, *, method: str = "GET", token: str | None = None, **headers: str
    ) -> Answer:
        sent = {key.replace("_", "-"): value for key, value in headers.items()}
        authorization = self.token if token is None else token
        if authorization:
            sent["Authorization"] = authorization
        return self.request(method, path, sent)

    def request(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None = None
    ) -> Answer:
        connection = HTTPConnection("127.0.0.1", self.running.ready["port"], timeout=30)
        try:
            connection.request(method, path, body, dict(headers))
            response: HTTPResponse = connection.getresponse()
            answer = Answer(
                response.status,
                {key.lower(): value for key, value in response.getheaders()},
                response.read(),
            )
        finally:
            connection.close()
        self.transcript.append(
            {
                "request": {
                    "line": f"{method} {path}",
                    "headers": dict(headers),
                    "body": _shown(body),
                },
                "response": {
                    "status": answer.status,
                    "headers": {
                        key: value
                        for key, value in sorted(answer.headers.items())
                        if (key in KEPT_HEADERS or key.startswith("x-bz-"))
                        and not (key == "content-length" and _is_json(answer))
                    },
                    "body": answer.json if _is_json(answer) else _shown(answer.body),
                },
            }
        )
        return answer


def _is_json(answer: Answer) -> bool:
    return bool(answer.body) and answer.headers.get("content-type", "").startswith(
        "application/json"
    )


def _shown(body: bytes | None) -> Any:
    if not body:
        return None
    if len(body) > 100_000:
        return f"{len(body)} bytes"
    try:
        return json.loads(body)
    except ValueError:
        text = body.decode("latin-1")
        return text if len(text) <= 200 else f"{len(text)} bytes"


_VOLATILE = re.compile(
    r"(?P<realm>(?:http://)?127\.0\.0\.1:\d+)"
    r"|(?P<token>4_eyJ[A-Za-z0-9_-]+)"
    r"|(?P<file>4_z[0-9a-f]{24}_f[0-9a-f]{16}_d\d+_m\d+_c\d+_v\d+_t\d+_u\d+)"
    r"|(?P<basic>Basic [A-Za-z0-9+/=]+)"
    r"|(?P<secret>K000[A-Za-z0-9]+)"
    r"|(?P<key>000[0-9a-f]{12}[0-9a-f]{10})"
    r"|(?P<place>c001_v0001000_t\d{4})"
    r"|(?P<sha1>\b[0-9a-f]{40}\b)"
    r"|(?P<md5>\b[0-9a-f]{32}\b)"
    r"|(?P<bucket>\b[0-9a-f]{24}\b)"
    r"|(?P<account>\b[0-9a-f]{12}\b)"
    r"|(?P<millis>\b1[6-9]\d{11}\b)"
)
_AS_THEY_ARE = ("sha1", "md5")


def stable(transcript: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The transcript with everything that differs from run to run numbered instead."""
    numbers: dict[str, dict[str, str]] = {}

    def replace(match: re.Match[str]) -> str:
        kind = str(match.lastgroup)
        if kind in _AS_THEY_ARE:
            return match[0]
        if kind in ("realm", "millis", "place"):
            return f"<{kind}>"
        known = numbers.setdefault(kind, {})
        return known.setdefault(match[0], f"<{kind} {len(known) + 1}>")

    def walk(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: walk(entry) for key, entry in value.items()}
        if isinstance(value, list):
            return [walk(entry) for entry in value]
        if isinstance(value, str):
            return _VOLATILE.sub(replace, value)
        is_now = isinstance(value, int) and 1_600_000_000_000 < value < 2_000_000_000_000
        return "<millis>" if is_now else value

    return [walk(entry) for entry in transcript]
