"""The secrets file and whether B2 takes the keys in it."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from b2jobs.errors import B2JobsError, JobError, OperatorError
from b2jobs_worker.attempt import DetachedAttempt
from b2jobs_worker.secrets import SecretsFile
from b2jobs_worker.settings import Settings
from b2jobs_worker.start.finding import Finding, finding

if TYPE_CHECKING:  # b2sdk comes with it, which the parent of the processes does without
    from b2jobs_worker.transfer.context import Context

_WAITS = "Jobs that need it wait and are tried again."
PATIENCE_SECONDS = 5.0
"""How long all accounts together may take to be checked; who has not answered by then is said."""


def secrets_findings(settings: Settings) -> list[Finding]:
    """What is wrong with the secrets file. All of it heals: jobs wait until it changes."""
    secrets = SecretsFile(settings.secrets_file)
    try:
        problems = secrets.problems()
    except OperatorError as error:
        return [finding(error, heals=True)]
    found = [
        Finding(
            "credentials_invalid",
            f"The secrets file {secrets.path} has an entry that cannot be used: {problem}.",
            "Jobs that need it wait until it is corrected; the others run.",
        )
        for problem in problems
    ]
    return [*found, *_of_owner(secrets)]


def _of_owner(secrets: SecretsFile) -> Iterator[Finding]:
    try:
        owner = secrets.path.stat().st_uid
    except OSError:  # gone since it was read
        return
    if owner not in (0, os.geteuid()):
        yield Finding(
            "credentials_foreign",
            f"The secrets file {secrets.path} belongs to another user ({owner}), who can change "
            "which account jobs run under.",
            "Let the worker's user or root own it.",
        )


def account_findings(context: Context) -> list[Finding]:
    """What B2 says of each account's key, asked at the same time: a class C call each.

    An account that is authorised here stays so for the jobs of this process.
    """
    try:
        names = SecretsFile(context.settings.secrets_file).accounts()
    except OperatorError:
        return []  # said by `secrets_findings`
    said: dict[str, Finding | None] = {}

    def ask(name: str) -> None:
        said[name] = _of_account(name, context)

    threads = [threading.Thread(target=ask, args=(name,), daemon=True) for name in names]
    end = time.monotonic() + PATIENCE_SECONDS
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, end - time.monotonic()))
    silent = [
        Finding(
            "timeout",
            f"B2 has not said within {PATIENCE_SECONDS:g} s whether it takes the key of account "
            f"{name!r}.",
            _WAITS,
        )
        for name in names
        if name not in said
    ]
    return [*(each for each in dict(said).values() if each is not None), *silent]


def _of_account(name: str, context: Context) -> Finding | None:
    try:
        context.client(name, DetachedAttempt("start")).account()
    except JobError as error:
        return Finding(error.code, f"Account {name!r}: {error.message}", error.hint or _WAITS)
    except B2JobsError as error:
        return Finding(error.code, f"Account {name!r}: {error}", error.hint or _WAITS)
    return None
