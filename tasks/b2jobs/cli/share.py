"""`b2jobs share`: a URL that opens a private file for a while."""

from __future__ import annotations

from typing import Any

import click

from b2jobs.cli import follow
from b2jobs.cli.session import Duration, Session, pass_session, submit_options


@click.command()
@click.argument("source")
@click.option("--seconds", type=Duration(), help="How long it opens, 7d at most.  [default: 1h]")
@submit_options(wait=True)
@pass_session
def share(session: Session, /, seconds: float | None, **arguments: Any) -> None:
    """Print a URL that opens a private file for a while.

    A worker mints it, since only workers hold credentials.

    \b
      b2jobs share b2://some-bucket/remotefolder/remotefile.png --seconds 2h
    """
    follow.submit(session, "share", seconds=None if seconds is None else int(seconds), **arguments)
