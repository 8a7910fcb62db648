"""`b2jobs console`: pages for a browser, and metrics."""

from __future__ import annotations

import os

import click

from b2jobs.cli import extras
from b2jobs.cli.session import Session, pass_session, queue_options


@click.command()
@click.option("--host", metavar="HOST", help="Where to listen.  [default: 127.0.0.1]")
@click.option("--port", type=click.IntRange(0, 65535), help="0 takes a free one.  [default: 8585]")
@click.option("--config", metavar="FILE", help="TOML with a table [console]; $B2JOBS_CONFIG.")
@queue_options
@pass_session
def console(session: Session, host: str | None, port: int | None, config: str | None) -> None:
    """Serve pages that show what is going on, until Ctrl-C.

    Log in with the token of [console] in the config file, or of $B2JOBS_CONSOLE_TOKEN; with
    read_token ($B2JOBS_CONSOLE_READ_TOKEN) one may look and not act. Without any it prints an
    address that logs you in. For machines there are /metrics, /healthz and /readyz.
    See `b2jobs docs console`.
    """
    extras.need("console")
    given = {
        "redis_url": session.redis_url,
        "key_prefix": session.key_prefix,
        "config": config,
    }
    for name, value in given.items():
        if value is not None:
            os.environ[f"B2JOBS_{name.upper()}"] = value
    words = [
        *(["--host", host] if host else []),
        *(["--port", str(port)] if port is not None else []),
    ]
    extras.become("b2jobs_console", *words, afresh=session.shows_password)
