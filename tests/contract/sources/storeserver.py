"""An S3 server on loopback (moto), which also speaks enough of Google's XML interface."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
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


@contextmanager
def store_server(folder: Path) -> Iterator[StoreServer]:
    """Run one for a while, empty."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
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
