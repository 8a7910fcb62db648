"""Tokens: what a client shows instead of its key.

A token says what it stands for and until when, signed with a secret of this
emulator; so tokens survive a restart and need no table. What cannot be in the
token is kept here in memory: which upload tokens are in use and which have died
because an upload was rejected, and the ones a test has expired early.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from b2emulator.errors import B2Error, auth_token_limit, bad_auth_token, expired_auth_token
from b2emulator.store.index import Index

ACCOUNT, UPLOAD, UPLOAD_PART, DOWNLOAD = "account", "upload", "part", "download"
Claims = dict[str, Any]
_CACHE_LIMIT = 50_000


class Tokens:
    """Makes and reads tokens."""

    def __init__(self, index: Index) -> None:
        self._secret = bytes.fromhex(index.setting("token_secret", secrets.token_hex(32)))
        self._read: dict[str, Claims] = {}
        self._dead: set[str] = set()
        self._in_use: set[str] = set()
        self._expired_before = 0.0

    def make(self, kind: str, seconds: float, **claims: Any) -> str:
        """A token of *kind* that is good for *seconds*."""
        now = time.time()
        claims |= {"kind": kind, "until": now + seconds, "made": now, "id": secrets.token_hex(4)}
        body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
        return f"4_{body}_{self._sign(body)}"

    def _sign(self, body: str) -> str:
        return hmac.new(self._secret, body.encode(), "sha256").hexdigest()[:32]

    def read(self, token: str, *kinds: str) -> Claims:
        """What *token* says.

        Raises:
            B2Error: bad_auth_token when it is none of ours, not of *kinds*, or has
                died; expired_auth_token when its time is over.
        """
        claims = self._read.get(token)
        if claims is None:
            claims = self._verify(token)
            if len(self._read) >= _CACHE_LIMIT:
                self._read.clear()
            self._read[token] = claims
        if claims["kind"] not in kinds or token in self._dead:
            raise bad_auth_token()
        expired_early = claims["kind"] == ACCOUNT and claims["made"] < self._expired_before
        if time.time() >= claims["until"] or expired_early:
            raise expired_auth_token()
        return claims

    def _verify(self, token: str) -> Claims:
        head, _, signature = token.rpartition("_")
        body = head[2:]
        if not head.startswith("4_") or not hmac.compare_digest(
            signature.encode(), self._sign(body).encode()
        ):
            raise bad_auth_token()
        claims: Claims = json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))
        return claims

    @contextmanager
    def one_upload(self, token: str) -> Iterator[None]:
        """Hold an upload token for one upload; any rejection ends the token.

        Raises:
            B2Error: auth_token_limit while another upload holds it; that one goes on.
        """
        if token in self._in_use:
            raise auth_token_limit(token)
        self._in_use.add(token)
        try:
            yield
        except B2Error:
            self._dead.add(token)
            raise
        finally:
            self._in_use.discard(token)

    def kill(self, token: str) -> None:
        """No use of *token* from now on."""
        self._dead.add(token)

    def expire_account_tokens(self) -> None:
        """Every account token made until now has expired."""
        self._expired_before = time.time()
