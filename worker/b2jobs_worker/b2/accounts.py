"""One authorised client for each account and process.

Built at first use, so after any fork; built anew when the credential in the secrets file
has changed. A client costs one class C call to authorise, and one for each bucket whose
id the key itself does not tell.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from pydantic import SecretStr

from b2jobs_worker.b2.budget import Budgets, NoBudgets
from b2jobs_worker.b2.concurrency import Concurrency
from b2jobs_worker.b2.governor import Governor, LocalGovernor
from b2jobs_worker.b2.http import Session
from b2jobs_worker.b2.session import OneAuthorisation


class Credential(Protocol):
    """A key as the secrets file has it; equal while nothing has changed."""

    @property
    def key_id(self) -> str: ...
    @property
    def application_key(self) -> SecretStr: ...
    @property
    def realm(self) -> str: ...


class Secrets(Protocol):
    """Where credentials come from; `SecretsFile` in secrets.py."""

    def account(self, name: str) -> Credential: ...
    def customer_key(self, name: str) -> SecretStr: ...


@dataclass(frozen=True)
class BucketName:
    """A bucket's name and its id; `bucket_id` is what calls need."""

    bucket_id: str
    name: str


class Account:
    """One account's session and what is shared by all who use it in this process."""

    def __init__(self, name: str, credential: Credential, http: Session) -> None:
        self.name = name
        self.credential = credential
        self.http = http
        self.session = OneAuthorisation(http)
        self.concurrency = Concurrency()
        self.asking_for_buckets = threading.Lock()
        self._authorised = False
        self._authorising = threading.Lock()
        self._buckets: dict[str, BucketName] = {}

    def authorise(self) -> None:
        """Make sure the session is authorised; only the first call costs anything.

        Raises b2sdk's exceptions.
        """
        if self.is_authorised:
            return
        with self._authorising:
            if not self.is_authorised:
                self.session.authorize_account(
                    self.credential.realm,
                    self.credential.key_id,
                    self.credential.application_key.get_secret_value(),
                )
                self._authorised = True

    @property
    def is_authorised(self) -> bool:
        """Whether calls can be made; not any more once B2 has refused to renew a token."""
        return self._authorised and not self.session.is_refused

    @property
    def capabilities(self) -> frozenset[str]:
        """What the key may do; call `authorise` first."""
        return self.session.info.allows.capabilities

    @property
    def name_prefix(self) -> str | None:
        """File names the key is restricted to."""
        return self.session.info.allows.name_prefix

    @property
    def key_expires(self) -> datetime | None:
        """When B2 will not take the key any more; None for never."""
        millis = self.session.raw_api.key_expires_millis
        return datetime.fromtimestamp(millis / 1000, UTC) if millis else None

    @property
    def allowed_buckets(self) -> list[BucketName] | None:
        """The buckets the key is restricted to; None for all."""
        buckets = self.session.info.allows.buckets
        if buckets is None:
            return None
        return [BucketName(each["id"], each["name"]) for each in buckets if each.get("name")]

    @property
    def recommended_part_bytes(self) -> int:
        return int(self.session.info._recommended_part_size)  # without a question whether it is

    @property
    def least_part_bytes(self) -> int:
        return int(self.session.info.get_absolute_minimum_part_size())

    def known_bucket(self, name: str) -> BucketName | None:
        """The bucket, when its id is known without asking B2."""
        bucket = self._buckets.get(name)
        if bucket is not None:
            return bucket
        for each in self.allowed_buckets or ():
            if each.name.lower() == name.lower():  # as B2 compares them
                return each
        return None

    def remember_bucket(self, bucket: BucketName) -> None:
        self._buckets[bucket.name] = bucket

    def forget_bucket(self, name: str) -> None:
        self._buckets.pop(name, None)


class Accounts:
    """The accounts this process has used. Thread-safe."""

    def __init__(
        self,
        secrets: Secrets,
        *,
        governor: Governor | None = None,
        budgets: Budgets | None = None,
        ca_file: Path | None = None,
    ) -> None:
        self.governor: Governor = governor or LocalGovernor()
        self.budgets: Budgets = budgets or NoBudgets()
        self._secrets = secrets
        self._ca_file = ca_file
        self._lock = threading.Lock()
        self._http: Session | None = None
        self._accounts: dict[str, Account] = {}

    def get(self, name: str) -> Account:
        """The account *name*, with the credential the secrets file has now.

        Raises:
            OperatorError: `credentials_missing`, `credentials_invalid`, ...
            CallerError: `account_unknown`.
        """
        credential = self._secrets.account(name)
        account = self._accounts.get(name)
        if account is not None and (
            account.credential is credential or account.credential == credential
        ):
            return account
        with self._lock:
            if self._http is None:
                self._http = Session(ca_file=self._ca_file)
            self._http.allows_http |= credential.realm.startswith("http://")
            account = self._accounts.get(name)
            if account is None or account.credential != credential:
                account = Account(name, credential, self._http)
                self._accounts[name] = account
            return account

    def customer_key(self, name: str) -> SecretStr:
        """The customer's key of this name, as the secrets file has it now: base64 of 32 bytes.

        Raises:
            CallerError: `customer_key_unknown`.
            OperatorError: as `get`.
        """
        return self._secrets.customer_key(name)

    def concurrency(self) -> dict[str, int]:
        """How many requests may be under way at once now, of each account used so far."""
        return {name: account.concurrency.limit for name, account in list(self._accounts.items())}
