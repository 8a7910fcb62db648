"""A local B2 for tests: started, spoken to and ended from Python. Standard library only.

    with LocalB2() as b2:
        bucket = b2.create_bucket()
        key = b2.create_key(["readFiles", "writeFiles"], bucket=bucket)
        ...  # give b2.realm, key.id and key.secret to the client under test

`b2emulator.pytest` has the same as fixtures.
"""

from __future__ import annotations

import base64
import json
import secrets
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any
from urllib.request import Request, urlopen

from b2emulator.admin import Admin

Json = dict[str, Any]
TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class LocalBucket:
    """One bucket."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class LocalKey:
    """One application key."""

    id: str
    secret: str


class LocalB2:
    """One emulator in a process of its own, gone with everything in it at the end.

    *options* are those of `python -m b2emulator`, such as "--min-part-size", "1000";
    without "--data" nothing is kept.

    Raises:
        RuntimeError: it did not start; with what it said.
    """

    def __init__(self, *options: str) -> None:
        # A file: nobody reads a pipe while the tests run, and a full one would stop the server.
        self._log = tempfile.TemporaryFile(mode="w+")  # noqa: SIM115 - closed by close()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "b2emulator", *options],
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        line, _, _ = (self._process.stdout or self._log).readline().partition("\n")
        if not line:
            self._process.wait(timeout=TIMEOUT_SECONDS)
            said = self.said()
            self.close()
            raise RuntimeError(f"the local B2 did not start: {said}")
        ready: Json = json.loads(line)
        self.realm: str = ready["realm"]
        self.key_id: str = ready["key_id"]
        self.application_key: str = ready["application_key"]
        self.ca_certificate: str | None = ready.get("ca_certificate")
        """With "--tls": the file by which clients trust it."""
        self.admin = Admin(ready["admin"], ca_certificate=self.ca_certificate)
        """Faults, counters and the journal."""
        self._account: Json = {}

    def create_bucket(
        self, name: str | None = None, bucket_type: str = "allPrivate", **settings: Any
    ) -> LocalBucket:
        """A new bucket; *settings* are further fields of b2_create_bucket."""
        wanted = {"bucketName": name or f"bucket-{secrets.token_hex(8)}", "bucketType": bucket_type}
        made = self.call("b2_create_bucket", {**self._owner(), **wanted, **settings})
        return LocalBucket(made["bucketId"], made["bucketName"])

    def create_key(
        self,
        capabilities: Sequence[str],
        *,
        bucket: LocalBucket | None = None,
        name_prefix: str | None = None,
        seconds: int | None = None,
    ) -> LocalKey:
        """A key with these capabilities, for one bucket and a prefix of names if given."""
        wanted: Json = {"keyName": "local-key", "capabilities": list(capabilities)}
        if bucket is not None:
            wanted["bucketIds"] = [bucket.id]
        wanted |= {"namePrefix": name_prefix, "validDurationInSeconds": seconds}
        made = self.call("b2_create_key", {**self._owner(), **wanted})
        return LocalKey(made["applicationKeyId"], made["applicationKey"])

    def call(self, name: str, fields: Json) -> Json:
        """One call of the native API, version 4, with the master key.

        Raises:
            urllib.error.HTTPError: B2 refuses it.
        """
        token = self._authorise()["authorizationToken"]
        return self._post(name, fields, token)

    def said(self) -> str:
        """What the server has written to its standard error until now."""
        self._log.seek(0)
        return self._log.read().strip()

    def close(self) -> None:
        """End it. Twice does no harm."""
        if self._process.poll() is None:
            self._process.terminate()
        self._process.communicate(timeout=TIMEOUT_SECONDS)
        self._log.close()

    def _owner(self) -> Json:
        return {"accountId": self._authorise()["accountId"]}

    def _authorise(self) -> Json:
        if not self._account:
            basic = base64.b64encode(f"{self.key_id}:{self.application_key}".encode()).decode()
            self._account = self._post("b2_authorize_account", {}, f"Basic {basic}")
        return self._account

    def _post(self, name: str, fields: Json, authorization: str) -> Json:
        request = Request(
            f"{self.realm}/b2api/v4/{name}",
            data=json.dumps(fields).encode(),
            headers={"Authorization": authorization, "Content-Type": "application/json"},
        )
        with urlopen(request, timeout=TIMEOUT_SECONDS, context=self.admin.context) as response:
            answer: Json = json.load(response)
        return answer

    def __enter__(self) -> LocalB2:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
