"""`b2jobs check`: what the account's key may do."""

from __future__ import annotations

from typing import Any

import click

from b2jobs.cli import follow
from b2jobs.cli.session import Session, pass_session, submit_options


@click.command()
@submit_options(wait=True)
@pass_session
def check(session: Session, /, account: str | None, **arguments: Any) -> None:
    """Ask a worker what its B2 key may do.

    Says too which kinds of job it cannot serve. The quickest way to see that Redis, a worker,
    its secrets file and B2 work together.
    """
    follow.submit(session, "check", account=account, **arguments)
