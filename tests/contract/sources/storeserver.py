"""An S3 server on loopback (moto), which also speaks enough of Google's XML interface."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from moto.moto_server.werkzeug_app import MotoRequestHandler
from moto.server import ThreadedMotoServer

from b2jobs_worker.settings import Settings

KEY = {"aws_access_key_id": "id", "aws_secret_access_key": "secret", "region_name": "us-east-1"}


class StoreServer:
    """Its buckets are made and filled through `client`; `settings` lets a worker read them."""

    def __init__(self, endpoint: str, folder: Path) -> None:
        self.endpoint = endpoint
        self.client: Any = boto3.client("s3", endpoint_url=endpoint, **KEY)  # type: ignore[call-overload]
        self.more_stores: dict[str, dict[str, str]] = {}
        self._folder = folder

    def fill(self, bucket: str, objects: dict[str, bytes]) -> None:
        self.client.create_bucket(Bucket=bucket, ACL="public-read")
        for key, content in objects.items():
            self.client.put_object(
                Bucket=bucket, Key=key, Body=content, ContentType="image/png", ACL="public-read"
            )

    def settings(self, ca_file: Path | None = None, **roots: str) -> Settings:
        """Settings with *roots* by URL, and credentials for every bucket of s3 and gs."""
        service = {"disable_oauth": True}
        s3 = {
            "access_key_id": "id",
            "secret_access_key": "secret",
            "region": "us-east-1",
            "endpoint": self.endpoint,
        }
        gs = {"service_account_key": json.dumps(service), "endpoint": self.endpoint}
        account = {"key_id": "id", "application_key": "secret"}
        secrets = self._folder / "secrets.json"
        azure = {"account_name": "name", "sas_token": "sig=x", "endpoint": self.endpoint}
        stores = {"s3://": s3, "gs://": gs, "azure://": azure, **self.more_stores}
        secrets.write_text(json.dumps({**account, "stores": stores}))
        secrets.chmod(0o600)
        return Settings(
            secrets_file=secrets,
            ca_file=ca_file,
            roots={name: {"url": url} for name, url in roots.items()},  # type: ignore[misc]
        )


class _GoogleHandler(MotoRequestHandler):
    """Takes Google's headers of writes in place of Amazon's. Nobody signs."""

    def make_environ(self) -> dict[str, Any]:
        for name, text in list(self.headers.items()):
            if name.lower().startswith("x-amz-meta-") or name.lower().startswith("if-"):
                # Google refuses both kinds together, and knows no If-Match of a write.
                assert self.command in ("GET", "HEAD"), f"{self.command} with {name}"
            if name.lower().startswith("x-goog-meta-"):
                self._rename(name, name.lower().replace("goog", "amz"), text)
            if name.lower() == "x-goog-if-generation-match":
                if text == "0":
                    self._rename(name, "If-None-Match", "*")
                else:
                    self._rename(name, "If-Match", f'"{int(text):032x}"')
        if "Authorization" not in self.headers:
            self.headers["Authorization"] = (
                "AWS4-HMAC-SHA256 Credential=id/20260101/us-east-1/s3/aws4_request, "
                "SignedHeaders=host, Signature=0"
            )
        return super().make_environ()

    def _rename(self, name: str, new_name: str, text: str) -> None:
        del self.headers[name]
        self.headers[new_name] = text


def _with_generations(app: Any) -> Any:
    """*app*, an S3 server whose answers name a generation too: the ETag's MD5 as a number."""

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        def started(status: str, headers: list[tuple[str, str]], *more: Any) -> Any:
            etag = next((text for name, text in headers if name.lower() == "etag"), "").strip('"')
            if len(etag) == 32:
                headers = [*headers, ("x-goog-generation", str(int(etag, 16)))]
            return start_response(status, headers, *more)

        return app(environ, started)

    return answer


@contextmanager
def store_server(folder: Path, *, is_google: bool = False) -> Iterator[StoreServer]:
    """Run one for a while, empty."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    if is_google:
        assert server._server is not None
        server._server.app = _with_generations(server._server.app)
        server._server.RequestHandlerClass = _GoogleHandler
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    try:
        host, port = server.get_host_and_port()
        store = StoreServer(f"http://{host}:{port}", folder)
        for bucket in store.client.list_buckets()["Buckets"]:
            for item in store.client.list_objects_v2(Bucket=bucket["Name"]).get("Contents", ()):
                store.client.delete_object(Bucket=bucket["Name"], Key=item["Key"])
            store.client.delete_bucket(Bucket=bucket["Name"])
        yield store
    finally:
        server.stop()
