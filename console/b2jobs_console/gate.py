"""Who may come in: tokens, sessions, and the marks that show that a form is ours.

A session is a signed cookie, nothing is kept here: every console with the same tokens knows it,
and another token ends it.
"""

from __future__ import annotations

import hmac
import secrets
import socket
import time
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import ip_address
from typing import Literal

from b2jobs_console.settings import Settings

Role = Literal["read", "act"]
COOKIE = "b2jobs_console"
SESSION_SECONDS = 12 * 3600


@dataclass(frozen=True)
class Session:
    """Somebody who has logged in. *csrf* stands in each of their forms."""

    role: Role
    csrf: str

    @property
    def may_act(self) -> bool:
        return self.role == "act"


class Gate:
    """Knows the tokens. Where none is set, it makes one for this run: `made`."""

    def __init__(self, settings: Settings) -> None:
        self.made = ""
        self._tokens: list[tuple[Role, bytes]] = []
        if settings.token:
            self._tokens.append(("act", settings.token.get_secret_value().encode()))
        if settings.read_token:
            self._tokens.append(("read", settings.read_token.get_secret_value().encode()))
        if not self._tokens:
            self.made = secrets.token_urlsafe(24)
            self._tokens.append(("act", self.made.encode()))
        told = b"\0".join(token for _, token in self._tokens)
        self._key = hmac.digest(told, b"b2jobs console session", sha256)
        self._hosts = {"localhost", socket.gethostname().lower(), *map(str.lower, settings.hosts)}

    def role(self, token: str) -> Role | None:
        """What *token* allows; None where it is none of ours."""
        given = token.encode("utf-8", "replace")
        found: Role | None = None
        for role, known in self._tokens:
            if hmac.compare_digest(given, known) and found is None:
                found = role
        return found

    def cookie(self, role: Role) -> str:
        """The cookie of a new session."""
        text = f"{role}.{int(time.time()) + SESSION_SECONDS}.{secrets.token_urlsafe(12)}"
        return f"{text}.{self._sign('session', text)}"

    def session(self, cookie: str) -> Session | None:
        """The session of a cookie; None where it is forged, or over."""
        text, _, mark = cookie.rpartition(".")
        if not hmac.compare_digest(mark.encode(), self._sign("session", text).encode()):
            return None
        role, expires, _ = text.split(".")
        if time.time() >= int(expires):
            return None
        return Session("act" if role == "act" else "read", self._sign("form", text))

    def knows_host(self, host: str) -> bool:
        """Whether a request's Host is one of ours. A number always is: a page of somebody else's
        that has its name point at us sends its name."""
        name = host.lower()
        name = name[1 : name.find("]")] if name.startswith("[") else name.rpartition(":")[0] or name
        try:
            return bool(ip_address(name))
        except ValueError:
            return name in self._hosts

    def _sign(self, what: str, text: str) -> str:
        return hmac.new(self._key, f"{what}.{text}".encode(), sha256).hexdigest()
