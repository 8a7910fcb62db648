"""Webhooks: one signed POST, to a host that the operator has allowed, at the very address that
was judged.

The form is Standard Webhooks'. Redirects are not followed, of the answer only its status
counts, and whatever the receiver does, it has `LONGEST_TELLING_SECONDS`.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from http.client import HTTPException
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from standardwebhooks import Webhook
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError

from b2jobs.errors import JobError
from b2jobs.words import Word
from b2jobs_worker.delivery.outbox import LONGEST_TELLING_SECONDS, Message, NotTold
from b2jobs_worker.secrets import SecretsFile
from b2jobs_worker.settings import Settings
from b2jobs_worker.sources.hosts import Allowed, addresses, ascii_host

CONNECT_SECONDS = 5.0
GONE = 410
_LATER = (408, 425, 429)


class Webhooks:
    """Tells words to URLs. Thread-safe."""

    def __init__(self, settings: Settings, secrets: SecretsFile) -> None:
        self._hosts = _names(settings.webhook_hosts)
        self._private = Allowed.parse(settings.webhook_private_hosts)
        self._ca_file = settings.ca_file
        self._secrets = secrets

    def tell(self, word: Word) -> list[Message]:
        """One POST.

        Raises:
            NotTold
        """
        url = urlsplit(str(word.to["url"]))
        host = self._allowed(url)
        body = body_of(word)
        headers = {**self._signed(word.id, host, body), "Content-Type": "application/json"}
        status = self._post(url, host, body, headers)
        if not 200 <= status < 300:
            raise NotTold(
                f"{host} answered {status}{_meaning(status)}",
                heals=status != GONE,
                is_silent=status >= 500 or status in _LATER,
            )
        return []

    def _allowed(self, url: SplitResult) -> str:
        host = ascii_host((url.hostname or "").rstrip("."))
        named = any(
            host == name or (name.startswith("*.") and host.endswith(name[1:]))
            for name in self._hosts
        )
        if not named:
            raise NotTold(
                f"{host} is no host that the workers' setting webhook_hosts names", heals=False
            )
        return host

    def _signed(self, word_id: str, host: str, body: str) -> dict[str, str]:
        try:
            secrets = self._secrets.webhook(host)
        except JobError as error:
            raise NotTold(str(error), is_silent=True) from error
        if not secrets:
            raise NotTold(f'the secrets file has no "webhooks" secret for {host}', is_silent=True)
        now = datetime.now(UTC)
        signatures = [
            Webhook(secret.get_secret_value()).sign(word_id, now, body) for secret in secrets
        ]
        return {
            "webhook-id": word_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(signatures),
        }

    def _post(self, url: SplitResult, host: str, body: str, headers: Mapping[str, str]) -> int:
        port = url.port or (443 if url.scheme == "https" else 80)
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        sent = {"Host": _host_header(host, url.port), "User-Agent": "b2jobs", **headers}
        problem: Exception | None = None
        for address in self._addresses(url.scheme, host, port):
            connection = self._connection(url.scheme, address, port, host)
            try:
                with _in_time(connection) as time_is_over:
                    connection.connect()
                    connection.request("POST", path, body=body.encode(), headers=sent)
                    status = connection.getresponse().status
                    if time_is_over.is_set():  # what looks like the end of the headers is our cut
                        raise TimeoutError("the answer took too long")
                    return status
            except (HTTPError, HTTPException, OSError, ssl.SSLError) as error:
                problem = error  # the next address may answer
        raise NotTold(f"{host} does not answer: {_said(problem)}", is_silent=True)

    def _addresses(self, scheme: str, host: str, port: int) -> list[str]:
        try:
            found = addresses(host, port, self._private)
        except JobError as error:
            refused = error.code == "host_not_allowed"
            why = "its address is private, and webhook_private_hosts does not name it"
            raise NotTold(
                f"{host} cannot be told: {why if refused else error}",
                heals=not refused,
                is_silent=not refused,
            ) from error
        if scheme == "http":
            found = [each for each in found if self._private.covers(host, ip_address(each))]
            if not found:
                raise NotTold(
                    f"{host} is told over https only; http is for webhook_private_hosts",
                    heals=False,
                )
        return found

    def _connection(self, scheme: str, address: str, port: int, host: str) -> HTTPConnection:
        if scheme == "http":
            return HTTPConnection(address, port, timeout=CONNECT_SECONDS)
        return HTTPSConnection(
            address,
            port,
            timeout=CONNECT_SECONDS,
            ssl_context=_context(self._ca_file),
            server_hostname=host,
        )


def body_of(word: Word) -> str:
    """The body of a POST: the same for every try."""
    said: dict[str, Any] = {
        "type": f"job.{word.state}",
        "timestamp": word.ended.isoformat() if word.ended else None,
        "data": word.about(),
    }
    return json.dumps(said, ensure_ascii=False)


@contextmanager
def _in_time(connection: HTTPConnection) -> Iterator[threading.Event]:
    """Cut *connection* when its time is over, and close it in any case; whether it was cut."""
    time_is_over = threading.Event()

    def cut() -> None:
        time_is_over.set()
        connected: socket.socket | None = connection.sock
        if connected is not None:
            with suppress(OSError):
                connected.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(LONGEST_TELLING_SECONDS - CONNECT_SECONDS, cut)
    timer.daemon = True
    timer.start()
    try:
        yield time_is_over
    finally:
        timer.cancel()
        connection.close()


@cache
def _context(ca_file: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(ca_file)
    return context


def _names(text: str) -> list[str]:
    return [name.strip().lower().rstrip(".") for name in text.split(",") if name.strip()]


def _host_header(host: str, port: int | None) -> str:
    return (f"[{host}]" if ":" in host else host) + (f":{port}" if port else "")


def _meaning(status: int) -> str:
    if 300 <= status < 400:
        return "; redirects are not followed"
    return "; it wants no more words" if status == GONE else ""


def _said(error: Exception | None) -> str:
    return str(error)[:200] or type(error).__name__
