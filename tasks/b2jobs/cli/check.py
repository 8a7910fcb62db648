"""`b2jobs check`: what the account's key may do."""

from __future__ import annotations

import sys
from typing import Any

import click

from b2jobs.cli import follow, show
from b2jobs.cli.exits import FAILED
from b2jobs.cli.session import Session, pass_session, submit_options
from b2jobs.results import CheckResult

_LONGEST_SECONDS = 60.0


@click.command()
@submit_options(wait=True)
@pass_session
def check(session: Session, /, *, wait: bool, timeout: float | None, **arguments: Any) -> None:
    """Ask a worker what its B2 key may do.

    Says too which kinds of job it cannot serve, and exits 1 then. The quickest way to see that
    Redis, a worker, its secrets file and B2 work together. Waits a minute, or --timeout.
    """
    given = {name: value for name, value in arguments.items() if value is not None}
    handle = session.client.ask("check", **given)
    if not wait:
        show.queued(session, handle.id)
        return
    found = follow.finish(session, handle, _LONGEST_SECONDS if timeout is None else timeout)
    if isinstance(found, CheckResult) and found.cannot:
        sys.exit(FAILED)
