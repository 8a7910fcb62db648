"""Clients of S3 interfaces: one for each set of credentials and process.

Google's own interface is XML over the same requests; only its authorization differs: a token
of google-auth instead of a signature.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from typing import Any

import boto3
import botocore
import urllib3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from b2jobs.errors import JobError
from b2jobs_worker.sources import failures, google_failures
from b2jobs_worker.sources.roots import Store
from b2jobs_worker.sources.s3_failures import store_error

GOOGLE = "https://storage.googleapis.com"
_GOOGLE_SCOPE = "https://www.googleapis.com/auth/devstorage."
_GOOGLE_WRITES = ("PutObject", "CompleteMultipartUpload", "DeleteObject")
_CREDENTIALS = {
    "access_key_id": "aws_access_key_id",
    "secret_access_key": "aws_secret_access_key",
    "session_token": "aws_session_token",
    "region": "region_name",
    "endpoint": "endpoint_url",
}


class Clients:
    """boto3 needs about 50 ms for a client, and each keeps its connections."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._clients: dict[object, Any] = {}

    def get(self, store: Store) -> Any:
        credentials = tuple(sorted(store.credentials.items()))
        key = (store.scheme, store.verify, store.writable, credentials)
        with self._lock:
            if key not in self._clients:
                self._clients[key] = _google(store) if store.scheme == "gs" else _s3(store)
            return self._clients[key]

    def forget(self) -> None:
        """Two processes must not use one connection."""
        self.__init__()  # type: ignore[misc]  # the lock too may have been held


def _s3(store: Store) -> Any:
    named: dict[str, Any] = {_CREDENTIALS[key]: text for key, text in store.credentials.items()}
    session = boto3.session.Session()
    if session.region_name is None:
        named.setdefault("region_name", "us-east-1")
    style = "path" if "endpoint" in store.credentials else "auto"
    return _client(store, session, {"s3": {"addressing_style": style}}, named)


def _google(store: Store) -> Any:
    token = _google_token(store)
    options = {"signature_version": botocore.UNSIGNED, "s3": {"addressing_style": "path"}}
    endpoint = store.credentials.get("endpoint", GOOGLE)
    named = {"endpoint_url": endpoint, "region_name": "auto"}
    client = _client(store, boto3.session.Session(), options, named)

    def authorize(request: Any, operation_name: str, **_: Any) -> None:
        if token is not None:
            request.headers["Authorization"] = f"Bearer {token()}"
        if operation_name == "GetObject":
            # As it was stored: Google unpacks what is kept as gzip for who does not take that.
            request.headers["Accept-Encoding"] = "gzip"
        for name in list(request.headers):
            if name.lower().startswith("x-amz-meta-"):
                _rename(request.headers, name, f"x-goog-{name[len('x-amz-') :]}")
        if operation_name in _GOOGLE_WRITES:
            # What is to be replaced is known by its generation there; absence is generation 0.
            if "If-None-Match" in request.headers:
                del request.headers["If-None-Match"]
                request.headers["x-goog-if-generation-match"] = "0"
            elif "If-Match" in request.headers:
                _rename(request.headers, "If-Match", "x-goog-if-generation-match")

    client.meta.events.register("before-sign.s3", authorize)
    return client


def _rename(headers: Any, name: str, new_name: str) -> None:
    text = headers[name]
    del headers[name]
    headers[new_name] = text


def _client(store: Store, session: Any, options: dict[str, Any], named: dict[str, Any]) -> Any:
    config = Config(
        connect_timeout=10,
        read_timeout=60,
        max_pool_connections=64,
        retries={"total_max_attempts": 1},  # trying again is decided by delivery/
        response_checksum_validation="when_required",
        request_checksum_calculation="when_required",  # what is written carries its MD5
        **options,
    )
    try:
        return session.client("s3", config=config, verify=store.verify, **named)
    except (BotoCoreError, ValueError) as error:
        raise store_error(error, "this store") from error


def _google_token(store: Store) -> Callable[[], str] | None:
    """What gives a token that is valid now; None for a server that wants none."""
    from google.auth.transport import urllib3 as transport

    found = _google_credentials(store)
    if found is None:
        return None
    certificates: dict[str, Any] = {"ca_certs": store.verify} if store.verify else {}
    timeout = urllib3.Timeout(connect=10, read=30)
    ask = transport.Request(urllib3.PoolManager(timeout=timeout, retries=False, **certificates))
    lock = threading.Lock()

    def token() -> str:
        failed: JobError | None = None
        with lock:
            try:
                if not found.valid:
                    found.refresh(ask)
            except google_failures.GoogleAuthError as error:
                failed = google_failures.token_error(error, f"gs://{store.bucket}")
        if failed is not None:
            raise failed  # outside of the clause: what Google says may hold the key's name
        return str(found.token)

    return token


def _google_credentials(store: Store) -> Any:
    import google.auth
    from google.oauth2 import service_account

    scope = _GOOGLE_SCOPE + ("read_write" if store.writable else "read_only")
    scopes: dict[str, Any] = {"scopes": [scope]}
    problem: JobError | None = None
    try:
        if text := store.credentials.get("service_account_key"):
            key = json.loads(text)
            if key.get("disable_oauth") is True:  # a local server
                return None
            return service_account.Credentials.from_service_account_info(key, **scopes)
        if path := store.credentials.get("service_account_path"):
            return service_account.Credentials.from_service_account_file(path, **scopes)
        return google.auth.default(**scopes)[0]
    except google_failures.GoogleAuthError as error:
        problem = google_failures.token_error(error, f"gs://{store.bucket}")
    except (OSError, ValueError, KeyError, AttributeError):
        problem = failures.store_misconfigured(f"gs://{store.bucket}")
    raise problem  # outside of the clause: the error may hold the key


clients = Clients()
os.register_at_fork(after_in_child=clients.forget)
