"""The secrets file: read by workers only, checked for who can read it, re-read when it changes.

See docs/sources.md for its form and docs/decisions/sources-secrets-file.md for which
modes are refused.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import SecretStr

from b2jobs.errors import CallerError, OperatorError, Wait
from b2jobs_worker.credentials import (
    ANY_HOST,
    DEFAULT_ACCOUNT,
    Contents,
    Credential,
    Malformed,
    Unfinished,
    read,
    shown,
)

LIMIT_BYTES = 1024 * 1024
WRITING_SECONDS = 1.0
"""A file that does not parse and is younger than this may still be being written."""
_LOOK_SECONDS = 0.05
_EXPOSED_HINT = (
    "Run chmod 600 on it and let the worker's user own it. In Docker Swarm give the secret "
    "mode: 0400 and the worker's uid, in Kubernetes defaultMode: 0400 (with fsGroup: 0440)."
)

_UNTIL_CHANGED = Wait("credentials")

_Signature = tuple[int, int, int, int, int, int]


class SecretsFile:
    """The credentials in one file. Safe to use from many threads.

    Every question looks at the file's time, inode, size and mode (one `stat`) and reads it
    again when one has changed. A file that has become unusable is an error at once; what it
    held before is not used any more. One that does not parse is read again for as long as it
    may still be being written. One entry that is wrong is an error for who needs it only. An
    account that this process has seen may be missing while the file is edited: that can heal.

    All its OperatorErrors can heal: a job waits for a change of the file, as `credentials`.
    """

    def __init__(self, path: str | Path, *, writing_seconds: float = WRITING_SECONDS) -> None:
        self.path = Path(path)
        self._name = str(path)
        self._writing_seconds = writing_seconds
        self._lock = threading.Lock()
        self._read: tuple[_Signature, Contents] | None = None
        self._seen: set[str] = set()

    def account(self, name: str = DEFAULT_ACCOUNT) -> Credential:
        """The credential of the account *name*.

        Raises:
            OperatorError: `credentials_missing`, `credentials_unreadable`,
                `credentials_exposed`, `credentials_invalid`.
            CallerError: `account_unknown`.
        """
        contents = self._contents()
        if name in contents.bad_accounts:
            raise self._unusable(contents.bad_accounts[name])
        if name not in contents.accounts and name in self._seen:
            raise OperatorError(
                "credentials_missing",
                f"The account {shown(name)!r} is not in the secrets file {self.path} any more.",
                hint="Put it back, or cancel the jobs that wait for it.",
                wait=_UNTIL_CHANGED,
            )
        if name not in contents.accounts:
            known = sorted(map(shown, {*contents.accounts, *contents.bad_accounts}))
            raise CallerError(
                "account_unknown",
                f"There is no account {shown(name)!r} in the secrets file {self.path}.",
                hint=f"Known are {', '.join(known)}.",
            )
        return contents.accounts[name]

    def accounts(self) -> list[str]:
        """The names of all usable accounts, sorted. Raises the same OperatorErrors as `account`."""
        return sorted(self._contents().accounts)

    def problems(self) -> list[str]:
        """What is wrong with single entries, in words. Raises the OperatorErrors of `account`."""
        contents = self._contents()
        return [
            *contents.bad_accounts.values(),
            *contents.bad_stores.values(),
            *contents.bad_webhooks.values(),
            *contents.bad_notifications.values(),
            *contents.bad_customer_keys.values(),
        ]

    def store(self, scheme: str, bucket: str) -> Mapping[str, SecretStr] | None:
        """What the file has for *bucket* of another object store, else for its whole scheme.

        A bucket of a named store, `minio@pictures`, is served by the entries of that name only:
        `s3://minio@pictures`, else `s3://minio@`.

        None when it has nothing. An empty entry is something: it lets the worker use what its
        surroundings give (environment, instance role). Raises the OperatorErrors of `account`.
        """
        contents = self._contents()
        store, named, _ = bucket.rpartition("@")
        for name in (f"{scheme}://{bucket}", f"{scheme}://{store}{named}"):
            if name in contents.bad_stores:
                raise self._unusable(contents.bad_stores[name])
            if name in contents.stores:
                return contents.stores[name]
        return None

    def customer_key(self, name: str) -> SecretStr:
        """The customer's key of this name: base64 of the 32 bytes that encrypt files (SSE-C).

        Raises:
            CallerError: `customer_key_unknown`.
            OperatorError: those of `account`.
        """
        contents = self._contents()
        if name in contents.bad_customer_keys:
            raise self._unusable(contents.bad_customer_keys[name])
        if name not in contents.customer_keys:
            known = ", ".join(sorted(contents.customer_keys))
            raise CallerError(
                "customer_key_unknown",
                f"There is no customer's key {name!r} in the secrets file {self.path}.",
                hint=f"Known are {known}."
                if known
                else f'It stands there as "customer_keys": {{"{name}": "32 bytes in base64"}}.',
            )
        return contents.customer_keys[name]

    def webhook(self, host: str) -> tuple[SecretStr, ...]:
        """The secrets that sign webhooks to *host*; none where the file has none.

        Raises the OperatorErrors of `account`.
        """
        contents = self._contents()
        for name in (host, ANY_HOST):
            if name in contents.bad_webhooks:
                raise self._unusable(contents.bad_webhooks[name])
            if name in contents.webhooks:
                return contents.webhooks[name]
        return ()

    def notification(self, host: str) -> Mapping[str, SecretStr]:
        """The secrets of event notifications to *host*, by name; none where the file has none.

        Raises the OperatorErrors of `account`.
        """
        contents = self._contents()
        if host in contents.bad_notifications:
            raise self._unusable(contents.bad_notifications[host])
        return contents.notifications.get(host, {})

    def _contents(self) -> Contents:
        with self._lock:
            try:
                status = os.stat(self._name)  # noqa: PTH116 - asked for each file: a Path costs more
                if self._read is not None and self._read[0] == _signature(status):
                    return self._read[1]
                self._read = None
                status, contents = self._load_written()
            except FileNotFoundError as error:
                raise OperatorError(
                    "credentials_missing",
                    f"There is no secrets file {self.path}.",
                    hint="Create it or point B2JOBS_SECRETS_FILE at it.",
                    wait=_UNTIL_CHANGED,
                ) from error
            except OSError as error:
                raise OperatorError(
                    "credentials_unreadable",
                    f"The secrets file {self.path} cannot be read: {error.strerror}.",
                    hint="Let the worker's user own it, with mode 600.",
                    wait=_UNTIL_CHANGED,
                ) from error
            if isinstance(contents, str):
                raise self._unusable(contents)
            self._read = _signature(status), contents
            self._seen |= {*contents.accounts, *contents.bad_accounts}
            return contents

    def _unusable(self, problem: str) -> OperatorError:
        return OperatorError(
            "credentials_invalid",
            f"The secrets file {self.path} cannot be used: {problem}.",
            hint='It holds {"key_id": "...", "application_key": "..."}, or several of '
            'these as {"accounts": {"default": {...}}}.',
            wait=_UNTIL_CHANGED,
        )

    def _load_written(self) -> tuple[os.stat_result, Contents | str]:
        """`_load`, again while what does not parse is so young that it may be half written."""
        while True:
            status, contents = self._load()
            age = abs(time.time() - status.st_mtime)
            if not isinstance(contents, Unfinished) or age >= self._writing_seconds:
                return status, contents
            time.sleep(_LOOK_SECONDS)

    def _load(self) -> tuple[os.stat_result, Contents | str]:
        """Open, judge what was opened, read: nobody can exchange the file in between.

        What is wrong with the contents is returned, not raised: no frame on the way of the
        error then holds a value of the file, for tools that print tracebacks with locals.
        """
        descriptor = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            self._judge(status)
            raw = file.read(LIMIT_BYTES + 1)
        if len(raw) > LIMIT_BYTES:
            return status, f"it has more than {LIMIT_BYTES} bytes"
        try:
            return status, read(raw)
        except Malformed as error:
            return status, error.problem

    def _judge(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise OperatorError(
                "credentials_unreadable",
                f"The secrets file {self.path} is not a regular file.",
                hint="Point B2JOBS_SECRETS_FILE at a file.",
                wait=_UNTIL_CHANGED,
            )
        who = exposed_to(status, os.geteuid(), {os.getegid(), *os.getgroups()})
        if who:
            raise OperatorError(
                "credentials_exposed",
                f"The secrets file {self.path} has mode {stat.S_IMODE(status.st_mode):04o}: "
                f"{who} can read or change it.",
                hint=_EXPOSED_HINT,
                wait=_UNTIL_CHANGED,
            )


@cache
def secrets_file(path: Path) -> SecretsFile:
    """The one reader of *path* in this process."""
    return SecretsFile(path)


def exposed_to(status: os.stat_result, user: int, groups: set[int]) -> str:
    """Who besides *user* can read or change a file of this *status*; empty for nobody.

    A group may, where that is the only way to hand a secret to a worker that is not root:
    the file belongs to root and to a group of the worker, and the group can only read
    (Kubernetes with fsGroup).
    """
    if status.st_mode & (stat.S_IROTH | stat.S_IWOTH):
        return "everybody on this machine"
    handed_over = user != 0 and status.st_uid == 0 and status.st_gid in groups
    refused = stat.S_IWGRP if handed_over else stat.S_IWGRP | stat.S_IRGRP
    if status.st_mode & refused:
        return "its group"
    return ""


def _signature(status: os.stat_result) -> _Signature:
    return (
        status.st_mtime_ns,
        status.st_ino,
        status.st_dev,
        status.st_size,
        status.st_mode,
        status.st_uid,
    )
