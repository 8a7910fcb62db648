"""The secrets file: read by workers only, checked for who can read it, re-read when it changes.

See docs/sources.md for its form and docs/decisions/sources-secrets-file.md for which
modes are refused.
"""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pydantic import SecretStr

from b2jobs.errors import CallerError, OperatorError
from b2jobs_worker.credentials import DEFAULT_ACCOUNT, Contents, Credential, Malformed, read

LIMIT_BYTES = 1024 * 1024
_EXPOSED_HINT = (
    "Run chmod 600 on it and let the worker's user own it. In Docker Swarm give the secret "
    "mode: 0400 and the worker's uid, in Kubernetes defaultMode: 0400 (with fsGroup: 0440)."
)

_Signature = tuple[int, int, int, int, int, int]


class SecretsFile:
    """The credentials in one file. Safe to use from many threads.

    Every question looks at the file's time, inode, size and mode (one `stat`) and reads it
    again when one has changed. A file that has become unusable is an error at once; what it
    held before is not used any more.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._lock = threading.Lock()
        self._read: tuple[_Signature, Contents] | None = None

    def account(self, name: str = DEFAULT_ACCOUNT) -> Credential:
        """The credential of the account *name*.

        Raises:
            OperatorError: `credentials_missing`, `credentials_unreadable`,
                `credentials_exposed`, `credentials_invalid`.
            CallerError: `account_unknown`.
        """
        accounts = self._contents().accounts
        if name not in accounts:
            raise CallerError(
                "account_unknown",
                f"There is no account {name!r} in the secrets file {self.path}.",
                hint=f"Known are {', '.join(sorted(accounts))}.",
            )
        return accounts[name]

    def accounts(self) -> list[str]:
        """The names of all accounts, sorted. Raises the same OperatorErrors as `account`."""
        return sorted(self._contents().accounts)

    def store(self, scheme: str, bucket: str) -> Mapping[str, SecretStr] | None:
        """What the file has for *bucket* of another object store, else for its whole scheme.

        None when it has nothing. An empty entry is something: it lets the worker use what its
        surroundings give (environment, instance role). Raises the OperatorErrors of `account`.
        """
        stores = self._contents().stores
        return stores.get(f"{scheme}://{bucket}", stores.get(f"{scheme}://"))

    def _contents(self) -> Contents:
        with self._lock:
            try:
                status = self.path.stat()
                if self._read is not None and self._read[0] == _signature(status):
                    return self._read[1]
                self._read = None
                status, contents = self._load()
            except FileNotFoundError as error:
                raise OperatorError(
                    "credentials_missing",
                    f"There is no secrets file {self.path}.",
                    hint="Create it or point B2JOBS_SECRETS_FILE at it.",
                ) from error
            except OSError as error:
                raise OperatorError(
                    "credentials_unreadable",
                    f"The secrets file {self.path} cannot be read: {error.strerror}.",
                    hint="Let the worker's user own it, with mode 600.",
                ) from error
            if isinstance(contents, str):
                raise OperatorError(
                    "credentials_invalid",
                    f"The secrets file {self.path} cannot be used: {contents}.",
                    hint='It holds {"key_id": "...", "application_key": "..."}, or several of '
                    'these as {"accounts": {"default": {...}}}.',
                )
            self._read = _signature(status), contents
            return contents

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
            return status, str(error)

    def _judge(self, status: os.stat_result) -> None:
        if not stat.S_ISREG(status.st_mode):
            raise OperatorError(
                "credentials_unreadable",
                f"The secrets file {self.path} is not a regular file.",
                hint="Point B2JOBS_SECRETS_FILE at a file.",
            )
        who = exposed_to(status, os.geteuid(), {os.getegid(), *os.getgroups()})
        if who:
            raise OperatorError(
                "credentials_exposed",
                f"The secrets file {self.path} has mode {stat.S_IMODE(status.st_mode):04o}: "
                f"{who} can read or change it.",
                hint=_EXPOSED_HINT,
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
